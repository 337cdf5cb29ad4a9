/**
 * The event store as plain arrays: what the real one is compared with. Knows the wire protocol's rules (sections 2.4, 2.5
 * and 8), and nothing of files, frames or indexes.
 *
 * Appends are decided in the order in which they are asked for, as if each were done at once. What only the store can know
 * (drawn event ids, times, transaction ids) is null until {@link StoreModel.learn} is told; from then on it must not
 * change.
 */
import assert from 'node:assert/strict';

import { partitionHash, uuidText } from '../../../../common/ids.ts';
import type { AppendRequest, EventDraft, ExpectedVersion } from '../types.ts';
import type { ObservedEvent } from './observed.ts';

/** Bytes become strings, one character each, and UUIDs 32 hex digits. */
export interface ModelEvent {
  readonly transaction: ModelTransaction;
  readonly ordinal: number;
  readonly streamId: string;
  readonly eventName: string;
  readonly metadata: string;
  readonly payload: string;
  readonly version: number;
  readonly idSupplied: boolean;
  eventId: string | null;
  timestamp: number | null;
}

export interface ModelTransaction {
  readonly bucket: number;
  readonly partition: number;
  readonly partitionKey: string;
  readonly firstSequence: number;
  readonly events: ModelEvent[];
  /** Set when someone was told of it, or of something that depends on it: from then on it must never be lost. */
  certain: boolean;
  transactionId: string | null;
}

export type Verdict =
  /** What the reply names: a whole transaction, or the one event of it that was asked for again. */
  | { readonly kind: 'appended' | 'duplicate'; readonly events: readonly ModelEvent[] }
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly message: string;
      /** What the refusal tells of. */
      readonly reveals: readonly ModelTransaction[];
    };

export interface ModelOptions {
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly appendMaxBytes: number;
  readonly strictVersioning: boolean;
}

interface ModelBucket {
  readonly log: ModelTransaction[];
  readonly streams: Map<string, ModelEvent[]>;
}

const TIMESTAMP_MAX = 9_223_372_036_854;
const FRAME_BYTES = 60;
const EVENT_BYTES = 38;
const LEADER_FRAME_BYTES = 44;
const SEGMENT_HEADER_BYTES = 52;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class StoreModel {
  readonly options: ModelOptions;
  readonly #buckets: ModelBucket[];
  readonly #partitions = new Map<number, ModelEvent[]>();

  constructor(options: ModelOptions) {
    this.options = options;
    this.#buckets = Array.from({ length: options.bucketCount }, () => ({
      log: [],
      streams: new Map(),
    }));
  }

  partitionOf(key: Uint8Array): number {
    return partitionHash(key) % this.options.partitionCount;
  }

  bucketOf(key: Uint8Array): number {
    return this.partitionOf(key) % this.options.bucketCount;
  }

  /** Every transaction of a bucket, in order. */
  log(bucket: number): readonly ModelTransaction[] {
    return this.#bucket(bucket).log;
  }

  partition(partition: number): readonly ModelEvent[] {
    return this.#partitions.get(partition) ?? [];
  }

  /** The stream's events; none where it belongs to another partition key. */
  stream(streamId: Uint8Array, partitionKey: Uint8Array): readonly ModelEvent[] {
    const events = this.#stream(this.bucketOf(partitionKey), latin1(streamId));
    return events[0]?.transaction.partitionKey === hex(partitionKey) ? events : [];
  }

  /** Every stream of a bucket by its name. */
  streams(bucket: number): ReadonlyMap<string, readonly ModelEvent[]> {
    return this.#bucket(bucket).streams;
  }

  /** The events that an id may mean, the one that counts first. */
  holders(eventId: Uint8Array): readonly ModelEvent[] {
    const own = this.bucketOf(eventId);
    const order = [own, ...this.#buckets.keys()].filter((b, i) => i === 0 || b !== own);
    const id = hex(eventId);
    return order.flatMap((bucket) =>
      this.log(bucket).flatMap(({ events }) => events.filter((event) => event.eventId === id)),
    );
  }

  /** A model of its own with the same past. */
  copy(): StoreModel {
    const twin = new StoreModel(this.options);
    for (const [bucket, { log }] of this.#buckets.entries()) {
      for (const transaction of log) twin.#insert(bucket, transaction);
    }
    return twin;
  }

  /** Decides an append and, where it is one, does it. */
  append(request: AppendRequest): Verdict {
    const refused = (code: string, message: string): Verdict => ({
      kind: 'refused',
      code,
      message,
      reveals: [],
    });
    const rule = this.#brokenRule(request);
    if (rule !== null) return refused(...rule);
    const bucket = this.bucketOf(request.partitionKey);
    return (
      this.#duplicate(bucket, request) ??
      this.#foreignKey(bucket, request) ??
      this.#conflict(bucket, request) ?? {
        kind: 'appended',
        events: this.#add(bucket, request).events,
      }
    );
  }

  /** Takes back the latest transaction of its bucket: the store has refused it. */
  takeBack(transaction: ModelTransaction): void {
    const { log } = this.#bucket(transaction.bucket);
    assert.equal(log.at(-1), transaction, 'only the latest transaction can be taken back');
    this.keep(transaction.bucket, log.length - 1);
  }

  /** A bucket's transactions behind the first `count` are gone. */
  keep(bucket: number, count: number): void {
    const { log, streams } = this.#bucket(bucket);
    for (const { events, partition } of log.splice(count).reverse()) {
      for (const { streamId } of events.toReversed()) {
        streams.get(streamId)?.pop();
        this.#partitions.get(partition)?.pop();
      }
    }
    for (const [name, events] of streams) if (events.length === 0) streams.delete(name);
  }

  /** The store shows an event of this model: all must be equal, and what was unknown is known from now on. */
  learn(event: ModelEvent, seen: ObservedEvent): void {
    const { transaction } = event;
    event.eventId ??= seen.eventId;
    event.timestamp ??= seen.timestamp;
    transaction.transactionId ??= seen.transactionId;
    const expected: ObservedEvent = {
      eventId: event.eventId,
      partitionKey: transaction.partitionKey,
      partition: transaction.partition,
      transactionId: transaction.transactionId,
      sequence: transaction.firstSequence + event.ordinal,
      version: event.version,
      timestamp: event.timestamp,
      streamId: event.streamId,
      eventName: event.eventName,
      metadata: event.metadata,
      payload: event.payload,
    };
    for (const [field, value] of Object.entries(expected)) {
      if (seen[field as keyof ObservedEvent] !== value) assert.deepEqual(seen, expected);
    }
    transaction.certain = true;
  }

  #insert(bucket: number, original: ModelTransaction): void {
    const transaction: ModelTransaction = { ...original, events: [] };
    const { log, streams } = this.#bucket(bucket);
    const inPartition = this.#partitions.get(transaction.partition) ?? [];
    this.#partitions.set(transaction.partition, inPartition);
    for (const event of original.events) {
      const copied = { ...event, transaction };
      const stream = streams.get(event.streamId) ?? [];
      streams.set(event.streamId, stream);
      stream.push(copied);
      inPartition.push(copied);
      transaction.events.push(copied);
    }
    log.push(transaction);
  }

  #bucket(bucket: number): ModelBucket {
    const found = this.#buckets[bucket];
    assert(found !== undefined, `there is a bucket ${bucket}`);
    return found;
  }

  #stream(bucket: number, streamId: string): ModelEvent[] {
    return this.#bucket(bucket).streams.get(streamId) ?? [];
  }

  #brokenRule({ events }: AppendRequest): [code: string, message: string] | null {
    const bytes = events.reduce(
      (sum, e) =>
        sum +
        EVENT_BYTES +
        e.streamId.length +
        e.eventName.length +
        e.metadata.length +
        e.payload.length,
      FRAME_BYTES,
    );
    const { appendMaxBytes, segmentBytes, partitionCount, bucketCount } = this.options;
    if (bytes > appendMaxBytes) {
      return ['INVALIDARG', `events exceed append.max_bytes (${appendMaxBytes})`];
    }
    const header = SEGMENT_HEADER_BYTES + 6 * Math.ceil(partitionCount / bucketCount);
    if (bytes > segmentBytes - header - LEADER_FRAME_BYTES) {
      return [
        'DBOPFAILED',
        'database operation failed: events exceed the size of a single segment',
      ];
    }
    for (const { streamId, eventName } of events) {
      const { length } = streamId;
      if (length < 1 || length > 64) {
        const text = Buffer.from(streamId).toString('utf8').slice(0, 256);
        return [
          'INVALIDARG',
          `stream id must be between 1 and 64 characters in length, but got ${length} for '${text}'`,
        ];
      }
      if (streamId.includes(0)) return ['INVALIDARG', 'stream id cannot contain null bytes'];
      if (eventName.length > 255) {
        return [
          'INVALIDARG',
          `event name must be at most 255 bytes in length, but got ${eventName.length}`,
        ];
      }
    }
    for (const { expectedVersion } of this.options.strictVersioning ? events : []) {
      if (expectedVersion === 'any' || expectedVersion === 'exists') {
        return ['INVALIDARG', `strict versioning mode rejects EXPECTED_VERSION ${expectedVersion}`];
      }
    }
    const late = events.some(({ timestamp }) => timestamp !== null && timestamp > TIMESTAMP_MAX);
    return late
      ? ['INVALIDARG', 'invalid timestamp format: expected milliseconds, got nanoseconds']
      : null;
  }

  #duplicate(bucket: number, { events }: AppendRequest): Verdict | null {
    const held = events.map(({ eventId, streamId }) =>
      eventId === null
        ? undefined
        : this.#stream(bucket, latin1(streamId)).find(
            (event) => event.idSupplied && event.eventId === hex(eventId),
          ),
    );
    const found = held.filter((event) => event !== undefined);
    const reveals = found.map(({ transaction }) => transaction);
    const refused: Verdict = {
      kind: 'refused',
      code: 'INVALIDARG',
      message: 'event id already used',
      reveals,
    };
    if (found.length === 0) {
      const ids = events.flatMap(({ eventId, streamId }) =>
        eventId === null ? [] : [hex(eventId) + latin1(streamId)],
      );
      return new Set(ids).size < ids.length ? refused : null;
    }
    const [transaction] = reveals;
    assert(transaction !== undefined, 'a held event has a transaction');
    if (events.length === 1) return { kind: 'duplicate', events: found };
    const same =
      transaction.events.length === events.length &&
      transaction.events.every((event, i) => event === held[i]);
    return same ? { kind: 'duplicate', events: found } : refused;
  }

  #foreignKey(bucket: number, { events, partitionKey }: AppendRequest): Verdict | null {
    for (const { streamId } of events) {
      const first = this.#stream(bucket, latin1(streamId))[0];
      if (first === undefined || first.transaction.partitionKey === hex(partitionKey)) continue;
      const has = uuidText(Buffer.from(first.transaction.partitionKey, 'hex'));
      return {
        kind: 'refused',
        code: 'DBOPFAILED',
        message:
          'database operation failed: partition key must be the same for all events in a stream: ' +
          `expected ${has}, got ${uuidText(partitionKey)}`,
        reveals: this.#latest(bucket, events),
      };
    }
    return null;
  }

  #conflict(bucket: number, { events, partitionKey }: AppendRequest): Verdict | null {
    const versions = new Map<string, number>();
    for (const { streamId, expectedVersion } of events) {
      const name = latin1(streamId);
      const version = versions.get(name) ?? this.#stream(bucket, name).length - 1;
      if (!meets(expectedVersion, version)) {
        return {
          kind: 'refused',
          code: 'WRONGVER',
          message:
            `current stream version is ${version < 0 ? 'empty' : version} but expected ` +
            `${String(expectedVersion)} for partition key ${uuidText(partitionKey)} and stream id ` +
            Buffer.from(streamId).toString('utf8'),
          reveals: this.#latest(bucket, events),
        };
      }
      versions.set(name, version + 1);
    }
    return null;
  }

  /** The latest transaction of each of these streams. */
  #latest(bucket: number, events: readonly EventDraft[]): ModelTransaction[] {
    return events.flatMap(
      ({ streamId }) => this.#stream(bucket, latin1(streamId)).at(-1)?.transaction ?? [],
    );
  }

  #add(bucket: number, { events, partitionKey }: AppendRequest): ModelTransaction {
    const partition = this.partitionOf(partitionKey);
    const inPartition = this.#partitions.get(partition) ?? [];
    this.#partitions.set(partition, inPartition);
    const { log, streams } = this.#bucket(bucket);
    const transaction: ModelTransaction = {
      bucket,
      partition,
      partitionKey: hex(partitionKey),
      firstSequence: inPartition.length,
      events: [],
      certain: false,
      transactionId: null,
    };
    for (const [ordinal, draft] of events.entries()) {
      const name = latin1(draft.streamId);
      const stream = streams.get(name) ?? [];
      streams.set(name, stream);
      const event: ModelEvent = {
        transaction,
        ordinal,
        streamId: name,
        eventName: latin1(draft.eventName),
        metadata: latin1(draft.metadata),
        payload: latin1(draft.payload),
        version: stream.length,
        idSupplied: draft.eventId !== null,
        eventId: draft.eventId === null ? null : hex(draft.eventId),
        timestamp: draft.timestamp === null ? null : Number(draft.timestamp),
      };
      stream.push(event);
      inPartition.push(event);
      transaction.events.push(event);
    }
    log.push(transaction);
    return transaction;
  }
}

function meets(expected: ExpectedVersion, version: number): boolean {
  if (expected === 'any') return true;
  if (expected === 'exists') return version >= 0;
  if (expected === 'empty') return version < 0;
  return version >= 0 && BigInt(expected) === BigInt(version);
}
