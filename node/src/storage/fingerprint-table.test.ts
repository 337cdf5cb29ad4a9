import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { FingerprintTable } from './fingerprint-table.ts';

function allUnder(table: FingerprintTable, fingerprint: number): number[] {
  const values: number[] = [];
  for (let value = table.find(fingerprint, -1); value >= 0;) {
    values.push(value);
    value = table.find(fingerprint, table.place);
  }
  return values.sort((a, b) => a - b);
}

test('finds every value under its fingerprint and no other, while the table grows', () => {
  const random = seededRandom(1);
  const table = new FingerprintTable();
  const expected = new Map<number, number[]>();
  for (let i = 0; i < 20_000; i += 1) {
    const fingerprint = random.below(4) === 0 ? random.below(50) : random.below(2 ** 32);
    const value = random.below(2 ** 32 - 1);
    table.add(fingerprint, value);
    expected.set(fingerprint, [...(expected.get(fingerprint) ?? []), value]);
  }
  for (const [fingerprint, values] of expected) {
    assert.deepEqual(
      allUnder(table, fingerprint),
      values.sort((a, b) => a - b),
    );
  }
  for (let i = 0; i < 1000; i += 1) {
    const absent = random.below(2 ** 32);
    if (!expected.has(absent)) assert.deepEqual(allUnder(table, absent), []);
  }
});

test('fingerprints 0 and 2^32 - 1, value 0 and equal pairs are values like others', () => {
  const table = new FingerprintTable();
  for (const fingerprint of [0, 2 ** 32 - 1]) {
    assert.equal(table.find(fingerprint, -1), -1);
    table.add(fingerprint, 0);
    table.add(fingerprint, 0);
    assert.deepEqual(allUnder(table, fingerprint), [0, 0]);
  }
});
