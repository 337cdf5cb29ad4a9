/** Reads that wait until a majority has confirmed the leader since they were asked; in the order of their rounds. */
export interface WaitingRead {
  readonly id: number;
  /** The answer: everything up to here must be applied. */
  readonly index: number;
  /** Confirmed by answers to this heartbeat or a later one. */
  readonly round: number;
}

export class WaitingReads {
  readonly #reads: WaitingRead[] = [];

  get isEmpty(): boolean {
    return this.#reads.length === 0;
  }

  add(read: WaitingRead): void {
    this.#reads.push(read);
  }

  takeConfirmed(round: number): WaitingRead[] {
    let count = 0;
    while (count < this.#reads.length && (this.#reads[count] as WaitingRead).round <= round) {
      count += 1;
    }
    return this.#reads.splice(0, count);
  }

  takeAll(): WaitingRead[] {
    return this.#reads.splice(0);
  }
}
