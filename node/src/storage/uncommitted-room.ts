/**
 * How much of all logs of a node may be uncommitted. Every checkpoint of the journal repeats those frames in one round, so
 * that older laps can be released; they must never outgrow a journal file, however long a majority is missing.
 *
 * Followers take frames until three quarters of a file are uncommitted; those who may lead share them, so that what all of them
 * have appended without hearing of each other fits everybody, or nobody could commit anything again. A frame larger than
 * a share is appended when there is nothing else. In a group of one, frames count while they are on their way to the disk.
 *
 * A frame for which there is no room claims the next turn, and others wait behind it, however small: a large one would never
 * find room otherwise. That goes on while something is committed; else, a majority is missing, and everybody is refused.
 */
const TURN_MS = 1000;

interface Turn extends PromiseWithResolvers<void> {
  readonly bytes: number;
  readonly timer: NodeJS.Timeout;
}

export class UncommittedRoom {
  /** How many members may lead a group that has a replica here. */
  leaders = 3;
  readonly #journalFileBytes: number;
  #bytes = 0;
  #turn: Turn | null = null;
  /** Nothing has been committed since a turn has not come. */
  #isStuck = false;

  constructor(journalFileBytes: number) {
    this.#journalFileBytes = journalFileBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  set bytes(bytes: number) {
    if (bytes < this.#bytes) this.#isStuck = false;
    this.#bytes = bytes;
    if (this.#turn !== null && this.takesOwn(this.#turn.bytes)) this.endTurn();
  }

  /** What a leader sends at once: a follower takes it as soon as half a file is free. */
  get batchBytes(): number {
    return this.#journalFileBytes / 4;
  }

  /** Whether a leader may append a frame of so many bytes; `append.max_bytes` is at most a quarter of a file. */
  takesOwn(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#shareBytes;
  }

  /** Whether a follower may take so many bytes of a leader's frames. */
  takesSent(bytes: number): boolean {
    return this.#bytes + bytes <= (3 * this.#journalFileBytes) / 4;
  }

  /**
   * Null where there is no need or no use to wait; otherwise resolves when this may be asked again. Who was first to find no room is
   * the first to be told.
   */
  wait(bytes: number): Promise<void> | null {
    if (this.#turn !== null) return this.#turn.promise;
    if (this.#isStuck || this.takesOwn(bytes)) return null;
    const timer = setTimeout(() => {
      this.#isStuck = true;
      this.endTurn();
    }, TURN_MS).unref();
    this.#turn = { ...Promise.withResolvers<void>(), bytes, timer };
    return this.#turn.promise;
  }

  endTurn(): void {
    if (this.#turn === null) return;
    clearTimeout(this.#turn.timer);
    this.#turn.resolve();
    this.#turn = null;
  }

  get #shareBytes(): number {
    return (3 * this.#journalFileBytes) / 4 / Math.max(3, this.leaders);
  }
}
