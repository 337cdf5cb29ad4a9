/**
 * Which index is durable when the journal names a mark. Marks count what a log has sent to the journal, frames and votes; an
 * index may be sent again after a truncation, with another frame, and what was durable of the first says nothing of the
 * second.
 *
 * Invariant: within a run marks and indexes go up together; a vote or a truncation begins a new run.
 */
interface Run {
  /** From this mark on. */
  readonly firstMark: number;
  /** Mark less index. */
  readonly offset: number;
  /** What was durable before counts up to here only: the log was truncated to this index. */
  readonly cap: number;
}

export class DurableMarks {
  #last = 0;
  /** The latest mark that is durable. */
  #durable = 0;
  #beforeLap = 0;
  #runs: Run[] = [{ firstMark: 0, offset: 0, cap: Infinity }];

  /** Begins anew: everything up to `index` is durable. */
  reset(index: number): void {
    this.#runs = [{ firstMark: this.#last, offset: this.#last - index, cap: Infinity }];
    this.#durable = this.#last;
  }

  /** The mark of the next frame. */
  frame(): number {
    this.#last += 1;
    return this.#last;
  }

  /** The mark of a vote; `index` is the log's end. */
  vote(index: number): number {
    this.#last += 1;
    this.#runs.push({ firstMark: this.#last, offset: this.#last - index, cap: Infinity });
    return this.#last;
  }

  /** The log ends with `index` now. */
  truncate(index: number): void {
    this.#runs.push({ firstMark: this.#last + 1, offset: this.#last - index, cap: index });
    this.#beforeLap = Math.min(this.#beforeLap, index);
  }

  /** The journal begins a lap; what is durable now is in older ones. */
  lapBegins(): void {
    this.#beforeLap = this.index;
  }

  /** The index up to which the log is in the journal's older laps. */
  get beforeLap(): number {
    return this.#beforeLap;
  }

  /** Everything up to `mark` is durable; returns the index up to which the log is. */
  durable(mark: number): number {
    this.#durable = mark;
    return this.index;
  }

  /** The index up to which the log is durable. */
  get index(): number {
    while ((this.#runs[1]?.firstMark ?? Infinity) <= this.#durable) this.#runs.shift();
    const [run] = this.#runs;
    let index = this.#durable - (run as Run).offset;
    for (let i = 1; i < this.#runs.length; i += 1)
      index = Math.min(index, (this.#runs[i] as Run).cap);
    return index;
  }
}
