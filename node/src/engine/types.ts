/**
 * The words of the engine's door: what an append asks for, what it answers, and how events are read. Byte strings
 * stay bytes; UUIDs are 16 bytes. Numbers are whole and below 2^53.
 */
import type { SierraError } from '../../../common/errors.ts';
import type { CacheStatistics } from '../storage/block-cache.ts';

export type { CacheStatistics } from '../storage/block-cache.ts';

/**
 * Condition on a stream before an event: `any`, `exists` (one event or more), `empty` (none), or the exact current
 * version. Versions above 2^53 - 1 are `bigint`: they never match, but are quoted exactly in the error.
 */
export type ExpectedVersion = 'any' | 'exists' | 'empty' | number | bigint;

export interface EventDraft {
  readonly streamId: Uint8Array;
  readonly eventName: Uint8Array;
  /** 16 bytes, or null: drawn by the engine. Only supplied ids take part in idempotency. */
  readonly eventId: Uint8Array | null;
  /**
   * The id was drawn by the member that the client spoke to. The same append is known again by it when it comes a second time,
   * but in the log it is not an id of the client's.
   */
  readonly isDrawn?: boolean;
  readonly expectedVersion: ExpectedVersion;
  /** Milliseconds since 1970, or null: now. A `bigint` is out of range and refused. */
  readonly timestamp: number | bigint | null;
  readonly metadata: Uint8Array;
  readonly payload: Uint8Array;
}

/** One transaction: events of one partition, all or nothing. The engine copies what it keeps before it returns. */
export interface AppendRequest {
  /** 16 bytes. */
  readonly partitionKey: Uint8Array;
  readonly events: readonly EventDraft[];
}

export interface AppendedEvent {
  readonly eventId: Uint8Array;
  readonly streamId: Uint8Array;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

export interface Appended {
  readonly partitionKey: Uint8Array;
  readonly partition: number;
  /** Sequence of the first event; the others follow without a gap. */
  readonly firstSequence: number;
  readonly events: readonly AppendedEvent[];
}

/** Called exactly once, never before `append` has returned. */
export type AppendCallback = (error: SierraError | null, appended: Appended | null) => void;

/**
 * One event as it stands in the log: places in a buffer, nothing copied. The same object is filled anew for each event;
 * it and its buffer are only valid until the visitor returns.
 */
export interface EventView {
  readonly bytes: Buffer;
  /** Offset of 16 bytes. */
  readonly eventIdAt: number;
  /** Offset of 16 bytes. */
  readonly partitionKeyAt: number;
  readonly partition: number;
  /** 16 bytes, in a buffer of their own. */
  readonly transactionId: Buffer;
  readonly sequence: number;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** The four byte strings stand back to back: each ends where the next begins. */
  readonly streamIdAt: number;
  readonly eventNameAt: number;
  readonly metadataAt: number;
  readonly payloadAt: number;
  readonly payloadEnd: number;
}

/**
 * Is shown the events of a range in ascending order. Returns true to take the event and go on; false means: not taken,
 * the page is full. Must not keep the view.
 */
export type EventVisitor = (event: EventView) => boolean;

/** Both ends inclusive; `to` may be `Infinity`. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface StreamRange extends Range {
  readonly streamId: Uint8Array;
  /** 16 bytes; only events stored under this key are shown. */
  readonly partitionKey: Uint8Array;
}

export interface PartitionRange extends Range {
  readonly partition: number;
}

/** Whether the range holds at least one event behind the last one taken. */
export interface PageEnd {
  readonly hasMore: boolean;
}

/** What a feed follows: one stream under one partition key (16 bytes), or one partition. */
export type FeedTarget =
  | {
      readonly kind: 'stream';
      readonly streamId: Uint8Array;
      readonly partitionKey: Uint8Array;
    }
  | { readonly kind: 'partition'; readonly partition: number };

/** Is told that a feed has grown. */
export interface FeedWatcher {
  /**
   * Events were applied. Called in the step that applies them, once per transaction: takes a note and returns; must not
   * read, and must not throw.
   */
  advanced(): void;
}

/**
 * The applied events of one stream or partition, to be read from any position on: a stream's position is a version, a
 * partition's a sequence. Every watcher of a target has the same feed, so a feed keeps nothing about who reads it.
 */
export interface Feed {
  /**
   * Behind the last applied event: the position that the next event will get. `Infinity` where damage may hide later
   * events: reading goes as far as it can and then fails.
   */
  readonly end: number;
  /**
   * Where the end is at the leader: behind everything that was acknowledged before the call. Absent where {@link end} says
   * so already.
   */
  latest?(): Promise<number>;
  /**
   * Shows applied events from position `from` (below `end`) on in ascending order, at most `max`, until the visitor takes
   * no more. Done at once when they are in memory, else a promise. Damage on the way is thrown or rejected as `READERR`.
   */
  read(from: number, max: number, visit: EventVisitor): void | Promise<void>;
  /** The watcher is not told any more. Called once for every {@link EventStore.openFeed}. */
  close(watcher: FeedWatcher): void;
}

/** Facts of the data directory that clients see. */
export interface StoreFacts {
  /** UUID of this disk; survives restarts. */
  readonly memberId: string;
  /** UUID of the cluster it belongs to. */
  readonly clusterId: string;
  readonly partitionCount: number;
  readonly bucketCount: number;
  readonly appendMaxBytes: number;
}

/**
 * What commands need of a store; implemented by the engine, routed to by `cluster/`. Errors are {@link SierraError}s;
 * reads reject with them, or throw them when they answer at once.
 */
export interface EventStore {
  readonly facts: StoreFacts;
  /**
   * Appends a transaction. Appends of one caller take effect in the order of their calls as long as the caller waits
   * for the returned promise, where there is one, before its next append: it resolves when the place in the order is
   * fixed (usually at once: null). Durability is what the callback waits for.
   */
  append(request: AppendRequest, done: AppendCallback): Promise<void> | null;
  /** Shows the event with this id, the one in the id's own bucket first, else the oldest; false where there is none. */
  readEvent(eventId: Uint8Array, visit: EventVisitor): boolean | Promise<boolean>;
  readStream(range: StreamRange, visit: EventVisitor): PageEnd | Promise<PageEnd>;
  readPartition(range: PartitionRange, visit: EventVisitor): PageEnd | Promise<PageEnd>;
  /** Version of the latest event, or null for an empty stream. */
  streamVersion(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
  ): number | null | Promise<number | null>;
  /** Sequence of the latest event, or null for an empty partition. */
  partitionSequence(partition: number): number | null | Promise<number | null>;
  /**
   * Opens the feed of a target; from this call on `watcher` is told of every event that is not below the `end` of the feed
   * it returns. A promise where the stream's latest version has to be read. A watcher watches one feed.
   */
  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed>;
  cacheStatistics(): CacheStatistics;
  statistics(): StoreStatistics;
}

/** Gauges for metrics. */
export interface StoreStatistics {
  /** Appends accepted and not yet answered. */
  readonly appendsInFlight: number;
  /** Bytes waiting for the next journal round. */
  readonly journalQueuedBytes: number;
  /** Share of the journal that is not yet reusable, 0 to 1. */
  readonly journalFill: number;
  readonly segmentsSealed: number;
  readonly segmentBytes: number;
  readonly headsCached: number;
  readonly filterBytes: number;
  /** Buckets that refuse writes because of damage. */
  readonly quarantined: readonly number[];
  readonly diskFull: boolean;
  readonly openFiles: number;
}
