import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import { OpenError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { scanJournal } from './journal-scan.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { journalFileName } from './names.ts';
import { repairDirectory, type RepairResult } from './repair.ts';
import {
  copyTree,
  eventsOnDisk,
  FilledDirectory,
  type FilledEvent,
} from './testing/filled-directory.ts';
import { formatReport, verifyDirectory, type VerifyReport } from './verify.ts';

const DIRECTORY = '/data';
const SEGMENTS = [`${DIRECTORY}/buckets/00000/segments`, `${DIRECTORY}/buckets/00001/segments`];

const repair = (files: FileSystem, apply = true): Promise<RepairResult> =>
  repairDirectory(files, DIRECTORY, {
    apply,
    clock: { ...systemClock, now: () => 1_764_028_741_573 },
    random: seededRandom(9),
    journalFileBytes: 64 * 1024,
  });

async function change(
  files: FileSystem,
  path: string,
  edit: (bytes: Buffer) => Buffer,
): Promise<void> {
  const bytes = edit(Buffer.from(await files.readFile(path)));
  const file = await files.open(path, 'open');
  await file.truncate(bytes.length);
  await file.write(bytes, 0);
  await file.close();
}

const flip =
  (at: number) =>
  (bytes: Buffer): Buffer => {
    bytes[at] = (bytes[at] as number) ^ 0x10;
    return bytes;
  };

const ofBucket = (events: readonly FilledEvent[], bucket: number): FilledEvent[] =>
  events.filter(({ partition }) => partition % 2 === bucket);

/** Two buckets, several segments each; the journal has been round, and holds the last few events. */
async function filled(seed = 1): Promise<{ files: MemoryFileSystem; events: FilledEvent[] }> {
  const files = new MemoryFileSystem();
  const directory = await FilledDirectory.open(files, DIRECTORY, { seed });
  await directory.append(400);
  await directory.close();
  return { files, events: directory.events };
}

describe('verify and repair', () => {
  let original: { files: MemoryFileSystem; events: FilledEvent[] };
  let files: MemoryFileSystem;

  before(async () => {
    original = await filled();
  });

  async function damaged(...paths: readonly [string, (bytes: Buffer) => Buffer][]): Promise<void> {
    files = new MemoryFileSystem();
    await copyTree(original.files, files, DIRECTORY);
    for (const [path, edit] of paths) await change(files, path, edit);
  }

  /** After a repair the directory opens, is clean, and holds a prefix of every bucket's log. */
  async function repaired(): Promise<{ report: VerifyReport; kept: FilledEvent[][] }> {
    const { report, applied } = await repair(files);
    assert.ok(applied, formatReport(report));
    const after = await verifyDirectory(files, DIRECTORY);
    assert.deepEqual(
      after.findings.filter(({ kind }) => kind !== 'note'),
      [],
    );
    const kept: FilledEvent[][] = [];
    for (const bucket of [0, 1]) {
      const events = await eventsOnDisk(files, DIRECTORY, bucket, true);
      assert.deepEqual(events, ofBucket(original.events, bucket).slice(0, events.length));
      kept.push(events);
    }
    await goOn(kept.flat());
    return { report, kept };
  }

  /** Appends go on behind what is kept, through new segments. */
  async function goOn(kept: readonly FilledEvent[]): Promise<void> {
    const opened = await FilledDirectory.open(files, DIRECTORY, { after: kept, seed: 77 });
    assert.deepEqual(
      opened.storage.logs.map((log) => log.damage),
      [[], []],
    );
    await opened.append(60);
    await opened.close();
    for (const bucket of [0, 1]) {
      const events = await eventsOnDisk(files, DIRECTORY, bucket);
      assert.deepEqual(events, ofBucket(opened.events, bucket));
    }
    const report = await verifyDirectory(files, DIRECTORY);
    assert.deepEqual(report.findings, [], formatReport(report));
  }

  /** The losses that the report names are exactly the events that are gone. */
  function assertLoss(report: VerifyReport, kept: readonly FilledEvent[][]): void {
    for (const bucket of [0, 1]) {
      const all = ofBucket(original.events, bucket);
      const gone = all.slice(kept[bucket]?.length);
      const named = report.losses
        .filter((loss) => loss.bucket === bucket)
        .flatMap((loss) => loss.partitions)
        .flatMap(({ partition, from, to }) =>
          Array.from({ length: to - from + 1 }, (_, i) => `${partition}:${from + i}`),
        );
      const expected = gone.map(({ partition, sequence }) => `${partition}:${sequence}`);
      assert.deepEqual(named.sort(), expected.sort());
    }
  }

  /** Every event here is a frame. Of unreadable frames only their number is known. */
  function assertFramesLost(report: VerifyReport, kept: readonly FilledEvent[][]): void {
    for (const bucket of [0, 1]) {
      const gone = ofBucket(original.events, bucket).length - (kept[bucket]?.length ?? 0);
      const loss = report.losses.find((entry) => entry.bucket === bucket);
      assert.equal(loss?.frames ?? 0, gone);
      assert.ok(
        (loss?.events ?? 0) <= gone && (loss?.events ?? 0) >= gone - (loss?.framesUnread ?? 0),
      );
    }
  }

  it('finds nothing wrong with what was closed, and changes nothing', async () => {
    await damaged();
    const report = await verifyDirectory(files, DIRECTORY);
    assert.deepEqual(report.findings, []);
    assert.ok(report.clean);
    assert.equal(
      report.buckets.reduce((sum, { events }) => sum + events, 0),
      original.events.length,
    );
    assert.ok(
      report.buckets.every(({ segments }) => segments > 4),
      formatReport(report),
    );
    assert.deepEqual(await repair(files), { report, applied: false, savedTo: null });
  });

  it('finds nothing wrong with what a crash of the process leaves', async () => {
    const before = new MemoryFileSystem();
    const directory = await FilledDirectory.open(before, DIRECTORY, { seed: 3 });
    await directory.append(150);
    files = new MemoryFileSystem();
    await copyTree(before, files, DIRECTORY);
    await directory.close();
    const report = await verifyDirectory(files, DIRECTORY);
    assert.ok(report.clean, formatReport(report));
    assert.equal(
      report.buckets.reduce((sum, { events }) => sum + events, 0),
      150,
    );
    assert.ok(report.findings.some(({ problem }) => problem.includes('only the journal has')));
  });

  it('a frame that the journal no longer has: the log is cut there', async () => {
    await damaged([`${SEGMENTS[0] ?? ''}/0000000001.log`, flip(3000)]);
    const before = await verifyDirectory(files, DIRECTORY);
    assert.equal(before.clean, false);
    const { report, kept } = await repaired();
    assert.deepEqual(report, before);
    assert.equal(report.losses.length, 1);
    assert.equal(report.losses[0]?.framesUnread, 1);
    assert.ok((kept[0] as FilledEvent[]).length > 10);
    assert.equal(kept[1]?.length, ofBucket(original.events, 1).length);
    assertLoss(report, kept);
    const saved = await files.list(`${DIRECTORY}/damaged-20251124T235901Z/buckets/00000/segments`);
    assert.ok(saved.includes('0000000001.log') && saved.includes('0000000005.log'));
  });

  it('a frame that the journal still has: nothing is lost', async () => {
    const names = (await original.files.list(SEGMENTS[1] ?? '')).filter((n) => n.endsWith('.log'));
    const last = `${SEGMENTS[1] ?? ''}/${names.at(-1) ?? ''}`;
    const size = (await original.files.sizeOf(last)) ?? 0;
    await damaged([last, flip(size - 100)]);
    const { report, kept } = await repaired();
    assert.deepEqual(report.losses, []);
    assert.match(formatReport(report), /taken from the journal, nothing is lost/);
    assertLoss(report, kept);
  });

  it('the newest segment is cut short: what the journal has comes back', async () => {
    const names = (await original.files.list(SEGMENTS[1] ?? '')).filter((n) => n.endsWith('.log'));
    const last = `${SEGMENTS[1] ?? ''}/${names.at(-1) ?? ''}`;
    await damaged([last, (bytes) => bytes.subarray(0, bytes.length - 30)]);
    const { report, kept } = await repaired();
    assert.deepEqual(report.losses, []);
    assertLoss(report, kept);
  });

  for (const [name, edit] of [
    ['the header', flip(20)],
    ['bytes behind the last frame', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(99, 7)])],
  ] as const) {
    it(`${name} of a sealed segment: nothing is lost`, async () => {
      await damaged([`${SEGMENTS[0] ?? ''}/0000000002.log`, edit]);
      const { report, kept } = await repaired();
      assert.equal(report.findings.filter(({ kind }) => kind === 'damage').length, 1);
      assert.deepEqual(report.losses, []);
      assertLoss(report, kept);
    });
  }

  it('a sealed segment that is cut short, or gone', async () => {
    await damaged([`${SEGMENTS[0] ?? ''}/0000000001.log`, (bytes) => bytes.subarray(0, 5000)]);
    let result = await repaired();
    assertLoss(result.report, result.kept);
    await damaged();
    await files.remove(`${SEGMENTS[0] ?? ''}/0000000001.log`);
    result = await repaired();
    assert.equal(result.report.losses.length, 1);
    assertLoss(result.report, result.kept);
  });

  it('the first segment is gone: the bucket starts anew', async () => {
    await damaged();
    await files.remove(`${SEGMENTS[1] ?? ''}/0000000000.log`);
    const { report, kept } = await repaired();
    assert.deepEqual(kept[1], []);
    assertLoss(report, kept);
  });

  it('an index file that is damaged is built again, one that is missing is no damage', async () => {
    await damaged([`${SEGMENTS[0] ?? ''}/0000000002.streams`, flip(200)]);
    await files.remove(`${SEGMENTS[0] ?? ''}/0000000001.events`);
    const report = await verifyDirectory(files, DIRECTORY);
    assert.deepEqual(
      report.findings.map(({ kind, file }) => [kind, file]),
      [
        ['note', 'buckets/00000/segments/0000000001.events'],
        ['index', 'buckets/00000/segments/0000000002.streams'],
      ],
    );
    const { savedTo } = await repair(files);
    assert.equal(savedTo, null);
    assert.deepEqual((await verifyDirectory(files, DIRECTORY)).findings, []);
  });

  it('the journal is gone: what is in segments is kept', async () => {
    await damaged();
    for (const name of await files.list(`${DIRECTORY}/journal`)) {
      await files.remove(`${DIRECTORY}/journal/${name}`);
    }
    const { report, kept } = await repaired();
    assert.ok(report.lossUnknown);
    assertLoss(report, kept);
  });

  it('a damaged round of the journal: what is whole and chained is kept', async () => {
    const before = new MemoryFileSystem();
    const directory = await FilledDirectory.open(before, DIRECTORY, { seed: 5 });
    for (let i = 0; i < 6; i += 1) await directory.append(1, i % 2);
    files = new MemoryFileSystem();
    await copyTree(before, files, DIRECTORY);
    await directory.close();
    original = { files: before, events: directory.events };
    // Page 0 is the file's header, page 1 the checkpoint, page 2 the first event, of bucket 0.
    await change(files, `${DIRECTORY}/journal/0000.journal`, flip(4096 * 2 + 100));
    await assert.rejects(FilledDirectory.open(files, DIRECTORY), OpenError);
    const { report, kept } = await repaired();
    assert.deepEqual(kept[0], []);
    assert.equal(kept[1]?.length, 3);
    assert.deepEqual(
      report.losses.map(({ bucket, frames, framesUnread }) => [bucket, frames, framesUnread]),
      [[0, 3, 1]],
    );
    original = await filled();
  });

  it('the newest file of the journal is gone: a start refuses, a repair keeps what segments hold', async () => {
    await damaged();
    await files.remove(`${DIRECTORY}/journal/${await newestJournalFile(files)}`);
    await assert.rejects(FilledDirectory.open(files, DIRECTORY), /ends before frame/);
    const { report, kept } = await repaired();
    assert.ok(report.lossUnknown);
    assert.equal((kept[0]?.length ?? 0) + (kept[1]?.length ?? 0), original.events.length);
  });

  it('asks before it does anything', async () => {
    await damaged([`${SEGMENTS[0] ?? ''}/0000000001.log`, flip(3000)]);
    const { applied } = await repair(files, false);
    assert.equal(applied, false);
    assert.equal((await verifyDirectory(files, DIRECTORY)).clean, false);
  });

  it('refuses a directory in use, one that is none, and one without identity', async () => {
    const open = new MemoryFileSystem();
    const directory = await FilledDirectory.open(open, DIRECTORY);
    const reason = (wanted: string) => (error: unknown) =>
      error instanceof OpenError && error.reason === wanted;
    await assert.rejects(verifyDirectory(open, DIRECTORY), reason('locked'));
    await assert.rejects(repair(open), reason('locked'));
    await directory.close();
    await assert.rejects(verifyDirectory(open, '/nothing'), reason('damaged'));
    await damaged([`${DIRECTORY}/identity.json`, () => Buffer.from('{"formatVersion":')]);
    await assert.rejects(verifyDirectory(files, DIRECTORY), reason('damaged'));
  });

  it('whatever is damaged: a repair leaves prefixes, and names what is gone', async () => {
    const count = Number(process.env['SEEDS'] ?? 12);
    const first = Number(process.env['SEED'] ?? 1);
    for (let seed = first; seed < first + count; seed += 1) {
      await damaged();
      const random = seededRandom(seed);
      for (let i = 0; i <= random.below(3); i += 1) await damageAnything(files, random);
      if ((await verifyDirectory(files, DIRECTORY)).clean) continue;
      try {
        const { report, kept } = await repaired();
        if (!report.lossUnknown) assertFramesLost(report, kept);
      } catch (error) {
        throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
});

async function newestJournalFile(files: FileSystem): Promise<string> {
  const { files: found } = await scanJournal(files, `${DIRECTORY}/journal`);
  const newest = found.reduce((a, b) => ((b.lap ?? 0) > (a.lap ?? 0) ? b : a));
  return journalFileName(newest.slot);
}

/** Flips a bit of, shortens, lengthens or removes any file of the log or the journal. */
async function damageAnything(
  files: MemoryFileSystem,
  random: ReturnType<typeof seededRandom>,
): Promise<void> {
  const folders = [...SEGMENTS, `${DIRECTORY}/journal`];
  const folder = folders[random.below(folders.length)] ?? '';
  const names = await files.list(folder);
  const name = names[random.below(names.length)];
  if (name === undefined) return;
  const path = `${folder}/${name}`;
  const size = (await files.sizeOf(path)) ?? 0;
  const at = random.below(size + 1);
  const kind = random.below(10);
  if (kind === 0) await files.remove(path);
  else if (kind === 1) await change(files, path, (bytes) => bytes.subarray(0, at));
  else if (kind === 2)
    await change(files, path, (bytes) => Buffer.concat([bytes, bytes.subarray(0, at)]));
  else if (size > 0) await change(files, path, flip(Math.min(at, size - 1)));
}
