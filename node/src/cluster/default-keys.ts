import { defaultPartitionKey, UUID_BYTES } from '../../../common/ids.ts';
import { ByteKeyTable } from '../engine/byte-key-table.ts';
import { STREAM_ID_BYTES_MAX } from '../storage/frame-format.ts';
import { hashBytes } from '../storage/hash.ts';

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
    // No stream: refused further on. It must not take room here.
    if (streamId.length > STREAM_ID_BYTES_MAX) return defaultPartitionKey(streamId);
    const hash = hashBytes(streamId, 0, streamId.length);
    const young = this.#young.get(hash, streamId);
    if (young !== undefined) return young;
    const key = this.#old.get(hash, streamId) ?? defaultPartitionKey(streamId);
    if (this.#young.size >= this.#generationMax) {
      this.#old = this.#young;
      this.#young = new Generation(this.#generationMax);
    }
    this.#young.add(hash, streamId, key);
    return key;
  }

  /** Keys held now. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}

class Generation {
  readonly #streams = new ByteKeyTable();
  readonly #keys: Buffer;

  constructor(max: number) {
    this.#keys = Buffer.allocUnsafeSlow(max * UUID_BYTES);
  }

  get size(): number {
    return this.#streams.size;
  }

  get(hash: number, streamId: Buffer): Buffer | undefined {
    const number = this.#streams.find(hash, streamId);
    if (number < 0) return undefined;
    return this.#keys.subarray(number * UUID_BYTES, (number + 1) * UUID_BYTES);
  }

  add(hash: number, streamId: Buffer, key: Buffer): void {
    key.copy(this.#keys, this.#streams.add(hash, streamId) * UUID_BYTES);
  }
}
