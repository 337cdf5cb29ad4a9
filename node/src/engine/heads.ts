/**
 * The latest state of streams, as far as it is in memory: what the next append to a stream is decided by.
 *
 * Invariants
 * - A stream has at most one head at a time. `version` counts events in flight, `appliedVersion` does not.
 * - A head that something still depends on (a frame in flight, a request that waits) is not dropped.
 * - Memory is bounded: two generations of at most `max` heads; a full young generation becomes the old one, and what was
 *   not used meanwhile is forgotten. So the `max` streams used last are always there.
 */
import { UUID_BYTES } from '../../../common/ids.ts';
import {
  eventLength,
  eventStreamIdLength,
  eventVersion,
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameEventCount,
  frameIndex,
} from '../storage/frame-format.ts';
import { hashBytes } from '../storage/hash.ts';
import { ByteKeyTable } from './byte-key-table.ts';

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

interface Generation {
  readonly streams: ByteKeyTable;
  /** By number of the stream; null where the head has moved to the young generation. */
  readonly heads: (Head | null)[];
}

export class Heads {
  readonly #generationMax: number;
  readonly #appliedIndex: () => number;
  #young = newGeneration();
  #old = newGeneration();
  #age = 0;

  constructor(max: number, appliedIndex: () => number) {
    this.#generationMax = Math.max(16, max);
    this.#appliedIndex = appliedIndex;
  }

  get size(): number {
    return this.#young.heads.length + this.#old.heads.length;
  }

  /** Rises when all heads are forgotten: what was looked up before is not to be added. */
  get age(): number {
    return this.#age;
  }

  /** Forgets all of them: damage that hid events is gone. Nothing is in flight then, a damaged bucket takes no appends. */
  forget(): void {
    this.#young = newGeneration();
    this.#old = newGeneration();
    this.#age += 1;
  }

  /** `hash` is the stream id's {@link hashBytes}. */
  get(hash: number, streamId: Uint8Array): Head | undefined {
    const young = this.#young.streams.find(hash, streamId);
    if (young >= 0) return this.#young.heads[young] as Head;
    const old = this.#old.streams.find(hash, streamId);
    if (old < 0) return undefined;
    const head = this.#old.heads[old];
    if (head === null || head === undefined) return undefined;
    this.#old.heads[old] = null;
    this.#put(hash, streamId, head);
    return head;
  }

  /** Adds a head for a stream that has none here. */
  add(hash: number, streamId: Uint8Array, version: number, partitionKey: string | null): Head {
    const head: Head = {
      version,
      appliedVersion: version,
      partitionKey,
      appliedPartitionKey: partitionKey,
      lastIndex: 0,
      pins: 0,
    };
    this.#put(hash, streamId, head);
    return head;
  }

  /**
   * The frame at `bytes[at]` was applied that another leader has made, or this one before it lost its place. A head that is
   * just being read from the disk is known from here: what was read may be older; null: none is. A follower looks at every
   * event in this way, and seldom has a head for it: nothing is made of one's bytes that is not needed.
   */
  follow(bytes: Buffer, at: number, isBeingRead: ((streamId: Uint8Array) => boolean) | null): void {
    const count = frameEventCount(bytes, at);
    let event = at + FRAME_EVENTS_OFFSET;
    for (let i = 0; i < count; i += 1) {
      const idAt = event + EVENT_HEADER_BYTES;
      const idEnd = idAt + eventStreamIdLength(bytes, event);
      const hash = hashBytes(bytes, idAt, idEnd);
      if (isBeingRead !== null || this.#mayHold(hash)) {
        this.#followEvent(bytes, at, event, hash, isBeingRead);
      }
      event += eventLength(bytes, event);
    }
  }

  #mayHold(hash: number): boolean {
    return this.#young.streams.mayHold(hash) || this.#old.streams.mayHold(hash);
  }

  #followEvent(
    bytes: Buffer,
    frame: number,
    event: number,
    hash: number,
    isBeingRead: ((streamId: Uint8Array) => boolean) | null,
  ): void {
    const idAt = event + EVENT_HEADER_BYTES;
    const streamId = bytes.subarray(idAt, idAt + eventStreamIdLength(bytes, event));
    const known = this.get(hash, streamId);
    if (known === undefined && isBeingRead?.(streamId) !== true) return;
    const keyAt = frame + FRAME_HEADER_BYTES;
    const key = keyText(bytes.subarray(keyAt, keyAt + UUID_BYTES));
    const version = eventVersion(bytes, event);
    const head = known ?? this.add(hash, streamId, version, key);
    head.lastIndex = Math.max(head.lastIndex, frameIndex(bytes, frame));
    head.appliedVersion = version;
    head.appliedPartitionKey = key;
    if (head.version < version) {
      head.version = version;
      head.partitionKey = key;
    }
  }

  #put(hash: number, streamId: Uint8Array, head: Head): void {
    if (this.#young.heads.length >= this.#generationMax) this.#turn();
    this.#young.streams.add(hash, streamId);
    this.#young.heads.push(head);
  }

  /** What something depends on goes over into the new generation; what was not used meanwhile is forgotten. */
  #turn(): void {
    const applied = this.#appliedIndex();
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = newGeneration();
    forgotten.heads.forEach((head, number) => {
      if (head === null || (head.pins === 0 && head.lastIndex <= applied)) return;
      const streamId = forgotten.streams.keyOf(number);
      this.#young.streams.add(hashBytes(streamId, 0, streamId.length), streamId);
      this.#young.heads.push(head);
    });
  }
}

const newGeneration = (): Generation => ({ streams: new ByteKeyTable(), heads: [] });

/**
 * Bytes as a string, one character each: the form in which a head keeps a partition key. A string of 16 characters takes
 * a quarter of the memory of a Buffer of 16 bytes.
 */
export const keyText = (bytes: Uint8Array): string =>
  Buffer.isBuffer(bytes)
    ? bytes.toString('latin1')
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
