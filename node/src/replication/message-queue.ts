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

  /** The oldest messages back to back: as many as stay within `bytesMax`, and one more; in front of them is room. */
  take(bytesMax: number, headBytes = 0): { readonly bytes: Buffer; readonly count: number } {
    let count = 0;
    let length = 0;
    while (count < this.#messages.length && length < bytesMax) {
      length += (this.#messages[count] as Buffer).length;
      count += 1;
    }
    const bytes = Buffer.allocUnsafe(headBytes + length);
    let at = headBytes;
    for (const message of this.#messages.splice(0, count)) {
      bytes.set(message, at);
      at += message.length;
    }
    this.#bytes -= length;
    return { bytes, count };
  }

  clear(): void {
    this.#dropped += this.#messages.length;
    this.#messages = [];
    this.#bytes = 0;
  }
}
