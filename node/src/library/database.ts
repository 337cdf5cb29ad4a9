/**
 * The embedded database: the node's engine behind promises, strings and plain objects.
 *
 * Promises: what `append` and `transaction` resolve with is durable, and seen by every read that starts later. Appends
 * take effect in the order of the calls. A range is read as it was when its reading began, in pages: a reader that stops
 * or waits costs nothing.
 */
import { invalidArgument, SierraError } from '../../../common/errors.ts';
import { defaultPartitionKey, partitionHash } from '../../../common/ids.ts';
import {
  type EventVisitor,
  type ExpectedVersion,
  openMemoryStore,
  openStore,
  type PageEnd,
  type Store,
} from '../engine/index.ts';
import { Subscriptions } from '../subscriptions/subscriptions.ts';
import {
  type AppendResult,
  draftOf,
  type NewEvent,
  type NewStreamEvent,
  resultOf,
  type StoredEvent,
  storedEvent,
  utf8,
  uuid,
  versionAfter,
  wholeNumber,
} from './events.ts';
import { type DatabaseOptions, storeOptions } from './options.ts';
import { subscriptionTargets } from './subscription-targets.ts';
import type { SubscribeOptions, Subscription } from './subscription-types.ts';
import { LoopSubscription } from './subscription.ts';

export interface StreamOptions {
  /**
   * UUID that decides the stream's partition; all events of a stream share it. Streams that are to change in one
   * transaction need the same key. Default: derived from the stream's id.
   */
  readonly partitionKey?: string;
}

export interface AppendOptions extends StreamOptions {
  /**
   * What the stream must be at: the version of its latest event, `empty`, `exists` (not empty) or `any`. Default `any`.
   * Otherwise the append is refused with `WRONGVER`.
   */
  readonly expectedVersion?: ExpectedVersion;
}

export interface RangeOptions {
  /** First version or sequence, inclusive. Default 0. */
  readonly from?: number;
  /** Last version or sequence, inclusive. Default: the latest when reading begins. */
  readonly to?: number;
  /** Most events to read. Default: all. */
  readonly limit?: number;
}

/** Events copied out of the log at once. */
const PAGE_EVENTS = 256;
/** A page ends early when its payloads and metadata exceed this. */
const PAGE_BYTES = 1024 * 1024;

type ReadPage = (from: number, visit: EventVisitor) => PageEnd | Promise<PageEnd>;

export class Database implements AsyncDisposable {
  readonly #store: Store;
  readonly #reads = new Set<Promise<unknown>>();
  readonly #subscriptions = new Set<LoopSubscription>();
  /** Made for the first subscription. */
  #opener: Subscriptions | null = null;
  #closing: Promise<void> | null = null;

  private constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Opens the database in a directory, making it if need be. Rejects with an `OpenError` when the directory is in use,
   * was made with other counts or by another version, or is damaged; with `INVALIDARG` for an impossible option.
   */
  static async open(directory: string, options: DatabaseOptions = {}): Promise<Database> {
    const { onFatal } = options;
    const environment = onFatal === undefined ? {} : { onFatal };
    return new Database(await openStore(directory, storeOptions(options), environment));
  }

  /** A database in memory, gone when it is closed: for tests, and for what needs no disk. */
  static async memory(options: DatabaseOptions = {}): Promise<Database> {
    const small = { journalFileBytes: 1024 * 1024, diskReserveBytes: 0 };
    return new Database(await openMemoryStore(storeOptions({ ...small, ...options })));
  }

  /**
   * Appends one event or several to a stream, all or none; the stream comes into being with its first event. Rejects
   * with a `SierraError`, `WRONGVER` where the stream is not at the expected version.
   */
  async append(
    streamId: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const { expectedVersion = 'any', partitionKey } = options;
    const stream = utf8(streamId, 'stream id');
    const list = Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent];
    return this.#append(
      keyOf(stream, partitionKey),
      list.map((event, i) => draftOf(event, stream, versionAfter(expectedVersion, i))),
    );
  }

  /**
   * Appends events to several streams of one partition, all or none. Streams that were appended to without a key have
   * one of their own and cannot take part. `partitionKey` is a UUID.
   */
  async transaction(
    partitionKey: string,
    events: readonly NewStreamEvent[],
  ): Promise<AppendResult> {
    return this.#append(
      uuid(partitionKey, 'partition key'),
      events.map((event) =>
        draftOf(event, utf8(event.streamId, 'stream id'), event.expectedVersion ?? 'any'),
      ),
    );
  }

  /** A stream's events in the order of their versions. An unknown stream has none. */
  async *readStream(
    streamId: string,
    options: RangeOptions & StreamOptions = {},
  ): AsyncGenerator<StoredEvent, void, undefined> {
    const stream = utf8(streamId, 'stream id');
    const partitionKey = keyOf(stream, options.partitionKey);
    const last = await this.#read(() => this.#store.streamVersion(stream, partitionKey));
    const to = Math.min(last ?? -1, endOf(options));
    yield* this.#pages(options, to, 'version', (from, visit) =>
      this.#store.readStream({ streamId: stream, partitionKey, from, to }, visit),
    );
  }

  /** A partition's events in the order of their sequences; `partition` is its number, or a partition key in it. */
  async *readPartition(
    partition: number | string,
    options: RangeOptions = {},
  ): AsyncGenerator<StoredEvent, void, undefined> {
    const number = this.#partition(partition);
    const last = await this.#read(() => this.#store.partitionSequence(number));
    const to = Math.min(last ?? -1, endOf(options));
    yield* this.#pages(options, to, 'sequence', (from, visit) =>
      this.#store.readPartition({ partition: number, from, to }, visit),
    );
  }

  /** The event with this id, or null. */
  async getEvent(id: string): Promise<StoredEvent | null> {
    const eventId = uuid(id, 'event id');
    let found: StoredEvent | null = null;
    await this.#read(() =>
      this.#store.readEvent(eventId, (view) => {
        found = storedEvent(view);
        return true;
      }),
    );
    return found;
  }

  /** The version of a stream's latest event, or null where the stream is empty. */
  async streamVersion(streamId: string, options: StreamOptions = {}): Promise<number | null> {
    const stream = utf8(streamId, 'stream id');
    const key = keyOf(stream, options.partitionKey);
    return this.#read(() => this.#store.streamVersion(stream, key));
  }

  /** The sequence of a partition's latest event, or null where the partition is empty. */
  async partitionSequence(partition: number | string): Promise<number | null> {
    const number = this.#partition(partition);
    return this.#read(() => this.#store.partitionSequence(number));
  }

  /**
   * Follows streams or partitions: events from anywhere in their history on, then those that are appended, without a gap.
   * Throws `INVALIDARG` for what cannot be followed.
   *
   * ```ts
   * for await (const event of database.subscribe({ stream: 'user-123' })) console.log(event.version, event.name);
   * ```
   */
  subscribe(options: SubscribeOptions): Subscription {
    this.#checkOpen();
    const { window = 256, signal } = options;
    if (wholeNumber(window, 'window') === 0) throw invalidArgument('window must be at least 1');
    const subscription = new LoopSubscription({
      store: this.#store,
      opener: (this.#opener ??= new Subscriptions(this.#store)),
      targets: subscriptionTargets(options, this.partitionCount),
      window,
      signal,
      onEnd: (ended) => this.#subscriptions.delete(ended),
    });
    if (!subscription.hasEnded) this.#subscriptions.add(subscription);
    return subscription;
  }

  /** How many partitions there are. */
  get partitionCount(): number {
    return this.#store.facts.partitionCount;
  }

  /** The partition that a key belongs to. */
  partitionOf(partitionKey: string): number {
    return partitionHash(uuid(partitionKey, 'partition key')) % this.partitionCount;
  }

  /** Ends subscriptions, finishes the appends that were accepted and gives the directory free. Later calls reject with `TRYAGAIN`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    for (const subscription of this.#subscriptions) await subscription.close();
    await Promise.allSettled(this.#reads);
    await this.#store.close();
  }

  #append(
    partitionKey: Uint8Array,
    events: Parameters<Store['append']>[0]['events'],
  ): Promise<AppendResult> {
    if (events.length === 0) throw invalidArgument('an append needs an event');
    this.#checkOpen();
    return new Promise((resolve, reject) => {
      // The order of appends to a bucket is that of the calls, whether or not the promise of a place is awaited.
      void this.#store.append({ partitionKey, events }, (error, appended) => {
        if (appended !== null) resolve(resultOf(appended));
        else reject(error ?? new SierraError('ERR', 'no answer'));
      });
    });
  }

  async *#pages(
    { from = 0, limit = Infinity }: RangeOptions,
    to: number,
    place: 'version' | 'sequence',
    read: ReadPage,
  ): AsyncGenerator<StoredEvent, void, undefined> {
    let next = wholeNumber(from, 'from');
    let left = limit === Infinity ? limit : wholeNumber(limit, 'limit');
    while (left > 0 && next <= to) {
      const page = await this.#page(next, Math.min(left, PAGE_EVENTS), read);
      const last = page.at(-1);
      if (last === undefined) return;
      yield* page;
      next = last[place] + 1;
      left -= page.length;
    }
  }

  async #page(from: number, max: number, read: ReadPage): Promise<StoredEvent[]> {
    const page: StoredEvent[] = [];
    let bytes = 0;
    await this.#read(() =>
      read(from, (view) => {
        if (page.length >= max || bytes >= PAGE_BYTES) return false;
        page.push(storedEvent(view));
        bytes += view.payloadEnd - view.metadataAt;
        return true;
      }),
    );
    return page;
  }

  /** Closing waits for what is being read. */
  async #read<T>(read: () => T | Promise<T>): Promise<T> {
    this.#checkOpen();
    const answer = read();
    if (!(answer instanceof Promise)) return answer;
    this.#reads.add(answer);
    try {
      return await answer;
    } finally {
      this.#reads.delete(answer);
    }
  }

  #checkOpen(): void {
    if (this.#closing !== null) throw new SierraError('TRYAGAIN', 'the database is closed');
  }

  #partition(partition: number | string): number {
    if (typeof partition === 'string') return this.partitionOf(partition);
    if (wholeNumber(partition, 'partition') < this.partitionCount) return partition;
    throw invalidArgument(`there are ${String(this.partitionCount)} partitions, from 0 on`);
  }
}

const keyOf = (streamId: Uint8Array, partitionKey: string | undefined): Buffer =>
  partitionKey === undefined ? defaultPartitionKey(streamId) : uuid(partitionKey, 'partition key');

const endOf = ({ to = Infinity }: RangeOptions): number =>
  to === Infinity ? to : wholeNumber(to, 'to');
