/**
 * All subscriptions of a node: opens them, and delivers for them in turns. The door of this folder; its words are in
 * `types.ts`.
 *
 * ```ts
 * const subscriptions = new Subscriptions(router);
 * const subscription = await subscriptions.open({ starts: [{ target, from: 0 }], window: null }, sink);
 * tell(subscription.id);
 * subscription.start();
 * ```
 *
 * A subscription is a position in a feed: history and the present are read by the same code, and the applied index wakes
 * it. Promises: from its start on every event exactly once, in the order of its stream or partition, whatever the sink's
 * pace; what nobody takes is not read and not kept.
 *
 * Invariants
 * - Turns are bounded in events and bytes and give the event loop back in between; within a turn subscriptions take turns of
 *   their own, so that neither an append nor a neighbour waits for someone's long history.
 * - The first turn follows the replies of the appends that caused it: it begins when the present callbacks have run.
 */
import { SierraError } from '../../../common/errors.ts';
import { printUuid } from '../../../common/ids.ts';
import { type Random, systemRandom } from '../../../common/random.ts';
import type { EventStore, Feed } from '../engine/types.ts';
import { RunningSubscription, type SubscriptionHost } from './running-subscription.ts';
import { RunQueue } from './run-queue.ts';
import { SinkState } from './sink-state.ts';
import { Target } from './target.ts';
import type {
  Subscription,
  SubscriptionOpener,
  SubscriptionRequest,
  SubscriptionSink,
  SubscriptionStart,
  SubscriptionStatistics,
} from './types.ts';

export type * from './types.ts';

export interface SubscriptionsOptions {
  /** `subscriptions.max_targets`: streams and partitions that all subscriptions together may follow. */
  readonly targetsMax?: number;
  readonly random?: Random;
  /** A mistake of ours ended a subscription. */
  readonly onFault?: (error: unknown) => void;
}

/** Events of one subscription before the next one has its turn. */
const RUN_EVENTS = 256;
/** What is delivered before the event loop has its turn: about half a millisecond. */
const TURN_EVENTS = 512;
const TURN_BYTES = 256 * 1024;

/** Reads from disk under way at a time: each may hold a megabyte. */
const READS_MAX = 32;

export const TARGETS_MAX_DEFAULT = 1_000_000;

export class Subscriptions implements SubscriptionOpener {
  readonly #store: EventStore;
  readonly #targetsMax: number;
  readonly #random: Random;
  readonly #onFault: (error: unknown) => void;
  readonly #sinks = new Map<SubscriptionSink, SinkState>();
  readonly #host: SubscriptionHost;
  /** May deliver, from memory as far as is known. */
  readonly #live = new RunQueue();
  /** May deliver, and will have to read. */
  readonly #history = new RunQueue();
  #reading = 0;
  #isScheduled = false;
  #isInTurn = false;
  #isHistorysTurn = false;
  #touched: SinkState[] = [];
  #turnEvents = 0;
  #turnBytes = 0;
  #open = 0;
  #targets = 0;
  #waiting = 0;
  #delivered = 0;
  #failed = 0;

  constructor(store: EventStore, options: SubscriptionsOptions = {}) {
    this.#store = store;
    this.#targetsMax = options.targetsMax ?? TARGETS_MAX_DEFAULT;
    this.#random = options.random ?? systemRandom;
    this.#onFault = options.onFault ?? ((): void => undefined);
    this.#host = {
      enqueue: (subscription) => {
        (subscription.readsDisk ? this.#history : this.#live).add(subscription);
        this.#schedule();
      },
      reading: (change) => {
        this.#reading += change;
        if (change < 0 && this.#hasNext) this.#schedule();
      },
      delivered: (sink, bytes) => {
        this.#delivered += 1;
        this.#turnEvents += 1;
        this.#turnBytes += bytes;
        if (!sink.isTouched) this.#touch(sink);
      },
      waiting: (change) => {
        this.#waiting += change;
      },
      ended: (subscription, error) => {
        this.#ended(subscription, error);
      },
    };
  }

  open(request: SubscriptionRequest, sink: SubscriptionSink): Subscription | Promise<Subscription> {
    const count = request.starts.length;
    if (this.#targets + count > this.#targetsMax) {
      throw new SierraError(
        'BUFFERFULL',
        `subscriptions of this node follow ${String(this.#targets)} streams and partitions of at most ${String(this.#targetsMax)}`,
      );
    }
    const state = this.#sinks.get(sink) ?? new SinkState(sink);
    this.#sinks.set(sink, state);
    state.subscriptions += 1;
    this.#open += 1;
    this.#targets += count;
    const subscription = new RunningSubscription(this.#newId(), request.window, state, this.#host);
    subscription.targets = request.starts.map(() => new Target(subscription));
    try {
      const opening = this.#openTargets(subscription, request.starts, 0);
      if (opening === null) return subscription;
      return opening.then(
        () => subscription,
        (error: unknown) => {
          subscription.close();
          throw error;
        },
      );
    } catch (error) {
      subscription.close();
      throw error;
    }
  }

  get statistics(): SubscriptionStatistics {
    let waitingForSink = 0;
    for (const state of this.#sinks.values()) waitingForSink += state.parkedCount;
    return {
      open: this.#open,
      targets: this.#targets,
      waitingForAcknowledgement: this.#waiting,
      waitingForSink,
      delivered: this.#delivered,
      failed: this.#failed,
    };
  }

  /** Opens targets from the `first`-th on; null if that needed no waiting. */
  #openTargets(
    subscription: RunningSubscription,
    starts: readonly SubscriptionStart[],
    first: number,
  ): Promise<void> | null {
    let settling: Promise<void>[] | null = null;
    for (let i = first; i < starts.length; i += 1) {
      const target = subscription.targets[i] as Target;
      const start = starts[i] as SubscriptionStart;
      const feed = this.#store.openFeed(start.target, target);
      if (feed instanceof Promise) {
        const rest = feed.then(async (opened) => {
          await settle(target, start, opened);
          await this.#openTargets(subscription, starts, i + 1);
        });
        return settling === null ? rest : Promise.all([...settling, rest]).then(() => undefined);
      }
      const wait = settle(target, start, feed);
      if (wait !== null) (settling ??= []).push(wait);
    }
    return settling === null ? null : Promise.all(settling).then(() => undefined);
  }

  #newId(): string {
    const bytes = Buffer.alloc(16);
    this.#random.fill(bytes);
    bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
    const text = Buffer.alloc(36);
    printUuid(bytes, 0, text, 0);
    return text.toString('latin1');
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isInTurn) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#isInTurn = true;
    this.#turnEvents = 0;
    this.#turnBytes = 0;
    while (this.#turnEvents < TURN_EVENTS && this.#turnBytes < TURN_BYTES) {
      const subscription = this.#next();
      if (subscription === null) break;
      subscription.run(RUN_EVENTS);
    }
    const touched = this.#touched;
    this.#touched = [];
    for (const sink of touched) {
      sink.flush();
      this.#forgetIdle(sink);
    }
    this.#isInTurn = false;
    if (this.#hasNext || this.#touched.length > 0) this.#schedule();
  }

  get #hasNext(): boolean {
    return !this.#live.isEmpty || (!this.#history.isEmpty && this.#reading < READS_MAX);
  }

  /** The two queues take turns. */
  #next(): RunningSubscription | null {
    this.#isHistorysTurn = !this.#isHistorysTurn;
    const fromHistory = (): RunningSubscription | null =>
      this.#reading < READS_MAX ? this.#history.take() : null;
    return this.#isHistorysTurn
      ? (fromHistory() ?? this.#live.take())
      : (this.#live.take() ?? fromHistory());
  }

  #touch(sink: SinkState): void {
    sink.isTouched = true;
    this.#touched.push(sink);
    this.#schedule();
  }

  #ended(subscription: RunningSubscription, error: SierraError | null): void {
    const { sink } = subscription;
    this.#open -= 1;
    this.#targets -= subscription.targets.length;
    sink.subscriptions -= 1;
    if (error === null) {
      this.#forgetIdle(sink);
      return;
    }
    this.#failed += 1;
    if (error.code === 'ERR') this.#onFault(error.cause);
    sink.sink.failed(subscription, error);
    if (!sink.isTouched) this.#touch(sink);
  }

  /** A sink that has yet to be flushed is known until then: what it says then holds for a subscription that came since. */
  #forgetIdle(sink: SinkState): void {
    if (sink.subscriptions === 0 && !sink.isTouched) this.#sinks.delete(sink.sink);
  }
}

/** A promise where the latest position has to be asked for. */
function settle(target: Target, { from }: SubscriptionStart, feed: Feed): Promise<void> | null {
  target.feed = feed;
  if (from === 'latest' && feed.latest !== undefined) {
    return feed.latest().then((end) => {
      begin(target, end);
    });
  }
  begin(target, from === 'latest' ? feed.end : from);
  return null;
}

function begin(target: Target, position: number): void {
  target.position = position;
  target.advanced();
}
