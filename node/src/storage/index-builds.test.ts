import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { BlockCache } from './block-cache.ts';
import { DamageError } from './errors.ts';
import { inlineIndexBuilds, type IndexBuilds, workerIndexBuilds } from './index-builds.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { filterSummaryFileName, segmentFileName } from './names.ts';
import { OpenFiles } from './open-files.ts';
import { RealFileSystem } from './real-file-system.ts';
import { SegmentIndex } from './segment-index.ts';
import { type MadeSegment, SegmentMaker, writeSegment } from './testing/segment-maker.ts';

async function onDisk(t: TestContext): Promise<{ folder: string; builds: IndexBuilds }> {
  const folder = await mkdtemp(join(tmpdir(), 'index-builds-'));
  const builds = workerIndexBuilds();
  t.after(async () => {
    await builds.close();
    await rm(folder, { recursive: true });
  });
  return { folder, builds };
}

const made = (count: number): MadeSegment[] => {
  const maker = new SegmentMaker({ seed: 1 });
  return Array.from({ length: count }, (_, i) => maker.next(i, 200));
};

test('a worker builds index files and summaries that open', async (t) => {
  const { folder, builds } = await onDisk(t);
  const files = new RealFileSystem();
  const segments = made(3);
  for (const segment of segments) await writeSegment(files, folder, segment);
  const summaries = await Promise.all(
    segments.map(({ segment, bytes }) => builds.build(folder, segment, bytes.length)),
  );
  const openFiles = new OpenFiles(files);
  t.after(() => openFiles.close());
  for (const [i, summary] of summaries.entries()) {
    const index = await SegmentIndex.open(openFiles, folder, i, new BlockCache(1 << 20));
    assert.ok(typeof index !== 'string');
    assert.deepEqual(index.summary, summary);
  }
  await builds.summarize(folder, 'events', [0, 1, 2]);
  assert.ok((await readFile(join(folder, filterSummaryFileName(0, 3, 'events')))).length > 0);
});

test('damage found by a worker is the same error as here', async (t) => {
  const { folder, builds } = await onDisk(t);
  const files = new RealFileSystem();
  const [segment] = made(1) as [MadeSegment];
  await writeSegment(files, folder, segment);
  const bytes = Buffer.from(segment.bytes);
  bytes[500] = (bytes[500] as number) ^ 1;
  await writeFile(join(folder, segmentFileName(0)), bytes);
  const inline = inlineIndexBuilds(files);
  const [there, here] = await Promise.allSettled([
    builds.build(folder, 0, bytes.length),
    inline.build(folder, 0, bytes.length),
  ]);
  assert.ok(there.status === 'rejected' && here.status === 'rejected');
  assert.ok(there.reason instanceof DamageError && here.reason instanceof DamageError);
  assert.equal(there.reason.message, here.reason.message);
  await assert.rejects(builds.build(folder, 7, 100), { code: 'ENOENT' });
  await writeFile(join(folder, segmentFileName(0)), segment.bytes);
  await builds.build(folder, 0, bytes.length);
});

test('closing ends the worker at once and refuses what has not begun', async (t) => {
  const { folder, builds } = await onDisk(t);
  const files = new RealFileSystem();
  const [segment] = made(1) as [MadeSegment];
  await writeSegment(files, folder, segment);
  await builds.build(folder, 0, segment.bytes.length);
  const jobs = [1, 2, 3].map(() => builds.build(folder, 0, segment.bytes.length));
  const settled = Promise.allSettled(jobs);
  await builds.close();
  for (const result of await settled) assert.equal(result.status, 'rejected');
  await assert.rejects(builds.build(folder, 0, segment.bytes.length));
});

test('builds without a thread run in order', async () => {
  const files = new MemoryFileSystem();
  const [segment] = made(1) as [MadeSegment];
  await writeSegment(files, '/s', segment);
  const builds = inlineIndexBuilds(files);
  const failed = assert.rejects(builds.summarize('/s', 'streams', [0]));
  const summary = await builds.build('/s', 0, segment.bytes.length);
  await failed;
  await builds.summarize('/s', 'streams', [0]);
  assert.equal(summary.eventCount, segment.events.length);
  await builds.close();
  await assert.rejects(builds.build('/s', 0, segment.bytes.length));
});
