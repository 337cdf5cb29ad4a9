import { defaultPartitionKey } from '../../../common/ids.ts';

/**
 * Remembers the default partition keys of streams used lately, because deriving one costs 2 µs, as much as the rest of
 * an append's parsing.
 *
 * Invariants: at most `2 * generationMax` keys are held; a key is a pure function of the stream id, so forgetting one
 * costs time and nothing else.
 */
export class DefaultKeys {
  readonly #generationMax: number;
  #young = new Map<string, Buffer>();
  #old = new Map<string, Buffer>();

  /** `generationMax`: keys per generation; when the young one is full, the old one is forgotten. */
  constructor(generationMax = 131_072) {
    this.#generationMax = generationMax;
  }

  /** The default key of `streamId`: 16 bytes that the caller must not change. */
  of(streamId: Buffer): Buffer {
    const name = streamId.toString('latin1');
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const key = this.#old.get(name) ?? defaultPartitionKey(streamId);
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, key);
    return key;
  }

  /** Keys held now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
