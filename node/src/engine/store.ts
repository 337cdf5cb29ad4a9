/**
 * The event store of one node: every bucket's log, its writer and its reads behind the {@link EventStore} door.
 *
 * ```ts
 * await using store = await openStore('./data', { bucketCount: 4 });
 * store.append(request, (error, appended) => …);
 * ```
 *
 * Promises: an append that was answered is durable and visible to every read that starts later; reads never show what
 * is not applied. Lifecycle: `open` until `close`, or `failed` after a failed write or sync; then appends are refused
 * and what was in flight has been answered with an unknown outcome.
 */
import { SierraError } from '../../../common/errors.ts';
import { EventIdSource, partitionHash } from '../../../common/ids.ts';
import type { Random } from '../../../common/random.ts';
import { type GroupHost, type GroupTiming, RaftGroup } from '../replication/raft-group.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import { DamageError } from '../storage/errors.ts';
import { FRAME_HEADER_BYTES } from '../storage/frame-format.ts';
import { type ReplicaPlan, Storage, type StorageEnvironment } from '../storage/storage.ts';
import { BucketWriter } from './bucket-writer.ts';
import { EventCursor } from './event-cursor.ts';
import { BucketFeeds } from './feeds.ts';
import { frameBytes } from './frame-encoder.ts';
import { type Head, Heads, keyText } from './heads.ts';
import type { StreamEnd } from './log-feed.ts';
import { type Eventually, hashEvent, LogSearch, type Place } from './log-search.ts';
import type { StoreEnvironment, StoreOptions } from './options.ts';
import { eventsExceedAppendMax, requestFault, streamIdFault } from './rules.ts';
import { readingErrors, scanPartition, scanStream } from './scans.ts';
import type {
  AppendCallback,
  AppendRequest,
  CacheStatistics,
  EventStore,
  EventVisitor,
  Feed,
  FeedTarget,
  FeedWatcher,
  PageEnd,
  PartitionRange,
  StoreFacts,
  StoreStatistics,
  StreamRange,
} from './types.ts';
import type { IndexBuilds } from '../storage/index-builds.ts';

interface Bucket {
  readonly group: RaftGroup;
  readonly search: LogSearch;
  readonly heads: Heads;
  readonly writer: BucketWriter;
  readonly feeds: BucketFeeds;
}

const NOWHERE = Buffer.alloc(0);
const NOTHING: PageEnd = { hasMore: false };

export class Store implements EventStore, AsyncDisposable {
  readonly facts: StoreFacts;
  /** The replica of a bucket has left; its feeds get nothing more. */
  onRemoved: (bucket: number) => void = () => undefined;
  readonly #options: StoreOptions;
  readonly #storage: Storage;
  /** Those of which this node has a replica. */
  #buckets: readonly Bucket[];
  readonly #byNumber = new Map<number, Bucket>();
  readonly #environment: StoreEnvironment;
  readonly #ids: EventIdSource;
  readonly #budget: { bytes: number; readonly maxBytes: number };
  #answers: (() => void)[] = [];
  #answering = false;
  #state: 'open' | 'closing' | 'failed' = 'open';
  #closing: Promise<void> | null = null;

  private constructor(storage: Storage, options: StoreOptions, environment: StoreEnvironment) {
    const { memberId, clusterId } = storage.identity;
    const { partitionCount, bucketCount, appendMaxBytes } = options;
    this.facts = { memberId, clusterId, partitionCount, bucketCount, appendMaxBytes };
    this.#options = options;
    this.#storage = storage;
    this.#budget = { bytes: 0, maxBytes: options.inFlightBytesMax };
    this.#environment = environment;
    this.#ids = new EventIdSource(environment.clock, environment.random);
    this.#buckets = storage.logs.map((log) => this.#bucket(log));
    for (const bucket of this.#buckets) this.#byNumber.set(bucket.group.log.bucket, bucket);
    storage.onRound = (): void => {
      this.#giveAnswers();
    };
  }

  /** Opens a directory; when this resolves, it is recovered and takes appends. */
  static async open(
    directory: string,
    options: StoreOptions,
    environment: StoreEnvironment & { readonly builds: IndexBuilds },
  ): Promise<Store> {
    let store = null as Store | null;
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const storage = await Storage.open(directory, options, {
      ...environment,
      ...(environment.replication && storedOf(environment.replication)),
      onFatal: (error) => {
        if (store !== null) store.#fail(error);
        failed.reject(error);
        environment.onFatal(error);
      },
    });
    store = new Store(storage, options, environment);
    const opened = store;
    const started = opened.#buckets
      .filter(({ group }) => !group.log.quarantined)
      .map(({ group }) => group.start());
    try {
      await Promise.race([Promise.all(started), failed.promise]);
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  append(request: AppendRequest, done: AppendCallback): Promise<void> | null {
    const length = frameBytes(request.events);
    const partition = this.#partitionOf(request.partitionKey);
    const { writer } = this.#bucketOf(partition);
    const fault = this.#state === 'open' ? this.#faultOf(request, length) : stopping();
    if (fault !== null) {
      this.#answerLater(() => {
        done(fault, null);
      });
      return null;
    }
    return writer.append(request, partition, length, done);
  }

  readEvent(eventId: Uint8Array, visit: EventVisitor): boolean | Promise<boolean> {
    const hash = hashEvent(eventId);
    const own = this.#partitionOf(eventId) % this.#options.bucketCount;
    const bucket = this.#byNumber.get(own);
    const places = bucket?.search.eventPlaces(hash);
    if (bucket !== undefined && Array.isArray(places)) {
      const shown = this.#showFromMemory(bucket, places, eventId, visit);
      if (shown) return true;
    }
    return readingErrors(this.#readEventAnywhere(own, hash, Buffer.from(eventId), visit));
  }

  /** Shows the oldest event with this id in one bucket; false where that has none. */
  readEventIn(bucket: number, eventId: Uint8Array, visit: EventVisitor): Promise<boolean> {
    const id = Buffer.from(eventId);
    return readingErrors(this.#readEventIn([bucket], hashEvent(id), id, visit));
  }

  readStream(range: StreamRange, visit: EventVisitor): Eventually<PageEnd> {
    return readingErrors(this.#readStream(range, visit));
  }

  readPartition(range: PartitionRange, visit: EventVisitor): Eventually<PageEnd> {
    const { partition, from, to } = range;
    const { log } = this.#bucketOf(partition).group;
    const last = log.appliedNextSequence(partition) - 1;
    const isWhole = to <= last || log.isEndSure(partition);
    if (from > Math.min(to, last) && (isWhole || from > to)) return NOTHING;
    const page = scanPartition(log, partition, from, Math.min(to, last), visit);
    return readingErrors(isWhole ? page : page.then(unlessHidden));
  }

  streamVersion(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
  ): number | null | Promise<number | null> {
    const { log } = this.#bucketOf(this.#partitionOf(partitionKey)).group;
    if (log.hidesFrames) return readingErrors(this.#sureVersion(streamId, partitionKey));
    const head = this.#headForReading(streamId, partitionKey);
    return head instanceof Promise
      ? readingErrors(head.then((loaded) => appliedVersion(loaded, partitionKey)))
      : appliedVersion(head, partitionKey);
  }

  partitionSequence(partition: number): number | null {
    const { log } = this.#bucketOf(partition).group;
    if (!log.isEndSure(partition)) throw hidden();
    const next = log.appliedNextSequence(partition);
    return next === 0 ? null : next - 1;
  }

  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    if (target.kind === 'partition') {
      const { partition } = target;
      return this.#bucketOf(partition).feeds.openPartition(partition, watcher);
    }
    const { streamId, partitionKey } = target;
    const fault = streamIdFault(streamId);
    if (fault !== null) throw fault;
    const { feeds } = this.#bucketOf(this.#partitionOf(partitionKey));
    const feed = feeds.openStream(streamId, partitionKey, watcher);
    return feed instanceof Promise ? readingErrors(feed) : feed;
  }

  cacheStatistics(): CacheStatistics {
    return this.#storage.cache.statistics;
  }

  statistics(): StoreStatistics {
    const { logs, journal, space, openFiles } = this.#storage;
    const sealed = logs.flatMap((log) => log.sealed.segments);
    const young = logs.flatMap((log) => log.young);
    return {
      appendsInFlight: this.#buckets.reduce((sum, { writer }) => sum + writer.pendingCount, 0),
      journalQueuedBytes: journal.queuedBytes,
      journalFill: journal.fill,
      segmentsSealed: sealed.length,
      segmentBytes:
        sealed.reduce((sum, { file }) => sum + file.length, 0) +
        young.reduce((sum, { written }) => sum + written, 0),
      headsCached: this.#buckets.reduce((sum, { heads }) => sum + heads.size, 0),
      filterBytes: logs.reduce((sum, log) => sum + log.sealed.filterBytes, 0),
      quarantined: logs.filter((log) => log.quarantined).map((log) => log.bucket),
      diskFull: space.full,
      openFiles: openFiles.count + young.length,
    };
  }

  /** The group of a bucket, or undefined where this node has no replica of it. */
  group(bucket: number): RaftGroup | undefined {
    return this.#byNumber.get(bucket)?.group;
  }

  /** Groups of this node's replicas. */
  *groups(): Generator<RaftGroup> {
    for (const { group } of this.#buckets) yield group;
  }

  /**
   * Begins the stay of a replica, empty; it takes part when this resolves. Its configuration names nobody until a leader has
   * told it one.
   */
  async addReplica(plan: ReplicaPlan): Promise<RaftGroup> {
    const bucket = this.#bucket(await this.#storage.addLog(plan));
    if (this.#state !== 'open') throw stopping();
    this.#buckets = [...this.#buckets, bucket];
    this.#byNumber.set(plan.bucket, bucket);
    await bucket.group.start();
    return bucket.group;
  }

  /** Ends the stay of a replica and removes its files. That it is over must be known durably. */
  async removeReplica(number: number): Promise<void> {
    const bucket = this.#byNumber.get(number);
    if (bucket === undefined) {
      await this.#storage.clearBucket(number);
      return;
    }
    this.#byNumber.delete(number);
    this.#buckets = this.#buckets.filter((each) => each !== bucket);
    bucket.group.stop();
    bucket.writer.fail(leadershipLost());
    this.onRemoved(number);
    await this.#storage.removeLog(bucket.group.log);
  }

  /** Finishes what was accepted, leaves everything in synced segments, gives the directory free. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closing';
    this.#storage.stopWaiting();
    for (const { writer } of this.#buckets) await writer.decided();
    try {
      await this.#storage.journal.flushed();
      // What other replicas still say must not change what is being written down.
      for (const { group } of this.#buckets) group.stop();
      await this.#storage.close();
    } finally {
      const unknown = new SierraError(
        'QUORUMFAILED',
        'write outcome unknown, the node stopped, retry with the same EVENT_ID',
      );
      for (const { writer } of this.#buckets) writer.fail(unknown);
      this.#giveAnswers();
    }
  }

  #bucket(log: BucketLog): Bucket {
    const { clock, random, replication } = this.#environment;
    const { timing, host } = replication ?? alone(random);
    const group = new RaftGroup(log, timing, host);
    const search = new LogSearch(group.log);
    const max = Math.ceil(this.#options.headsMax / this.#options.bucketCount);
    const heads = new Heads(max, () => group.appliedIndex);
    const writer = new BucketWriter({
      group,
      search,
      heads,
      space: this.#storage.space,
      ids: this.#ids,
      clock,
      budget: this.#budget,
      answerLater: (answer) => {
        this.#answerLater(answer);
      },
    });
    group.hasUndecided = (): boolean => writer.hasUndecided;
    const feeds = new BucketFeeds({
      log: group.log,
      search,
      streamEnd: (streamId, key) => this.#streamEnd(streamId, key),
      hidden,
    });
    group.onStateChange = (state): void => {
      if (state === 'leading') return;
      group.log.room.endTurn();
      writer.discard(leadershipLost());
    };
    group.onHealed = (): void => {
      heads.forget();
    };
    group.onCommitted = (bytes, at): void => {
      writer.applied(bytes, at);
      feeds.applied(bytes, at);
    };
    return { group, search, heads, writer, feeds };
  }

  #faultOf(request: AppendRequest, length: number): SierraError | null {
    if (length > this.#options.appendMaxBytes) {
      return eventsExceedAppendMax(this.#options.appendMaxBytes);
    }
    const [first] = this.#buckets;
    if (first !== undefined && length > first.group.log.frameBytesMax - FRAME_HEADER_BYTES) {
      return new SierraError(
        'DBOPFAILED',
        'database operation failed: events exceed the size of a single segment',
      );
    }
    return requestFault(request, this.#options.strictVersioning);
  }

  #partitionOf(key: Uint8Array): number {
    return partitionHash(key) % this.#options.partitionCount;
  }

  #bucketOf(partition: number): Bucket {
    const bucket = this.#byNumber.get(partition % this.#options.bucketCount);
    if (bucket === undefined || partition >= this.#options.partitionCount) {
      throw new SierraError('CLUSTERDOWN', 'partition unavailable');
    }
    return bucket;
  }

  #headForReading(streamId: Uint8Array, partitionKey: Uint8Array): Head | Promise<Head> {
    const fault = streamIdFault(streamId);
    if (fault !== null) throw fault;
    return this.#bucketOf(this.#partitionOf(partitionKey)).writer.head(streamId);
  }

  async #readStream(range: StreamRange, visit: EventVisitor): Promise<PageEnd> {
    const { streamId, partitionKey, from, to } = range;
    const head = await this.#headForReading(streamId, partitionKey);
    const version = appliedVersion(head, partitionKey);
    const { group, search } = this.#bucketOf(this.#partitionOf(partitionKey));
    const isWhole =
      from > to ||
      (version !== null && to <= version) ||
      (await this.#isEndSure(group, search, streamId));
    if (version === null || from > Math.min(to, version)) {
      if (isWhole) return NOTHING;
      throw hidden();
    }
    const page = await scanStream(group.log, search, streamId, from, Math.min(to, version), visit);
    return isWhole ? page : unlessHidden(page);
  }

  /** Whether the stream's latest event is known: it stands behind all that damage hides. */
  async #isEndSure(group: RaftGroup, search: LogSearch, streamId: Uint8Array): Promise<boolean> {
    if (!group.log.hidesFrames) return true;
    const head = await search.findHead(streamId);
    return head !== null && group.log.isBehindDamage(head.segment, head.offset);
  }

  #streamEnd(streamId: Uint8Array, partitionKey: Uint8Array): Eventually<StreamEnd> {
    const end = (head: Head, isSure = true): StreamEnd => ({
      nextVersion: (appliedVersion(head, partitionKey) ?? -1) + 1,
      isSure,
    });
    const head = this.#headForReading(streamId, partitionKey);
    const { group, search } = this.#bucketOf(this.#partitionOf(partitionKey));
    if (!group.log.hidesFrames)
      return head instanceof Promise ? head.then((it) => end(it)) : end(head);
    const sureEnd = async (): Promise<StreamEnd> =>
      end(await head, await this.#isEndSure(group, search, streamId));
    return sureEnd();
  }

  async #sureVersion(streamId: Uint8Array, partitionKey: Uint8Array): Promise<number | null> {
    const { group, search } = this.#bucketOf(this.#partitionOf(partitionKey));
    const head = await this.#headForReading(streamId, partitionKey);
    if (!(await this.#isEndSure(group, search, streamId))) throw hidden();
    return appliedVersion(head, partitionKey);
  }

  /** Shows the first of these places that holds the event, as long as all of it is in memory. */
  #showFromMemory(
    { group }: Bucket,
    places: readonly Place[],
    eventId: Uint8Array,
    visit: EventVisitor,
  ): boolean {
    const frame = { bytes: NOWHERE, at: 0 };
    const cursor = new EventCursor();
    try {
      for (const { segment, offset } of places) {
        if (!group.log.tryFrame(segment, offset, frame)) return false;
        if (showEvent(cursor, group, frame, eventId, visit)) return true;
      }
    } catch (error) {
      // The slow path meets the same damage and reports it.
      if (!(error instanceof DamageError)) throw error;
    }
    return false;
  }

  async #readEventAnywhere(
    own: number,
    hash: number,
    eventId: Buffer,
    visit: EventVisitor,
  ): Promise<boolean> {
    const others = [...this.#byNumber.keys()].filter((bucket) => bucket !== own);
    return this.#readEventIn([own, ...others], hash, eventId, visit);
  }

  async #readEventIn(
    numbers: readonly number[],
    hash: number,
    eventId: Buffer,
    visit: EventVisitor,
  ): Promise<boolean> {
    const buckets = numbers
      .map((number) => this.#byNumber.get(number))
      .filter((bucket) => bucket !== undefined);
    const cursor = new EventCursor();
    for (const bucket of buckets) {
      const frame = { bytes: NOWHERE, at: 0 };
      for (const { segment, offset } of await bucket.search.eventPlaces(hash)) {
        await bucket.group.log.frame(segment, offset, frame);
        if (showEvent(cursor, bucket.group, frame, eventId, visit)) return true;
      }
    }
    if (buckets.some(({ group }) => group.log.hidesFrames)) throw hidden();
    return false;
  }

  #answerLater(answer: () => void): void {
    this.#answers.push(answer);
    if (this.#answering) return;
    this.#answering = true;
    setImmediate(() => {
      this.#answering = false;
      this.#giveAnswers();
    });
  }

  #giveAnswers(): void {
    while (this.#answers.length > 0) {
      const answers = this.#answers;
      this.#answers = [];
      for (const answer of answers) answer();
    }
  }

  #fail(cause: Error): void {
    this.#state = 'failed';
    const unknown = new SierraError(
      'QUORUMFAILED',
      'write outcome unknown, the disk failed, retry with the same EVENT_ID',
      { cause },
    );
    for (const { group, writer } of this.#buckets) {
      writer.fail(unknown);
      group.stop();
    }
  }
}

function showEvent(
  cursor: EventCursor,
  group: RaftGroup,
  frame: { bytes: Buffer; at: number },
  eventId: Uint8Array,
  visit: EventVisitor,
): boolean {
  cursor.enter(frame, group.log.groupId);
  do {
    if (cursor.hasEventId(eventId)) {
      visit(cursor);
      return true;
    }
  } while (cursor.next());
  return false;
}

/** What was asked for may be where the log is damaged. */
const hidden = (): SierraError =>
  new SierraError('READERR', 'read error: later events may be in a damaged part of the log');

/** A page that is not full would say that nothing follows. */
function unlessHidden(page: PageEnd): PageEnd {
  if (page.hasMore) return page;
  throw hidden();
}

/** The stream's version under this key, or null. */
function appliedVersion(head: Head, partitionKey: Uint8Array): number | null {
  if (head.appliedVersion < 0) return null;
  return head.appliedPartitionKey === keyText(partitionKey) ? head.appliedVersion : null;
}

const leadershipLost = (): SierraError =>
  new SierraError(
    'QUORUMFAILED',
    'write outcome unknown, leadership changed, retry with the same EVENT_ID',
  );

/** What the storage has to know of the cluster. */
const storedOf = ({
  clusterId,
  startId,
  lock,
  replicas,
}: NonNullable<StoreEnvironment['replication']>): Pick<
  StorageEnvironment,
  'clusterId' | 'startId' | 'lock' | 'replicas'
> => ({
  replicas,
  ...(lock !== undefined && { lock }),
  ...(clusterId !== undefined && { clusterId }),
  ...(startId !== undefined && { startId }),
});

/** A node without peers. */
const alone = (random: Random): { readonly timing: GroupTiming; readonly host: GroupHost } => ({
  timing: { electionTicks: 10, heartbeatTicks: 2 },
  host: {
    random,
    send: () => undefined,
    pull: () => undefined,
    diverged: () => undefined,
  },
});

const stopping = (): SierraError => new SierraError('TRYAGAIN', 'the node is stopping');
