/**
 * An event store of plain arrays: the rules of the engine with none of its machinery, for tests of those who stand in
 * front of it. Switches hold back answers, places in the order, and reads.
 */
import { SierraError, invalidArgument } from '../../../../common/errors.ts';
import { EventIdSource, partitionHash, uuidText } from '../../../../common/ids.ts';
import { seededRandom } from '../../../../common/random.ts';
import { requestFault } from '../../engine/rules.ts';
import type {
  AppendCallback,
  Appended,
  AppendRequest,
  CacheStatistics,
  EventDraft,
  EventStore,
  EventView,
  EventVisitor,
  ExpectedVersion,
  Feed,
  FeedTarget,
  FeedWatcher,
  PageEnd,
  PartitionRange,
  StoreFacts,
  StoreStatistics,
  StreamRange,
} from '../../engine/types.ts';

export interface ArrayStoreOptions {
  readonly partitionCount?: number;
  readonly bucketCount?: number;
  readonly strictVersioning?: boolean;
  readonly appendMaxBytes?: number;
  /** Milliseconds since 1970, fixed. */
  readonly now?: number;
}

interface StoredEvent extends EventView {
  readonly eventId: Buffer;
  readonly supplied: boolean;
  readonly streamId: Buffer;
  readonly partitionKey: Buffer;
  readonly appended: Appended;
  /** Its index in `appended.events`. */
  readonly place: number;
}

interface Stream {
  readonly partitionKey: Buffer;
  readonly events: StoredEvent[];
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const feedName = (target: FeedTarget): string =>
  target.kind === 'partition'
    ? String(target.partition)
    : `${text(target.partitionKey)}/${text(target.streamId)}`;

const matches = (expected: ExpectedVersion, current: number | null): boolean => {
  if (expected === 'any') return true;
  if (expected === 'exists') return current !== null;
  if (expected === 'empty') return current === null;
  return current === expected;
};

export class ArrayStore implements EventStore {
  readonly facts: StoreFacts;
  readonly #strict: boolean;
  readonly #now: number;
  readonly #ids: EventIdSource;
  readonly #partitions: StoredEvent[][];
  /** Per bucket, by stream id. */
  readonly #streams: Map<string, Stream>[];
  readonly #watchers = new Map<string, Set<FeedWatcher>>();
  readonly #held: (() => void)[] = [];
  readonly #heldPlaces: (() => void)[] = [];
  readonly #heldReads: (() => void)[] = [];

  /** Answers of appends wait for {@link releaseAnswers}. */
  holdAnswers = false;
  /** `append` returns a promise that waits for {@link releasePlaces}. */
  holdPlaces = false;
  /** Reads return promises: that resolve by themselves, or that wait for {@link releaseReads}. */
  reads: 'at once' | 'later' | 'held' = 'at once';
  /** The next read fails with this after showing its first event. */
  nextReadError: Error | null = null;
  /** Appends that were called. */
  appendCount = 0;

  constructor(options: ArrayStoreOptions = {}) {
    const { partitionCount = 32, bucketCount = 4, now = 1_700_000_000_000 } = options;
    this.#strict = options.strictVersioning ?? false;
    this.#now = now;
    this.#ids = new EventIdSource({ now: () => now, monotonic: () => 0 }, seededRandom(1));
    this.#partitions = Array.from({ length: partitionCount }, () => []);
    this.#streams = Array.from({ length: bucketCount }, () => new Map<string, Stream>());
    this.facts = {
      memberId: '6f1e0c52-2f0b-4d0e-9a6b-0a1b2c3d4e5f',
      clusterId: '0d4c8f7e-51a3-4b86-8f0d-2e4b6a8c0d1f',
      partitionCount,
      bucketCount,
      appendMaxBytes: options.appendMaxBytes ?? 16 * 1024 * 1024,
    };
  }

  releaseAnswers(count: number = Infinity): void {
    for (const answer of this.#held.splice(0, count)) answer();
  }

  releasePlaces(): void {
    for (const place of this.#heldPlaces.splice(0)) place();
  }

  releaseReads(): void {
    for (const read of this.#heldReads.splice(0)) read();
  }

  append(request: AppendRequest, done: AppendCallback): Promise<void> | null {
    this.appendCount += 1;
    let error: SierraError | null = null;
    let appended: Appended | null = null;
    try {
      appended = this.#append(request);
    } catch (thrown) {
      if (!(thrown instanceof SierraError)) throw thrown;
      error = thrown;
    }
    const answer = (): void => done(error, appended);
    if (this.holdAnswers) this.#held.push(answer);
    else queueMicrotask(answer);
    if (!this.holdPlaces) return null;
    return new Promise((resolve) => this.#heldPlaces.push(resolve));
  }

  readEvent(eventId: Uint8Array, visit: EventVisitor): boolean | Promise<boolean> {
    const wanted = text(eventId);
    const home = (partitionHash(eventId) % this.facts.partitionCount) % this.facts.bucketCount;
    const found = this.#partitions
      .flatMap((events, partition) => events.map((event) => ({ event, partition })))
      .filter(({ event }) => text(event.eventId) === wanted)
      .sort((a, b) => this.#distance(a.partition, home) - this.#distance(b.partition, home))[0];
    return this.#answerRead(() => found !== undefined && visit(found.event));
  }

  readStream(range: StreamRange, visit: EventVisitor): PageEnd | Promise<PageEnd> {
    const events = this.#stream(range.partitionKey, range.streamId)?.events ?? [];
    const key = text(range.partitionKey);
    const shown = events.filter(
      (event) =>
        text(event.partitionKey) === key &&
        event.version >= range.from &&
        event.version <= range.to,
    );
    return this.#show(shown, visit);
  }

  readPartition(range: PartitionRange, visit: EventVisitor): PageEnd | Promise<PageEnd> {
    const events = this.#partitions[range.partition] ?? [];
    const shown = events.filter(({ sequence }) => sequence >= range.from && sequence <= range.to);
    return this.#show(shown, visit);
  }

  streamVersion(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
  ): number | null | Promise<number | null> {
    const stream = this.#stream(partitionKey, streamId);
    const version = stream?.events.at(-1)?.version ?? null;
    const isSameKey = stream !== undefined && text(stream.partitionKey) === text(partitionKey);
    return this.#answerRead(() => (isSameKey ? version : null));
  }

  partitionSequence(partition: number): number | null | Promise<number | null> {
    const last = this.lastSequence(partition);
    return this.#answerRead(() => last);
  }

  /** Sequence of the partition's latest event, at once; null if it has none. */
  lastSequence(partition: number): number | null {
    return this.#partitions[partition]?.at(-1)?.sequence ?? null;
  }

  /** Feeds that are watched. */
  get watched(): number {
    return [...this.#watchers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    const events = (): readonly StoredEvent[] => this.#followed(target);
    const name = feedName(target);
    return this.#answerRead(() => {
      const watchers = this.#watchers.get(name) ?? new Set();
      this.#watchers.set(name, watchers);
      watchers.add(watcher);
      return {
        get end() {
          return events().length;
        },
        read: (from, max, visit) =>
          this.#answerRead(() => {
            for (const event of events().slice(from, from + max)) if (!visit(event)) break;
          }),
        close: () => void watchers.delete(watcher),
      };
    });
  }

  cacheStatistics(): CacheStatistics {
    return {
      hits: 120,
      misses: 20,
      entries: 3,
      memoryBytes: 196_608,
      maxBytes: 268_435_456,
      blockBytes: 65_536,
      evictions: 0,
    };
  }

  statistics(): StoreStatistics {
    return {
      appendsInFlight: this.#held.length,
      journalQueuedBytes: 0,
      journalFill: 0,
      segmentsSealed: 0,
      segmentBytes: 0,
      headsCached: 0,
      filterBytes: 0,
      quarantined: [],
      diskFull: false,
      openFiles: 0,
    };
  }

  #distance(partition: number, homeBucket: number): number {
    const { bucketCount } = this.facts;
    return ((partition % bucketCount) - homeBucket + bucketCount) % bucketCount;
  }

  #partitionOf(partitionKey: Uint8Array): number {
    return partitionHash(partitionKey) % this.facts.partitionCount;
  }

  #stream(partitionKey: Uint8Array, streamId: Uint8Array): Stream | undefined {
    const bucket = this.#partitionOf(partitionKey) % this.facts.bucketCount;
    return this.#streams[bucket]!.get(text(streamId));
  }

  #followed(target: FeedTarget): readonly StoredEvent[] {
    if (target.kind === 'partition') return this.#partitions[target.partition] ?? [];
    const stream = this.#stream(target.partitionKey, target.streamId);
    const isSameKey =
      stream !== undefined && text(stream.partitionKey) === text(target.partitionKey);
    return isSameKey ? stream.events : [];
  }

  /** Tells those who watch one of the targets that a transaction has reached. */
  #advance({ partitionKey, partition, events }: Appended): void {
    const reached = new Set([
      feedName({ kind: 'partition', partition }),
      ...events.map(({ streamId }) => feedName({ kind: 'stream', streamId, partitionKey })),
    ]);
    for (const name of reached) {
      for (const watcher of this.#watchers.get(name) ?? []) watcher.advanced();
    }
  }

  #answerRead<Result>(read: () => Result): Result | Promise<Result> {
    const error = this.nextReadError;
    this.nextReadError = null;
    const answer = (): Result => {
      const result = read();
      if (error !== null) throw error;
      return result;
    };
    if (this.reads === 'at once') return answer();
    if (this.reads === 'later') return Promise.resolve().then(answer);
    return new Promise<void>((resolve) => this.#heldReads.push(resolve)).then(answer);
  }

  #show(events: readonly StoredEvent[], visit: EventVisitor): PageEnd | Promise<PageEnd> {
    return this.#answerRead(() => ({ hasMore: events.some((event) => !visit(event)) }));
  }

  #append(request: AppendRequest): Appended {
    const fault = requestFault(request, this.#strict);
    if (fault !== null) throw fault;
    return this.#duplicateOf(request) ?? this.#store(request);
  }

  /** The original answer of a retry (wire protocol section 8, points 1 to 3). */
  #duplicateOf({ partitionKey, events }: AppendRequest): Appended | null {
    const supplied = events.flatMap(({ eventId }) => (eventId === null ? [] : [text(eventId)]));
    const held = events.map((event) => this.#heldEvent(partitionKey, event));
    const known = held.filter((event) => event !== null);
    if (known.length === 0 && new Set(supplied).size === supplied.length) return null;
    const original = known[0]?.appended;
    const isRetry =
      original !== undefined &&
      original.events.length === events.length &&
      held.every((event, i) => event?.appended === original && event.place === i);
    if (!isRetry) throw invalidArgument('event id already used');
    return original;
  }

  #heldEvent(partitionKey: Uint8Array, draft: EventDraft): StoredEvent | null {
    const { eventId } = draft;
    if (eventId === null) return null;
    const events = this.#stream(partitionKey, draft.streamId)?.events ?? [];
    return events.find((event) => event.supplied && text(event.eventId) === text(eventId)) ?? null;
  }

  #store({ partitionKey, events }: AppendRequest): Appended {
    const versions = new Map<string, number | null>();
    const placed = events.map((draft) => {
      this.#checkPartitionKey(partitionKey, draft.streamId);
      const name = text(draft.streamId);
      const stored = this.#stream(partitionKey, draft.streamId)?.events.at(-1)?.version ?? null;
      const current = versions.has(name) ? (versions.get(name) ?? null) : stored;
      this.#checkVersion(partitionKey, draft, current);
      const version = current === null ? 0 : current + 1;
      versions.set(name, version);
      return { draft, version };
    });
    const partition = this.#partitionOf(partitionKey);
    const target = this.#partitions[partition]!;
    const hash = partitionHash(partitionKey);
    const appended: Appended = {
      partitionKey: Buffer.from(partitionKey),
      partition,
      firstSequence: target.length,
      events: placed.map(({ draft, version }) => ({
        eventId: draft.eventId === null ? this.#ids.next(hash) : Buffer.from(draft.eventId),
        streamId: Buffer.from(draft.streamId),
        version,
        timestamp: draft.timestamp === null ? this.#now : Number(draft.timestamp),
      })),
    };
    const transactionId = Buffer.from('3f0c2b6e9a414d578e216b7c5d4e3f2a', 'hex');
    if (events.length > 1) transactionId[8] = transactionId[8]! & 0x7f;
    events.forEach((draft, i) => {
      this.#put(storedEvent(appended, i, draft, transactionId));
    });
    this.#advance(appended);
    return appended;
  }

  #put(event: StoredEvent): void {
    const streams = this.#streams[event.partition % this.facts.bucketCount]!;
    const name = text(event.streamId);
    const stream = streams.get(name) ?? { partitionKey: event.partitionKey, events: [] };
    streams.set(name, stream);
    stream.events.push(event);
    this.#partitions[event.partition]!.push(event);
  }

  #checkPartitionKey(partitionKey: Uint8Array, streamId: Uint8Array): void {
    const existing = this.#stream(partitionKey, streamId)?.partitionKey;
    if (existing === undefined || text(existing) === text(partitionKey)) return;
    throw new SierraError(
      'DBOPFAILED',
      `database operation failed: partition key must be the same for all events in a stream: expected ${uuidText(existing)}, got ${uuidText(partitionKey)}`,
    );
  }

  #checkVersion(
    partitionKey: Uint8Array,
    { streamId, expectedVersion }: EventDraft,
    current: number | null,
  ): void {
    if (matches(expectedVersion, current)) return;
    throw new SierraError(
      'WRONGVER',
      `current stream version is ${String(current ?? 'empty')} but expected ${String(expectedVersion)} for partition key ${uuidText(partitionKey)} and stream id ${Buffer.from(streamId).toString()}`,
    );
  }
}

function storedEvent(
  appended: Appended,
  index: number,
  draft: EventDraft,
  transactionId: Buffer,
): StoredEvent {
  const { eventId, streamId, version, timestamp } = appended.events[index]!;
  const parts = [eventId, appended.partitionKey, streamId, draft.eventName, draft.metadata];
  const ends = parts.map((_, i) =>
    parts.slice(0, i + 1).reduce((sum, part) => sum + part.length, 0),
  );
  const bytes = Buffer.concat([...parts, draft.payload]);
  return {
    bytes,
    eventIdAt: 0,
    partitionKeyAt: 16,
    partition: appended.partition,
    transactionId,
    sequence: appended.firstSequence + index,
    version,
    timestamp,
    streamIdAt: 32,
    eventNameAt: ends[2]!,
    metadataAt: ends[3]!,
    payloadAt: ends[4]!,
    payloadEnd: bytes.length,
    eventId: Buffer.from(eventId),
    supplied: draft.eventId !== null,
    streamId: Buffer.from(streamId),
    partitionKey: Buffer.from(appended.partitionKey),
    appended,
    place: index,
  };
}
