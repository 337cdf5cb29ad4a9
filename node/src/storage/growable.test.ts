import assert from 'node:assert/strict';
import test from 'node:test';

import { GrowableUint32 } from './growable.ts';

test('keeps what was pushed and set while it grows', () => {
  const list = new GrowableUint32(0);
  for (let i = 0; i < 1000; i += 1) list.push(i * 3);
  const start = list.extend(500);
  assert.equal(start, 1000);
  for (let i = 0; i < 500; i += 1) list.set(start + i, 2 ** 32 - 1 - i);
  assert.equal(list.length, 1500);
  assert.equal(list.get(999), 2997);
  assert.equal(list.get(1499), 2 ** 32 - 500);
  assert.deepEqual([...list.slice(998, 1001)], [2994, 2997, 2 ** 32 - 1]);
  assert.deepEqual([...list.values.subarray(0, 2)], [0, 3]);
  assert(list.capacityBytes >= 4 * 1500);
});

test('goes on behind the values that it was made from', () => {
  const list = GrowableUint32.from(Uint32Array.of(1, 2));
  list.push(3);
  assert.deepEqual([...list.values], [1, 2, 3]);
});
