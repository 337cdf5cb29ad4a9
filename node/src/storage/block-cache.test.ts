import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { BLOCK_BYTES, BlockCache, type CachedBlock } from './block-cache.ts';
import { CachedFile } from './cached-file.ts';
import { ShortReadError } from './errors.ts';

/** A file whose byte at `i` is a function of `i` and `seed`; counts reads. */
class PatternSource {
  reads = 0;
  failures = 0;
  readonly seed: number;
  length: number;

  constructor(length: number, seed = 0) {
    this.length = length;
    this.seed = seed;
  }

  byteAt(position: number): number {
    return (Math.imul(position, 31) + (position >> 16) + this.seed) & 0xff;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    this.reads += 1;
    await setImmediate();
    if (this.failures > 0) {
      this.failures -= 1;
      throw Object.assign(new Error('disk'), { code: 'EIO' });
    }
    const length = Math.max(0, Math.min(target.length, this.length - position));
    for (let i = 0; i < length; i += 1) target[i] = this.byteAt(position + i);
    return length;
  }

  expected(position: number, length: number): Buffer {
    return Buffer.from(Array.from({ length }, (_, i) => this.byteAt(position + i)));
  }
}

const openPattern = (length: number, seed = 0): { source: PatternSource; file: CachedFile } => {
  const source = new PatternSource(length, seed);
  return { source, file: new CachedFile('pattern', source, length) };
};

test('a block is read once and then found at once', async () => {
  const { source, file } = openPattern(3 * BLOCK_BYTES);
  const cache = new BlockCache(10 * BLOCK_BYTES);
  assert.equal(cache.peek(file, 1), undefined);
  const block = await cache.load(file, 1);
  assert.deepEqual(block.bytes.subarray(0, 100), source.expected(BLOCK_BYTES, 100));
  assert.equal(cache.peek(file, 1), block);
  assert.equal(await cache.load(file, 1), block);
  assert.equal(source.reads, 1);
  assert.deepEqual(cache.statistics, {
    hits: 2,
    misses: 1,
    entries: 1,
    memoryBytes: BLOCK_BYTES,
    maxBytes: 10 * BLOCK_BYTES,
    blockBytes: BLOCK_BYTES,
    evictions: 0,
  });
});

test('readers that wait for the same block share one read', async () => {
  const { source, file } = openPattern(BLOCK_BYTES);
  const cache = new BlockCache(BLOCK_BYTES);
  const blocks = await Promise.all([cache.load(file, 0), cache.load(file, 0), cache.load(file, 0)]);
  assert.equal(source.reads, 1);
  assert.equal(new Set(blocks).size, 1);
});

test('a failed read reaches all who wait, and the next reader tries again', async () => {
  const { source, file } = openPattern(BLOCK_BYTES);
  const cache = new BlockCache(BLOCK_BYTES);
  source.failures = 1;
  const both = [cache.load(file, 0), cache.load(file, 0)];
  for (const result of await Promise.allSettled(both)) assert.equal(result.status, 'rejected');
  assert.equal(cache.statistics.entries, 0);
  assert.equal((await cache.load(file, 0)).length, BLOCK_BYTES);
});

test('the last block is read again when the file has grown and more of it is asked for', async () => {
  const { source, file } = openPattern(1000);
  const cache = new BlockCache(4 * BLOCK_BYTES);
  const short = await cache.load(file, 0);
  assert.equal(short.length, 1000);
  source.length = 2000;
  file.length = 2000;
  assert.equal(cache.peek(file, 0, 1000), short, 'what is there is still there');
  assert.equal(cache.peek(file, 0, 1001), undefined);
  assert.equal((await cache.load(file, 0, 1001)).length, 2000);
  assert.equal(cache.statistics.entries, 1);
});

test('a reader that needs more than a read in flight will bring gets it', async () => {
  const { source, file } = openPattern(1000);
  const cache = new BlockCache(4 * BLOCK_BYTES);
  const first = cache.load(file, 0);
  source.length = 2000;
  file.length = 2000;
  const second = cache.load(file, 0, 2000);
  assert.equal((await first).length, 1000);
  assert.equal((await second).length, 2000);
});

test('blocks read ahead are there when the reader comes, each read once', async () => {
  const { source, file } = openPattern(100 * BLOCK_BYTES);
  const cache = new BlockCache(100 * BLOCK_BYTES);
  await cache.load(file, 3);
  cache.readAhead(file, 2, 1000);
  const blocks = await Promise.all(Array.from({ length: 16 }, (_, i) => cache.load(file, 2 + i)));
  assert.equal(source.reads, 16);
  assert.deepEqual(blocks[5]?.bytes.subarray(0, 9), source.expected(7 * BLOCK_BYTES, 9));
  assert.equal(cache.peek(file, 18), undefined, 'at most 1 MiB');
});

test('reading ahead ends with the file, leaves most of a small cache alone, and its errors are the reader’s', async () => {
  const { source, file } = openPattern(5 * BLOCK_BYTES - 1);
  new BlockCache(100 * BLOCK_BYTES).readAhead(file, 3, 20);
  assert.equal(source.reads, 2);
  const small = openPattern(50 * BLOCK_BYTES);
  const cache = new BlockCache(8 * BLOCK_BYTES);
  small.source.failures = 2;
  cache.readAhead(small.file, 0, 20);
  assert.equal(small.source.reads, 2);
  await assert.rejects(cache.load(small.file, 1), /disk/);
  assert.equal((await cache.load(small.file, 1)).length, BLOCK_BYTES);
});

test('a file shorter than it claims is an error', async () => {
  const { file } = openPattern(1000);
  file.length = 1500;
  await assert.rejects(new BlockCache(BLOCK_BYTES).load(file, 0), ShortReadError);
  const range = new BlockCache(BLOCK_BYTES).readRange(file, 900, 300);
  await assert.rejects(Promise.resolve(range), ShortReadError);
});

test('the capacity is kept, and blocks in use survive blocks read once', async () => {
  const { source, file } = openPattern(40 * BLOCK_BYTES);
  const cache = new BlockCache(8 * BLOCK_BYTES);
  for (let number = 1; number < 40; number += 1) {
    await cache.load(file, 0);
    await cache.load(file, number);
    assert.ok(cache.statistics.entries <= 8);
  }
  assert.equal(cache.statistics.evictions, 40 - 8);
  assert.equal(source.reads, 40, 'block 0 was never evicted');
});

test('an evicted buffer is not reused before all who awaited its block have run', async () => {
  const cache = new BlockCache(BLOCK_BYTES);
  const { source, file } = openPattern(64 * BLOCK_BYTES, 7);
  // Each waiter evicts the block for the next one by loading another before it looks at the other waiters' block.
  const look = (block: CachedBlock): void => {
    assert.deepEqual(block.bytes.subarray(0, 64), source.expected(block.number * BLOCK_BYTES, 64));
  };
  for (let round = 0; round < 50; round += 1) {
    const waits = [];
    for (let i = 0; i < 8; i += 1) {
      const number = (round + i) % 64;
      waits.push(cache.load(file, number).then(look), cache.load(file, number).then(look));
    }
    await Promise.all(waits);
  }
});

test('verified marks belong to a block in memory and to one place in it', async () => {
  const { file } = openPattern(2 * BLOCK_BYTES);
  const cache = new BlockCache(BLOCK_BYTES);
  const block = await cache.load(file, 0);
  block.markVerified(4096);
  assert.ok(block.isVerified(4096));
  assert.ok(!block.isVerified(4096 - 16));
  assert.ok(!block.isVerified(4096 + 16));
  block.markVerified(BLOCK_BYTES - 16);
  assert.ok(block.isVerified(BLOCK_BYTES - 16));
  await cache.load(file, 1);
  assert.ok(!(await cache.load(file, 0)).isVerified(4096), 'read again is to be verified again');
});

test('a forgotten file leaves nothing behind, not even by reads in flight', async () => {
  const one = openPattern(4 * BLOCK_BYTES);
  const two = openPattern(4 * BLOCK_BYTES);
  const cache = new BlockCache(8 * BLOCK_BYTES);
  await cache.load(one.file, 0);
  await cache.load(two.file, 0);
  await cache.load(one.file, 1);
  const late = cache.load(one.file, 2);
  cache.forget(one.file);
  assert.equal((await late).length, BLOCK_BYTES);
  assert.equal(cache.statistics.entries, 1);
  assert.equal(cache.peek(one.file, 0), undefined);
  assert.ok(cache.peek(two.file, 0));
});

test('ranges are assembled at once from memory, else by reading', async () => {
  const { source, file } = openPattern(12 * BLOCK_BYTES + 333);
  const cache = new BlockCache(16 * BLOCK_BYTES);
  const random = seededRandom(1);
  for (let i = 0; i < 30; i += 1) {
    const position = random.below(file.length);
    const length = random.below(Math.min(file.length - position, 3 * BLOCK_BYTES)) + 1;
    const range = await cache.readRange(file, position, length);
    assert.ok(range.equals(source.expected(position, length)));
    const again = cache.readRange(file, position, length);
    assert.ok(!(again instanceof Promise) && again.equals(range));
  }
});

test('long ranges are read in one piece, past the cache', async () => {
  const { source, file } = openPattern(12 * BLOCK_BYTES + 333);
  const cache = new BlockCache(16 * BLOCK_BYTES);
  await cache.load(file, 0);
  const all = await cache.readRange(file, 10, file.length - 10);
  assert.ok(all.equals(source.expected(10, file.length - 10)));
  assert.equal(source.reads, 2);
  assert.equal(cache.statistics.entries, 1);
});

test('a range may be put into a buffer of the caller', async () => {
  const { source, file } = openPattern(1000);
  const target = Buffer.alloc(200, 0xee);
  const result = await new BlockCache(BLOCK_BYTES).readRange(file, 5, 100, target);
  assert.equal(result, target);
  assert.ok(target.subarray(0, 100).equals(source.expected(5, 100)));
  assert.ok(target.subarray(100).every((byte) => byte === 0xee));
});
