/**
 * Short byte strings, numbered in the order in which they were added: open addressing in typed arrays, the bytes in one
 * slab. A `Map` with string keys costs three times as much per look-up, because the string has to be made and hashed
 * first, and 100 bytes more per key.
 *
 * Invariants: a key is in the table at most once; numbers are dense from 0 and never change. Nothing is ever removed:
 * whoever wants a bound starts a new table.
 */
import { hashLow } from '../storage/hash.ts';

const SLOTS_FIRST = 64;
const SLAB_FIRST_BYTES = 1024;

export class ByteKeyTable {
  /** Pairs (low half of the hash, number + 1); a second half of 0 is an empty slot. */
  #slots = new Uint32Array(2 * SLOTS_FIRST);
  #mask = SLOTS_FIRST - 1;
  /** Where each key ends in the slab; it begins where the one before ends. */
  #ends = new Uint32Array(SLOTS_FIRST);
  #slab = new Uint8Array(SLAB_FIRST_BYTES);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Whether a key with this hash may be here, so that {@link find} is worth its key. */
  mayHold(hash: number): boolean {
    const slots = this.#slots;
    const low = hashLow(hash);
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (slots[2 * slot + 1] === 0) return false;
      if (slots[2 * slot] === low) return true;
    }
  }

  /** The number of a key, or -1. `hash` is the key's `hashBytes`. */
  find(hash: number, key: Uint8Array): number {
    const slots = this.#slots;
    const low = hashLow(hash);
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const number = slots[2 * slot + 1] as number;
      if (number === 0) return -1;
      if (slots[2 * slot] === low && this.#holds(number - 1, key)) return number - 1;
    }
  }

  /** Adds a key that is not in the table; returns its number. */
  add(hash: number, key: Uint8Array): number {
    if (this.#size * 2 > this.#mask) this.#grow();
    const number = this.#size;
    const start = this.#startOf(number);
    this.#reserve(start + key.length);
    this.#slab.set(key, start);
    this.#ends[number] = start + key.length;
    this.#put(hashLow(hash), number + 1);
    this.#size = number + 1;
    return number;
  }

  /** A view of a key, valid until the next `add`. */
  keyOf(number: number): Uint8Array {
    return this.#slab.subarray(this.#startOf(number), this.#ends[number]);
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : (this.#ends[number - 1] as number);
  }

  #holds(number: number, key: Uint8Array): boolean {
    const start = this.#startOf(number);
    if ((this.#ends[number] as number) - start !== key.length) return false;
    for (let i = 0; i < key.length; i += 1) if (this.#slab[start + i] !== key[i]) return false;
    return true;
  }

  #put(low: number, stored: number): void {
    const slots = this.#slots;
    let slot = low & this.#mask;
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    slots[2 * slot] = low;
    slots[2 * slot + 1] = stored;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    this.#mask = old.length - 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] !== 0) this.#put(old[i] as number, old[i + 1] as number);
    }
    const ends = new Uint32Array(2 * this.#ends.length);
    ends.set(this.#ends);
    this.#ends = ends;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#slab.length) return;
    const larger = new Uint8Array(Math.max(bytes, 2 * this.#slab.length));
    larger.set(this.#slab);
    this.#slab = larger;
  }
}
