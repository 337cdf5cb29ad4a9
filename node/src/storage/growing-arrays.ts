/**
 * A Float64Array that doubles when it is full: what an index builder collects while it does not yet know how much.
 * Its counterpart for offsets and counts is `growable.ts`.
 */
export class NumberList {
  #values: Float64Array;
  length = 0;

  constructor(capacity = 1024) {
    this.#values = new Float64Array(capacity);
  }

  push(value: number): void {
    if (this.length === this.#values.length) {
      const grown = new Float64Array(2 * this.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  at(place: number): number {
    return this.#values[place] as number;
  }

  /** The values so far, without a copy. */
  get values(): Float64Array {
    return this.#values.subarray(0, this.length);
  }
}
