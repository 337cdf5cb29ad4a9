/**
 * Feeds of a member: what it has a replica of is read from that, the rest from the leaders.
 *
 * Invariants
 * - Positions are versions and sequences, the same on every member: a leader that changes is gone on with where the one before
 *   ended, without a gap and without repeating anything.
 * - The end of a remote feed was told by a leader that had made sure of it; what is below can be read at every later leader.
 */
import { SierraError } from '../../../common/errors.ts';
import type { EventVisitor, Feed, FeedTarget, FeedWatcher } from '../engine/types.ts';
import { encodeRead } from './forwarding.ts';
import { endOf, type RoutedReads } from './routed-reads.ts';
import { HERE, type Routes } from './routes.ts';

/** A leader is asked again after so long without news. */
const WAIT_MS = 2000;
/** And the answer is waited for so much longer. */
const ANSWER_MS = 2000;

export class MemberFeeds {
  readonly #routes: Routes;
  readonly #reads: RoutedReads;
  readonly #remote = new Map<number, RemoteEnds>();
  /** By bucket: feeds of replicas that are here. */
  readonly #local = new Map<number, Set<ReplicaFeed>>();

  constructor(routes: Routes, reads: RoutedReads) {
    this.#routes = routes;
    this.#reads = reads;
    routes.store.onRemoved = (bucket): void => {
      this.leave(bucket);
    };
  }

  open(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    const bucket =
      target.kind === 'partition'
        ? this.#routes.bucketOf(target.partition)
        : this.#routes.bucketOfKey(target.partitionKey);
    const { store } = this.#routes;
    if (!this.#routes.holds(bucket)) return this.#openRemote(bucket, own(target), watcher);
    const group = store.group(bucket);
    const feed = store.openFeed(target, watcher);
    const kept = own(target);
    if (!(feed instanceof Promise)) return this.#replicaFeed(bucket, feed, kept, watcher);
    return feed.then(
      (opened) => {
        const replica = this.#replicaFeed(bucket, opened, kept, watcher);
        if (store.group(bucket) !== group) replica.goOn();
        return replica;
      },
      (error: unknown) => {
        if (store.group(bucket) === group) throw error;
        return this.#openRemote(bucket, kept, watcher);
      },
    );
  }

  /** The replica of a bucket has left: its feeds go on at the leader, from where they are. */
  leave(bucket: number): void {
    for (const feed of this.#local.get(bucket) ?? []) feed.goOn();
    this.#local.delete(bucket);
  }

  #replicaFeed(bucket: number, feed: Feed, target: FeedTarget, watcher: FeedWatcher): ReplicaFeed {
    const feeds = this.#local.get(bucket) ?? new Set();
    this.#local.set(bucket, feeds);
    const opened = new ReplicaFeed({
      ...{ feed, target, reads: this.#reads },
      goOn: (end) => this.#remoteFeed(bucket, target, watcher, end),
      closed: () => feeds.delete(opened),
    });
    feeds.add(opened);
    return opened;
  }

  async #openRemote(bucket: number, target: FeedTarget, watcher: FeedWatcher): Promise<Feed> {
    return this.#remoteFeed(bucket, target, watcher, await this.#reads.end(target));
  }

  #remoteFeed(bucket: number, target: FeedTarget, watcher: FeedWatcher, end: number): RemoteFeed {
    let ends = this.#remote.get(bucket);
    if (ends === undefined) {
      ends = new RemoteEnds(this.#routes, bucket);
      this.#remote.set(bucket, ends);
    }
    const feed = new RemoteFeed({ target, end, watcher, ends, reads: this.#reads });
    ends.add(feed);
    return feed;
  }
}

/** The caller's buffers are not kept. */
const own = (target: FeedTarget): FeedTarget =>
  target.kind === 'partition'
    ? target
    : {
        kind: 'stream',
        streamId: Buffer.from(target.streamId),
        partitionKey: Buffer.from(target.partitionKey),
      };

interface ReplicaFeedParts {
  readonly feed: Feed;
  readonly target: FeedTarget;
  readonly reads: RoutedReads;
  /** The same target at its leader, from this end on. */
  readonly goOn: (end: number) => Feed;
  readonly closed: () => void;
}

/** A feed of this member's own copy, as long as there is one. Its end may be behind the leader's. */
class ReplicaFeed implements Feed {
  readonly #parts: ReplicaFeedParts;
  #remote: Feed | null = null;

  constructor(parts: ReplicaFeedParts) {
    this.#parts = parts;
  }

  get end(): number {
    return (this.#remote ?? this.#parts.feed).end;
  }

  async latest(): Promise<number> {
    return this.#parts.reads.end(this.#parts.target);
  }

  read(from: number, max: number, visit: EventVisitor): void | Promise<void> {
    if (this.#remote !== null) return this.#remote.read(from, max, visit);
    const reading = this.#parts.feed.read(from, max, visit);
    if (!(reading instanceof Promise)) return reading;
    return reading.catch((error: unknown) => {
      // What was read may have been removed meanwhile: whoever asks again is answered by the leader.
      if (this.#remote === null) throw error;
    });
  }

  goOn(): void {
    this.#remote ??= this.#parts.goOn(this.#parts.feed.end);
  }

  close(watcher: FeedWatcher): void {
    this.#parts.closed();
    this.#parts.feed.close(watcher);
    this.#remote?.close(watcher);
  }
}

interface RemoteFeedParts {
  readonly target: FeedTarget;
  readonly end: number;
  readonly watcher: FeedWatcher;
  readonly ends: RemoteEnds;
  readonly reads: RoutedReads;
}

/** A feed that this member has no copy of. */
class RemoteFeed implements Feed {
  end: number;
  readonly #parts: RemoteFeedParts;
  #isClosed = false;

  constructor(parts: RemoteFeedParts) {
    this.#parts = parts;
    this.end = parts.end;
  }

  get target(): FeedTarget {
    return this.#parts.target;
  }

  async askEnd(): Promise<void> {
    this.advance(await this.#parts.reads.end(this.target));
  }

  advance(end: number): void {
    if (end <= this.end) return;
    this.end = end;
    this.#parts.watcher.advanced();
  }

  async read(from: number, max: number, visit: EventVisitor): Promise<void> {
    const { target, reads } = this.#parts;
    const to = from + max - 1;
    while (!this.#isClosed) {
      let next = from;
      const count: EventVisitor = (event) => {
        const isTaken = next <= to && visit(event);
        if (isTaken) next += 1;
        return isTaken;
      };
      try {
        if (target.kind === 'stream') await reads.readStream({ ...target, from, to }, count);
        else await reads.readPartition({ ...target, from, to }, count);
        return;
      } catch (error) {
        // Without a leader there is nothing to deliver either: a subscription waits.
        const mayWait = error instanceof SierraError && error.code === 'TRYAGAIN';
        if (!mayWait) throw error;
        if (next > from) return;
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#parts.ends.remove(this);
  }
}

/** Asks the leader of a bucket whether feeds have grown, as long as there are any: one question for all of them. */
class RemoteEnds {
  readonly #routes: Routes;
  readonly #bucket: number;
  readonly #feeds = new Set<RemoteFeed>();
  #isRunning = false;
  #question: AbortController | null = null;

  constructor(routes: Routes, bucket: number) {
    this.#routes = routes;
    this.#bucket = bucket;
  }

  add(feed: RemoteFeed): void {
    this.#feeds.add(feed);
    // The question under way does not ask for it.
    this.#question?.abort(new Error('another question follows'));
    if (this.#isRunning) return;
    this.#isRunning = true;
    setImmediate(() => void this.#run());
  }

  remove(feed: RemoteFeed): void {
    this.#feeds.delete(feed);
    if (this.#feeds.size === 0) this.#question?.abort(new Error('nobody wants to know any more'));
  }

  async #run(): Promise<void> {
    while (this.#feeds.size > 0) {
      const feeds = [...this.#feeds];
      const isTold = await this.#ask(feeds);
      if (!isTold && this.#feeds.size > 0) await this.#routes.pause(this.#bucket);
    }
    this.#isRunning = false;
  }

  /** A replica has come here since, and leads. */
  async #askHere(feeds: readonly RemoteFeed[]): Promise<void> {
    for (const feed of feeds) {
      await feed.askEnd().catch(() => undefined);
    }
  }

  async #ask(feeds: readonly RemoteFeed[]): Promise<boolean> {
    const member = this.#routes.leader(this.#bucket);
    if (member === HERE) await this.#askHere(feeds);
    if (member === null || member === HERE) return false;
    const targets = feeds.map(({ target, end }) => ({ target, end }));
    const command = encodeRead({ kind: 'ends', anyCopy: false, waitMs: WAIT_MS, targets });
    this.#question = new AbortController();
    try {
      const [answer] = await this.#routes.run(
        { member, bucket: this.#bucket, lane: 'reads', toLeader: true },
        [command],
        WAIT_MS + ANSWER_MS,
        this.#question,
      );
      if (answer?.kind !== 'done') return false;
      for (const feed of feeds) feed.advance(endOf(answer.body.u48()));
      return true;
    } catch {
      return false;
    } finally {
      this.#question = null;
    }
  }
}
