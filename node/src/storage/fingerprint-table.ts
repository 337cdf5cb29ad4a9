/**
 * Open addressing from a 32-bit fingerprint to 32-bit values, several per fingerprint, in typed arrays: 8 bytes a slot,
 * no objects for the collector. Split into 16 shards by the fingerprint's high bits, so that growing rehashes one
 * sixteenth at a time (a table of 700,000 entries would otherwise pause for tens of milliseconds).
 *
 * A fingerprint is not an identity: callers compare what they find with the key itself.
 */
import { listWords, type WordReader } from './words.ts';

const SHARD_BITS = 4;
const SHARD_SLOTS = 16;

export class FingerprintTable {
  #shards: Shard[] = Array.from({ length: 1 << SHARD_BITS }, () => new Shard());

  /** Its words, not copied; {@link decode} makes the same table of them. */
  encode(): Uint32Array[] {
    return this.#shards.flatMap((shard) => shard.encode());
  }

  static decode(words: WordReader): FingerprintTable {
    const table = new FingerprintTable();
    table.#shards = table.#shards.map(() => Shard.decode(words));
    return table;
  }

  add(fingerprint: number, value: number): void {
    this.#shard(fingerprint).add(fingerprint >>> 0, value);
  }

  /**
   * The first value under `fingerprint`, or -1. `place` continues a search: pass -1 first, then {@link place} of the
   * table after each hit.
   */
  find(fingerprint: number, place: number): number {
    const shard = this.#shard(fingerprint);
    const value = shard.find(fingerprint >>> 0, place);
    this.place = shard.place;
    return value;
  }

  /** Where the last hit of {@link find} stands. */
  place = -1;

  get bytes(): number {
    return this.#shards.reduce((sum, shard) => sum + shard.bytes, 0);
  }

  #shard(fingerprint: number): Shard {
    return this.#shards[fingerprint >>> (32 - SHARD_BITS)] as Shard;
  }
}

class Shard {
  /** Pairs (fingerprint, value + 1); a second half of 0 is an empty slot. */
  #slots = new Uint32Array(2 * SHARD_SLOTS);
  #mask = SHARD_SLOTS - 1;
  #count = 0;
  place = -1;

  get bytes(): number {
    return this.#slots.byteLength;
  }

  encode(): Uint32Array[] {
    return [Uint32Array.of(this.#count), ...listWords(this.#slots)];
  }

  static decode(words: WordReader): Shard {
    const shard = new Shard();
    shard.#count = words.next();
    shard.#slots = words.nextList();
    shard.#mask = shard.#slots.length / 2 - 1;
    return shard;
  }

  add(fingerprint: number, value: number): void {
    if (this.#count * 10 > (this.#mask + 1) * 7) this.#grow();
    this.#put(fingerprint, value + 1);
    this.#count += 1;
  }

  find(fingerprint: number, place: number): number {
    const slots = this.#slots;
    let slot =
      place < 0 ? Math.imul(fingerprint, 0x9e3779b1) & this.#mask : (place + 1) & this.#mask;
    for (;;) {
      const value = slots[2 * slot + 1] as number;
      if (value === 0) return -1;
      if (slots[2 * slot] === fingerprint) {
        this.place = slot;
        return value - 1;
      }
      slot = (slot + 1) & this.#mask;
    }
  }

  #put(fingerprint: number, stored: number): void {
    const slots = this.#slots;
    let slot = Math.imul(fingerprint, 0x9e3779b1) & this.#mask;
    while (slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    slots[2 * slot] = fingerprint;
    slots[2 * slot + 1] = stored;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    this.#mask = old.length - 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] !== 0) this.#put(old[i] as number, old[i + 1] as number);
    }
  }
}
