/**
 * The door between those who speak to clients (`resp/`, `http/`) and the engine. It answers "where is this partition
 * served?"; on a single node the answer is always "here", so every call goes straight to the store. On a member of a cluster
 * the store behind this door is `cluster-store.ts`.
 *
 * The caller passes requests whose arguments are well-formed (UUIDs are 16 bytes, stream ids UTF-8); everything else is
 * checked behind this door. Errors are `SierraError`s, thrown, rejected or handed to the callback.
 *
 * ```ts
 * const router = new Router(store); // a member: new Router(store, view)
 * router.append({ partitionKey: router.defaultKey(streamId), events }, (error, appended) => { … });
 * const version = await router.streamVersion(streamId, router.defaultKey(streamId));
 * ```
 */
import { SierraError } from '../../../common/errors.ts';
import { partitionHash } from '../../../common/ids.ts';
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
import { ClusterStore } from './cluster-store.ts';
import { DefaultKeys } from './default-keys.ts';
import type { RouterOptions } from './routes.ts';
import type { ClusterView, ReplicaStore } from './types.ts';

export class Router implements EventStore {
  readonly facts: StoreFacts;
  /** For connections that have sent READONLY: reads are answered from committed copies. A lone node's is the router itself. */
  readonly readOnly: Router;
  readonly #store: EventStore;
  readonly #defaultKeys: DefaultKeys;

  constructor(store: EventStore);
  constructor(store: ReplicaStore, view: ClusterView, options?: RouterOptions);
  constructor(
    store: EventStore | ReplicaStore,
    ...[view, options]: [view?: ClusterView, options?: RouterOptions]
  ) {
    this.facts = store.facts;
    this.#defaultKeys = new DefaultKeys();
    this.readOnly = this;
    if (view === undefined) {
      this.#store = store;
    } else {
      const cluster = new ClusterStore(store as ReplicaStore, view, options);
      this.#store = cluster;
      this.readOnly = new Router(cluster.readOnly);
    }
  }

  /** The partition of a partition key: its hash modulo the partition count (wire protocol 6.1). */
  partitionOf(partitionKey: Uint8Array): number {
    return partitionHash(partitionKey) % this.facts.partitionCount;
  }

  /** The partition key of a stream for which the client names none: 16 bytes, shared, not to be changed. */
  defaultKey(streamId: Buffer): Buffer {
    return this.#defaultKeys.of(streamId);
  }

  append(request: AppendRequest, done: AppendCallback): Promise<void> | null {
    return this.#store.append(request, done);
  }

  readEvent(eventId: Uint8Array, visit: EventVisitor): boolean | Promise<boolean> {
    return this.#store.readEvent(eventId, visit);
  }

  readStream(range: StreamRange, visit: EventVisitor): PageEnd | Promise<PageEnd> {
    return this.#store.readStream(range, visit);
  }

  readPartition(range: PartitionRange, visit: EventVisitor): PageEnd | Promise<PageEnd> {
    this.requirePartition(range.partition);
    return this.#store.readPartition(range, visit);
  }

  streamVersion(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
  ): number | null | Promise<number | null> {
    return this.#store.streamVersion(streamId, partitionKey);
  }

  partitionSequence(partition: number): number | null | Promise<number | null> {
    this.requirePartition(partition);
    return this.#store.partitionSequence(partition);
  }

  openFeed(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    if (target.kind === 'partition') this.requirePartition(target.partition);
    return this.#store.openFeed(target, watcher);
  }

  cacheStatistics(): CacheStatistics {
    return this.#store.cacheStatistics();
  }

  statistics(): StoreStatistics {
    return this.#store.statistics();
  }

  /** Throws `CLUSTERDOWN` for a partition that does not exist. */
  requirePartition(partition: number): void {
    if (partition >= this.facts.partitionCount) {
      throw new SierraError('CLUSTERDOWN', 'partition unavailable');
    }
  }
}
