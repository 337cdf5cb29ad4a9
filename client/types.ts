/**
 * The client's words. Events and appends are named as in the embedded database (`sierradb`), so that code can move from one
 * to the other: `append`, `transaction`, `readStream`, `readPartition`, `getEvent`, `streamVersion`, `partitionSequence`.
 */

/** Text is sent as UTF-8; values as JSON with the helper `json(value)`. */
export type Bytes = string | Uint8Array;

/**
 * What a stream must be at: the version of its latest event (so 0 means one event), `empty`, `exists` (not empty) or `any`.
 */
export type ExpectedVersion = number | 'any' | 'exists' | 'empty';

/** An event to append. */
export interface NewEvent {
  /** What happened, such as `OrderPlaced`: at most 255 bytes of UTF-8. */
  readonly name: string;
  /** Default: empty. */
  readonly payload?: Bytes;
  /** Default: empty. */
  readonly metadata?: Bytes;
  /**
   * A UUID of your own. An append that repeats the ids of an earlier one is not done again: it answers what the first one
   * did. Default: the client draws one, so that its own retries are safe.
   */
  readonly id?: string;
  /** Milliseconds since 1970. Default: the server's clock. */
  readonly timestamp?: number;
}

/** An event of a transaction over several streams. */
export interface NewStreamEvent extends NewEvent {
  /** 1 to 64 bytes of UTF-8 without a null byte. */
  readonly streamId: string;
  /** What the stream must be at before this event; earlier events of the transaction count. Default `any`. */
  readonly expectedVersion?: ExpectedVersion;
}

/** An event as it is stored. Its bytes are the reader's own. */
export interface StoredEvent {
  /** UUID. */
  readonly id: string;
  readonly streamId: string;
  readonly name: string;
  /** Place in the stream, from 0, without gaps. */
  readonly version: number;
  readonly partition: number;
  /** UUID. */
  readonly partitionKey: string;
  /** Place in the partition, from 0, without gaps. */
  readonly sequence: number;
  /** UUID that the events of one append share. */
  readonly transactionId: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Empty where none was given. */
  readonly payload: Buffer;
  /** Empty where none was given. */
  readonly metadata: Buffer;
  /** The payload as JSON. Throws a `SyntaxError` where it is none. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what its events hold
  json<T = unknown>(): T;
  /** The metadata as JSON; undefined where there is none. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as above
  metadataJson<T = unknown>(): T | undefined;
}

export type AppendedEvent = Pick<
  StoredEvent,
  'id' | 'streamId' | 'version' | 'sequence' | 'timestamp'
>;

export interface AppendResult {
  readonly partition: number;
  /** UUID. */
  readonly partitionKey: string;
  /** In the order in which they were given. */
  readonly events: readonly AppendedEvent[];
}

/** Of every command. */
export interface CallOptions {
  /**
   * Milliseconds that the call may take in all, waiting for a connection and retries included. Default: the client's
   * `timeoutMs`. An append that runs out of time while its outcome is open rejects with `UnknownOutcomeError`.
   */
  readonly timeoutMs?: number;
  /** Gives the call up. It rejects with the signal's reason; an append on its way may still be done. */
  readonly signal?: AbortSignal;
}

export interface StreamOptions {
  /**
   * UUID that decides the stream's partition; all events of a stream share it. Streams that are to change in one
   * transaction need the same key. Default: derived from the stream's id.
   */
  readonly partitionKey?: string;
}

export interface AppendOptions extends StreamOptions, CallOptions {
  /** Otherwise the append is refused with `WrongVersionError`. Default `any`. */
  readonly expectedVersion?: ExpectedVersion;
}

export interface RangeOptions extends CallOptions {
  /** First version or sequence, inclusive. Default 0. */
  readonly from?: number;
  /** Last version or sequence, inclusive. Default: the latest. */
  readonly to?: number;
  /** Most events to read. Default: all. */
  readonly limit?: number;
  /** Events fetched at once. Default 500. The time-out is for each page. */
  readonly pageEvents?: number;
}

export interface PageOptions extends CallOptions {
  /** First version or sequence, inclusive. Default 0. */
  readonly from?: number;
  /** Last version or sequence, inclusive. Default: the latest. */
  readonly to?: number;
  /** Most events of the page. Default 100. The server may send fewer when they are large. */
  readonly limit?: number;
}

export interface Page {
  readonly events: readonly StoredEvent[];
  /** Whether the range has more behind the last event. */
  readonly hasMore: boolean;
  /** `from` of the next page; the one that was asked for where the page is empty. */
  readonly next: number;
}

/** What the server says of itself. */
export interface ServerHello {
  readonly server: string;
  readonly version: string;
  /** The node's member id. */
  readonly peerId: string;
  readonly partitionCount: number;
  /** Everything in the reply, by its name there. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * Where a subscription goes on: the first version of each stream, or the first sequence of each partition, that has not
 * been processed. Plain JSON: keep it anywhere, and give it back as `from`.
 */
export interface SubscriptionPosition {
  readonly streams?: Readonly<Record<string, number>>;
  readonly partitions?: Readonly<Record<string, number>>;
}

/**
 * - `latest`: events that are appended after the subscription began.
 * - a number: events whose version (streams) or sequence (partitions) is not below it; 0 is the beginning.
 * - a position: per stream or partition; one that it does not name starts at 0. Where the server has fewer events than it says
 *   have been processed, the loop throws a `CheckpointError`.
 */
export type SubscriptionStart = 'latest' | number | SubscriptionPosition;

/** A stream, with its partition key where it has one of its own. */
export type StreamTarget = string | { readonly streamId: string; readonly partitionKey?: string };

/** What to subscribe to: exactly one of these. */
export type SubscriptionTarget =
  | { readonly stream: StreamTarget }
  | { readonly streams: readonly StreamTarget[] }
  /** A partition's number, or a partition key in it. */
  | { readonly partition: number | string }
  | { readonly partitions: readonly (number | string)[] }
  /** Every partition. */
  | { readonly all: true };

/**
 * Keeps positions by name. `save` resolves when the position is safe. A projection that writes to a database best keeps its
 * position there, in the same transaction; then it needs no store, only `from`.
 */
export interface CheckpointStore {
  /** Null where nothing has been saved under this name. */
  load(name: string): Promise<SubscriptionPosition | null>;
  save(name: string, position: SubscriptionPosition): Promise<void>;
}

/** Saves what has been processed, at least once: after a crash, events since the last save are delivered again. */
export interface CheckpointOptions {
  readonly store: CheckpointStore;
  /** Of the consumer, such as `order-totals`. One consumer at a time. */
  readonly name: string;
  /** Saved when this many events have been processed since the last time. Default 1,000. */
  readonly everyEvents?: number;
  /** And this long after the first event that is not saved, in milliseconds. Default 1,000. */
  readonly everyMs?: number;
}

interface SubscribeCommon {
  /**
   * Where to start; with a checkpoint, where to start when nothing is saved yet (or nothing for that stream or partition).
   * Default 0: from the beginning.
   */
  readonly from?: SubscriptionStart;
  /** Events that the server may send ahead of what has been processed. Default 1,000. */
  readonly window?: number;
  /**
   * `automatic`: an event is processed when the loop asks for the next one. `manual`: when {@link Subscription.processed} is
   * called with it. Default `automatic`.
   */
  readonly acknowledge?: 'automatic' | 'manual';
  readonly checkpoint?: CheckpointOptions;
  /** Ends the loop, as `break` would. */
  readonly signal?: AbortSignal;
}

export type SubscribeOptions = SubscriptionTarget & SubscribeCommon;

/**
 * Events as they come: history, then live, without a gap. Survives reconnects: it goes on behind the last processed event
 * and delivers none again that was processed. Ends with `break`, `close`, the signal, or an error that a reconnect cannot
 * cure (the loop throws it). To be read by one loop, once.
 *
 * Within a stream events come in the order of versions, within a partition in that of sequences; across partitions in none.
 */
export interface Subscription extends AsyncIterable<StoredEvent>, AsyncDisposable {
  /** What has been processed. Empty until the server has been asked the first time: see `ready`. */
  readonly position: SubscriptionPosition;
  /** Resolves when the server has accepted the subscription; everything appended from then on will be delivered. */
  readonly ready: Promise<void>;
  /** Marks an event, and those delivered before it, as processed (`acknowledge: 'manual'`). */
  processed(event: StoredEvent): void;
  /** Ends it, saves the checkpoint, closes its connection. The loop ends. */
  close(): Promise<void>;
}

export interface Endpoint {
  readonly host: string;
  /** Default 9090. */
  readonly port?: number;
}

/** What happens to connections; for logs. `connection` is `commands`, or the subscription's target. */
export type ClientStatus =
  | { readonly type: 'connected'; readonly connection: string; readonly endpoint: string }
  | { readonly type: 'disconnected'; readonly connection: string; readonly error: Error }
  | {
      readonly type: 'reconnecting';
      readonly connection: string;
      /** Failed attempts in a row. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: Error;
    };

export interface ReconnectOptions {
  /** First delay, in milliseconds; doubled with every failure and drawn at random from half of it to all of it. Default 50. */
  readonly delayMs?: number;
  /** Largest delay. Default 5,000. */
  readonly delayMsMax?: number;
  /**
   * Failed attempts in a row after which waiting calls and subscriptions fail. Default: no limit; calls have their
   * time-outs.
   */
  readonly attemptsMax?: number;
}

export interface ClientOptions {
  /** Tried in turn, besides the target's own. */
  readonly endpoints?: readonly (string | Endpoint)[];
  readonly username?: string;
  readonly password?: string;
  /** TLS, for servers behind a proxy that speaks it; true, or options of `tls.connect`. `sierradbs://` and `rediss://` too. */
  readonly tls?: boolean | Readonly<Record<string, unknown>>;
  /** Shown by the server for this connection (`CLIENT SETNAME`). */
  readonly name?: string;
  /** Milliseconds for one attempt to connect, greeting included. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds for a call in all, retries included. Default 30,000. */
  readonly timeoutMs?: number;
  /**
   * Milliseconds without a byte from the server, while it owes an answer, after which a connection is given up. Default
   * 12,000; the server answers or refuses within `network.request_timeout_ms`, 10,000.
   */
  readonly silenceMs?: number;
  /** Milliseconds of idleness after which the connection is tried with a PING. Default 10,000. */
  readonly pingMs?: number;
  /** Calls that may wait for answers or a connection; beyond, a call rejects at once. Default 10,000. */
  readonly callsMax?: number;
  /** Bytes of such calls. Default 64 MiB. */
  readonly callBytesMax?: number;
  readonly reconnect?: ReconnectOptions;
  readonly onStatus?: (status: ClientStatus) => void;
}

/** `sierradb://[user:password@]host[:port]`, `redis://…`, with TLS `sierradbs://…` or `rediss://…`; or an address. */
export type ConnectTarget = string | Endpoint;

/**
 * One server, or one cluster, over one connection for commands and one for each subscription. Calls are pipelined: they are
 * sent as they come and do not wait for each other. Appends take effect in the order of the calls, unless one is retried.
 *
 * Every call is retried while its time lasts, where the connection was lost or the server said that it may be: appends carry
 * event ids, so that they are done once. What rejects a call says what became of it: see `errors.ts`.
 */
export interface Client extends AsyncDisposable {
  /**
   * Appends one event or several to a stream, all or none; the stream comes into being with its first event. Resolves when
   * they are durable. Rejects with `WrongVersionError` where the stream is not at the expected version.
   */
  append(
    streamId: string,
    events: NewEvent | readonly NewEvent[],
    options?: AppendOptions,
  ): Promise<AppendResult>;
  /**
   * Appends events to several streams of one partition, all or none. Streams that were appended to without a key have one of
   * their own and cannot take part. `partitionKey` is a UUID.
   */
  transaction(
    partitionKey: string,
    events: readonly NewStreamEvent[],
    options?: CallOptions,
  ): Promise<AppendResult>;
  /** A stream's events in the order of their versions. An unknown stream has none. */
  readStream(streamId: string, options?: RangeOptions & StreamOptions): AsyncIterable<StoredEvent>;
  /** A partition's events in the order of their sequences; `partition` is its number, or a partition key in it. */
  readPartition(partition: number | string, options?: RangeOptions): AsyncIterable<StoredEvent>;
  streamPage(streamId: string, options?: PageOptions & StreamOptions): Promise<Page>;
  partitionPage(partition: number | string, options?: PageOptions): Promise<Page>;
  /** The event with this id, or null. */
  getEvent(id: string, options?: CallOptions): Promise<StoredEvent | null>;
  /** The version of a stream's latest event, or null where the stream is empty. */
  streamVersion(streamId: string, options?: StreamOptions & CallOptions): Promise<number | null>;
  /** The sequence of a partition's latest event, or null where the partition is empty. */
  partitionSequence(partition: number | string, options?: CallOptions): Promise<number | null>;
  /** What the server says of itself. */
  hello(options?: CallOptions): Promise<ServerHello>;
  /** The server's `INFO`, `key:value` lines as an object; or those of one section. */
  info(section?: string, options?: CallOptions): Promise<Readonly<Record<string, string>>>;
  /** Resolves when the server has answered. */
  ping(options?: CallOptions): Promise<void>;
  /**
   * Any other command, as it is: the reply with maps as `Map`, blobs as `Buffer`, simple strings as `string`. Retried only
   * where it was not sent.
   */
  command(
    words: readonly (string | number | Uint8Array)[],
    options?: CallOptions,
  ): Promise<unknown>;
  /** Events of streams or partitions, from anywhere in their history, then live. Has a connection of its own. */
  subscribe(options: SubscribeOptions): Subscription;
  /** Waits for the calls under way, ends subscriptions, closes the connections. Later calls reject. */
  close(): Promise<void>;
}
