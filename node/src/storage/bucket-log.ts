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
 * Invariants
 * - written ≤ committed ≤ end, each a position between two frames. Segments hold committed frames only, the same bytes at
 *   the same offsets for ever; what lies above `written` is in the tail in memory, and durable in the journal.
 * - `synced` is what a checkpoint may claim: the files' contents and names are durable up to there.
 * - A segment ends because the next frame says so (it stands in the next segment), never because a file does.
 * - Exactly one writing loop per bucket touches its files.
 */
import { assert } from '../../../common/assert.ts';
import { BLOCK_BYTES, type BlockCache } from './block-cache.ts';
import {
  frameCrc,
  type FrameHeader,
  frameEventCount,
  frameFirstSequence,
  frameIndex,
  frameKind,
  type FrameKind,
  frameKindOf,
  frameLength,
  frameOffset,
  framePartition,
  framePrevious,
  frameSegment,
  frameTerm,
  sealFrame,
  writeFrameHeader,
} from './frame-format.ts';
import { DamageError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { type FrameRef, readFrame, tryReadFrame } from './frame-reader.ts';
import { type Journal, type JournalParty } from './journal.ts';
import {
  entryType,
  type BucketCheckpoint,
  encodeVote,
  type LogPosition,
} from './journal-format.ts';
import type { SealedSegments } from './sealed-segments.ts';
import { isDiskFull } from './system-error.ts';
import { type SegmentHeader, segmentHeaderBytes, UNKNOWN_SEQUENCE } from './segment-format.ts';
import type { DamagedRange } from './damage-scan.ts';
import { type Chunk, Tail } from './tail.ts';
import { YoungSegment } from './young-segment.ts';
import { writeYoungSnapshot } from './young-snapshot.ts';

/** Committed bytes that gather in memory before they are written to a segment. */
const WRITE_BYTES = 256 * 1024;
/** How long a full disk is left alone before the next attempt. */
const FULL_DISK_RETRY_MS = 200;

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

interface MutablePosition {
  segment: number;
  offset: number;
  index: number;
  term: number;
  crc: number;
}

export class BucketLog implements JournalParty {
  readonly bucket: number;
  readonly replicaId: Uint8Array;
  readonly groupId: Uint8Array;
  readonly sealed: SealedSegments;
  /** Segments without index files, oldest first; the last one is being written. */
  readonly young: YoungSegment[] = [];
  readonly damage: DamagedRange[] = [];
  term: number;
  votedForSelf: boolean;
  onDurable: (index: number) => void = () => undefined;
  onApplied: ApplyFrame = () => undefined;
  /** The journal's own, see {@link JournalParty}. */
  roundId = 0;
  roundSlot = 0;

  readonly #settings: BucketLogSettings;
  readonly #context: BucketLogContext;
  readonly #tail = new Tail();
  #journal: Journal | null = null;
  #end: MutablePosition;
  #committed: MutablePosition;
  #written: LogPosition;
  #synced: LogPosition;
  /** Next sequence per partition slot, counting every frame, and counting committed ones only. */
  readonly #next: number[];
  readonly #appliedNext: number[];
  #hiddenUntil: { readonly segment: number; readonly offset: number } | null = null;
  readonly #unsure = new Set<number>();
  #writing: Promise<void> | null = null;
  #stopped = false;
  #waitsForSpace = true;
  #endPause: (() => void) | null = null;

  /** `start` is a durable position; `young` holds its segment, with what is in the file. */
  constructor(
    settings: BucketLogSettings,
    context: BucketLogContext,
    checkpoint: BucketCheckpoint,
    young: readonly YoungSegment[],
    nextSequences: readonly number[],
  ) {
    this.#settings = settings;
    this.#context = context;
    this.bucket = settings.bucket;
    this.replicaId = checkpoint.replicaId;
    this.groupId = checkpoint.groupId;
    this.term = checkpoint.term;
    this.votedForSelf = checkpoint.votedForSelf;
    this.sealed = context.sealed;
    this.young.push(...young);
    this.#end = { ...checkpoint.end };
    this.#committed = { ...checkpoint.end };
    this.#written = checkpoint.end;
    this.#synced = checkpoint.end;
    this.#next = [...nextSequences];
    this.#appliedNext = [...nextSequences];
  }

  get endIndex(): number {
    return this.#end.index;
  }

  get endTerm(): number {
    return this.#end.term;
  }

  /** Partitions of the bucket. */
  get slots(): number {
    return this.#next.length;
  }

  get committedIndex(): number {
    return this.#committed.index;
  }

  /** Bytes of the log that only memory and the journal hold. */
  get unwrittenBytes(): number {
    return this.#tail.bytes;
  }

  get quarantined(): boolean {
    return this.damage.length > 0;
  }

  /** The largest frame that fits a segment of this bucket. */
  get frameBytesMax(): number {
    return this.#settings.segmentBytes - this.#headerBytes;
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
    chunk.used += length;
    this.#advance(length, index, fields.term, crc);
    if (fields.kind === frameKind.events) {
      this.#next[this.#slot(fields.partition)] = fields.firstSequence + fields.eventCount;
    }
    this.#journal?.append(this, entryType.frame, bytes, at, at + length, index);
    return index;
  }

  /** Makes a new term and this member's vote durable, before anything of that term is told. */
  vote(term: number): void {
    this.term = term;
    this.votedForSelf = true;
    const vote = encodeVote({ term, votedForSelf: true });
    this.#journal?.append(this, entryType.vote, vote, 0, vote.length, this.#end.index);
  }

  durable(mark: number): void {
    this.onDurable(mark);
  }

  /** Frames up to `index` are committed: they become visible, and segments follow. */
  commit(index: number): void {
    const committed = this.#committed;
    while (committed.index < index) {
      const chunk = this.#chunkAtCommit();
      const at = committed.offset - chunk.start;
      this.#applyAt(chunk, at);
    }
    if (this.#pendingBytes() >= WRITE_BYTES) this.#startWriting();
  }

  /**
   * Takes a frame of the journal during recovery; everything durable of a lone voter is committed. Returns what is wrong
   * with it where it does not continue the log.
   */
  recover(bytes: Buffer, from: number, to: number): string | null {
    const index = frameIndex(bytes, from);
    if (index <= this.#end.index) return null;
    const fault = this.#chainFault(bytes, from);
    if (fault !== null) return fault;
    const length = to - from;
    if (frameSegment(bytes, from) !== this.#end.segment) this.#roll();
    const { bytes: target, at, chunk } = this.#place(length);
    bytes.copy(target, at, from, to);
    chunk.used += length;
    this.#advance(length, index, frameTerm(bytes, from), frameCrc(bytes, from));
    if (frameKindOf(bytes, from) === frameKind.events) {
      const slot = this.#slot(framePartition(bytes, from));
      this.#next[slot] = frameFirstSequence(bytes, from) + frameEventCount(bytes, from);
      this.#unsure.delete(slot);
    }
    this.commit(index);
    return null;
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

  /**
   * Takes note of damage that recovery met. What stood there is in no index; `unsure` are the slots of partitions whose
   * latest events may be among it.
   */
  quarantine(damage: readonly DamagedRange[], unsure: ReadonlySet<number>): void {
    this.damage.push(...damage);
    const last = [...damage].sort((a, b) => a.segment - b.segment || a.to - b.to).at(-1);
    if (last !== undefined) this.#hiddenUntil = { segment: last.segment, offset: last.to };
    for (const slot of unsure) this.#unsure.add(slot);
  }

  /** Whether `segment`:`offset` lies behind everything that damage hides: later frames are all known. */
  isBehindDamage(segment: number, offset: number): boolean {
    const until = this.#hiddenUntil;
    if (until === null || segment > until.segment) return true;
    return segment === until.segment && offset >= until.offset;
  }

  /** Whether damage hides frames that no index knows. */
  get hidesFrames(): boolean {
    return this.#hiddenUntil !== null;
  }

  /** Whether the partition's latest event is known. */
  isEndSure(partition: number): boolean {
    return !this.#unsure.has(this.#slot(partition));
  }

  noteDamage({ segment, offset, reason }: DamageError): void {
    if (this.damage.some((range) => range.segment === segment && range.from === offset)) return;
    this.damage.push({ segment, from: offset, to: offset + 1, reason });
  }

  /** What a checkpoint may say of this bucket now. */
  checkpoint(): BucketCheckpoint {
    return {
      bucket: this.bucket,
      replicaId: this.replicaId,
      groupId: this.groupId,
      term: this.term,
      votedForSelf: this.votedForSelf,
      end: this.#synced,
    };
  }

  /** Leaves the young index of the last segment for the next start, unless it knows less, or other things, than the files. */
  async leaveSnapshot(): Promise<void> {
    const last = this.young.at(-1);
    const end = this.#synced;
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
    const target = this.#committed.index;
    while (this.#written.index < target && !this.#stopped) {
      this.#startWriting();
      await this.#writing;
    }
    if (this.#stopped) return false;
    const written = this.#written;
    // A copy: a segment that is sealed meanwhile leaves the list, and must not make us pass over the one behind it.
    for (const segment of [...this.young]) await segment.sync();
    if (written.index > this.#synced.index) this.#synced = written;
    return true;
  }

  /** From now on a full disk is not waited for. What the segments lack is in the journal. */
  stopWaiting(): void {
    this.#waitsForSpace = false;
    this.#endPause?.();
  }

  async close(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
    for (const segment of [...this.young]) await segment.close();
  }

  get #headerBytes(): number {
    return segmentHeaderBytes(this.#next.length);
  }

  #slot(partition: number): number {
    return Math.floor(partition / this.#settings.bucketCount);
  }

  #place(length: number): FramePlace {
    const chunk = this.#tail.reserve(this.#end.segment, this.#end.offset, length);
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
        this.#unsure.has(slot) ? UNKNOWN_SEQUENCE : next,
      ),
    };
    this.young.push(new YoungSegment(this.#context.files, this.#context.folder, header, 0));
    this.#end.segment += 1;
    this.#end.offset = this.#headerBytes;
  }

  #chainFault(bytes: Buffer, at: number): string | null {
    if (frameIndex(bytes, at) !== this.#end.index + 1) {
      return `frame ${String(frameIndex(bytes, at))} follows frame ${String(this.#end.index)}`;
    }
    if (framePrevious(bytes, at) !== this.#end.crc) {
      return `frame ${String(frameIndex(bytes, at))} does not continue the chain of checksums`;
    }
    const segment = frameSegment(bytes, at);
    const offset = frameOffset(bytes, at);
    const here = segment === this.#end.segment && offset === this.#end.offset;
    const next = segment === this.#end.segment + 1 && offset === this.#headerBytes;
    return here || next ? null : `frame ${String(this.#end.index + 1)} stands in a wrong place`;
  }

  #chunkAtCommit(): Chunk {
    const committed = this.#committed;
    const chunk = this.#tail.find(committed.segment, committed.offset);
    if (chunk !== null) return chunk;
    committed.segment += 1;
    committed.offset = this.#headerBytes;
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
    this.onApplied(buffer, at, segment, offset);
  }

  #youngOf(segment: number): YoungSegment {
    const last = this.young.at(-1);
    if (last?.number === segment) return last;
    const found = this.young.find((candidate) => candidate.number === segment);
    assert(found !== undefined, 'the segment is young');
    return found;
  }

  #fileOf(segment: number): YoungSegment['cached'] {
    const young = this.young.find((candidate) => candidate.number === segment);
    return young?.cached ?? this.sealed.fileOf(segment);
  }

  #pendingBytes(): number {
    const { segment, offset } = this.#committed;
    if (segment !== this.#written.segment) return WRITE_BYTES;
    return offset - this.#written.offset;
  }

  #startWriting(): void {
    if (this.#writing !== null || this.#stopped) return;
    this.#writing = this.#writeCommitted()
      .catch((error: unknown) => {
        this.#stopped = true;
        if (this.#waitsForSpace || !isDiskFull(error)) this.#context.failed(error as Error);
      })
      .finally(() => {
        this.#writing = null;
      });
  }

  /** Moves everything committed by now from the tail into segment files, and seals those that have ended. */
  async #writeCommitted(): Promise<void> {
    const target: LogPosition = { ...this.#committed };
    for (const segment of [...this.young]) {
      if (segment.number > target.segment) break;
      const to = segment.number < target.segment ? (segment.end as number) : target.offset;
      await this.#writeSegment(segment, to);
      if (segment.end === to && !segment.damaged) await this.#seal(segment);
    }
    this.#written = target;
    this.#tail.release(target.segment, target.offset);
  }

  async #writeSegment(segment: YoungSegment, to: number): Promise<void> {
    for (const chunk of this.#tail.chunks.filter((part) => part.segment === segment.number)) {
      const from = Math.max(segment.written, chunk.start);
      const until = Math.min(to, chunk.start + chunk.used);
      if (from >= until) continue;
      const bytes = chunk.buffer.subarray(from - chunk.start, until - chunk.start);
      await this.#untilThereIsSpace(() => segment.write(bytes, from));
    }
  }

  /** A full disk loses nothing: the bytes are in memory and in the journal, and are written again as a whole. */
  async #untilThereIsSpace(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await write();
        return;
      } catch (error) {
        if (!isDiskFull(error) || !this.#waitsForSpace) throw error;
        this.#context.diskFull(true);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, FULL_DISK_RETRY_MS);
          this.#endPause = (): void => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  }

  /** Ends a segment: durable first, then its index files in the background; it stays young until they are there. */
  async #seal(segment: YoungSegment): Promise<void> {
    await segment.sync();
    if (segment.sealing) return;
    segment.sealing = true;
    this.sealed.seal(segment, (outcome) => {
      if (outcome === 'sealed') {
        this.young.splice(this.young.indexOf(segment), 1);
      } else {
        segment.damaged = true;
        if (outcome !== 'stopped') this.noteDamage(outcome);
      }
    });
  }
}
