import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeTransactionId } from './transaction-id.ts';

function idOf(group: Uint8Array, index: number, eventCount: number = 1): string {
  const id = Buffer.alloc(16);
  writeTransactionId(group, index, eventCount, id);
  return id.toString('hex');
}

const group = (seed: number): Buffer => {
  const id = Buffer.alloc(16);
  seededRandom(seed).fill(id);
  return id;
};

test('the id of a frame is always the same', () => {
  assert.equal(idOf(group(1), 5), idOf(group(1), 5));
  assert.notEqual(idOf(group(1), 5), idOf(group(2), 5));
});

test('ids of one bucket differ in their first 48 bits, which decide for all time', () => {
  const seen = new Set<string>();
  const indexes = [
    ...Array.from({ length: 50_000 }, (_, i) => i),
    ...Array.from({ length: 1000 }, (_, i) => 2 ** 32 * i + 7),
    ...Array.from({ length: 1000 }, (_, i) => 2 ** 48 - 1 - i),
  ];
  for (const index of indexes) seen.add(idOf(group(3), index).slice(0, 12));
  assert.equal(seen.size, new Set(indexes).size);
});

test('ids of many buckets differ', () => {
  const seen = new Set<string>();
  for (let bucket = 0; bucket < 100; bucket += 1) {
    for (let index = 0; index < 200; index += 1) seen.add(idOf(group(bucket), index));
  }
  assert.equal(seen.size, 20_000);
});

test('version and variant are those of a random UUID; byte 8 tells whether there are several events', () => {
  for (let index = 0; index < 500; index += 1) {
    const single = Buffer.from(idOf(group(4), index, 1), 'hex');
    const several = Buffer.from(idOf(group(4), index, 2), 'hex');
    assert.equal(single[6]! >> 4, 4);
    assert.equal(single[8]! & 0xc0, 0x80);
    assert.equal(several[8]! & 0x80, 0);
    several[8] = several[8]! | 0x80;
    assert.deepEqual(several, single, 'nothing else depends on the number of events');
  }
});
