/**
 * How much of all logs of a node may be uncommitted. Every checkpoint of the journal repeats those frames in one round, so
 * that older laps can be released; they must never outgrow a journal file, however long a majority is missing.
 *
 * A leader appends until a quarter of a file is uncommitted, a follower takes frames until three quarters are: what three
 * members have appended without hearing of each other fits all of them, or none could commit anything again. In a group of
 * one, frames count while they are on their way to the disk.
 */
export class UncommittedRoom {
  bytes = 0;
  readonly #journalFileBytes: number;

  constructor(journalFileBytes: number) {
    this.#journalFileBytes = journalFileBytes;
  }

  /** What a leader sends at once: a follower takes it as soon as half a file is free. */
  get batchBytes(): number {
    return this.#journalFileBytes / 4;
  }

  /** Whether a leader may append a frame of so many bytes; `append.max_bytes` is at most a quarter. */
  takesOwn(bytes: number): boolean {
    return this.bytes === 0 || this.bytes + bytes <= this.#journalFileBytes / 4;
  }

  /** Whether a follower may take so many bytes of a leader's frames. */
  takesSent(bytes: number): boolean {
    return this.bytes + bytes <= (3 * this.#journalFileBytes) / 4;
  }
}
