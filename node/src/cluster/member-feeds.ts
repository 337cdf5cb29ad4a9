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

  constructor(routes: Routes, reads: RoutedReads) {
    this.#routes = routes;
    this.#reads = reads;
  }

  open(target: FeedTarget, watcher: FeedWatcher): Feed | Promise<Feed> {
    const bucket =
      target.kind === 'partition'
        ? this.#routes.bucketOf(target.partition)
        : this.#routes.bucketOfKey(target.partitionKey);
    const { store } = this.#routes;
    if (store.group(bucket) === undefined) return this.#openRemote(bucket, own(target), watcher);
    const feed = store.openFeed(target, watcher);
    const kept = own(target);
    return feed instanceof Promise
      ? feed.then((opened) => new ReplicaFeed(opened, kept, this.#reads))
      : new ReplicaFeed(feed, kept, this.#reads);
  }

  async #openRemote(bucket: number, target: FeedTarget, watcher: FeedWatcher): Promise<Feed> {
    const end = await this.#reads.end(target);
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

/** A feed of this member's own copy. Its end may be behind the leader's. */
class ReplicaFeed implements Feed {
  readonly #feed: Feed;
  readonly #target: FeedTarget;
  readonly #reads: RoutedReads;

  constructor(feed: Feed, target: FeedTarget, reads: RoutedReads) {
    this.#feed = feed;
    this.#target = target;
    this.#reads = reads;
  }

  get end(): number {
    return this.#feed.end;
  }

  async latest(): Promise<number> {
    return this.#reads.end(this.#target);
  }

  read(from: number, max: number, visit: EventVisitor): void | Promise<void> {
    return this.#feed.read(from, max, visit);
  }

  close(watcher: FeedWatcher): void {
    this.#feed.close(watcher);
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

  async #ask(feeds: readonly RemoteFeed[]): Promise<boolean> {
    const member = this.#routes.leader(this.#bucket);
    if (member === null || member === HERE) return false;
    const targets = feeds.map(({ target, end }) => ({ target, end }));
    const command = encodeRead({ kind: 'ends', anyCopy: false, waitMs: WAIT_MS, targets });
    this.#question = new AbortController();
    try {
      const [answer] = await this.#routes.post(
        { member, bucket: this.#bucket, toLeader: true },
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
