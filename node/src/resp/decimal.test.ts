import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeDecimal } from './decimal.ts';

function written(value: number): string {
  const target = Buffer.alloc(24, '.');
  const end = writeDecimal(value, target, 3);
  assert.equal(target.toString('latin1', end), '.'.repeat(24 - end), 'nothing behind it');
  return target.toString('latin1', 3, end);
}

test('numbers around every power of two and ten', () => {
  const powers = [
    ...Array.from({ length: 54 }, (_, i) => 2 ** i),
    ...Array.from({ length: 16 }, (_, i) => 10 ** i),
  ];
  for (const power of powers) {
    for (const value of [power - 1, power, power + 1]) {
      if (Number.isSafeInteger(value)) assert.equal(written(value), String(value));
    }
  }
});

test('random numbers of every length', () => {
  const seed = Number(process.env['SEED'] ?? 9);
  const random = seededRandom(seed);
  for (let i = 0; i < 20_000; i += 1) {
    const digits = 1 + random.below(15);
    let value = 0;
    for (let digit = 0; digit < digits; digit += 1) value = value * 10 + random.below(10);
    assert.equal(written(value), String(value), `seed ${seed}`);
  }
});
