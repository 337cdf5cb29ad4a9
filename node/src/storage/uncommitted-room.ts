/**
 * How much of all logs of a node may be uncommitted. Every checkpoint of the journal repeats those frames in one round, so
 * that older laps can be released; they must never outgrow a journal file, however long a majority is missing.
 *
 * A leader appends while at most a quarter of a file is uncommitted, a follower takes frames while at most half is. What is
 * taken then is at most another quarter (`append.max_bytes`): together three quarters. In a group of one, frames count while
 * they are on their way to the disk.
 */
export class UncommittedRoom {
  bytes = 0;
  readonly #journalFileBytes: number;

  constructor(journalFileBytes: number) {
    this.#journalFileBytes = journalFileBytes;
  }

  /** Whether a leader may append. */
  get takesOwn(): boolean {
    return this.bytes <= this.#journalFileBytes / 4;
  }

  /** Whether a follower may take a leader's frames. */
  get takesSent(): boolean {
    return this.bytes <= this.#journalFileBytes / 2;
  }
}
