/**
 * The log of one bucket: frames in the order of their index, durable in the journal first, then in segments.
 *
 * ```ts
 * const place = log.begin(length);                 // room at the log's end
 * encodeEvents(place.bytes, place.at);             // the caller fills in everything behind the header
 * const index = log.finish(place, {...});          // header, checksum, on its way into the journal
 * // ... the journal calls log.durable(index), the replicated log decides, then:
 * log.commit(index);                               // visible to reads; segments follow
 * ```
 *
 * A follower takes the frames of its leader as they are (`take`), and forgets those that are not the leader's (`truncate`).
 *
 * Invariants
 * - written ≤ committed ≤ end, each a position between two frames. Segments hold committed frames only, and none that is
 *   not durable in the journal here, the same bytes at the same offsets for ever; what lies above `written` is in the tail in memory, and durable in the journal.
 * - `synced` is what a checkpoint may claim: the files' contents and names are durable up to there.
 * - What is committed is never truncated.
 * - A segment ends because the next frame says so (it stands in the next segment), never because a file does.
 * - Exactly one writing loop per bucket touches its files.
 */
import { assert } from '../../../common/assert.ts';
import { BLOCK_BYTES, type BlockCache } from './block-cache.ts';
import {
  frameCrc,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameEventCount,
  frameFirstSequence,
  frameIndex,
  frameKind,
  type FrameKind,
  frameKindOf,
  frameLength,
  framePartition,
  frameSegment,
  frameTerm,
  sealFrame,
  writeFrameHeader,
} from './frame-format.ts';
import { DamageError } from './errors.ts';
import { chainFault } from './frame-chain.ts';
import type { FileSystem } from './file-system.ts';
import { type FrameRef, readFrame, tryReadFrame } from './frame-reader.ts';
import { type Journal, type JournalParty } from './journal.ts';
import {
  entryType,
  type BucketCheckpoint,
  encodeVote,
  type LogPosition,
  type VoteRecord,
} from './journal-format.ts';
import { DurableMarks } from './durable-marks.ts';
import type { SealedSegments } from './sealed-segments.ts';
import { SegmentWriting } from './segment-writing.ts';
import { type SegmentHeader, segmentHeaderBytes, UNKNOWN_SEQUENCE } from './segment-format.ts';
import { KnownDamage } from './known-damage.ts';
import { LogHealing } from './log-healing.ts';
import { LogHistory, type PlacedConfiguration } from './log-history.ts';
import { type Chunk, type FrameRange, Tail } from './tail.ts';
import type { UncommittedRoom } from './uncommitted-room.ts';
import { YoungSegment } from './young-segment.ts';
import { writeYoungSnapshot } from './young-snapshot.ts';

/** Written frames that stay in memory for followers that are a little behind. */
const RETAINED_BYTES = 1024 * 1024;

export interface BucketLogSettings {
  readonly bucket: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly segmentBytes: number;
}

export interface BucketLogContext {
  readonly files: FileSystem;
  readonly folder: string;
  readonly cache: BlockCache;
  readonly sealed: SealedSegments;
  readonly room: UncommittedRoom;
  /** A write or sync of a segment failed. */
  readonly failed: (error: Error) => void;
  /** The disk is full, or no longer. */
  readonly diskFull: (full: boolean) => void;
}

/** Called for every frame that becomes committed, in order. The bytes never change. */
export type ApplyFrame = (bytes: Buffer, at: number, segment: number, offset: number) => void;

export interface FramePlace {
  readonly bytes: Buffer;
  readonly at: number;
  readonly chunk: Chunk;
}

export type FrameFields = Pick<
  FrameHeader,
  'kind' | 'term' | 'partition' | 'firstSequence' | 'eventCount'
>;

type MutablePosition = { -readonly [K in keyof LogPosition]: LogPosition[K] };

export class BucketLog extends KnownDamage implements JournalParty {
  readonly bucket: number;
  readonly replicaId: Uint8Array;
  readonly groupId: Uint8Array;
  readonly sealed: SealedSegments;
  readonly room: UncommittedRoom;
  /** Segments without index files, oldest first; the last one is being written. */
  readonly young: YoungSegment[] = [];
  /** The log is durable up to `index`, which has not been truncated since. */
  onDurable: (index: number) => void = () => undefined;
  /** Called when a vote is durable. */
  onVoteDurable: (vote: VoteRecord) => void = () => undefined;
  onApplied: ApplyFrame = () => undefined;
  /** The journal's own, see {@link JournalParty}. */
  roundId = 0;
  roundSlot = 0;

  readonly #settings: BucketLogSettings;
  readonly #context: BucketLogContext;
  readonly #tail: Tail;
  readonly #marks = new DurableMarks();
  readonly #votes: { readonly mark: number; readonly vote: VoteRecord }[] = [];
  #vote: VoteRecord;
  readonly #history: LogHistory;
  #journal: Journal | null = null;
  #end: MutablePosition;
  #committed: MutablePosition;
  readonly #writing: SegmentWriting;
  /** Mends damaged segments from other replicas. */
  readonly healing: LogHealing;
  /** Next sequence per partition slot, counting every frame, and counting committed ones only. */
  readonly #next: number[];
  readonly #appliedNext: number[];

  /** `start` is a durable position; `young` holds its segment, with what is in the file. */
  constructor(
    settings: BucketLogSettings,
    context: BucketLogContext,
    checkpoint: BucketCheckpoint,
    young: readonly YoungSegment[],
    nextSequences: readonly number[],
  ) {
    super();
    this.#settings = settings;
    this.#context = context;
    this.bucket = settings.bucket;
    this.replicaId = checkpoint.replicaId;
    this.groupId = checkpoint.groupId;
    this.#vote = { term: checkpoint.term, votedFor: checkpoint.votedFor };
    const { end, configuration } = checkpoint;
    this.#history = new LogHistory(end, configuration, checkpoint.replicaId);
    this.#marks.reset(end.index);
    this.sealed = context.sealed;
    this.room = context.room;
    this.#tail = new Tail(context.room);
    this.young.push(...young);
    this.#end = { ...checkpoint.end };
    this.#committed = { ...checkpoint.end };
    this.#writing = new SegmentWriting(
      {
        tail: this.#tail,
        young: this.young,
        sealed: this.sealed,
        committed: () => this.#writable(),
        retainBytes: () => (this.isAlone ? 0 : RETAINED_BYTES),
        damaged: (error) => {
          this.noteDamage(error);
        },
        failed: context.failed,
        diskFull: context.diskFull,
      },
      checkpoint.end,
    );
    this.#next = [...nextSequences];
    this.#appliedNext = [...nextSequences];
    this.healing = new LogHealing(this, this.#tail, this.#writing, {
      ...{ ...settings, ...context, next: this.#next, appliedNext: this.#appliedNext },
    });
  }

  get vote(): VoteRecord {
    return this.#vote;
  }

  /** Configurations from the last committed one on. */
  get configurations(): readonly PlacedConfiguration[] {
    return this.#history.configurations;
  }

  /** Whether this replica decides alone: what is durable here is committed. */
  get isAlone(): boolean {
    return this.#history.isAlone;
  }

  /** Where it ends, frames in flight counted. */
  get end(): LogPosition {
    return { ...this.#end };
  }

  /** Index of the first frame that is in memory; behind the end where none is. */
  get firstIndexInMemory(): number {
    return this.#tail.firstIndex ?? this.#end.index + 1;
  }

  get endIndex(): number {
    return this.#end.index;
  }

  /** Partitions of the bucket. */
  get slots(): number {
    return this.#next.length;
  }

  /** Where the committed part ends. */
  get committedEnd(): LogPosition {
    return { ...this.#committed };
  }

  /** Where frames begin in a segment. */
  get segmentHeaderBytes(): number {
    return segmentHeaderBytes(this.#next.length);
  }

  get committedIndex(): number {
    return this.#committed.index;
  }

  /** Bytes of the log that only memory and the journal hold. */
  get unwrittenBytes(): number {
    return this.#tail.bytes;
  }

  /** The largest frame that fits a segment of this bucket. */
  get frameBytesMax(): number {
    return this.#settings.segmentBytes - this.segmentHeaderBytes;
  }

  /** The sequence that the next event of a partition gets, counting events in flight. */
  nextSequence(partition: number): number {
    return this.#next[this.#slot(partition)] as number;
  }

  /** The same, counting committed events only. */
  appliedNextSequence(partition: number): number {
    return this.#appliedNext[this.#slot(partition)] as number;
  }

  attach(journal: Journal): void {
    this.#journal = journal;
  }

  /** Room for a frame of `length` bytes at the log's end, in the next segment if this one would grow too large. */
  begin(length: number): FramePlace {
    assert(length <= this.frameBytesMax, 'a frame fits into a segment');
    if (this.#end.offset + length > this.#settings.segmentBytes) this.#roll();
    return this.#place(length);
  }

  /** Completes the frame begun last and sends it to the journal; returns its index. */
  finish(place: FramePlace, length: number, fields: FrameFields): number {
    const { bytes, at, chunk } = place;
    const index = this.#end.index + 1;
    writeFrameHeader(bytes, at, {
      ...fields,
      length,
      previousCrc: this.#end.crc,
      segment: this.#end.segment,
      offset: this.#end.offset,
      index,
    });
    const crc = sealFrame(bytes, at, length);
    this.#added(chunk, at, length, crc);
    this.#log(chunk, at, length);
    return index;
  }

  /**
   * Takes the frame that the leader has at the log's end, as it is, and sends it to the journal. Returns what is wrong with
   * it where it does not continue the log.
   */
  take(bytes: Buffer, from: number, to: number): string | null {
    const fault = chainFault(this.#end, this.segmentHeaderBytes, bytes, from);
    if (fault !== null) return fault;
    const { chunk, at } = this.#copy(bytes, from, to);
    this.#log(chunk, at, to - from);
    return null;
  }

  /** Forgets the frames behind `index`: they are not the leader's. */
  truncate(index: number): void {
    assert(index >= this.#committed.index, 'what is committed is never truncated');
    if (index >= this.#end.index) return;
    this.#tail.cut(index);
    this.#marks.truncate(index);
    this.#history.truncate(index);
    this.#next.splice(0, this.#next.length, ...this.#appliedNext);
    this.#end = { ...(this.#tail.positionAfter(index) ?? this.#committed) };
    this.#tail.eachAfter(this.#committed.index, ({ buffer }, at) => {
      this.#counted(buffer, at);
    });
    while ((this.young.at(-1)?.number ?? 0) > this.#end.segment) this.young.pop();
    const last = this.young.at(-1);
    if (last !== undefined) last.end = null;
  }

  /** Term of the frame at `index`; null where that is before what this start has read. */
  termAt(index: number): number | null {
    return index > this.#end.index ? null : this.#history.termAt(index);
  }

  /** Frames from `index` on as they stand in the log, at most `maxBytes` but one at least; null where they are not in memory. */
  frames(index: number, maxBytes: number): FrameRange | null {
    return this.#tail.frames(index, maxBytes);
  }

  /** Makes a vote, or a new term without one, durable; {@link onVoteDurable} tells when it is. */
  persistVote(vote: VoteRecord): void {
    this.#vote = vote;
    const mark = this.#marks.vote(this.#end.index);
    this.#votes.push({ mark, vote });
    const record = encodeVote(vote);
    this.#journal?.append(this, entryType.vote, record, 0, record.length, mark);
  }

  /** During recovery: a vote of the journal. */
  recoverVote(vote: VoteRecord): void {
    if (vote.term >= this.#vote.term) this.#vote = vote;
  }

  durable(mark: number): void {
    while ((this.#votes[0]?.mark ?? Infinity) <= mark) {
      const durable = this.#votes.shift();
      if (durable !== undefined) this.onVoteDurable(durable.vote);
    }
    this.onDurable(this.#marks.durable(mark));
    this.#writing.committed();
  }

  /** Frames up to `index` are committed: they become visible, and segments follow. */
  commit(index: number): void {
    const committed = this.#committed;
    while (committed.index < index) {
      const chunk = this.#chunkAtCommit();
      const at = committed.offset - chunk.start;
      this.#applyAt(chunk, at);
    }
    this.#writing.committed();
  }

  /**
   * Takes a frame of the journal during recovery. A later one with the same index replaces an earlier one: the journal
   * tells of a truncation by what came instead. Returns what is wrong with it where it does not continue the log.
   */
  recover(bytes: Buffer, from: number, to: number): string | null {
    const index = frameIndex(bytes, from);
    if (index <= this.#committed.index) return null;
    if (index <= this.#end.index) {
      if (this.crcAt(index) === frameCrc(bytes, from)) return null;
      this.truncate(index - 1);
    }
    const fault = chainFault(this.#end, this.segmentHeaderBytes, bytes, from);
    if (fault !== null) return fault;
    this.#copy(bytes, from, to);
    this.#marks.reset(this.#end.index);
    if (frameKindOf(bytes, from) === frameKind.events) {
      this.slotIsSure(this.#slot(framePartition(bytes, from)));
    }
    if (this.isAlone) this.commit(index);
    return null;
  }

  /**
   * Shows the frames that are durable and not committed, in order. What is not durable yet is on its way into the journal's
   * present lap or a later one, in its own place.
   */
  eachUncommittedFrame(visit: (bytes: Buffer, from: number, to: number) => void): void {
    const durable = this.#marks.index;
    this.#tail.eachAfter(this.#committed.index, ({ buffer }, at) => {
      if (frameIndex(buffer, at) <= durable) visit(buffer, at, at + frameLength(buffer, at));
    });
  }

  /** Puts the frame at a position into `ref` if it is in memory. Throws {@link DamageError}. */
  tryFrame(segment: number, offset: number, ref: FrameRef): boolean {
    const chunk = this.#tail.find(segment, offset);
    if (chunk !== null) {
      ref.bytes = chunk.buffer;
      ref.at = offset - chunk.start;
      return true;
    }
    return tryReadFrame(this.#context.cache, this.#fileOf(segment), segment, offset, ref);
  }

  /** The same, from disk. Rejects with {@link DamageError}, and then the bucket is quarantined. */
  async frame(segment: number, offset: number, ref: FrameRef): Promise<void> {
    try {
      if (this.tryFrame(segment, offset, ref)) return;
      await readFrame(this.#context.cache, this.#fileOf(segment), segment, offset, ref);
    } catch (error) {
      if (error instanceof DamageError) this.noteDamage(error);
      throw error;
    }
  }

  /** A reader will want the frames from offset `from` to `to` of a segment: what has to be read is begun to be read. */
  readAhead(segment: number, from: number, to: number): void {
    if (this.#tail.find(segment, from) !== null) return;
    const first = Math.floor(from / BLOCK_BYTES);
    this.#context.cache.readAhead(this.#fileOf(segment), first, Math.floor(to / BLOCK_BYTES));
  }

  /** Whether the partition's latest event is known. */
  isEndSure(partition: number): boolean {
    return this.isSlotSure(this.#slot(partition));
  }

  /** What a checkpoint may say of this bucket now. */
  checkpoint(): BucketCheckpoint {
    return {
      bucket: this.bucket,
      replicaId: this.replicaId,
      groupId: this.groupId,
      term: this.#vote.term,
      votedFor: this.#vote.votedFor,
      end: this.#writing.synced,
      configuration: this.#history.configurationAt(this.#writing.synced.index),
    };
  }

  /** Leaves the young index of the last segment for the next start, unless it knows less, or other things, than the files. */
  async leaveSnapshot(): Promise<void> {
    const last = this.young.at(-1);
    const end = this.#writing.synced;
    const complete = end.index > 0 && end.index === this.#committed.index;
    if (last?.number !== end.segment || !complete || this.quarantined) return;
    const { files, folder } = this.#context;
    const snapshot = { end, nextSequences: this.#appliedNext, index: last.index };
    await writeYoungSnapshot(files, folder, snapshot);
  }

  /**
   * Writes everything committed by now into segments and syncs them; false where it could not, because the log stops.
   * Rejects only if the disk failed.
   */
  async settle(): Promise<boolean> {
    const settled = await this.#writing.settle();
    // No checkpoint will ask for earlier configurations any more.
    this.#history.forget(this.#writing.synced.index);
    return settled;
  }

  lapBegins(): void {
    this.#marks.lapBegins();
  }

  /** Whether what is committed of the journal's older laps is in synced segments. */
  get isSettled(): boolean {
    return this.#writing.synced.index >= Math.min(this.#committed.index, this.#marks.beforeLap);
  }

  /** From now on a full disk is not waited for. What the segments lack is in the journal. */
  stopWaiting(): void {
    this.#writing.stopWaiting();
  }

  async close(): Promise<void> {
    await this.healing.close();
    await this.#writing.stop();
    for (const segment of [...this.young]) await segment.close();
  }

  #slot(partition: number): number {
    return Math.floor(partition / this.#settings.bucketCount);
  }

  /** Copies a whole frame to the end of the log. */
  #copy(bytes: Buffer, from: number, to: number): FramePlace {
    if (frameSegment(bytes, from) !== this.#end.segment) this.#roll();
    const place = this.#place(to - from);
    bytes.copy(place.bytes, place.at, from, to);
    this.#added(place.chunk, place.at, to - from, frameCrc(bytes, from));
    return place;
  }

  #log({ buffer }: Chunk, at: number, length: number): void {
    const mark = this.#marks.frame();
    this.#journal?.append(this, entryType.frame, buffer, at, at + length, mark);
  }

  /** A whole frame stands at the end of the tail. */
  #added(chunk: Chunk, at: number, length: number, crc: number): void {
    const { buffer } = chunk;
    this.#tail.added(chunk, at, length);
    const term = frameTerm(buffer, at);
    const index = this.#end.index + 1;
    if (term !== this.#end.term) this.#history.termBegins(index, term);
    this.#advance(length, index, term, crc);
    this.#counted(buffer, at);
    if ((frameKindOf(buffer, at) as FrameKind) === frameKind.configuration) {
      this.#history.configured(index, buffer.subarray(at + FRAME_HEADER_BYTES, at + length));
    }
  }

  #counted(bytes: Buffer, at: number): void {
    if ((frameKindOf(bytes, at) as FrameKind) !== frameKind.events) return;
    const slot = this.#slot(framePartition(bytes, at));
    this.#next[slot] = frameFirstSequence(bytes, at) + frameEventCount(bytes, at);
  }

  /** Checksum of the frame at `index`; null where it is not in memory. */
  crcAt(index: number): number | null {
    return this.#tail.positionAfter(index)?.crc ?? null;
  }

  #place(length: number): FramePlace {
    const { segment, offset, index } = this.#end;
    const chunk = this.#tail.reserve(segment, offset, length, index + 1);
    return { bytes: chunk.buffer, at: chunk.used, chunk };
  }

  #advance(length: number, index: number, term: number, crc: number): void {
    this.#end.offset += length;
    this.#end.index = index;
    this.#end.term = term;
    this.#end.crc = crc;
  }

  /** Goes on in a new segment. */
  #roll(): void {
    const current = this.young.at(-1);
    assert(current !== undefined, 'a log has a segment that is being written');
    current.end = this.#end.offset;
    const header: SegmentHeader = {
      bucket: this.bucket,
      segment: this.#end.segment + 1,
      firstIndex: this.#end.index + 1,
      groupId: this.groupId,
      previousCrc: this.#end.crc,
      nextSequences: this.#next.map((next, slot) =>
        this.isSlotSure(slot) ? next : UNKNOWN_SEQUENCE,
      ),
    };
    this.young.push(new YoungSegment(this.#context.files, this.#context.folder, header, 0));
    this.#end.segment += 1;
    this.#end.offset = this.segmentHeaderBytes;
  }

  /**
   * Up to where segments may be written: what is committed, and durable in the journal here. Others may have made the
   * majority; a segment that is ahead of the journal would look like a journal that has lost something.
   */
  #writable(): LogPosition {
    const { index: durable } = this.#marks;
    if (durable >= this.#committed.index) return this.#committed;
    return this.#tail.positionAfter(durable) ?? this.#writing.written;
  }

  #chunkAtCommit(): Chunk {
    const committed = this.#committed;
    const chunk = this.#tail.find(committed.segment, committed.offset);
    if (chunk !== null) return chunk;
    committed.segment += 1;
    committed.offset = this.segmentHeaderBytes;
    const next = this.#tail.find(committed.segment, committed.offset);
    assert(next !== null, 'frames above the commit index are in the tail');
    return next;
  }

  #applyAt(chunk: Chunk, at: number): void {
    const committed = this.#committed;
    const { buffer } = chunk;
    const length = frameLength(buffer, at);
    this.#youngOf(committed.segment).index.add(buffer, at, committed.offset);
    if ((frameKindOf(buffer, at) as FrameKind) === frameKind.events) {
      const slot = this.#slot(framePartition(buffer, at));
      this.#appliedNext[slot] = frameFirstSequence(buffer, at) + frameEventCount(buffer, at);
    }
    const { segment, offset } = committed;
    committed.index = frameIndex(buffer, at);
    committed.term = frameTerm(buffer, at);
    committed.crc = frameCrc(buffer, at);
    committed.offset += length;
    this.#tail.committed(length);
    this.onApplied(buffer, at, segment, offset);
  }

  #youngOf(segment: number): YoungSegment {
    const found = this.young.findLast((candidate) => candidate.number === segment);
    assert(found !== undefined, 'the segment is young');
    return found;
  }

  #fileOf(segment: number): YoungSegment['cached'] {
    const young = this.young.find((candidate) => candidate.number === segment);
    return young?.cached ?? this.sealed.fileOf(segment);
  }
}
