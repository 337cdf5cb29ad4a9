import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { isKeyword, keyword, parseUnsigned } from './arguments.ts';

describe('unsigned numbers', () => {
  const cases: readonly (readonly [string, number | bigint | null])[] = [
    ['0', 0],
    ['+0', 0],
    ['007', 7],
    ['+42', 42],
    ['999999999999999', 999_999_999_999_999],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['0000000000000000000000009007199254740993', 9007199254740993n],
    ['0000000000000000000000000000000000000001', 1],
    ['18446744073709551615', 18446744073709551615n],
    ['18446744073709551616', null],
    ['100000000000000000000', null],
    [`1${'0'.repeat(400)}`, null],
    ['', null],
    ['+', null],
    ['-1', null],
    ['-0', null],
    ['++1', null],
    [' 1', null],
    ['1 ', null],
    ['1.5', null],
    ['1e3', null],
    ['0x10', null],
    ['١', null],
  ];
  for (const [text, value] of cases) {
    test(JSON.stringify(text), () => assert.equal(parseUnsigned(Buffer.from(text)), value));
  }
});

describe('keywords', () => {
  const word = keyword('EVENT_ID');
  for (const text of ['EVENT_ID', 'event_id', 'Event_Id']) {
    test(`${text} is one`, () => assert.equal(isKeyword(Buffer.from(text), word), true));
  }
  // 0x7f differs from the underscore in the bit that tells upper case from lower.
  for (const text of ['EVENT-ID', 'EVENT\x7fID', 'EVENT_I', 'EVENT_IDS', '']) {
    test(`${JSON.stringify(text)} is none`, () =>
      assert.equal(isKeyword(Buffer.from(text), word), false));
  }
});
