/** One test per row of the tables in `recovery.ts`, by its label. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { writeUint32 } from './bytes.ts';
import { OpenError } from './errors.ts';
import { sealFrame } from './frame-format.ts';
import { decodeFileHeader, decodeRound, entriesOf, sealRound } from './journal-format.ts';
import { scanJournal } from './journal-scan.ts';
import { silentObserver, type StorageObserver } from './observer.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';
import { eventsOnDisk, FilledDirectory, type FilledEvent } from './testing/filled-directory.ts';

const segments = (bucket: number): string => `/data/buckets/0000${bucket}/segments`;
const segment = (bucket: number, number: number): string =>
  `${segments(bucket)}/${String(number).padStart(10, '0')}.log`;

interface Filled {
  readonly disk: SimulatedFileSystem;
  readonly events: readonly FilledEvent[];
}

/** A disk with `count` events in a bucket, as a power cut or an orderly end leaves it. */
async function filled(count: number, end: 'power cut' | 'close', bucket = 0): Promise<Filled> {
  const disk = new SimulatedFileSystem({ seed: 3 });
  const directory = await FilledDirectory.open(disk, '/data');
  await directory.append(count, bucket);
  if (end === 'close') await directory.close();
  else disk.crash();
  return { disk: disk.afterPowerCut({ unsynced: 'lost' }), events: directory.events };
}

interface Opened {
  readonly actions: string[];
  readonly events: FilledEvent[];
  readonly quarantined: number[];
}

/** Opens, appends to bucket 1, closes; tells what recovery did and what is in the segments of bucket 0 then. */
async function opened(disk: SimulatedFileSystem): Promise<Opened> {
  const actions: string[] = [];
  const observer: StorageObserver = {
    ...silentObserver,
    recovery: (action) => actions.push(action),
  };
  const directory = await FilledDirectory.open(disk, '/data', { observer });
  await directory.append(3, 1);
  await directory.close();
  const after = disk.afterPowerCut({ unsynced: 'lost' });
  const quarantined = directory.storage.logs.filter((log) => log.quarantined);
  const events = quarantined.length > 0 ? [] : await eventsOnDisk(after, '/data', 0);
  return { actions, events, quarantined: quarantined.map(({ bucket }) => bucket) };
}

const ofBucket0 = (events: readonly FilledEvent[]): FilledEvent[] =>
  events.filter(({ partition }) => partition % 2 === 0);

/** How the directory is refused. */
async function refusal(disk: SimulatedFileSystem): Promise<string> {
  const error: unknown = await FilledDirectory.open(disk, '/data').then(
    () => null,
    (reason: unknown) => reason,
  );
  assert(error instanceof OpenError, String(error));
  assert.equal(error.reason, 'damaged');
  return error.message;
}

test('empty log', async () => {
  const { disk } = await filled(0, 'power cut');
  disk.plant(segment(0, 0), Buffer.alloc(3000, 7));
  const directory = await FilledDirectory.open(disk, '/data');
  await directory.append(20, 0);
  await directory.close();
  const after = disk.afterPowerCut({ unsynced: 'lost' });
  assert.deepEqual(await eventsOnDisk(after, '/data', 0), directory.events);
});

test('whole', async () => {
  const { disk, events } = await filled(60, 'close');
  const found = await opened(disk);
  assert.deepEqual(found.events, events);
  assert.deepEqual(found.actions, []);
});

test('unsynced bytes', async () => {
  const { disk, events } = await filled(30, 'close');
  const last = disk.paths().findLast((path) => path.startsWith(segments(0)) && /log$/.test(path))!;
  const { length } = disk.bytes(last);
  disk.overwrite(last, length, Buffer.alloc(5000, 9));
  const found = await opened(disk);
  assert.deepEqual(found.events, events);
  assert.equal(disk.bytes(last).length, length, 'what is behind the log is cut');
});

test('stray segment', async () => {
  const { disk, events } = await filled(30, 'close');
  disk.plant(segment(0, 77), Buffer.alloc(500, 1));
  const found = await opened(disk);
  assert.deepEqual(found.actions, ['stray segment']);
  assert.deepEqual(found.events, events);
  assert(!disk.afterPowerCut({ unsynced: 'lost' }).paths().includes(segment(0, 77)));
});

test('index missing', async () => {
  const { disk, events } = await filled(60, 'close');
  for (const path of disk.paths().filter((name) => name.endsWith('0.partitions'))) {
    await disk.remove(path);
  }
  const found = await opened(disk);
  assert(found.actions.includes('index rebuilt'));
  assert.deepEqual(found.events, events);
  assert(disk.paths().includes(`${segments(0)}/0000000000.partitions`));
});

test('damaged segment', async () => {
  const { disk } = await filled(60, 'close');
  const [first] = disk.paths().filter((path) => path.startsWith(segments(0)));
  assert(first !== undefined);
  disk.truncateRaw(segment(0, 0), 1000);
  for (const restart of ['first', 'second']) {
    const found = await opened(disk);
    assert(found.actions.includes('damaged segment'), `${restart} start`);
    assert.deepEqual(found.quarantined, [0]);
  }
});

test('replayed', async () => {
  const { disk, events } = await filled(60, 'power cut');
  const found = await opened(disk);
  assert.deepEqual(found.actions, ['replayed']);
  assert.deepEqual(ofBucket0(found.events), events);
});

test('broken chain', async () => {
  const { disk } = await filled(12, 'power cut');
  await alterLastFrame(disk, (frame) => {
    writeUint32(frame, 8, 12345);
  });
  const message = await refusal(disk);
  assert.match(message, /^the journal is damaged: bucket 0: frame 12 does not continue the chain/);
});

test('journal behind', async () => {
  for (const count of [40, 60, 80]) {
    const { disk } = await filled(count, 'close');
    const old = await filled(count - 8, 'power cut');
    for (const path of disk.paths().filter((name) => name.startsWith('/data/journal'))) {
      await disk.remove(path);
    }
    for (const path of old.disk.paths().filter((name) => name.startsWith('/data/journal'))) {
      disk.plant(path, old.disk.bytes(path));
    }
    const message = await refusal(disk);
    assert.match(message, /^the journal is damaged: it ends before frame \d+ of bucket 0, which/);
  }
});

test('replayed: a round that only the page cache has never makes segments run ahead', async () => {
  const { disk } = await filled(20, 'power cut');
  const { path, at, length } = await lastRound(disk);
  const bytes = disk.bytes(path).subarray(at, at + length);
  for (let count = 1; count < 30; count += 1) {
    const cached = disk.clone({ seed: count });
    cached.overwrite(path, at, Buffer.alloc(length));
    const file = await cached.open(path, 'open');
    await file.write(bytes, at);
    await file.close();
    const recovering = cached.afterProcessCrash();
    recovering.crashAfter(count);
    await Promise.race([FilledDirectory.open(recovering, '/data'), recovering.crashed]);
    const { quarantined } = await opened(recovering.afterPowerCut({ unsynced: 'lost' }));
    assert.deepEqual(quarantined, [], `crash after ${count} operations`);
  }
});

async function lastRound(
  disk: SimulatedFileSystem,
): Promise<{ path: string; at: number; length: number }> {
  const { laps } = await scanJournal(disk.clone(), '/data/journal');
  const { slot, lastRoundAt, end } = laps.at(-1)!;
  const path = `/data/journal/${String(slot).padStart(4, '0')}.journal`;
  return { path, at: lastRoundAt, length: end - lastRoundAt };
}

/** Changes the last frame of the journal so that its round is whole all the same. */
async function alterLastFrame(
  disk: SimulatedFileSystem,
  alter: (frame: Buffer) => void,
): Promise<void> {
  const { path, at, length } = await lastRound(disk);
  const bytes = disk.bytes(path);
  const { salt } = decodeFileHeader(bytes)!;
  const round = bytes.subarray(at, at + length);
  const header = decodeRound(round, 0, salt)!;
  const { from, to } = [...entriesOf(round, 0, header)].at(-1)!;
  alter(round.subarray(from, to));
  sealFrame(round, from, to - from);
  sealRound(round, salt, header);
  disk.overwrite(path, at, round);
}
