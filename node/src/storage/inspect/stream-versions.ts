import { crc32c } from '../crc.ts';
import { hashBytes } from '../hash.ts';

/**
 * The next version of every stream of a bucket, to see that versions have no gaps. A stream is told by 85 bits of hashes
 * of its id: 40 bytes per stream instead of an object, and no two streams of any real bucket share them.
 */
export class StreamVersions {
  /** Hash plus one; 0 is a free slot. */
  #hashes = new Float64Array(1024);
  #checks = new Uint32Array(1024);
  #next = new Float64Array(1024);
  #count = 0;

  /** Takes in a version of the stream named `bytes[from..to)`; returns the one that was expected. */
  take(bytes: Uint8Array, from: number, to: number, version: number): number {
    const key = hashBytes(bytes, from, to) + 1;
    const check = crc32c(bytes.subarray(from, to));
    const slot = this.#slot(key, check);
    const expected = this.#next[slot] as number;
    this.#next[slot] = version + 1;
    if (this.#hashes[slot] === 0) {
      this.#hashes[slot] = key;
      this.#checks[slot] = check;
      this.#count += 1;
      if (2 * this.#count > this.#hashes.length) this.#grow();
    }
    return expected;
  }

  #slot(key: number, check: number): number {
    const mask = this.#hashes.length - 1;
    let slot = key & mask;
    while (this.#hashes[slot] !== 0) {
      if (this.#hashes[slot] === key && this.#checks[slot] === check) return slot;
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [hashes, checks, next] = [this.#hashes, this.#checks, this.#next];
    this.#hashes = new Float64Array(2 * hashes.length);
    this.#checks = new Uint32Array(2 * hashes.length);
    this.#next = new Float64Array(2 * hashes.length);
    for (let i = 0; i < hashes.length; i += 1) {
      if (hashes[i] === 0) continue;
      const slot = this.#slot(hashes[i] as number, checks[i] as number);
      this.#hashes[slot] = hashes[i] as number;
      this.#checks[slot] = checks[i] as number;
      this.#next[slot] = next[i] as number;
    }
  }
}
