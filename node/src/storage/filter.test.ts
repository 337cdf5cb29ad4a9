import assert from 'node:assert/strict';
import { test } from 'node:test';

import bloomFilterModule from 'bloom-filters/dist/bloom/bloom-filter.js';

import { seededRandom } from '../../../common/random.ts';
import { filterBlock, filterBytes, FilterProbe, filterShape, KeyFilter } from './filter.ts';
import { hashBytes, hashUuid } from './hash.ts';
import { PAGE_CONTENT_BYTES } from './index-page.ts';

const textHash = (text: string): number => {
  const bytes = Buffer.from(text);
  return hashBytes(bytes, 0, bytes.length);
};

/** Key shapes that have misled weaker hashing. */
const families: Record<string, (i: number) => number> = {
  'sequential names': (i) => textHash(`order-${String(i).padStart(8, '0')}`),
  'long common prefix': (i) =>
    textHash(`tenant/0123456789abcdef0123456789abcdef/stream-${String(i)}`),
  'random ids': (i) => {
    const id = Buffer.alloc(16);
    seededRandom(i).fill(id);
    return hashUuid(id, 0);
  },
  'ids that count': (i) => {
    const id = Buffer.alloc(16);
    id.writeUInt32BE(i, 12);
    return hashUuid(id, 0);
  },
};

for (const [family, hashOf] of Object.entries(families)) {
  test(`no key is lost and few others are taken for keys: ${family}`, () => {
    for (const [keys, rate] of [
      [300, 0.005],
      [20_000, 0.005],
      [20_000, 0.001],
    ] as const) {
      const filter = new KeyFilter(filterShape(keys, rate));
      for (let i = 0; i < keys; i += 1) filter.add(hashOf(i));
      for (let i = 0; i < keys; i += 1) assert.ok(filter.has(hashOf(i)));
      let falsePositives = 0;
      for (let i = keys; i < keys + 40_000; i += 1) if (filter.has(hashOf(i))) falsePositives += 1;
      const measured = falsePositives / 40_000;
      assert.ok(measured < 1.5 * rate, `${String(keys)} keys: ${String(measured)}`);
    }
  });
}

test('a filter is as large as its keys need and its blocks fit into pages', () => {
  for (const keys of [0, 1, 10, 1000, 3000, 5000, 100_000, 5_000_000]) {
    const shape = filterShape(keys, 0.005);
    assert.ok(shape.blockBytes <= PAGE_CONTENT_BYTES && shape.blockBytes > 0);
    const bits = 8 * filterBytes(shape);
    assert.ok(
      bits >= 11 * keys && bits <= 11.1 * keys + 64 + 8 * shape.blocks,
      `${String(keys)} keys`,
    );
  }
});

test('a filter survives as raw bytes, and block by block in place', () => {
  const keys = 9000;
  const filter = new KeyFilter(filterShape(keys, 0.005));
  for (let i = 0; i < keys; i += 1) filter.add(textHash(`k${String(i)}`));
  const { shape } = filter;
  assert.ok(shape.blocks > 1);
  const again = new KeyFilter(shape, Buffer.from(filter.bytes));
  const probe = new FilterProbe(shape);
  for (let i = 0; i < 3 * keys; i += 1) {
    const hash = textHash(`k${String(i)}`);
    const expected = filter.has(hash);
    assert.equal(again.has(hash), expected);
    const from = filterBlock(shape, hash) * shape.blockBytes;
    const elsewhere = Buffer.concat([
      Buffer.alloc(100, 0xff),
      filter.bytes.subarray(from, from + shape.blockBytes),
    ]);
    assert.equal(probe.has(elsewhere, 100, hash), expected);
  }
});

test('an empty filter has nothing', () => {
  const filter = new KeyFilter(filterShape(0, 0.005));
  for (let i = 0; i < 1000; i += 1) assert.equal(filter.has(textHash(String(i))), false);
});

test('the package still has the parts that are replaced, and uses them', () => {
  const filter = new bloomFilterModule.default(64, 2);
  for (const name of ['_size', '_nbHashes', '_filter', '_hashing']) assert.ok(name in filter, name);
  assert.equal(filter._filter.array.length, 8);
  const bytes = Buffer.alloc(8);
  filter._filter.array = bytes;
  filter._hashing.getIndexes = () => [3, 17];
  filter.add('key');
  assert.deepEqual([...bytes], [0b1000, 0, 0b10, 0, 0, 0, 0, 0]);
  assert.ok(filter.has('any'));
  bytes[2] = 0;
  assert.ok(!filter.has('any'));
});
