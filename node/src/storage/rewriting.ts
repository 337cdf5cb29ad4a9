/**
 * Offline changes to a data directory that an inspection has read: a bucket's segments as its walk says that they must be,
 * and a journal that begins anew behind them. What `repair` and `cluster recover` are made of.
 *
 * First all segments, then the journal: until the fresh lap is durable, the old journal stands as it was, and a second run
 * finds the same chain of frames.
 */
import type { Clock } from '../../../common/clock.ts';
import type { Random } from '../../../common/random.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import type { WalkResult, WalkedSegment } from './inspect/bucket-walk.ts';
import type { Inspection } from './inspect/inspection.ts';
import { Journal, type JournalStart } from './journal.ts';
import type { BucketCheckpoint, LogPosition } from './journal-format.ts';
import { journalFolder, parseDerivedFileName, segmentFileName, segmentsFolder } from './names.ts';
import { silentObserver } from './observer.ts';
import { encodeSegmentHeader } from './segment-format.ts';

export interface FreshJournalOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Size of the journal's files where none of those found tells it. Default 64 MiB. */
  readonly journalFileBytes?: number;
}

const COPY_BYTES = 1024 * 1024;
const JOURNAL_FILE_BYTES = 64 * 1024 * 1024;
const JOURNAL_FILES_MAX = 64;
export const GROUP_ID_BYTES = 16;

/** Segment files of a bucket that {@link settleWalk} writes to, shortens or removes. */
export function changedSegments(walk: WalkResult): number[] {
  const changed = new Set(walk.spans.map(({ segment }) => segment));
  for (const { number, size, end, headerFault } of walk.segments) {
    if (size !== end || headerFault !== null) changed.add(number);
  }
  for (const number of walk.strays.keys()) changed.add(number);
  return [...changed].sort((a, b) => a - b);
}

/** Everything up to the walk's end stands in synced segment files, and nothing behind it. */
export async function settleWalk(
  files: FileSystem,
  { directory, journal }: Inspection,
  walk: WalkResult,
): Promise<void> {
  const folder = segmentsFolder(directory, walk.bucket);
  const changed = changedSegments(walk);
  if (changed.length > 0) await removeDerived(files, folder, changed);
  const synced = journal.bucketCheckpoint(walk.bucket)?.end ?? null;
  for (const segment of walk.segments) {
    if (changed.includes(segment.number)) await rewrite(files, folder, walk, segment);
    await secure(files, folder, segment, synced);
  }
  for (const number of walk.strays.keys()) {
    await files.remove(`${folder}/${segmentFileName(number)}`);
  }
  await files.syncDirectory(folder);
}

async function rewrite(
  files: FileSystem,
  folder: string,
  walk: WalkResult,
  segment: WalkedSegment,
): Promise<void> {
  const path = `${folder}/${segmentFileName(segment.number)}`;
  const file = await files.open(path, segment.size === null ? 'create' : 'open');
  try {
    if (segment.size === null || segment.headerFault !== null) {
      const groupId = walk.groupId ?? Buffer.alloc(GROUP_ID_BYTES);
      await file.write(encodeSegmentHeader({ ...segment.header, groupId }), 0);
    }
    for (const span of walk.spans.filter((s) => s.segment === segment.number)) {
      const frames = span.frames.map(({ bytes, at, length }) => bytes.subarray(at, at + length));
      await file.write(Buffer.concat(frames), span.from);
    }
    if ((await file.size()) > segment.end) await file.truncate(segment.end);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * What stands behind the checkpoint may be in the page cache alone, with pages that an earlier sync has failed to write and
 * then called clean: it is written again. Without a checkpoint nobody can tell what that is, and all is synced.
 */
async function secure(
  files: FileSystem,
  folder: string,
  { number, end }: WalkedSegment,
  synced: LogPosition | null,
): Promise<void> {
  if (synced !== null && number < synced.segment) return;
  const isEmpty = synced === null || synced.index === 0 || number > synced.segment;
  const from = isEmpty ? 0 : synced.offset;
  const file = await files.open(`${folder}/${segmentFileName(number)}`, 'open');
  try {
    if (synced !== null) await copyBytes(file, file, from, end);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Index files and summaries of changed segments; those of others stay. */
async function removeDerived(
  files: FileSystem,
  folder: string,
  changed: readonly number[],
): Promise<void> {
  for (const name of await files.list(folder)) {
    const derived = parseDerivedFileName(name);
    if (derived === null) continue;
    const isStale = changed.some((number) => derived.first <= number && number <= derived.last);
    if (isStale) await files.remove(`${folder}/${name}`);
  }
}

/** A fresh lap whose checkpoint says `buckets`; durable when it resolves, and the old journal is not needed any more. */
export async function startFreshJournal(
  files: FileSystem,
  found: Inspection,
  { clock, random, journalFileBytes = JOURNAL_FILE_BYTES }: FreshJournalOptions,
  buckets: readonly BucketCheckpoint[],
): Promise<void> {
  const { directory, journal, journalWhole, identity } = found;
  const fresh = await Journal.open(
    files,
    journalFolder(directory),
    {
      bucketCount: identity.bucketCount,
      fileBytes: journal.fileBytes ?? journalFileBytes,
      filesMax: JOURNAL_FILES_MAX,
      random,
    },
    journalStart(found),
    {
      checkpoint: () => buckets,
      eachUncommitted: () => undefined,
      lapBegins: () => undefined,
      isSettled: () => true,
      settle: () => Promise.resolve(),
      roundDone: () => undefined,
      failed: (error) => {
        throw error;
      },
    },
    clock,
    silentObserver,
  );
  await fresh.close();
  if (!journalWhole) await removeOldJournal(files, found);
}

/** A journal that is damaged stays damaged as long as its files are there. The fresh lap stands in a file of its own. */
async function removeOldJournal(
  files: FileSystem,
  { directory, journal }: Inspection,
): Promise<void> {
  const folder = journalFolder(directory);
  for (const name of journal.names) await files.remove(`${folder}/${name}`);
  await files.syncDirectory(folder);
}

/**
 * The number of the first round leaves one out, so that the fresh lap continues none of the older ones: a start would
 * replay frames that the cut has given up. Files of a damaged journal are all kept until the fresh lap is durable.
 */
function journalStart({ journal, journalWhole }: Inspection): JournalStart {
  const { scan, lastRound, lastLap } = journal;
  const needed = new Set(scan.laps.map(({ slot }) => slot));
  return {
    nextRound: lastRound + 2,
    previousCrc: 0,
    nextLap: lastLap + 1,
    files: scan.files.map(({ slot, bytes, salt, lap }) => ({
      slot,
      bytes,
      salt,
      lap: journalWhole && !needed.has(slot) ? null : (lap ?? 0),
    })),
  };
}

/** Copies `from[at..end)`, or to the end of the file. */
export async function copyBytes(
  from: FileHandle,
  to: FileHandle,
  start: number = 0,
  end: number = Infinity,
): Promise<void> {
  const piece = Buffer.allocUnsafe(COPY_BYTES);
  for (let at = start; at < end;) {
    const wanted = piece.subarray(0, Math.min(COPY_BYTES, end - at));
    const read = await from.read(wanted, at);
    if (read === 0) return;
    await to.write(wanted.subarray(0, read), at);
    at += read;
  }
}
