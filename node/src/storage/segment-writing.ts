/**
 * Moves a bucket's committed frames from memory into segment files, and seals segments that have ended.
 *
 * Invariants
 * - One writing loop per bucket touches its files; writes are positional and only ever extend a file.
 * - written ≤ committed. What is written is in the files, not yet durable; `synced` is.
 * - A full disk loses nothing and is waited for: the bytes are in memory and in the journal.
 */
import type { LogPosition } from './journal-format.ts';
import type { DamageError } from './errors.ts';
import type { SealedSegments } from './sealed-segments.ts';
import { isDiskFull } from './system-error.ts';
import type { Tail } from './tail.ts';
import type { YoungSegment } from './young-segment.ts';

/** Committed bytes that gather in memory before they are written to a segment. */
const WRITE_BYTES = 256 * 1024;
/** How long a full disk is left alone before the next attempt. */
const FULL_DISK_RETRY_MS = 200;

/** The log whose frames are written. */
export interface SegmentWritingContext {
  readonly tail: Tail;
  readonly young: YoungSegment[];
  readonly sealed: SealedSegments;
  readonly committed: () => LogPosition;
  /** Written bytes that stay in memory. */
  readonly retainBytes: () => number;
  /** Building a sealed segment's index files met damage. */
  readonly damaged: (error: DamageError) => void;
  /** A write or sync failed. */
  readonly failed: (error: Error) => void;
  /** The disk is full, or no longer. */
  readonly diskFull: (full: boolean) => void;
}

export class SegmentWriting {
  readonly #context: SegmentWritingContext;
  #written: LogPosition;
  #synced: LogPosition;
  #writing: Promise<void> | null = null;
  #stopped = false;
  #waitsForSpace = true;
  #endPause: (() => void) | null = null;

  /** Everything up to `start` is in synced segments. */
  constructor(context: SegmentWritingContext, start: LogPosition) {
    this.#context = context;
    this.#written = start;
    this.#synced = start;
  }

  get synced(): LogPosition {
    return this.#synced;
  }

  get written(): LogPosition {
    return this.#written;
  }

  /** Frames were committed: they are written when enough has gathered. */
  committed(): void {
    if (this.#pendingBytes() >= WRITE_BYTES) this.#start();
  }

  /**
   * Writes everything committed by now into segments and syncs them; false where it could not, because the log stops.
   * Rejects only if the disk failed.
   */
  async settle(): Promise<boolean> {
    const target = this.#context.committed().index;
    while (this.#written.index < target && !this.#stopped) {
      this.#start();
      await this.#writing;
    }
    if (this.#stopped) return false;
    const written = this.#written;
    // A copy: a segment that is sealed meanwhile leaves the list, and must not make us pass over the one behind it.
    for (const segment of [...this.#context.young]) await segment.sync();
    if (written.index > this.#synced.index) this.#synced = written;
    return true;
  }

  /** From now on a full disk is not waited for. What the segments lack is in the journal. */
  stopWaiting(): void {
    this.#waitsForSpace = false;
    this.#endPause?.();
  }

  /** Does `work` while nothing is written. Rejects as it does. */
  async exclusively(work: () => Promise<void>): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (this.#stopped) throw new Error('the log has stopped');
    const done = work();
    this.#writing = done
      .catch(() => undefined)
      .finally(() => {
        this.#writing = null;
        this.committed();
      });
    await done;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  #pendingBytes(): number {
    const { segment, offset } = this.#context.committed();
    if (segment !== this.#written.segment) return WRITE_BYTES;
    return offset - this.#written.offset;
  }

  #start(): void {
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
    const { young, tail, committed, retainBytes } = this.#context;
    const target: LogPosition = { ...committed() };
    for (const segment of [...young]) {
      if (segment.number > target.segment) break;
      const to = segment.number < target.segment ? (segment.end as number) : target.offset;
      await this.#writeSegment(segment, to);
      // A segment has ended when a frame behind it is committed: until then that frame may still be replaced by one in here.
      if (segment.number < target.segment && !segment.damaged) await this.#seal(segment);
    }
    this.#written = target;
    tail.release(target.segment, target.offset, retainBytes());
  }

  async #writeSegment(segment: YoungSegment, to: number): Promise<void> {
    const { chunks } = this.#context.tail;
    for (const chunk of chunks.filter((part) => part.segment === segment.number)) {
      const from = Math.max(segment.written, chunk.start);
      const until = Math.min(to, chunk.start + chunk.used);
      if (from >= until) continue;
      const bytes = chunk.buffer.subarray(from - chunk.start, until - chunk.start);
      await this.#untilThereIsSpace(() => segment.write(bytes, from));
    }
  }

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
    const { young, sealed, damaged } = this.#context;
    sealed.seal(segment, (outcome) => {
      if (outcome === 'sealed') {
        young.splice(young.indexOf(segment), 1);
      } else {
        segment.damaged = true;
        if (outcome !== 'stopped') damaged(outcome);
      }
    });
  }
}
