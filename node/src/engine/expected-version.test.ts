import assert from 'node:assert/strict';
import test from 'node:test';

import { partitionKeyDiffers, versionMatches, wrongVersion } from './expected-version.ts';
import type { ExpectedVersion } from './types.ts';

/** Whether it is met by an empty stream, a stream at version 0, at 1. */
const table: readonly [ExpectedVersion, boolean, boolean, boolean][] = [
  ['any', true, true, true],
  ['exists', false, true, true],
  ['empty', true, false, false],
  [0, false, true, false],
  [1, false, false, true],
  [2, false, false, false],
  [2n ** 63n, false, false, false],
];

test('each expectation is met by the streams that the protocol names', () => {
  for (const [expected, ...met] of table) {
    assert.deepEqual(
      [-1, 0, 1].map((version) => versionMatches(expected, version)),
      met,
      String(expected),
    );
  }
});

test('a refusal quotes both versions, key and stream', () => {
  const key = Buffer.from('7e124fe8fe285398bb9553973100148f', 'hex');
  const message = (expected: ExpectedVersion, version: number): string => {
    const error = wrongVersion(expected, version, key, Buffer.from('user-123'));
    assert.equal(error.code, 'WRONGVER');
    return error.message;
  };
  const where = 'for partition key 7e124fe8-fe28-5398-bb95-53973100148f and stream id user-123';
  assert.equal(message('empty', 0), `current stream version is 0 but expected empty ${where}`);
  assert.equal(message(7, -1), `current stream version is empty but expected 7 ${where}`);
  assert.equal(
    message(18_446_744_073_709_551_615n, 3),
    `current stream version is 3 but expected 18446744073709551615 ${where}`,
  );
});

test('a stream keeps the partition key of its first event', () => {
  const error = partitionKeyDiffers(Buffer.alloc(16, 1), Buffer.alloc(16, 2));
  assert.equal(error.code, 'DBOPFAILED');
  assert.equal(
    error.message,
    'database operation failed: partition key must be the same for all events in a stream: ' +
      'expected 01010101-0101-0101-0101-010101010101, got 02020202-0202-0202-0202-020202020202',
  );
});
