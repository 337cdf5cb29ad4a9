import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { hashBytes } from '../storage/hash.ts';
import { ByteKeyTable } from './byte-key-table.ts';

const hashOf = (key: Uint8Array): number => hashBytes(key, 0, key.length);

test('numbers keys in the order of their arrival, and finds them again', () => {
  const seed = Number(process.env['SEED'] ?? 1);
  const random = seededRandom(seed);
  const table = new ByteKeyTable();
  const model = new Map<string, number>();
  for (let i = 0; i < 20_000; i += 1) {
    const key = Buffer.alloc(random.below(20));
    random.fill(key);
    const known = model.get(key.toString('latin1'));
    assert.equal(table.find(hashOf(key), key), known ?? -1, `SEED=${String(seed)}`);
    if (known !== undefined) continue;
    assert.equal(table.add(hashOf(key), key), model.size);
    model.set(key.toString('latin1'), model.size);
  }
  for (const [text, number] of model) {
    const key = Buffer.from(text, 'latin1');
    assert.equal(table.find(hashOf(key), key), number);
    assert.deepEqual(Buffer.from(table.keyOf(number)), key);
  }
  assert.equal(table.size, model.size);
});

test('keys with the same hash are told apart by their bytes', () => {
  const table = new ByteKeyTable();
  const [a, b, c] = [Buffer.from('a'), Buffer.from('bb'), Buffer.from('c')];
  table.add(7, a);
  table.add(7, b);
  assert.deepEqual(
    [a, b, c].map((key) => table.find(7, key)),
    [0, 1, -1],
  );
});
