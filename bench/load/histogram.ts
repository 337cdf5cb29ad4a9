/**
 * Latencies in buckets of fixed relative width: whole microseconds up to 64, then 32 buckets per power of two, so a
 * quantile is at most 3 % off. Recording allocates nothing.
 */
import { assert } from '../../common/assert.ts';

const LINEAR = 64;
const LINEAR_BITS = 6;
const PER_OCTAVE_BITS = 5;
const PER_OCTAVE = 1 << PER_OCTAVE_BITS;
const OCTAVES = 31 - LINEAR_BITS;
const MICROSECONDS_MAX = 2 ** 31 - 1;

function bucketOf(microseconds: number): number {
  if (microseconds < LINEAR) return microseconds;
  const octave = 31 - Math.clz32(microseconds);
  const within = (microseconds >>> (octave - PER_OCTAVE_BITS)) & (PER_OCTAVE - 1);
  return LINEAR + (octave - LINEAR_BITS) * PER_OCTAVE + within;
}

/** The first value of a bucket, in microseconds. */
function floorOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const octave = LINEAR_BITS + Math.floor((bucket - LINEAR) / PER_OCTAVE);
  const within = (bucket - LINEAR) % PER_OCTAVE;
  return 2 ** octave + within * 2 ** (octave - PER_OCTAVE_BITS);
}

/** In milliseconds. */
export interface Latencies {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class Histogram {
  readonly #counts = new Float64Array(LINEAR + OCTAVES * PER_OCTAVE);
  #count = 0;
  #sum = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** In milliseconds; 0 when nothing was recorded. */
  get mean(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** In milliseconds. */
  get max(): number {
    return this.#max;
  }

  get summary(): Latencies {
    return {
      mean: this.mean,
      p50: this.quantile(0.5),
      p99: this.quantile(0.99),
      max: this.#max,
    };
  }

  record(milliseconds: number): void {
    const bucket = bucketOf(Math.min(MICROSECONDS_MAX, Math.max(0, milliseconds * 1000)) | 0);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count += 1;
    this.#sum += milliseconds;
    if (milliseconds > this.#max) this.#max = milliseconds;
  }

  /** The latency in milliseconds that `share` (0 to 1) of the recorded ones do not exceed; 0 when there are none. */
  quantile(share: number): number {
    assert(share >= 0 && share <= 1, 'a quantile is between 0 and 1');
    const rank = share * this.#count;
    let below = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      const inside = this.#counts[bucket] as number;
      if (inside > 0 && below + inside >= rank) {
        const floor = floorOf(bucket);
        const width = floorOf(bucket + 1) - floor;
        return Math.min(this.#max, (floor + (width * (rank - below)) / inside) / 1000);
      }
      below += inside;
    }
    return this.#max;
  }
}
