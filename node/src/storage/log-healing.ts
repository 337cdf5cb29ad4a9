/**
 * Puts whole segments, as another replica has them, in the place of a bucket's damaged ones while the log is in use.
 *
 * ```ts
 * for (const segment of log.healing.damaged) await log.healing.replace(segment, bytes, read);
 * await log.healing.finish();   // true: nothing is damaged any more, nothing is hidden
 * ```
 *
 * Invariants
 * - What is put in place is whole: every frame's checksum and place, the chain through all of them, from the segment before
 *   to the one behind, or to the last frame that this log has written. Whoever sent it.
 * - The damaged file stays until the one that replaces it is durable. A crash leaves the one or the other.
 * - Segments are replaced oldest first: a chain is anchored at its beginning.
 */
import type { BlockCache } from './block-cache.ts';
import type { BucketLog } from './bucket-log.ts';
import { DamageError } from './errors.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import {
  frameEventCount,
  frameFirstSequence,
  frameIndex,
  frameKind,
  frameKindOf,
  frameOffset,
  framePartition,
} from './frame-format.ts';
import type { LogPosition } from './journal-format.ts';
import { replacementFileName, segmentFileName } from './names.ts';
import {
  decodeSegmentHeader,
  type SegmentHeader,
  segmentHeaderBytes,
  UNKNOWN_SEQUENCE,
} from './segment-format.ts';
import { scanSegment } from './segment-scan.ts';
import type { SegmentWriting } from './segment-writing.ts';
import type { Tail } from './tail.ts';
import { YoungIndex } from './young-index.ts';
import { YoungSegment } from './young-segment.ts';

export interface LogHealingContext {
  readonly bucketCount: number;
  readonly files: FileSystem;
  readonly folder: string;
  readonly cache: BlockCache;
  /** The log's own, by slot: next sequences, counting every frame, and counting committed ones. */
  readonly next: number[];
  readonly appliedNext: number[];
  /** The disk failed where the log can no longer be written. */
  readonly failed: (error: Error) => void;
}

/** Reads a segment of another replica: the bytes `from` to `to` (exclusive), fewer where it has no more. */
export type ReadElsewhere = (from: number, to: number) => Promise<Buffer>;

/** Between two frames: the index of the one before, and its checksum. */
interface Link {
  readonly index: number;
  readonly crc: number;
}

const PIECE_BYTES = 1024 * 1024;

const lacksSequences = ({ nextSequences }: SegmentHeader): boolean =>
  nextSequences.includes(UNKNOWN_SEQUENCE);

export class LogHealing {
  readonly #log: BucketLog;
  readonly #tail: Tail;
  readonly #writing: SegmentWriting;
  readonly #context: LogHealingContext;
  /** What must not be left half done. */
  #pending: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(log: BucketLog, tail: Tail, writing: SegmentWriting, context: LogHealingContext) {
    this.#log = log;
    this.#tail = tail;
    this.#writing = writing;
    this.#context = context;
  }

  /** Numbers of segments that are to be replaced, oldest first. */
  get damaged(): number[] {
    const numbers = new Set(this.#log.damage.map(({ segment }) => segment));
    // A header that was written while damage hid the sequences is another one than the other replicas have.
    for (const { number, header, written } of this.#log.young) {
      if (written > 0 && lacksSequences(header)) numbers.add(number);
    }
    return [...numbers].sort((a, b) => a - b);
  }

  /** Bytes that this log has of a segment; null where a later one follows, and only another replica knows. */
  bytesOf(segment: number): number | null {
    const { written } = this.#writing;
    return segment === written.segment ? written.offset : null;
  }

  /**
   * Replaces a damaged segment by the `bytes` bytes that another replica has of it. Rejects, and leaves everything as it was,
   * where that is not what belongs there, does not answer, or the disk has no room.
   */
  async replace(segment: number, bytes: number, read: ReadElsewhere): Promise<void> {
    const { files, folder } = this.#context;
    const temporary = `${folder}/${replacementFileName(segment)}`;
    if (this.#closed) throw new Error('the log is closed');
    await files.remove(temporary);
    if (!this.#log.sealed.takesSpace(bytes))
      throw new Error('the disk has no room for another copy of it');
    const file = await files.open(temporary, 'create');
    try {
      const copied = await this.#copy(file, bytes, read);
      if (this.bytesOf(segment) === null && copied < bytes) throw endsEarly(segment);
      await this.#work(() =>
        this.bytesOf(segment) === null
          ? this.#replaceEnded(file, segment, bytes)
          : this.#writing.exclusively(() => this.#replaceLast(file, segment, copied)),
      );
    } finally {
      await file.close();
      await files.remove(temporary);
    }
  }

  /** Ends the quarantine where nothing is damaged any more; false: something is. */
  async finish(): Promise<boolean> {
    if (this.damaged.length > 0) return false;
    if (!this.#log.isEverySlotSure) await this.#work(() => this.#findSequences());
    // Readers may have met more of it meanwhile.
    if (this.damaged.length > 0) return false;
    this.#log.noLongerDamaged();
    return true;
  }

  /** Resolves when no file is being replaced, and none will be. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pending;
  }

  async #work(work: () => Promise<void>): Promise<void> {
    if (this.#closed) throw new Error('the log is closed');
    const working = work();
    this.#pending = working.catch(() => undefined);
    await working;
  }

  /** Returns how many bytes there were. */
  async #copy(file: FileHandle, bytes: number, read: ReadElsewhere): Promise<number> {
    for (let at = 0; at < bytes;) {
      const piece = await read(at, Math.min(bytes, at + PIECE_BYTES));
      if (this.#closed) throw new Error('the log is closed');
      if (piece.length === 0) return at;
      await file.write(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** A segment behind which another one begins. */
  async #replaceEnded(file: FileHandle, segment: number, bytes: number): Promise<void> {
    const { cache } = this.#context;
    await file.sync();
    const end = await this.#verified(file, segment, bytes, () => undefined);
    const behind = await this.#linkBehind(segment);
    if (behind !== null && (behind.index !== end.index || behind.crc !== end.crc)) {
      throw new DamageError(segment, bytes, 'does not end where the next segment begins');
    }
    const young = this.#log.young.find(({ number }) => number === segment);
    if (young?.sealing === true && !young.damaged) throw new Error('the segment is being sealed');
    // From here on nothing builds its index files but this.
    if (young !== undefined) young.sealing = young.damaged = true;
    await this.#putInPlace(segment);
    await this.#log.sealed.replaced(segment, bytes);
    if (young !== undefined) {
      this.#log.young.splice(this.#log.young.indexOf(young), 1);
      cache.forget(young.cached);
      await young.close();
    }
    this.#log.segmentHealed(segment);
  }

  /** The segment that is being written, while nothing is: behind `copied` bytes it goes on with its own. */
  async #replaceLast(file: FileHandle, segment: number, copied: number): Promise<void> {
    const { files, folder, cache } = this.#context;
    const end = this.#writing.written;
    const young = this.#log.young.find(({ number }) => number === segment);
    if (young === undefined || end.segment !== segment) throw new Error('the log has gone on');
    await copyOwn(young, file, copied, end.offset);
    await file.sync();
    const index = new YoungIndex();
    const found = await this.#verified(file, segment, end.offset, (bytes, at, offset) => {
      index.add(bytes, at, offset);
    });
    if (found.index !== end.index || found.crc !== end.crc) {
      throw new DamageError(segment, end.offset, 'ends in another frame than this log');
    }
    const header = await this.#headerOf(file, segment);
    await this.#putInPlace(segment);
    const whole = new YoungSegment(files, folder, header, end.offset, index);
    whole.end = young.end;
    this.#tail.eachAfter(end.index, (chunk, at) => {
      const isIn =
        chunk.segment === segment && frameIndex(chunk.buffer, at) <= this.#log.committedIndex;
      if (isIn) index.add(chunk.buffer, at, chunk.start + at);
    });
    this.#log.young[this.#log.young.indexOf(young)] = whole;
    this.#log.segmentHealed(segment);
    cache.forget(young.cached);
    await young.close();
  }

  /** Its last frame, once all of it is known to be what belongs at this place of this log. */
  async #verified(
    file: FileHandle,
    segment: number,
    bytes: number,
    visit: (bytes: Buffer, at: number, offset: number) => void,
  ): Promise<Link> {
    const header = await this.#headerOf(file, segment);
    const before = this.#linkBefore(segment);
    if (header.firstIndex !== before.index + 1 || header.previousCrc !== before.crc) {
      throw new DamageError(segment, 0, 'does not begin where the segment before it ends');
    }
    if (
      header.bucket !== this.#log.bucket ||
      Buffer.compare(header.groupId, this.#log.groupId) !== 0
    ) {
      throw new DamageError(segment, 0, 'is a segment of another group');
    }
    if (lacksSequences(header)) throw new DamageError(segment, 0, 'lacks sequences itself');
    const { lastIndex, lastCrc } = await scanSegment(file, segment, bytes, (frame, at, _, offset) =>
      visit(frame, at, offset),
    );
    return { index: lastIndex, crc: lastCrc };
  }

  async #headerOf(file: FileHandle, segment: number): Promise<SegmentHeader> {
    const bytes = Buffer.alloc(segmentHeaderBytes(this.#log.slots));
    await file.read(bytes, 0);
    const header = decodeSegmentHeader(bytes);
    if (typeof header === 'string') throw new DamageError(segment, 0, header);
    return header;
  }

  #linkBefore(segment: number): Link {
    if (segment === 0) return { index: 0, crc: 0 };
    const before = this.#log.sealed.find(segment - 1);
    if (before === undefined || this.damaged.includes(segment - 1)) {
      throw new Error(`segment ${String(segment - 1)} is not whole, or not sealed yet`);
    }
    const { lastIndex, lastCrc } = before.index.summary;
    return { index: lastIndex, crc: lastCrc };
  }

  /** Null where the next segment is damaged, too: it will have to continue this one. */
  async #linkBehind(segment: number): Promise<Link | null> {
    if (this.damaged.includes(segment + 1)) return null;
    const young = this.#log.young.find(({ number }) => number === segment + 1);
    const { firstIndex, previousCrc } = young?.header ?? (await this.#storedHeader(segment + 1));
    return { index: firstIndex - 1, crc: previousCrc };
  }

  async #storedHeader(segment: number): Promise<SegmentHeader> {
    const { files, folder } = this.#context;
    const file = await files.open(`${folder}/${segmentFileName(segment)}`, 'read');
    try {
      return await this.#headerOf(file, segment);
    } finally {
      await file.close();
    }
  }

  /** Once the name has changed, what is open is not what the name leads to: no way back. */
  async #putInPlace(segment: number): Promise<void> {
    const { files, folder, failed } = this.#context;
    const temporary = `${folder}/${replacementFileName(segment)}`;
    try {
      await files.rename(temporary, `${folder}/${segmentFileName(segment)}`);
      await files.syncDirectory(folder);
    } catch (error) {
      failed(error as Error);
      throw error;
    }
  }

  /** From the last segment that knows them, counting what follows. Only a log that nobody writes to lacks them. */
  async #findSequences(): Promise<void> {
    const end = this.#writing.written;
    let first = end.segment;
    let header = await this.#storedHeader(first);
    while (lacksSequences(header)) header = await this.#storedHeader((first -= 1));
    const applied = [...header.nextSequences];
    for (let segment = first; segment <= end.segment; segment += 1) {
      await this.#countSegment(segment, end, applied);
    }
    if (this.#writing.written.index !== end.index) throw new Error('the log has gone on');
    const next = this.#countTail(end.index, applied);
    this.#context.appliedNext.splice(0, applied.length, ...applied);
    this.#context.next.splice(0, next.length, ...next);
    for (const young of this.#log.young) {
      if (lacksSequences(young.header)) throw new Error('a segment lacks sequences');
    }
  }

  async #countSegment(segment: number, end: LogPosition, into: number[]): Promise<void> {
    const { files, folder } = this.#context;
    const young = this.#log.young.find(({ number }) => number === segment);
    const bytes =
      segment === end.segment
        ? end.offset
        : (young?.end ?? this.#log.sealed.fileOf(segment).length);
    const file = await files.open(`${folder}/${segmentFileName(segment)}`, 'read');
    try {
      await scanSegment(file, segment, bytes, (frame, at) => this.#count(frame, at, into));
    } finally {
      await file.close();
    }
  }

  /** Counts the committed frames in memory into `applied`; returns the same for all of them. */
  #countTail(after: number, applied: number[]): number[] {
    const next = [...applied];
    this.#tail.eachAfter(after, ({ buffer, segment }, at) => {
      const young = this.#log.young.find(({ number }) => number === segment);
      const begins = frameOffset(buffer, at) === this.#log.segmentHeaderBytes;
      if (begins && young?.written === 0) {
        young.header = { ...young.header, nextSequences: [...next] };
      }
      this.#count(buffer, at, next);
      if (frameIndex(buffer, at) <= this.#log.committedIndex) this.#count(buffer, at, applied);
    });
    return next;
  }

  #count(bytes: Buffer, at: number, into: number[]): void {
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    const slot = Math.floor(framePartition(bytes, at) / this.#context.bucketCount);
    into[slot] = frameFirstSequence(bytes, at) + frameEventCount(bytes, at);
  }
}

/** What other replicas have in memory only: they have it in their journals, and have not written it to the segment yet. */
async function copyOwn(
  young: YoungSegment,
  file: FileHandle,
  from: number,
  to: number,
): Promise<void> {
  for (let at = from; at < to;) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, to - at));
    const read = await young.cached.source.read(piece, at);
    if (read === 0) throw endsEarly(young.number);
    await file.write(piece.subarray(0, read), at);
    at += read;
  }
}

const endsEarly = (segment: number): DamageError => new DamageError(segment, 0, 'ends early');
