/**
 * A subscription inside the process: the events of feeds, at the pace of a loop.
 *
 * Invariants. What is read ahead of the loop is bounded: `window` events, and {@link AHEAD_BYTES} besides one event. The loop gets
 * every event once, in order, and the error that has ended the subscription, if one has, behind the last of them. A place in
 * `#places` is behind the last event of its stream or partition that the loop is done with.
 */
import { invalidArgument, type SierraError } from '../../../common/errors.ts';
import type { EventStore, EventView, FeedTarget } from '../engine/index.ts';
import type {
  Subscription as Feeding,
  SubscriptionOpener,
  SubscriptionSink,
  SubscriptionStart,
} from '../subscriptions/subscriptions.ts';
import { type StoredEvent, storedEvent } from './events.ts';
import type { TargetKey, Targets } from './subscription-targets.ts';
import type { Subscription, SubscriptionPosition } from './subscription-types.ts';

const AHEAD_BYTES = 1024 * 1024;

export interface SubscriptionParts {
  readonly store: EventStore;
  readonly opener: SubscriptionOpener;
  readonly targets: Targets;
  /** Events read ahead of the loop, 1 or more. */
  readonly window: number;
  readonly signal: AbortSignal | undefined;
  /** Called once, when it has ended. */
  readonly onEnd: (subscription: LoopSubscription) => void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<StoredEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class LoopSubscription implements Subscription, SubscriptionSink {
  readonly ready: Promise<void>;
  readonly #parts: SubscriptionParts;
  readonly #places = new Map<TargetKey, number>();
  #feeding: Feeding | null = null;
  /** Read ahead; those in front of `#first` are taken. */
  #ahead: StoredEvent[] = [];
  #first = 0;
  #aheadBytes = 0;
  /** The last flush has said that no more can be taken. */
  #isStopped = false;
  /** What the loop works on. */
  #inHand: StoredEvent | null = null;
  #waiter: Waiter | null = null;
  #error: { readonly reason: unknown } | null = null;
  #isRead = false;
  #isEnded = false;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
    parts.signal?.addEventListener('abort', this.#onAbort);
    this.ready = this.#open();
    // Whoever waits for it sees the error; the loop does in any case.
    this.ready.catch((reason: unknown) => this.#fail(reason));
    if (parts.signal?.aborted === true) this.#end();
  }

  get hasEnded(): boolean {
    return this.#isEnded || this.#error !== null;
  }

  get position(): SubscriptionPosition {
    return this.#parts.targets.position(this.#places);
  }

  [Symbol.asyncIterator](): AsyncIterator<StoredEvent, undefined> {
    if (this.#isRead) throw invalidArgument('a subscription is read by one loop, once');
    this.#isRead = true;
    return {
      next: () => this.#next(),
      return: () => {
        this.#end();
        return Promise.resolve(DONE);
      },
    };
  }

  close(): Promise<void> {
    this.#end();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- The sink's side ----

  event(_feeding: Feeding, _cursor: number, view: EventView): boolean {
    if (this.#isEnded) return false;
    this.#ahead.push(storedEvent(view));
    this.#aheadBytes += view.payloadEnd - view.metadataAt;
    return !this.#isFull;
  }

  flush(): boolean {
    this.#wake();
    this.#isStopped = this.#isFull;
    return !this.#isStopped;
  }

  failed(_feeding: Feeding, error: SierraError): void {
    this.#fail(error);
  }

  // ---- The loop's side ----

  #next(): Promise<IteratorResult<StoredEvent, undefined>> {
    if (this.#waiter !== null) {
      return Promise.reject(invalidArgument('the next event is already waited for'));
    }
    this.#finishInHand();
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#wake();
    });
  }

  /** Gives a waiting loop the next event, or the end, if either is there. */
  #wake(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    const event = this.#take();
    if (event === null && this.#error === null && !this.#isEnded) return;
    this.#waiter = null;
    if (event !== null) {
      this.#inHand = event;
      waiter.resolve({ done: false, value: event });
    } else if (this.#error === null) {
      waiter.resolve(DONE);
    } else {
      const { reason } = this.#error;
      // A loop that asks again has its end.
      this.#error = null;
      waiter.reject(reason);
    }
  }

  #take(): StoredEvent | null {
    const event = this.#ahead[this.#first];
    if (event === undefined) return null;
    this.#first += 1;
    this.#aheadBytes -= event.payload.length + event.metadata.length;
    if (2 * this.#first >= this.#ahead.length) {
      this.#ahead = this.#ahead.slice(this.#first);
      this.#first = 0;
    }
    // Half-way down, so that a slow loop gets many at a time instead of one by one.
    if (this.#isStopped && this.#isHalfEmpty) {
      this.#isStopped = false;
      this.#feeding?.resume();
    }
    return event;
  }

  #finishInHand(): void {
    const event = this.#inHand;
    this.#inHand = null;
    if (event === null) return;
    const { targets } = this.#parts;
    this.#places.set(targets.keyOf(event), targets.placeOf(event) + 1);
  }

  get #isFull(): boolean {
    const count = this.#ahead.length - this.#first;
    return count >= this.#parts.window || this.#aheadBytes >= AHEAD_BYTES;
  }

  get #isHalfEmpty(): boolean {
    const count = this.#ahead.length - this.#first;
    return 2 * count <= this.#parts.window && 2 * this.#aheadBytes <= AHEAD_BYTES;
  }

  // ---- Begin and end ----

  /** Without a pause where nothing has to be read: what is appended in the next statement is then behind the start. */
  async #open(): Promise<void> {
    const { targets, opener } = this.#parts;
    const starts: SubscriptionStart[] = [];
    for (const [key, target] of targets.feeds) {
      const start = targets.startOf(key);
      const place = start === 'latest' ? this.#placeBehind(target) : start;
      const from = place instanceof Promise ? await place : place;
      starts.push({ target, from });
      this.#places.set(key, from);
    }
    if (this.#isEnded) return;
    const opening = opener.open({ starts, window: null }, this);
    const feeding = opening instanceof Promise ? await opening : opening;
    if (this.hasEnded) {
      feeding.close();
      return;
    }
    this.#feeding = feeding;
    feeding.start();
  }

  /** Behind the latest event of a stream or partition. */
  #placeBehind(target: FeedTarget): number | Promise<number> {
    const { store } = this.#parts;
    const latest =
      target.kind === 'stream'
        ? store.streamVersion(target.streamId, target.partitionKey)
        : store.partitionSequence(target.partition);
    return latest instanceof Promise ? latest.then(behind) : behind(latest);
  }

  readonly #onAbort = (): void => this.#end();

  /** The loop gets what was read before, then the error. */
  #fail(reason: unknown): void {
    if (this.#isEnded) return;
    this.#error = { reason };
    this.#release();
    this.#wake();
  }

  /** The loop gets nothing more. */
  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#ahead = [];
    this.#first = 0;
    this.#aheadBytes = 0;
    this.#error = null;
    this.#release();
    this.#wake();
  }

  #release(): void {
    this.#parts.signal?.removeEventListener('abort', this.#onAbort);
    this.#feeding?.close();
    this.#feeding = null;
    this.#parts.onEnd(this);
  }
}

const behind = (latest: number | null): number => (latest === null ? 0 : latest + 1);
