import { GrowableUint32 } from './growable.ts';
import { NumberList } from './growing-arrays.ts';
import { hashBytes } from './hash.ts';

/**
 * The streams of a segment, numbered in order of first appearance. Names are compared byte by byte, so that two streams
 * with one hash stay two.
 *
 * Open addressing over a typed array, at most half full; no object per stream, because a segment has up to millions.
 */
export class StreamTable {
  readonly hashes: NumberList = new NumberList();
  readonly firstVersions: NumberList = new NumberList();
  readonly counts: GrowableUint32 = new GrowableUint32(1024);
  /** Where each name begins in the slab, and where the last one ends. */
  readonly #nameStarts = new GrowableUint32(1024);
  #names = Buffer.allocUnsafeSlow(65_536);
  #namesLength = 0;
  /** Stream number plus one; 0 is free. */
  #slots = new Uint32Array(4096);

  readonly #hash: typeof hashBytes;

  /** `hash` is replaced by tests, to make names collide. */
  constructor(hash: typeof hashBytes = hashBytes) {
    this.#hash = hash;
    this.#nameStarts.push(0);
  }

  get size(): number {
    return this.counts.length;
  }

  /**
   * Counts one event of the stream named `bytes[from..to)`. Returns the stream's number, or -1 if `version` does not
   * follow the stream's event before.
   */
  count(bytes: Uint8Array, from: number, to: number, version: number): number {
    const hash = this.#hash(bytes, from, to);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const stream = (this.#slots[slot] as number) - 1;
      if (stream < 0) return this.#add(slot, hash, bytes, from, to, version);
      if (this.#isNamed(stream, hash, bytes, from, to)) return this.#increment(stream, version);
      slot = (slot + 1) & mask;
    }
  }

  #increment(stream: number, version: number): number {
    if (version !== this.firstVersions.at(stream) + this.counts.get(stream)) return -1;
    this.counts.increment(stream);
    return stream;
  }

  #isNamed(stream: number, hash: number, bytes: Uint8Array, from: number, to: number): boolean {
    if (this.hashes.at(stream) !== hash) return false;
    const start = this.#nameStarts.get(stream);
    if (this.#nameStarts.get(stream + 1) - start !== to - from) return false;
    for (let i = 0; i < to - from; i += 1) {
      if (this.#names[start + i] !== bytes[from + i]) return false;
    }
    return true;
  }

  #add(
    slot: number,
    hash: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    version: number,
  ): number {
    const stream = this.size;
    this.hashes.push(hash);
    this.firstVersions.push(version);
    this.counts.push(1);
    this.#keepName(bytes, from, to);
    this.#slots[slot] = stream + 1;
    if (2 * this.size > this.#slots.length) this.#rehash();
    return stream;
  }

  #keepName(bytes: Uint8Array, from: number, to: number): void {
    const end = this.#namesLength + to - from;
    if (end > this.#names.length) {
      const grown = Buffer.allocUnsafeSlow(2 * this.#names.length);
      this.#names.copy(grown, 0, 0, this.#namesLength);
      this.#names = grown;
    }
    for (let i = from; i < to; i += 1)
      this.#names[this.#namesLength + i - from] = bytes[i] as number;
    this.#namesLength = end;
    this.#nameStarts.push(end);
  }

  #rehash(): void {
    const slots = new Uint32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let stream = 0; stream < this.size; stream += 1) {
      let slot = this.hashes.at(stream) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = stream + 1;
    }
    this.#slots = slots;
  }
}
