import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { BlockCache } from './block-cache.ts';
import { IndexDamageError } from './errors.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { eventIndexFileName, partitionIndexFileName, streamIndexFileName } from './names.ts';
import { OpenFiles } from './open-files.ts';
import { buildSegmentIndexes } from './segment-index-builder.ts';
import { SegmentIndex } from './segment-index.ts';
import {
  type MadeEvent,
  type MadeSegment,
  SegmentMaker,
  type SegmentMakerOptions,
  streamHash,
  writeSegment,
} from './testing/segment-maker.ts';

const FOLDER = '/segments';
const SEGMENT = 12;
const SEED = Number(process.env['SEED'] ?? 1);

interface Opened {
  readonly made: MadeSegment;
  readonly files: MemoryFileSystem;
  readonly index: SegmentIndex;
}

async function makeFiles(
  options: SegmentMakerOptions,
  eventCount: number,
): Promise<{ made: MadeSegment; files: MemoryFileSystem }> {
  const maker = new SegmentMaker(options);
  // So that versions and sequences do not begin with 0.
  maker.next(SEGMENT - 1, eventCount / 2);
  const made = maker.next(SEGMENT, eventCount);
  const files = new MemoryFileSystem();
  await writeSegment(files, FOLDER, made);
  await buildSegmentIndexes(files, FOLDER, SEGMENT, made.bytes.length);
  return { made, files };
}

const openIndex = (files: MemoryFileSystem): Promise<SegmentIndex | string> =>
  SegmentIndex.open(new OpenFiles(files), FOLDER, SEGMENT, new BlockCache(1 << 20));

/** What is said to be wrong with the index. */
async function fault(files: MemoryFileSystem): Promise<string> {
  const index = await openIndex(files);
  return typeof index === 'string' ? index : 'nothing';
}

async function open(options: SegmentMakerOptions, eventCount: number): Promise<Opened> {
  const { made, files } = await makeFiles(options, eventCount);
  const index = await openIndex(files);
  if (typeof index === 'string') assert.fail(index);
  return { made, files, index };
}

const grouped = <K>(
  events: readonly MadeEvent[],
  key: (event: MadeEvent) => K,
): Map<K, MadeEvent[]> => Map.groupBy(events, key);

/** Compares all that an index can be asked with what was put into the segment. */
async function compare(index: SegmentIndex, made: MadeSegment): Promise<void> {
  for (const [streamId, events] of grouped(made.events, (event) => event.streamId)) {
    const entries = await index.findStream(streamHash(streamId));
    assert.equal(entries.length, 1);
    const [entry] = entries;
    assert.ok(entry);
    assert.equal(entry.firstVersion, events[0]?.version);
    assert.equal(entry.count, events.length);
    const from = events.length >> 1;
    const offsets = events.map(({ offset }) => offset);
    assert.deepEqual([...(await index.streamPositions(entry, 0, events.length))], offsets);
    assert.deepEqual([...(await index.streamPositions(entry, from, 1))], [offsets[from]]);
    assert.deepEqual([...(await index.streamPositions(entry, from, 0))], []);
  }
  const partitions = grouped(made.events, (event) => event.partition);
  assert.equal(index.partitions.size, partitions.size);
  for (const [partition, events] of partitions) {
    const entry = index.partitions.get(partition);
    assert.equal(entry?.firstSequence, events[0]?.sequence);
    assert.equal(entry?.count, events.length);
    const from = events.length >> 1;
    const positions = await index.partitionPositions(
      partition,
      events[from]?.sequence as number,
      events.length - from,
    );
    assert.deepEqual(
      [...positions],
      events.slice(from).map(({ offset }) => offset),
    );
  }
  for (const [idHash, events] of grouped(made.events, (event) => event.idHash)) {
    const offsets = events.map(({ offset }) => offset);
    assert.deepEqual(await index.findEvent(idHash), offsets);
  }
  for (let i = 0; i < 200; i += 1) {
    const hash = streamHash(`absent ${String(i)}`);
    assert.deepEqual(await index.findStream(hash), []);
    assert.deepEqual(await index.findEvent(hash), []);
  }
}

const shapes: Record<string, [SegmentMakerOptions, number]> = {
  'few streams': [{ seed: SEED, streams: 5 }, 300],
  'many streams': [{ seed: SEED, streams: 3000 }, 6000],
  'one event per stream': [{ seed: SEED, streams: 0, transactionMax: 1 }, 5000],
  'large transactions': [{ seed: SEED, streams: 40, transactionMax: 100 }, 3000],
  'repeated ids': [{ seed: SEED, idRepeatEvery: 3 }, 900],
  'one event': [{ seed: SEED, transactionMax: 1 }, 1],
};

for (const [name, [options, eventCount]] of Object.entries(shapes)) {
  test(`an index answers as the segment would: ${name} (seed ${String(SEED)})`, async () => {
    const { made, index } = await open(options, eventCount);
    await compare(index, made);
    assert.equal(index.summary.lastCrc, made.lastCrc);
    // All blocks are in memory now, and answers come at once.
    const event = made.events[0] as MadeEvent;
    assert.ok(!(index.findEvent(event.idHash) instanceof Promise));
    const entries = index.findStream(streamHash(event.streamId));
    assert.ok(!(entries instanceof Promise) && entries[0]);
    assert.ok(!(index.streamPositions(entries[0], 0, 1) instanceof Promise));
    assert.ok(!(index.partitionPositions(event.partition, event.sequence, 1) instanceof Promise));
  });
}

test('filters let all keys through, in place and loaded', async () => {
  const { made, index } = await open({ seed: SEED, streams: 3000 }, 6000);
  const loaded = await index.eventFilter.load();
  assert.equal(loaded.bytes.length, index.eventFilter.bytes);
  for (const { idHash, streamId } of made.events) {
    assert.equal(loaded.has(idHash), true);
    assert.equal(await index.eventFilter.probe(idHash), true);
    assert.equal(index.eventFilter.peek(idHash), true);
    assert.equal(await index.streamFilter.probe(streamHash(streamId)), true);
  }
});

test('missing, short, foreign and exchanged files are named, not believed', async () => {
  const names = [streamIndexFileName, partitionIndexFileName, eventIndexFileName];
  for (const name of names) {
    const path = `${FOLDER}/${name(SEGMENT)}`;
    const { files } = await makeFiles({ seed: SEED }, 300);
    const bytes = await files.readFile(path);
    const replace = async (content: Uint8Array): Promise<void> => {
      await files.remove(path);
      const file = await files.open(path, 'create');
      await file.write(content, 0);
      await file.close();
    };
    await files.remove(path);
    assert.match(await fault(files), /does not exist/);
    for (const length of [0, 100, 4095, bytes.length - 4096, bytes.length - 1]) {
      await replace(bytes.subarray(0, length));
      assert.match(await fault(files), /length|checksum/, `${path} ${String(length)}`);
    }
    const other = await makeFiles({ seed: SEED + 1 }, 300);
    await replace(await other.files.readFile(path));
    assert.match(await fault(files), /belongs to another segment/);
    await replace(bytes);
    await files.rename(path, `${FOLDER}/${name(SEGMENT + 1)}`);
    assert.equal(typeof (await openIndex(files)), 'string');
  }
});

test('a flipped byte anywhere in an index file is noticed by whoever would be misled', async () => {
  const { made, files } = await makeFiles({ seed: SEED, streams: 300 }, 600);
  const random = seededRandom(SEED);
  let noticed = 0;
  for (const name of [streamIndexFileName, partitionIndexFileName, eventIndexFileName]) {
    const path = `${FOLDER}/${name(SEGMENT)}`;
    const bytes = await files.readFile(path);
    const file = await files.open(path, 'open');
    for (let at = random.below(60); at < bytes.length; at += 1 + random.below(300)) {
      const flipped = Buffer.from([(bytes[at] as number) ^ (1 << random.below(8))]);
      await file.write(flipped, at);
      if (await misledOrTold(files, made)) noticed += 1;
      await file.write(bytes.subarray(at, at + 1), at);
    }
    await file.close();
  }
  assert.ok(noticed > 60);
});

/** True if the damage was reported; fails if any answer is wrong. */
async function misledOrTold(files: MemoryFileSystem, made: MadeSegment): Promise<boolean> {
  const index = await openIndex(files);
  if (typeof index === 'string') return true;
  const told = await isTold(() => compare(index, made));
  const filters = [index.streamFilter, index.eventFilter];
  let filterTold = false;
  for (const filter of filters) {
    for (let i = 0; i < 40; i += 1) {
      const event = made.events[i] as MadeEvent;
      const hash = filter === index.eventFilter ? event.idHash : streamHash(event.streamId);
      filterTold ||= await isTold(async () => {
        assert.equal(await filter.probe(hash), true);
      });
    }
    filterTold ||= await isTold(async () => {
      await filter.load();
    });
  }
  return told || filterTold;
}

/** Whether `ask` rejects with IndexDamageError; any other error comes through. */
async function isTold(ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask();
    return false;
  } catch (error) {
    if (error instanceof IndexDamageError) return true;
    throw error;
  }
}

test('a closed index gives its blocks and handles back', async () => {
  const { files } = await makeFiles({ seed: SEED }, 300);
  const openFiles = new OpenFiles(files);
  const cache = new BlockCache(1 << 20);
  const index = await SegmentIndex.open(openFiles, FOLDER, SEGMENT, cache);
  assert.ok(typeof index !== 'string');
  assert.ok(cache.statistics.entries > 0 && openFiles.count === 3);
  await index.close();
  assert.equal(cache.statistics.entries, 0);
  assert.equal(openFiles.count, 0);
});

test('an index built again is read anew', async () => {
  const { made, files } = await makeFiles({ seed: SEED, streams: 300 }, 600);
  const openFiles = new OpenFiles(files);
  const cache = new BlockCache(1 << 20);
  const path = `${FOLDER}/${eventIndexFileName(SEGMENT)}`;
  const file = await files.open(path, 'open');
  await file.write(Buffer.alloc(100, 0xff), 4096 + 50);
  const bad = await SegmentIndex.open(openFiles, FOLDER, SEGMENT, cache);
  assert.ok(typeof bad !== 'string');
  assert.ok(await isTold(() => compare(bad, made)));
  await bad.close();
  await buildSegmentIndexes(files, FOLDER, SEGMENT, made.bytes.length);
  const good = await SegmentIndex.open(openFiles, FOLDER, SEGMENT, cache);
  assert.ok(typeof good !== 'string');
  await compare(good, made);
});

test('a file cut short or removed while it is in use is damage, which can be built again', async () => {
  for (const harm of ['truncate', 'remove'] as const) {
    const { made, files } = await makeFiles({ seed: SEED, streams: 0 }, 9000);
    const openFiles = new OpenFiles(files, 1);
    const index = await SegmentIndex.open(openFiles, FOLDER, SEGMENT, new BlockCache(1));
    assert.ok(typeof index !== 'string');
    for (const name of [streamIndexFileName, eventIndexFileName]) {
      const path = `${FOLDER}/${name(SEGMENT)}`;
      if (harm === 'remove') await files.remove(path);
      else await (await files.open(path, 'open')).truncate(65_536);
    }
    await openFiles.close();
    assert.ok(await isTold(() => compare(index, made)));
    assert.ok(
      await isTold(async () => {
        await index.eventFilter.load();
      }),
    );
  }
});
