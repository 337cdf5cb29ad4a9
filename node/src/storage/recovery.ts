/**
 * From what the disk holds to a log that can be trusted. Nothing is believed that this process has not synced itself:
 * after a crash the page cache shows bytes that a power cut would take.
 *
 * Where a log ends is said by the journal alone: its last checkpoint, and the frames behind it. For each bucket:
 *
 * | case                    | the segment files                                  | decision                                        |
 * | ----------------------- | -------------------------------------------------- | ----------------------------------------------- |
 * | `empty log`             | whatever: the checkpoint says nothing is there     | start at segment 0                              |
 * | `whole`                 | hold all frames up to the checkpoint               | go on behind it                                 |
 * | `unsynced bytes`        | go on behind the checkpoint                        | overwritten from the journal, then cut          |
 * | `stray segment`         | has a number behind the log's end                  | removed: nothing in it was ever acknowledged    |
 * | `index missing`         | whole, but index files are missing or bad          | built again from the segment                    |
 * | `damaged segment`       | miss frames that the checkpoint counts             | quarantine: serve the rest, refuse writes       |
 *
 * and for the frames in the journal behind the checkpoint:
 *
 * | case                    | the frames                                         | decision                                        |
 * | ----------------------- | -------------------------------------------------- | ----------------------------------------------- |
 * | `replayed`              | continue the log of a lone voter                   | written to segments again and synced, committed |
 * | `known committed`       | the same, of a group; a segment has them, too      | the same                                        |
 * | `not known committed`   | the same, of a group; no segment has them          | kept in memory until a leader speaks            |
 * | `replaced`              | have the index of an earlier one, another checksum | the earlier one and those behind it are dropped |
 * | `replaced before`       | do not, of a group; later ones do                  | passed over: a leader has replaced them         |
 * | `broken chain`          | do not                                             | refuse to start: the journal is damaged         |
 * | `journal behind`        | end before a frame that is in a segment            | refuse to start: a journal file is missing      |
 *
 * The journal's own table is in `journal-scan.ts`. Each row has a test of the same name.
 */
import { OpenError } from './errors.ts';
import { type BucketLog } from './bucket-log.ts';
import { type DamagedRange, scanPastDamage } from './damage-scan.ts';
import { DamageError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameEventCount,
  frameFault,
  frameFirstSequence,
  frameIndex,
  frameKind,
  frameKindOf,
  frameLength,
  framePartition,
  framePrevious,
} from './frame-format.ts';
import {
  type BucketCheckpoint,
  decodeVote,
  entryType,
  type LogPosition,
} from './journal-format.ts';
import { type JournalScan, replayJournal } from './journal-scan.ts';
import {
  isReplacementFileName,
  journalFileName,
  parseSegmentFileName,
  segmentFileName,
} from './names.ts';
import type { StorageObserver } from './observer.ts';
import { SegmentFrames } from './segment-frames.ts';
import type { SealedSegments } from './sealed-segments.ts';
import {
  decodeSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
  UNKNOWN_SEQUENCE,
} from './segment-format.ts';
import { isDiskFull } from './system-error.ts';
import { YoungSegment } from './young-segment.ts';
import { readYoungSnapshot } from './young-snapshot.ts';

/** Frames that gather in memory during replay before it waits for the segments. */
const REPLAY_BYTES = 8 * 1024 * 1024;
/** More than the header of a bucket with all 65,535 partitions. */
const HEADER_BYTES_MAX = 512 * 1024;

export interface SegmentsFound {
  readonly young: YoungSegment[];
  readonly damage: DamagedRange[];
  readonly nextSequences: number[];
  /** Slots of partitions whose latest events may be among those that damage hides. */
  readonly unsure: Set<number>;
}

export interface RecoveryContext {
  readonly files: FileSystem;
  readonly folder: string;
  readonly bucket: number;
  readonly bucketCount: number;
  /** How many partitions the bucket has. */
  readonly slots: number;
  readonly sealed: SealedSegments;
  readonly observer: StorageObserver;
}

/** Opens the segments of a bucket up to the checkpoint. */
export async function findSegments(
  context: RecoveryContext,
  checkpoint: BucketCheckpoint,
): Promise<SegmentsFound> {
  const { files, folder, slots, bucket } = context;
  const { end, groupId } = checkpoint;
  const empty: SegmentHeader = {
    bucket,
    segment: end.segment,
    firstIndex: end.index + 1,
    groupId,
    previousCrc: end.crc,
    nextSequences: new Array<number>(slots).fill(0),
  };
  if (end.index === 0) {
    const young = [new YoungSegment(files, folder, empty, 0)];
    return { young, damage: [], nextSequences: [...empty.nextSequences], unsure: new Set() };
  }
  const found: SegmentsFound = {
    young: [],
    damage: [],
    nextSequences: [...empty.nextSequences],
    unsure: new Set(),
  };
  const numbers = new Set(
    (await files.list(folder)).map(parseSegmentFileName).filter((n) => n !== null),
  );
  for (let number = 0; number < end.segment; number += 1) {
    if (numbers.has(number)) await findSealed(context, number, found);
    else
      noteLoss(context, found, { segment: number, from: 0, to: 0, reason: 'the file is missing' });
  }
  await loadYoung(context, end.segment, end.offset, empty, found, checkpoint);
  noteShortSegments(context.sealed, found);
  return found;
}

/** Damage that hides frames, maybe the latest of any partition. */
function noteLoss(context: RecoveryContext, found: SegmentsFound, range: DamagedRange): void {
  found.damage.push(range);
  for (let slot = 0; slot < context.slots; slot += 1) found.unsure.add(slot);
}

/** A segment may have been cut between two frames: the next one tells how many frames it had. */
function noteShortSegments(sealed: SealedSegments, found: SegmentsFound): void {
  const firstIndexes = new Map([
    ...sealed.segments.map(({ number, index }) => [number, index.summary.firstIndex] as const),
    ...found.young.flatMap(({ number, header, damaged }) =>
      damaged || found.damage.some(({ segment, from }) => segment === number && from === 0)
        ? []
        : [[number, header.firstIndex] as const],
    ),
  ]);
  for (const { number, index } of sealed.segments) {
    const { lastIndex, end } = index.summary;
    const next = firstIndexes.get(number + 1) ?? lastIndex + 1;
    if (next === lastIndex + 1) continue;
    const reason = `ends with frame ${String(lastIndex)}, the next segment begins with ${String(next)}`;
    found.damage.push({ segment: number, from: end, to: end, reason });
  }
}

async function findSealed(
  context: RecoveryContext,
  number: number,
  found: SegmentsFound,
): Promise<void> {
  const path = `${context.folder}/${segmentFileName(number)}`;
  const size = (await context.files.sizeOf(path)) ?? 0;
  try {
    await context.sealed.admit(number, size);
  } catch (error) {
    if (!(error instanceof DamageError) && !isDiskFull(error)) throw error;
    await loadYoung(context, number, size, null, found, null);
    const segment = found.young.at(-1);
    if (segment !== undefined) segment.end = size;
    // Index files are derived: on a full disk the young index serves until there is space.
    if (!(error instanceof DamageError)) return;
    if (segment !== undefined) segment.damaged = true;
    if (found.damage.every((range) => range.segment !== number)) {
      const { offset, reason } = error;
      noteLoss(context, found, { segment: number, from: offset, to: offset + 1, reason });
    }
  }
}

/** Reads a segment that has no index files into a young index, going on behind damage. */
async function loadYoung(
  context: RecoveryContext,
  number: number,
  end: number,
  fallback: SegmentHeader | null,
  found: SegmentsFound,
  checkpoint: BucketCheckpoint | null,
): Promise<void> {
  const { files, folder, slots, bucketCount, bucket } = context;
  const path = `${folder}/${segmentFileName(number)}`;
  const size = (await files.sizeOf(path)) ?? 0;
  const read = size === 0 ? 'the file is missing' : await readHeader(files, path);
  if (typeof read === 'string') {
    const to = segmentHeaderBytes(slots);
    noteLoss(context, found, { segment: number, from: 0, to, reason: read });
  }
  const header = typeof read === 'string' ? fallback : read;
  if (checkpoint !== null && typeof read !== 'string' && size >= end) {
    const snapshot = await readYoungSnapshot(files, folder, checkpoint.end, slots);
    if (snapshot !== null) {
      found.young.push(new YoungSegment(files, folder, read, end, snapshot.index));
      snapshot.nextSequences.forEach((next, i) => (found.nextSequences[i] = next));
      found.unsure.clear();
      return;
    }
  }
  const segment = new YoungSegment(files, folder, header ?? unknownHeader(context, number), end);
  found.young.push(segment);
  if (typeof read !== 'string') {
    found.unsure.clear();
    read.nextSequences.forEach((next, slot) => {
      if (next === UNKNOWN_SEQUENCE) found.unsure.add(slot);
      else found.nextSequences[slot] = next;
    });
  }
  if (size === 0) return;
  const start = {
    segment: number,
    offset: segmentHeaderBytes(slots),
    index: segment.header.firstIndex - 1,
    crc: segment.header.previousCrc,
  };
  const whole = Math.min(size, end);
  const lastSeen = new Map<number, number>();
  const result = await scanPastDamage(files, path, start, whole, (bytes, at, offset) => {
    segment.index.add(bytes, at, offset);
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    const slot = (framePartition(bytes, at) - bucket) / bucketCount;
    found.nextSequences[slot] = frameFirstSequence(bytes, at) + frameEventCount(bytes, at);
    lastSeen.set(slot, offset);
  });
  for (const range of result.damage) noteLoss(context, found, range);
  const lostUntil = result.damage.at(-1)?.to ?? 0;
  for (const [slot, offset] of lastSeen) if (offset >= lostUntil) found.unsure.delete(slot);
  if (checkpoint === null) return;
  if (size < end) {
    const reason = 'the file is cut short';
    noteLoss(context, found, { segment: number, from: size, to: end, reason });
  } else if (result.damage.length === 0 && result.lastCrc !== checkpoint.end.crc) {
    const reason = 'ends in another frame than the checkpoint names';
    noteLoss(context, found, { segment: number, from: end - 1, to: end, reason });
  }
}

const unknownHeader = (context: RecoveryContext, segment: number): SegmentHeader => ({
  bucket: context.bucket,
  segment,
  firstIndex: 1,
  groupId: Buffer.alloc(16),
  previousCrc: 0,
  nextSequences: new Array<number>(context.slots).fill(0),
});

async function readHeader(files: FileSystem, path: string): Promise<SegmentHeader | string> {
  const file = await files.open(path, 'read');
  try {
    const bytes = Buffer.alloc(HEADER_BYTES_MAX);
    const read = await file.read(bytes, 0);
    return decodeSegmentHeader(bytes.subarray(0, read));
  } finally {
    await file.close();
  }
}

/**
 * Makes what the scan has read durable. After a crash of the process the last round may be in the page cache alone; all
 * before it are durable, because it was written only after that.
 */
export async function secureLastRound(
  files: FileSystem,
  folder: string,
  scan: JournalScan,
): Promise<void> {
  const lap = scan.laps.at(-1);
  if (lap === undefined) return;
  const file = await files.open(`${folder}/${journalFileName(lap.slot)}`, 'open');
  try {
    const round = Buffer.alloc(lap.end - lap.lastRoundAt);
    await file.read(round, lap.lastRoundAt);
    await file.writeDurably(round, lap.lastRoundAt);
  } finally {
    await file.close();
  }
}

/** Replays the journal into the logs. Rejects with {@link OpenError} for the case `broken chain`. */
export async function replayInto(
  files: FileSystem,
  folder: string,
  scan: JournalScan,
  logs: readonly BucketLog[],
  folderOf: (bucket: number) => string,
): Promise<number> {
  let frames = 0;
  const byBucket = new Map(logs.map((log) => [log.bucket, log]));
  const segments = new SegmentFrames(files, folderOf);
  const stale = new Map<BucketLog, string>();
  await replayJournal(files, folder, scan, async (content, entry) => {
    const log = byBucket.get(entry.bucket);
    if (log === undefined || !entry.replicaId.equals(log.replicaId)) return;
    if (entry.type === entryType.vote) {
      log.recoverVote(decodeVote(content.subarray(entry.from, entry.to)));
      return;
    }
    if (entry.type !== entryType.frame) return;
    const before = log.endIndex;
    const fault = log.recover(content, entry.from, entry.to);
    if (fault !== null) {
      if (log.isAlone) throw brokenChain(log, fault);
      stale.set(log, fault);
      return;
    }
    stale.delete(log);
    if (log.endIndex > before) frames += 1;
    // A frame that stands in a segment was committed when it was put there.
    const index = frameIndex(content, entry.from);
    if (index > log.committedIndex && (await segments.has(log.bucket, content, entry.from))) {
      log.commit(index);
    }
    if (log.unwrittenBytes > REPLAY_BYTES) await log.settle();
  });
  await segments.close();
  for (const [log, fault] of stale) throw brokenChain(log, fault);
  return frames;
}

const brokenChain = (log: BucketLog, fault: string): OpenError =>
  new OpenError('damaged', `the journal is damaged: bucket ${String(log.bucket)}: ${fault}`);

/** After everything is in synced segments: removes what an earlier process left behind the log's end. */
export async function removeStrays(
  context: Pick<RecoveryContext, 'files' | 'folder' | 'bucket' | 'observer'>,
  log: BucketLog,
): Promise<void> {
  const { files, folder, bucket, observer } = context;
  const last = log.young.at(-1);
  if (last === undefined) return;
  await refuseIfBehind(context, log);
  // A file without a frame of this log is removed, and made anew when there is one.
  if (last.written > 0) await last.cutToWritten();
  let removed = 0;
  for (const name of await files.list(folder)) {
    if (isReplacementFileName(name)) await files.remove(`${folder}/${name}`);
    const number = parseSegmentFileName(name);
    if (number === null || number < last.number || (number === last.number && last.written > 0))
      continue;
    await files.remove(`${folder}/${name}`);
    observer.recovery('stray segment', { bucket, segment: number });
    removed += 1;
  }
  if (removed > 0) await files.syncDirectory(folder);
}

/**
 * A frame is durable in the journal before a segment gets it. So a segment that goes on behind the log's end, with the
 * frame that continues it, tells of a journal file that is missing or was replaced by an older one.
 */
async function refuseIfBehind(
  { files, folder, bucket }: Pick<RecoveryContext, 'files' | 'folder' | 'bucket'>,
  log: BucketLog,
): Promise<void> {
  if (log.quarantined) return;
  const { end } = log.checkpoint();
  const next = { ...end, segment: end.segment + 1, offset: segmentHeaderBytes(log.slots) };
  if (!(await goesOn(files, folder, end)) && !(await goesOn(files, folder, next))) return;
  throw new OpenError(
    'damaged',
    `the journal is damaged: it ends before frame ${String(end.index + 1)} of bucket ${String(bucket)}, which is in a segment`,
  );
}

/** Whether a whole frame stands there that continues the log. */
async function goesOn(files: FileSystem, folder: string, end: LogPosition): Promise<boolean> {
  const path = `${folder}/${segmentFileName(end.segment)}`;
  const size = (await files.sizeOf(path)) ?? 0;
  if (size <= end.offset) return false;
  const file = await files.open(path, 'read');
  try {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    await file.read(header, end.offset);
    const frame = Buffer.alloc(Math.min(Math.max(frameLength(header, 0), header.length), size));
    const read = await file.read(frame, end.offset);
    const fault = frameFault(frame, 0, read, end.segment, end.offset);
    return (
      fault === null &&
      framePrevious(frame, 0) === end.crc &&
      frameIndex(frame, 0) === end.index + 1
    );
  } finally {
    await file.close();
  }
}
