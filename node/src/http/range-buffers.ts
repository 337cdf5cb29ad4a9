/**
 * Memory for pieces of segments on their way to other members: used again while somebody copies, given up soon afterwards. A fresh
 * buffer for each piece would be most of what sending one costs.
 */

/** A member copies two logs at a time, and asks for the next piece while it takes one. */
const KEPT_MAX = 4;
const KEPT_MS = 5000;

export class RangeBuffers {
  readonly #bytes: number;
  readonly #kept: Buffer[] = [];
  #isForgetting = false;

  /** `bytes`: of longer pieces none is kept. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** At least `length` bytes, with anything in them. */
  take(length: number): Buffer {
    if (length > this.#bytes) return Buffer.allocUnsafeSlow(length);
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
  }

  /** Of one that nobody reads any more. */
  giveBack(buffer: Buffer): void {
    if (buffer.length !== this.#bytes || this.#kept.length === KEPT_MAX) return;
    this.#kept.push(buffer);
    if (this.#isForgetting) return;
    this.#isForgetting = true;
    setTimeout(() => {
      this.#isForgetting = false;
      this.#kept.length = 0;
    }, KEPT_MS).unref();
  }
}
