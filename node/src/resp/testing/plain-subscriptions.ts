/**
 * Subscriptions by the shortest way, for tests of those who stand in front of them: after every change all of them are
 * looked at, one event each in turn.
 */
import { SierraError } from '../../../../common/errors.ts';
import { uuidText } from '../../../../common/ids.ts';
import { type Random, seededRandom } from '../../../../common/random.ts';
import type { Router } from '../../cluster/router.ts';
import type { Feed, FeedWatcher } from '../../engine/types.ts';
import type {
  Subscription,
  SubscriptionOpener,
  SubscriptionRequest,
  SubscriptionSink,
  SubscriptionStatistics,
} from '../../subscriptions/types.ts';

interface Position {
  readonly feed: Feed;
  readonly watcher: FeedWatcher;
  next: number;
}

export class PlainSubscriptions implements SubscriptionOpener {
  readonly live: Set<PlainSubscription> = new Set();
  readonly #router: Router;
  readonly #random: Random = seededRandom(1);
  #scheduled = false;
  statistics: SubscriptionStatistics = {
    open: 0,
    targets: 0,
    waitingForAcknowledgement: 0,
    waitingForSink: 0,
    delivered: 0,
    failed: 0,
  };

  constructor(router: Router) {
    this.#router = router;
  }

  async open(request: SubscriptionRequest, sink: SubscriptionSink): Promise<Subscription> {
    const id = Buffer.alloc(16);
    this.#random.fill(id);
    const watcher = (): FeedWatcher => ({ advanced: () => this.schedule() });
    const positions = await Promise.all(
      request.starts.map(async ({ target, from }) => {
        const own = watcher();
        const feed = await this.#router.openFeed(target, own);
        return { feed, watcher: own, next: from === 'latest' ? feed.end : from };
      }),
    );
    const { window } = request;
    const subscription = new PlainSubscription(this, uuidText(id), positions, window, sink);
    this.live.add(subscription);
    return subscription;
  }

  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    this.#scheduled = false;
    const sinks = new Set<SubscriptionSink>();
    const full = new Set<SubscriptionSink>();
    for (let progress = true; progress;) {
      progress = false;
      for (const subscription of this.live) {
        if (full.has(subscription.sink)) continue;
        const taken = await subscription.step();
        if (taken === 'nothing') continue;
        progress = true;
        sinks.add(subscription.sink);
        if (taken === 'full') full.add(subscription.sink);
      }
    }
    for (const sink of sinks) {
      const more = sink.flush();
      if (more && full.has(sink)) this.schedule();
      if (!more) for (const own of this.live) if (own.sink === sink) own.parked = true;
    }
  }
}

class PlainSubscription implements Subscription {
  readonly id: string;
  readonly sink: SubscriptionSink;
  parked = false;
  readonly #owner: PlainSubscriptions;
  readonly #positions: Position[];
  readonly #window: number;
  #started = false;
  #sent = 0;
  #acknowledged = 0;

  constructor(
    owner: PlainSubscriptions,
    id: string,
    positions: Position[],
    window: number | null,
    sink: SubscriptionSink,
  ) {
    this.#owner = owner;
    this.id = id;
    this.#positions = positions;
    this.#window = window ?? Infinity;
    this.sink = sink;
  }

  start(): void {
    this.#started = true;
    this.#owner.schedule();
  }

  acknowledge(cursor: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, Math.min(this.#sent, cursor + 1));
    this.#owner.schedule();
  }

  resume(): void {
    this.parked = false;
    this.#owner.schedule();
  }

  close(): void {
    for (const { feed, watcher } of this.#positions) feed.close(watcher);
    this.#owner.live.delete(this);
  }

  /** Delivers one event, if one is due. */
  async step(): Promise<'nothing' | 'more' | 'full'> {
    if (!this.#started || this.parked || this.#sent >= this.#acknowledged + this.#window) {
      return 'nothing';
    }
    const due = this.#positions.find(({ feed, next }) => next < feed.end);
    if (due === undefined) return 'nothing';
    let more = true as boolean;
    try {
      await due.feed.read(due.next, 1, (event) => {
        if (!this.#owner.live.has(this)) return false;
        due.next += 1;
        this.#sent += 1;
        more = this.sink.event(this, this.#sent - 1, event);
        return true;
      });
    } catch (error) {
      if (!(error instanceof SierraError)) throw error;
      this.close();
      this.sink.failed(this, error);
    }
    return more ? 'more' : 'full';
  }
}
