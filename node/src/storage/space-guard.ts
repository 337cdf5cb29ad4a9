/**
 * Refuses appends before the disk is full. Free space is asked for now and then; in between, what is appended is
 * subtracted, so that the answer is at hand in the middle of an append.
 *
 * Invariant: while `full`, nothing but leaders' and configuration entries is written, and the reserve is kept for them.
 */
import type { FileSystem } from './file-system.ts';

const REFRESH_MS = 1000;
/** Segments, their index files and a margin, per byte of a frame. */
const BYTES_PER_FRAME_BYTE = 1.25;

export class SpaceGuard {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #reserveBytes: number;
  #budgetBytes = Infinity;
  #writesFail = false;
  #refreshing: Promise<void> | null = null;
  readonly #timer: NodeJS.Timeout;

  constructor(files: FileSystem, directory: string, reserveBytes: number) {
    this.#files = files;
    this.#directory = directory;
    this.#reserveBytes = reserveBytes;
    this.#timer = setInterval(() => void this.refresh(), REFRESH_MS);
    this.#timer.unref();
  }

  get full(): boolean {
    return this.#writesFail || this.#budgetBytes <= 0;
  }

  /** Whether a frame of `bytes` may be appended; counts it if so. */
  take(bytes: number): boolean {
    if (this.#writesFail || this.#budgetBytes < bytes * BYTES_PER_FRAME_BYTE) {
      void this.refresh();
      return false;
    }
    this.#budgetBytes -= bytes * BYTES_PER_FRAME_BYTE;
    return true;
  }

  /** A segment could not be written for want of space. */
  noteFull(): void {
    this.#writesFail = true;
  }

  /** Asks the disk again. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#files
      .space(this.#directory)
      .then(({ freeBytes }) => {
        this.#budgetBytes = freeBytes - this.#reserveBytes;
        if (this.#budgetBytes > 0) this.#writesFail = false;
      })
      .catch(() => undefined)
      .finally(() => {
        this.#refreshing = null;
      });
    return this.#refreshing;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
