import { defaultPartitionKey, UUID_BYTES } from '../../../common/ids.ts';

/**
 * Remembers the default partition keys of streams used lately, because deriving one costs 2 µs, as much as the rest of
 * an append's parsing.
 *
 * Invariants: at most `2 * generationMax` keys are held, as 16 bytes each in a slab (a Buffer per key would take ten
 * times as much); a key is a pure function of the stream id, so forgetting one costs time and nothing else.
 */
export class DefaultKeys {
  readonly #generationMax: number;
  #young: Generation;
  #old: Generation;

  /** `generationMax`: keys per generation; when the young one is full, the old one is forgotten. */
  constructor(generationMax = 131_072) {
    this.#generationMax = generationMax;
    this.#young = new Generation(generationMax);
    this.#old = new Generation(0);
  }

  /** The default key of `streamId`: 16 bytes that the caller must not change, nor keep for longer than a request. */
  of(streamId: Buffer): Buffer {
    const name = streamId.toString('latin1');
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const key = this.#old.get(name) ?? defaultPartitionKey(streamId);
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Generation(this.#generationMax);
    }
    this.#young.add(name, key);
    return key;
  }

  /** Keys held now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

class Generation {
  readonly #slots = new Map<string, number>();
  readonly #slab: Buffer;

  constructor(max: number) {
    this.#slab = Buffer.allocUnsafeSlow(max * UUID_BYTES);
  }

  get size(): number {
    return this.#slots.size;
  }

  get(name: string): Buffer | undefined {
    const slot = this.#slots.get(name);
    return slot === undefined ? undefined : this.#slab.subarray(slot, slot + UUID_BYTES);
  }

  add(name: string, key: Buffer): void {
    const slot = this.#slots.size * UUID_BYTES;
    key.copy(this.#slab, slot);
    this.#slots.set(name, slot);
  }
}
