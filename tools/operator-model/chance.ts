/** Reproducible luck of a model run. */
import { type Random, seededRandom } from '../../common/random.ts';

export class Chance {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** True in `percent` of 100 cases. */
  of(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  /** From 0 to `limit - 1`. */
  below(limit: number): number {
    return this.#random.below(limit);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#random.below(list.length)];
  }

  id(): string {
    const bytes = new Uint8Array(16);
    this.#random.fill(bytes);
    const hex = Buffer.from(bytes).toString('hex');
    return [
      [0, 8],
      [8, 12],
      [12, 16],
      [16, 20],
      [20, 32],
    ]
      .map(([from, to]) => hex.slice(from, to))
      .join('-');
  }
}
