/**
 * Messages that wait for one peer: bounded, the oldest give way. Raft repeats what is lost, so what is newer is worth more.
 */
export class MessageQueue {
  readonly #bytesMax: number;
  #messages: Buffer[] = [];
  #bytes = 0;
  #dropped = 0;

  /** One message is always taken, however large. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  /** Messages that were given up for room. */
  get dropped(): number {
    return this.#dropped;
  }

  add(message: Buffer): void {
    this.#messages.push(message);
    this.#bytes += message.length;
    let over = 0;
    while (this.#bytes > this.#bytesMax && over < this.#messages.length - 1) {
      this.#bytes -= (this.#messages[over] as Buffer).length;
      over += 1;
    }
    if (over === 0) return;
    this.#messages.splice(0, over);
    this.#dropped += over;
  }

  /** The oldest messages back to back: as many as stay within `bytesMax`, and one more. */
  take(bytesMax: number): { readonly body: Buffer; readonly count: number } {
    let count = 0;
    let bytes = 0;
    while (count < this.#messages.length && bytes < bytesMax) {
      bytes += (this.#messages[count] as Buffer).length;
      count += 1;
    }
    const taken = this.#messages.splice(0, count);
    this.#bytes -= bytes;
    return { body: count === 1 ? (taken[0] as Buffer) : Buffer.concat(taken, bytes), count };
  }

  clear(): void {
    this.#dropped += this.#messages.length;
    this.#messages = [];
    this.#bytes = 0;
  }
}
