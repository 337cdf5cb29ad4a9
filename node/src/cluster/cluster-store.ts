/**
 * The store of a member as its clients see it: every command is run where its bucket's leader is (architecture section 4).
 *
 * Invariants
 * - Appends of one caller to one bucket take effect in the order of their calls, wherever the leader is and goes.
 * - A read shows everything that was acknowledged before it began, by whichever member.
 */
import { SierraError } from '../../../common/errors.ts';
import { frameBytes } from '../engine/frame-encoder.ts';
import { eventsExceedAppendMax, streamIdFault } from '../engine/rules.ts';
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
} from '../engine/types.ts';
import { AppendLane } from './append-lane.ts';
import { MemberFeeds } from './member-feeds.ts';
import { RoutedReads } from './routed-reads.ts';
import { type RouterOptions, Routes } from './routes.ts';
import type { ClusterView, ReplicaStore } from './types.ts';

export class ClusterStore implements EventStore {
  readonly facts: StoreFacts;
  /** The same, with reads that any committed copy may answer. */
  readonly readOnly: EventStore;
  readonly #store: ReplicaStore;
  readonly #routes: Routes;
  readonly #reads: RoutedReads;
  readonly #feeds: MemberFeeds;
  /** By bucket. */
  readonly #lanes: readonly AppendLane[];

  constructor(store: ReplicaStore, view: ClusterView, options: RouterOptions = {}) {
    this.facts = store.facts;
    this.#store = store;
    this.#routes = new Routes(store, view, options);
    this.#reads = new RoutedReads(this.#routes, false);
    this.#feeds = new MemberFeeds(this.#routes, this.#reads);
    const routes = this.#routes;
    this.#lanes = Array.from(
      { length: this.facts.bucketCount },
      (_, bucket) => new AppendLane(routes, bucket),
    );
    this.readOnly = new ReadOnlyStore(this, new RoutedReads(this.#routes, true));
  }

  append(request: AppendRequest, done: AppendCallback): Promise<void> | null {
    const bucket = this.#routes.bucketOfKey(request.partitionKey);
    const lane = this.#lanes[bucket] as AppendLane;
    if (lane.isIdle && this.#routes.takesAppends(bucket)) return this.#store.append(request, done);
    const { appendMaxBytes } = this.facts;
    if (frameBytes(request.events) > appendMaxBytes) {
      setImmediate(done, eventsExceedAppendMax(appendMaxBytes), null);
    } else {
      lane.append(request, done);
    }
    return null;
  }

  readEvent(eventId: Uint8Array, visit: EventVisitor): Promise<boolean> {
    return this.#reads.readEvent(eventId, visit);
  }

  readStream(range: StreamRange, visit: EventVisitor): Promise<PageEnd> {
    requireStreamId(range.streamId);
    return this.#reads.readStream(range, visit);
  }

  readPartition(range: PartitionRange, visit: EventVisitor): Promise<PageEnd> {
    return this.#reads.readPartition(range, visit);
  }

  streamVersion(streamId: Uint8Array, partitionKey: Uint8Array): Promise<number | null> {
    requireStreamId(streamId);
    return this.#reads.streamVersion(streamId, partitionKey);
  }

  partitionSequence(partition: number): Promise<number | null> {
    return this.#reads.partitionSequence(partition);
  }

  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    if (target.kind === 'stream') requireStreamId(target.streamId);
    return this.#feeds.open(target, watcher);
  }

  cacheStatistics(): CacheStatistics {
    return this.#store.cacheStatistics();
  }

  statistics(): StoreStatistics {
    return this.#store.statistics();
  }
}

/** What may be decided without the leader is decided without it. */
function requireStreamId(streamId: Uint8Array): void {
  const fault: SierraError | null = streamIdFault(streamId);
  if (fault !== null) throw fault;
}

class ReadOnlyStore implements EventStore {
  readonly facts: StoreFacts;
  readonly #store: ClusterStore;
  readonly #reads: RoutedReads;

  constructor(store: ClusterStore, reads: RoutedReads) {
    this.facts = store.facts;
    this.#store = store;
    this.#reads = reads;
  }

  append(request: AppendRequest, done: AppendCallback): Promise<void> | null {
    return this.#store.append(request, done);
  }

  readEvent(eventId: Uint8Array, visit: EventVisitor): Promise<boolean> {
    return this.#reads.readEvent(eventId, visit);
  }

  readStream(range: StreamRange, visit: EventVisitor): Promise<PageEnd> {
    requireStreamId(range.streamId);
    return this.#reads.readStream(range, visit);
  }

  readPartition(range: PartitionRange, visit: EventVisitor): Promise<PageEnd> {
    return this.#reads.readPartition(range, visit);
  }

  streamVersion(streamId: Uint8Array, partitionKey: Uint8Array): Promise<number | null> {
    requireStreamId(streamId);
    return this.#reads.streamVersion(streamId, partitionKey);
  }

  partitionSequence(partition: number): Promise<number | null> {
    return this.#reads.partitionSequence(partition);
  }

  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    return this.#store.openFeed(target, watcher);
  }

  cacheStatistics(): CacheStatistics {
    return this.#store.cacheStatistics();
  }

  statistics(): StoreStatistics {
    return this.#store.statistics();
  }
}
