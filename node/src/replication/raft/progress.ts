/**
 * What a leader knows of one follower's log, and what it may send it. Pure.
 *
 * ```text
 *            agreed                      lacks what is only in segments
 *   probe ───────────▶ stream     probe ───────────────────────────────▶ copy
 *     ▲                   │         ▲                                      │
 *     └───────────────────┘         └──────────────────────────────────────┘
 *      rejected, or silent                     copied
 * ```
 *
 * - `probe`: where the logs agree is not known; one message at a time, without a promise that it fits.
 * - `stream`: they agree up to `match`; entries are sent ahead, a bounded number of messages.
 * - `copy`: segments are copied by the loop; nothing is sent here.
 */
export type ProgressState = 'probe' | 'stream' | 'copy';

/** Messages with entries that may be unanswered. More would only queue in front of the follower's disk. */
export const IN_FLIGHT_MAX = 2;

/** Heartbeats after which a copy of which nothing is heard is asked for again: the request or its answer may be lost. */
const COPY_BEATS = 20;

/** The same after one that has come to nothing. */
const COPY_AGAIN_BEATS = 5;

/** Heartbeats without an answer to entries after which they count as lost. A slow disk answers late, not never. */
const SILENT_BEATS = 10;

export class Progress {
  state: ProgressState = 'probe';
  /** Everything up to here is durable there and the same as here. */
  match = 0;
  /** The next entry to send. */
  next: number;
  /** Heard of since the last check of the quorum, and before that. */
  isActive = false;
  wasActive = false;
  /** The highest heartbeat round that it has answered. */
  round = 0;
  #inFlight = 0;
  /** Heartbeats answered since the oldest unanswered message was sent. */
  #beats = 0;

  constructor(next: number) {
    this.next = next;
  }

  get maySend(): boolean {
    if (this.state === 'copy') return false;
    return this.#inFlight < (this.state === 'probe' ? 1 : IN_FLIGHT_MAX);
  }

  /** It has answered a heartbeat while it copies. True when the copy should be asked for again; asking twice does no harm. */
  copyBeat(): boolean {
    if (this.state !== 'copy') return false;
    this.#beats = (this.#beats + 1) % COPY_BEATS;
    return this.#beats === 0;
  }

  /** It has answered a heartbeat. Messages that stay unanswered for long may have been lost on the way: they are sent again. */
  beat(): void {
    // Replies are not counted against messages here: one may come twice.
    const isWaiting = this.state === 'stream' ? this.next > this.match + 1 : this.#inFlight > 0;
    if (!isWaiting) return;
    this.#beats += 1;
    if (this.#beats < (this.state === 'probe' ? 1 : SILENT_BEATS)) return;
    this.#settle();
    if (this.state === 'stream') {
      this.state = 'probe';
      this.next = this.match + 1;
    }
  }

  /** It was not heard of for long: what it was sent is lost. Heard of again, it is asked at once where it is. */
  silent(): void {
    if (this.state === 'copy') return;
    this.#settle();
    this.state = 'probe';
    this.next = this.match + 1;
  }

  /** A message was sent; entries up to `last` were in it. */
  sent(last: number): void {
    this.#inFlight += 1;
    if (this.state === 'stream') this.next = last + 1;
  }

  /** The follower's log agrees up to `index`. True if that is news. */
  matched(index: number): boolean {
    this.#inFlight = Math.max(0, this.#inFlight - 1);
    this.#beats = 0;
    const isNews = index > this.match;
    this.match = Math.max(this.match, index);
    this.next = Math.max(this.next, this.match + 1);
    // One answer may be to two messages.
    if (this.next === this.match + 1) this.#inFlight = 0;
    if (this.state === 'probe') {
      this.state = 'stream';
      this.#settle();
    }
    return isNews;
  }

  /** Entry `index` did not fit; `guess` is where the logs may agree. False if that is old news. */
  rejected(index: number, guess: number): boolean {
    if (this.state === 'stream' ? !this.#lacks(index) : index !== this.next - 1) return false;
    this.state = 'probe';
    this.#settle();
    this.next = Math.max(this.match, Math.min(guess, index)) + 1;
    return true;
  }

  beginCopy(): void {
    this.state = 'copy';
    this.#settle();
  }

  /**
   * True if entries may follow at once. A copy that has come to nothing is asked for again after some heartbeats: at once
   * would be for ever where nobody can serve it.
   */
  endCopy(index: number | null): boolean {
    this.#settle();
    if (index === null) {
      this.#beats = COPY_BEATS - COPY_AGAIN_BEATS;
      return false;
    }
    const isNews = index > this.match;
    this.match = Math.max(this.match, index);
    this.state = 'probe';
    this.next = this.match + 1;
    return isNews;
  }

  /**
   * Whether entries behind `index` are missing there for certain. Those right behind `match` are, too: they came before the
   * ones in front of them, which have arrived since.
   */
  #lacks(index: number): boolean {
    return index > this.match || (index === this.match && this.next > index + 1);
  }

  #settle(): void {
    this.#inFlight = 0;
    this.#beats = 0;
  }
}
