/** From this length on a list grows by a quarter: half of a large one lying idle would be most of the memory. */
const DOUBLES_UP_TO = 65_536;

/** A Uint32Array that grows. Index checks are the caller's. */
export class GrowableUint32 {
  #values: Uint32Array<ArrayBuffer>;
  length = 0;

  constructor(capacity = 4) {
    this.#values = new Uint32Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.#values.length) this.reserve(1);
    this.#values[this.length] = value;
    this.length += 1;
  }

  /** Makes room for `count` more values and returns where they start; the caller sets them. */
  extend(count: number): number {
    this.reserve(count);
    const start = this.length;
    this.length += count;
    return start;
  }

  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#values.length) return;
    const capacity = this.#values.length;
    const grown = capacity < DOUBLES_UP_TO ? 2 * capacity : Math.ceil(1.25 * capacity);
    const larger = new Uint32Array(Math.max(needed, grown, 4));
    larger.set(this.#values.subarray(0, this.length));
    this.#values = larger;
  }

  get(index: number): number {
    return this.#values[index] as number;
  }

  increment(index: number): void {
    this.#values[index] = (this.#values[index] as number) + 1;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  slice(from: number, to: number): Uint32Array<ArrayBuffer> {
    return this.#values.slice(from, to);
  }

  /** The values so far, without a copy. */
  get values(): Uint32Array {
    return this.#values.subarray(0, this.length);
  }

  /** A list that goes on behind `values`, which it keeps. */
  static from(values: Uint32Array<ArrayBuffer>): GrowableUint32 {
    const list = new GrowableUint32(0);
    list.#values = values;
    list.length = values.length;
    return list;
  }

  get capacityBytes(): number {
    return this.#values.byteLength;
  }
}
