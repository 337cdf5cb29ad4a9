/**
 * Walks the log of one bucket from its first frame to its last, as `repair` would leave it: a frame is kept if it is whole
 * and continues the chain, wherever it is found, in its segment or in the journal. Where neither has the next frame the
 * log is cut, and what stands behind is counted as lost.
 *
 * Which journal frames count: up to the checkpoint's end any that fits, because the chain of checksums names it; above it
 * only those of laps that the checkpoint still needs. Older laps may hold frames that an earlier repair has cut away.
 */
import { type DamagedRange, scanPastDamage } from '../damage-scan.ts';
import type { FileHandle, FileSystem } from '../file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameIndex,
  frameLength,
  frameOffset,
  framePrevious,
  frameSegment,
  frameTerm,
} from '../frame-format.ts';
import type { LogPosition } from '../journal-format.ts';
import { parseSegmentFileName, segmentFileName } from '../names.ts';
import {
  decodeSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
  UNKNOWN_SEQUENCE,
} from '../segment-format.ts';
import { FrameCheck } from './frame-check.ts';
import type { JournalFrame, JournalInventory } from './journal-inventory.ts';
import { LossCount } from './loss-count.ts';
import type { Loss } from './report.ts';

export interface WalkContext {
  readonly files: FileSystem;
  /** The bucket's folder of segments. */
  readonly folder: string;
  readonly bucket: number;
  readonly bucketCount: number;
  readonly slots: number;
  readonly journal: JournalInventory;
}

/** A segment that the log occupies. */
export interface WalkedSegment {
  readonly number: number;
  /** Length of its file now, or null where it is missing. */
  readonly size: number | null;
  /** The header that it must have, but for the group id. */
  readonly header: Omit<SegmentHeader, 'groupId'>;
  /** What is wrong with the header that it has, or null. */
  headerFault: string | null;
  /** Behind its last frame. */
  end: number;
}

/** Consecutive frames that the journal has and their segment has not. */
export interface JournalSpan {
  readonly segment: number;
  readonly from: number;
  to: number;
  readonly frames: JournalFrame[];
  /** Part of what the checkpoint says to be in synced segments; else a start would write it there. */
  readonly promised: boolean;
}

/** A frame that is whole and chained but contradicts those before it. */
export interface Inconsistency {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
  readonly fault: string;
}

export interface WalkResult {
  readonly bucket: number;
  readonly groupId: Uint8Array | null;
  readonly end: LogPosition;
  readonly frames: number;
  readonly events: number;
  /** Oldest first; empty where the log is empty. */
  readonly segments: readonly WalkedSegment[];
  /** Segment files behind the log's end, with their length. */
  readonly strays: ReadonlyMap<number, number>;
  readonly spans: readonly JournalSpan[];
  readonly damage: readonly DamagedRange[];
  readonly inconsistencies: readonly Inconsistency[];
  /**
   * Frames, first and last, that segments hold and the journal does not know, or null. A frame is durable in the journal
   * before it is written to a segment: a file of the journal is missing, or older than the rest.
   */
  readonly unvouched: { readonly from: number; readonly to: number } | null;
  /** Null where the log is kept whole. */
  readonly loss: Loss | null;
}

/** More than the header of a bucket with all 65,535 partitions. */
const HEADER_BYTES_MAX = 512 * 1024;
const INCONSISTENCIES_MAX = 100;

export class BucketWalk {
  readonly #context: WalkContext;
  readonly #check: FrameCheck;
  readonly #lost = new LossCount();
  readonly #segments: WalkedSegment[] = [];
  readonly #spans: JournalSpan[] = [];
  readonly #damage: DamagedRange[] = [];
  readonly #inconsistencies: Inconsistency[] = [];
  readonly #sizes = new Map<number, number>();
  readonly #headerBytes: number;
  /** Up to this frame the checkpoint says that all is in synced segments; 0 without a checkpoint. */
  readonly #promised: number;
  /** The last frame that checkpoint and journal together know of. */
  readonly #lastKnown: number;
  #groupId: Uint8Array | null;
  #index = 0;
  #term = 0;
  #crc = 0;
  #frames = 0;
  #cut = false;
  #lastUnvouched = 0;

  constructor(context: WalkContext) {
    const { bucket, bucketCount, slots, journal } = context;
    const checkpoint = journal.bucketCheckpoint(bucket);
    this.#context = context;
    this.#check = new FrameCheck(bucket, bucketCount, slots);
    this.#headerBytes = segmentHeaderBytes(slots);
    this.#promised = checkpoint?.end.index ?? 0;
    const last = journal.recent(bucket, this.#promised).at(-1);
    this.#lastKnown = last === undefined ? this.#promised : frameIndex(last.bytes, last.at);
    this.#groupId = checkpoint?.groupId ?? null;
  }

  async run(): Promise<WalkResult> {
    const { files, folder, bucket } = this.#context;
    for (const name of await files.list(folder)) {
      const number = parseSegmentFileName(name);
      if (number !== null) this.#sizes.set(number, (await files.sizeOf(`${folder}/${name}`)) ?? 0);
    }
    this.#enter(0);
    for (const number of [...this.#sizes.keys()].sort((a, b) => a - b)) await this.#walk(number);
    while (!this.#cut && this.#takeFromJournal()) continue;
    if (this.#index < this.#lastKnown) this.#cut = true;
    const end = this.#position();
    const segments = this.#index === 0 ? [] : this.#segments;
    return {
      bucket,
      groupId: this.#groupId,
      end,
      frames: this.#frames,
      events: this.#check.eventCount,
      segments,
      strays: new Map([...this.#sizes].filter(([number]) => number >= segments.length)),
      spans: this.#spans,
      damage: this.#damage,
      inconsistencies: this.#inconsistencies,
      unvouched:
        this.#lastUnvouched === 0 ? null : { from: this.#lastKnown + 1, to: this.#lastUnvouched },
      loss: this.#cut ? this.#loss(end) : null,
    };
  }

  async #walk(number: number): Promise<void> {
    const { files, folder } = this.#context;
    const path = `${folder}/${segmentFileName(number)}`;
    const file = await files.open(path, 'read');
    let header: SegmentHeader | string;
    let before: { index: number; crc: number };
    try {
      header = await this.#readHeader(file, number);
      before =
        typeof header === 'string'
          ? await beforeFirstFrame(file, this.#headerBytes)
          : { index: header.firstIndex - 1, crc: header.previousCrc };
    } finally {
      await file.close();
    }
    const start = { segment: number, offset: this.#headerBytes, ...before };
    const size = this.#sizes.get(number) ?? 0;
    const { damage } = await scanPastDamage(files, path, start, size, (bytes, at, offset) => {
      this.#offer(number, offset, bytes, at);
    });
    this.#damage.push(...damage);
    while (!this.#cut && this.#nextInJournal(number) !== null) this.#takeFromJournal();
    this.#judgeHeader(number, header);
  }

  async #readHeader(file: FileHandle, number: number): Promise<SegmentHeader | string> {
    const bytes = Buffer.alloc(HEADER_BYTES_MAX);
    const header = decodeSegmentHeader(bytes.subarray(0, await file.read(bytes, 0)));
    if (typeof header === 'string') return header;
    const { bucket, slots } = this.#context;
    this.#groupId ??= header.groupId;
    const own =
      header.bucket === bucket &&
      header.segment === number &&
      header.nextSequences.length === slots &&
      Buffer.compare(header.groupId, this.#groupId) === 0;
    return own ? header : 'the header is that of another segment';
  }

  /** The header of a segment that the log occupies is known from the log; any other one tells of what is lost. */
  #judgeHeader(number: number, header: SegmentHeader | string): void {
    const walked = this.#segments[number];
    if (walked !== undefined) {
      walked.headerFault =
        typeof header === 'string'
          ? header
          : isSameHeader(header, walked.header)
            ? null
            : 'the header does not fit what is before it';
      return;
    }
    if (typeof header === 'string') {
      const reason = header;
      this.#damage.push({ segment: number, from: 0, to: this.#headerBytes, reason });
      return;
    }
    const { bucket, bucketCount } = this.#context;
    this.#lost.noteIndex(header.firstIndex - 1);
    header.nextSequences.forEach((next, slot) => {
      if (next !== UNKNOWN_SEQUENCE) this.#lost.noteSequence(bucket + slot * bucketCount, next);
    });
  }

  /** A whole frame found in a segment file. */
  #offer(segment: number, offset: number, bytes: Buffer, at: number): void {
    const index = frameIndex(bytes, at);
    while (!this.#cut && index > this.#index && !this.#continues(segment, offset, bytes, at)) {
      if (!this.#takeFromJournal()) this.#cut = true;
    }
    if (index > this.#lastKnown) this.#lastUnvouched = Math.max(this.#lastUnvouched, index);
    if (this.#cut) this.#lost.note(bytes, at);
    else if (index > this.#index) this.#take(segment, bytes, at);
  }

  #continues(segment: number, offset: number, bytes: Buffer, at: number): boolean {
    const current = this.#current;
    const here = segment === current.number && offset === current.end;
    const next = segment === current.number + 1 && offset === this.#headerBytes;
    return (
      (here || next) &&
      frameIndex(bytes, at) === this.#index + 1 &&
      framePrevious(bytes, at) === this.#crc
    );
  }

  /** The journal's next frame, if there is one that continues the log, in `segment` if that is given. */
  #nextInJournal(segment?: number): JournalFrame | null {
    const { journal, bucket } = this.#context;
    const frame = journal.following(bucket, this.#index, this.#crc);
    if (frame === null) return null;
    if (this.#index >= this.#promised && !journal.isRecent(frame)) return null;
    const place = frameSegment(frame.bytes, frame.at);
    if (!this.#continues(place, frameOffset(frame.bytes, frame.at), frame.bytes, frame.at)) {
      return null;
    }
    return segment === undefined || place === segment ? frame : null;
  }

  #takeFromJournal(): boolean {
    const frame = this.#nextInJournal();
    if (frame === null) return false;
    const segment = frameSegment(frame.bytes, frame.at);
    const from = frameOffset(frame.bytes, frame.at);
    const promised = this.#index < this.#promised;
    this.#take(segment, frame.bytes, frame.at);
    const span = this.#spans.at(-1);
    if (span?.segment === segment && span.to === from && span.promised === promised) {
      span.to += frame.length;
      span.frames.push(frame);
    } else {
      this.#spans.push({ segment, from, to: from + frame.length, frames: [frame], promised });
    }
    return true;
  }

  #take(segment: number, bytes: Buffer, at: number): void {
    if (segment !== this.#current.number) this.#enter(segment);
    const current = this.#current;
    const length = frameLength(bytes, at);
    const fault = this.#check.take(bytes, at);
    if (fault !== null && this.#inconsistencies.length < INCONSISTENCIES_MAX) {
      this.#inconsistencies.push({ segment, from: current.end, to: current.end + length, fault });
    }
    current.end += length;
    this.#index = frameIndex(bytes, at);
    this.#term = frameTerm(bytes, at);
    this.#crc = frameCrc(bytes, at);
    this.#frames += 1;
  }

  get #current(): WalkedSegment {
    return this.#segments.at(-1) as WalkedSegment;
  }

  #enter(number: number): void {
    const header = {
      bucket: this.#context.bucket,
      segment: number,
      firstIndex: this.#index + 1,
      previousCrc: this.#crc,
      nextSequences: [...this.#check.nextSequences],
    };
    const size = this.#sizes.get(number) ?? null;
    this.#segments.push({ number, size, header, headerFault: null, end: this.#headerBytes });
  }

  #position(): LogPosition {
    return {
      segment: this.#current.number,
      offset: this.#current.end,
      index: this.#index,
      term: this.#term,
      crc: this.#crc,
    };
  }

  #loss(end: LogPosition): Loss {
    const { journal, bucket } = this.#context;
    for (const frame of journal.recent(bucket, end.index)) this.#lost.note(frame.bytes, frame.at);
    this.#lost.noteIndex(this.#lastKnown);
    return this.#lost.total(
      bucket,
      end,
      (partition) => this.#check.nextSequences[this.#check.slot(partition)] ?? 0,
    );
  }
}

function isSameHeader(header: SegmentHeader, expected: Omit<SegmentHeader, 'groupId'>): boolean {
  return (
    header.firstIndex === expected.firstIndex &&
    header.previousCrc === expected.previousCrc &&
    header.nextSequences.every((next, slot) => next === expected.nextSequences[slot])
  );
}

/** What a segment's first frame says of the frame before it, for a segment whose header cannot be read. */
async function beforeFirstFrame(
  file: FileHandle,
  offset: number,
): Promise<{ index: number; crc: number }> {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  await file.read(bytes, offset);
  return { index: frameIndex(bytes, 0) - 1, crc: framePrevious(bytes, 0) };
}
