import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bytesText, printableBytes, printableText } from './printable.ts';

test('nothing that a terminal would act on is printed', () => {
  assert.equal(printableText('größer 日本 🙂 "x" \\'), 'größer 日本 🙂 "x" \\');
  assert.equal(printableText('a\nb\tc\r'), 'a\\nb\\tc\\r');
  assert.equal(printableText('\u001b[31m\u0000\u007f\u009b'), '\\x1b[31m\\x00\\x7f\\x9b');
  assert.equal(printableText('\u202eevil\u2028'), '\\u202eevil\\u2028');
});

test('bytes are shown as text, JSON in one line, the rest by size', () => {
  const shown = (text: string): string => printableBytes(Buffer.from(text));
  assert.equal(shown('plain'), 'plain');
  assert.equal(shown('{"a": 1}'), '{"a": 1}');
  assert.equal(shown('{\n  "a": [1,\t2]\n}'), '{"a":[1,2]}');
  assert.equal(shown('[not\njson'), '[not\\njson');
  assert.equal(printableBytes(Buffer.of(0xff, 0, 1)), '<3 bytes: ff0001>');
  assert.equal(printableBytes(Buffer.alloc(100, 0xfe)), `<100 bytes: ${'fe'.repeat(32)}…>`);
  assert.equal(printableBytes(Buffer.alloc(3000, 'x'), 5), 'xxxxx… (2.9 KiB)');
});

test('sizes have the unit that fits', () => {
  const texts = [0, 1, 1023, 1024, 1536, 5 * 1024 ** 2, 3 * 1024 ** 5].map(bytesText);
  const expected = ['0 bytes', '1 byte', '1023 bytes', '1.0 KiB', '1.5 KiB', '5.0 MiB'];
  assert.deepEqual(texts, [...expected, '3072.0 TiB']);
});
