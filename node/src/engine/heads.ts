/**
 * The latest state of streams, as far as it is in memory: what the next append to a stream is decided by.
 *
 * Invariants
 * - A stream has at most one head at a time. `version` counts events in flight, `appliedVersion` does not.
 * - A head that something still depends on (a frame in flight, a request that waits) is not dropped.
 * - Memory is bounded: two generations of at most `max` heads; a full young generation becomes the old one, and what was
 *   not used meanwhile is forgotten. So the `max` streams used last are always there. Costs one Map look-up for a hot stream and no moves.
 */
export interface Head {
  /** -1: no events. */
  version: number;
  appliedVersion: number;
  /** {@link keyText} of the stream's partition key; null while the stream has no events. */
  partitionKey: string | null;
  /** The key as of what is applied. */
  appliedPartitionKey: string | null;
  /** Index of the latest frame that touches the stream, 0 if that was before this start. */
  lastIndex: number;
  /** Requests that have looked at this head and are not decided yet. */
  pins: number;
}

export class Heads {
  readonly #generationMax: number;
  readonly #appliedIndex: () => number;
  #young = new Map<string, Head>();
  #old = new Map<string, Head>();

  constructor(max: number, appliedIndex: () => number) {
    this.#generationMax = Math.max(16, max);
    this.#appliedIndex = appliedIndex;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): Head | undefined {
    const head = this.#young.get(key);
    if (head !== undefined) return head;
    const older = this.#old.get(key);
    if (older === undefined) return undefined;
    this.#old.delete(key);
    this.#put(key, older);
    return older;
  }

  add(key: string, version: number, partitionKey: string | null): Head {
    const head: Head = {
      version,
      appliedVersion: version,
      partitionKey,
      appliedPartitionKey: partitionKey,
      lastIndex: 0,
      pins: 0,
    };
    this.#put(key, head);
    return head;
  }

  #put(key: string, head: Head): void {
    if (this.#young.size >= this.#generationMax) this.#turn();
    this.#young.set(key, head);
  }

  #turn(): void {
    const applied = this.#appliedIndex();
    const old = this.#old;
    this.#old = this.#young;
    this.#young = new Map();
    for (const [key, head] of old) {
      if (head.pins > 0 || head.lastIndex > applied) this.#young.set(key, head);
    }
  }
}

/**
 * Bytes as a string, one character each: the key under which a stream's head is kept, and the form in which it keeps a
 * partition key. A string of 16 characters takes a quarter of the memory of a Buffer of 16 bytes.
 */
export const keyText = (streamId: Uint8Array): string =>
  Buffer.isBuffer(streamId)
    ? streamId.toString('latin1')
    : Buffer.from(streamId.buffer, streamId.byteOffset, streamId.byteLength).toString('latin1');
