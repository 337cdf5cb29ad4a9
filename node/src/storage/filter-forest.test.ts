import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BlockCache } from './block-cache.ts';
import { FilterForest, type FilterForestOptions } from './filter-forest.ts';
import type { SummaryKind } from './filter-summary.ts';
import { inlineIndexBuilds } from './index-builds.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { OpenFiles } from './open-files.ts';
import { SegmentIndex } from './segment-index.ts';
import {
  type MadeSegment,
  SegmentMaker,
  streamHash,
  writeSegment,
} from './testing/segment-maker.ts';

const FOLDER = '/segments';

/** A folder of segments with indexes, as a bucket has it. */
class Bucket {
  readonly files = new MemoryFileSystem();
  readonly openFiles = new OpenFiles(this.files);
  readonly cache = new BlockCache(8 << 20);
  readonly builds = inlineIndexBuilds(this.files);
  readonly made: MadeSegment[] = [];
  readonly indexes: SegmentIndex[] = [];
  readonly #maker = new SegmentMaker({ seed: 3, streams: 400 });

  async grow(first: number, count: number): Promise<void> {
    for (let segment = first; segment < first + count; segment += 1) {
      const made = this.#maker.next(segment, 40);
      await writeSegment(this.files, FOLDER, made);
      await this.builds.build(FOLDER, segment, made.bytes.length);
      this.made.push(made);
      this.indexes.push(await this.openIndex(segment));
    }
  }

  async openIndex(segment: number): Promise<SegmentIndex> {
    const index = await SegmentIndex.open(this.openFiles, FOLDER, segment, this.cache);
    if (typeof index === 'string') assert.fail(index);
    return index;
  }

  forest(kind: SummaryKind, options: Partial<FilterForestOptions> = {}): FilterForest {
    const { cache, openFiles, builds } = this;
    return new FilterForest({
      folder: FOLDER,
      kind,
      cache,
      openFiles,
      builds,
      budgetBytes: 1 << 20,
      ...options,
    });
  }

  async summaries(): Promise<string[]> {
    const names = await this.files.list(FOLDER);
    return names.filter((name) => /\.\d+\.(streams|events)$/.test(name));
  }

  /** Checks that no segment is left out, and returns how many too many were named, per absent key. */
  async check(forest: FilterForest, kind: SummaryKind): Promise<number> {
    const hashOf = (made: MadeSegment): number[] =>
      made.events.map(({ streamId, idHash }) =>
        kind === 'streams' ? streamHash(streamId) : idHash,
      );
    const holders = new Map<number, Set<number>>();
    for (const made of this.made) {
      for (const hash of hashOf(made)) {
        holders.set(hash, (holders.get(hash) ?? new Set()).add(made.segment));
      }
    }
    for (const [hash, segments] of holders) {
      const found = await forest.candidates(hash);
      assert.deepEqual(
        [...found].sort((a, b) => a - b),
        found,
        'ascending',
      );
      for (const segment of segments) assert.ok(found.includes(segment));
      assert.equal(forest.lacks(hash), false);
      const newestFirst = [];
      let newest = await forest.newest(hash);
      while (newest !== null) {
        newestFirst.push(newest);
        newest = await forest.newest(hash, newest);
      }
      assert.deepEqual(newestFirst, found.toReversed());
    }
    let extra = 0;
    for (let i = 0; i < 2000; i += 1) {
      const hash = streamHash(`absent ${String(i)}`);
      const found = await forest.candidates(hash);
      extra += found.length;
      if (found.length > 0) assert.equal(forest.lacks(hash), false);
    }
    return extra / 2000;
  }
}

for (const kind of ['streams', 'events'] as const) {
  test(`every segment that holds a key is named, at every size of the bucket: ${kind}`, async () => {
    const bucket = new Bucket();
    const forest = bucket.forest(kind);
    for (let size = 0; size < 70; size += 1) {
      await bucket.grow(size, 1);
      forest.add(bucket.indexes.at(-1) as SegmentIndex);
      if (size % 9 === 0) await bucket.check(forest, kind);
      if (size % 5 === 0) await forest.settled();
    }
    await forest.settled();
    assert.ok((await bucket.check(forest, kind)) < 0.1);
    assert.equal((await bucket.summaries()).length, 17 + 4 + 1, 'of 4, 16 and 64 segments');
    const hash = streamHash('neither a stream nor an event');
    assert.deepEqual(forest.candidates(hash), [], 'all in memory');
    assert.equal(forest.lacks(hash), true);
    assert.equal(forest.newest(hash), null);
  });
}

test('a bucket opened again uses the summaries that are there', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 17);
  const first = bucket.forest('streams');
  for (const index of bucket.indexes) first.add(index);
  await first.settled();
  const refuse = (): Promise<never> => Promise.reject(new Error('nothing is to be built'));
  const builds = { build: refuse, summarize: refuse, close: () => Promise.resolve() };
  const again = bucket.forest('streams', { builds });
  for (const index of bucket.indexes) again.add(index);
  await again.settled();
  assert.ok((await bucket.check(again, 'streams')) < 0.1);
  assert.equal(again.memoryBytes, first.memoryBytes);
});

test('summaries that are missing, damaged or of other segments are built again or done without', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 8);
  const first = bucket.forest('events');
  for (const index of bucket.indexes) first.add(index);
  await first.settled();
  const [name] = await bucket.summaries();
  const path = `${FOLDER}/${String(name)}`;
  const whole = await bucket.files.readFile(path);
  for (const at of [3, 70, 4090, 5000, whole.length - 1]) {
    const file = await bucket.files.open(path, 'open');
    await file.write(Buffer.from([(whole[at] as number) ^ 0x10]), at);
    const forest = bucket.forest('events', { budgetBytes: 0 });
    for (const index of bucket.indexes) forest.add(index);
    await forest.settled();
    await bucket.check(forest, 'events');
    await file.write(whole, 0);
  }
  const other = new Bucket();
  await other.grow(1, 1);
  await other.grow(0, 8);
  await other.files.makeDirectory(FOLDER);
  const file = await other.files.open(path, 'create');
  await file.write(whole, 0);
  other.made.shift();
  other.indexes.shift();
  const forest = other.forest('events');
  for (const index of other.indexes) forest.add(index);
  await forest.settled();
  await other.check(forest, 'events');
  assert.ok(!whole.equals(await other.files.readFile(path)), 'built again');
});

test('filters take no more memory than they may, and are probed in place without any', async () => {
  const bucket = new Bucket();
  await bucket.grow(1, 20);
  const sizes = [];
  for (const budgetBytes of [0, 600, 1500, 1 << 20]) {
    const forest = bucket.forest('streams', { budgetBytes });
    for (const index of bucket.indexes) forest.add(index);
    await forest.settled();
    assert.ok(forest.memoryBytes <= budgetBytes);
    sizes.push(forest.memoryBytes);
    assert.ok((await bucket.check(forest, 'streams')) < 0.1);
  }
  assert.deepEqual(
    [...new Set(sizes)].sort((a, b) => a - b),
    sizes,
    'more budget is used',
  );
});

test('a damaged filter says "maybe", whether it is probed or loaded', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 3);
  const pages = (await bucket.files.sizeOf(`${FOLDER}/0000000001.events`)) as number;
  const file = await bucket.files.open(`${FOLDER}/0000000001.events`, 'open');
  await file.write(Buffer.alloc(16), pages - 4096);
  for (const budgetBytes of [0, 1 << 20]) {
    const forest = bucket.forest('events', { budgetBytes, cache: new BlockCache(1 << 20) });
    for (const segment of [0, 1, 2]) forest.add(await bucket.openIndex(segment));
    await forest.settled();
    await bucket.check(forest, 'events');
    assert.ok((await forest.candidates(streamHash('absent'))).includes(1));
  }
});

test('gaps between segments leave their group without a summary', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 2);
  await bucket.grow(3, 1);
  const forest = bucket.forest('streams');
  for (const index of bucket.indexes) forest.add(index);
  await forest.settled();
  assert.deepEqual(await bucket.summaries(), []);
  await bucket.check(forest, 'streams');
});

test('a segment added again replaces the one before', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 8);
  const forest = bucket.forest('streams');
  for (const index of bucket.indexes) forest.add(index);
  await forest.settled();
  const { memoryBytes } = forest;
  const again = await bucket.openIndex(3);
  forest.add(again);
  await bucket.check(forest, 'streams');
  await forest.settled();
  await bucket.check(forest, 'streams');
  assert.equal(forest.memoryBytes, memoryBytes);
});

test('close ends the work in the background', async () => {
  const bucket = new Bucket();
  await bucket.grow(0, 16);
  const forest = bucket.forest('streams');
  for (const index of bucket.indexes) forest.add(index);
  await forest.close();
  const before = await bucket.summaries();
  await forest.settled();
  assert.deepEqual(await bucket.summaries(), before);
  await bucket.check(forest, 'streams');
});
