/**
 * One subscription: positions in feeds, a window, and what it waits for.
 *
 * Invariants
 * - At most one read is under way, and events are given to the sink in the order in which they are read; so every target's
 *   events arrive in ascending order, and those of one transaction follow each other.
 * - A target's position moves only when the sink has taken the event. Nothing else remembers what was delivered, so nothing
 *   can be lost or repeated by waiting, however long.
 * - It is in the scheduler's queue only while it may deliver: started, not reading, window open, sink not full.
 */
import { SierraError } from '../../../common/errors.ts';
import type { EventView } from '../engine/types.ts';
import type { SinkState } from './sink-state.ts';
import { type Target, TargetList, type TargetOwner } from './target.ts';
import type { Subscription } from './types.ts';

/** What a subscription asks of its scheduler. */
export interface SubscriptionHost {
  enqueue(subscription: RunningSubscription): void;
  /** An event of so many bytes was given to the sink. */
  delivered(sink: SinkState, bytes: number): void;
  /** A read from disk begins (1) or ends (-1). */
  reading(change: 1 | -1): void;
  /** Waiting for an acknowledgement begins (1) or ends (-1). */
  waiting(change: 1 | -1): void;
  /** It has ended: by itself if there is an error. */
  ended(subscription: RunningSubscription, error: SierraError | null): void;
}

export class RunningSubscription implements Subscription, TargetOwner {
  readonly id: string;
  readonly sink: SinkState;
  /** The next one in the scheduler's queue; the scheduler's own. */
  nextQueued: RunningSubscription | null = null;
  /** The sink's own: waits there until the sink takes events. */
  isParked = false;
  /**
   * Its last read had to wait for the disk, and so will the next one. So will the first of a subscription that begins in
   * history.
   */
  readsDisk = false;
  /** Given away when it has ended. */
  targets: readonly Target[] = [];
  readonly #host: SubscriptionHost;
  readonly #window: number;
  readonly #behind = new TargetList();
  /** Events given to the sink: the next cursor. */
  #delivered = 0;
  /** Cursor up to which all is processed; -1 at first. */
  #acknowledged = -1;
  #isStarted = false;
  #isQueued = false;
  #isReading = false;
  #isWaiting = false;
  #isClosed = false;

  constructor(id: string, window: number | null, sink: SinkState, host: SubscriptionHost) {
    this.id = id;
    this.#window = window ?? Infinity;
    this.sink = sink;
    this.#host = host;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  start(): void {
    this.#isStarted = true;
    this.readsDisk = !this.#behind.isEmpty;
    this.consider();
  }

  acknowledge(cursor: number): void {
    const known = Math.min(cursor, this.#delivered - 1);
    if (known <= this.#acknowledged) return;
    this.#acknowledged = known;
    this.consider();
  }

  resume(): void {
    this.sink.resume();
  }

  close(): void {
    this.#end(null);
  }

  hasEvents(target: Target): void {
    this.#behind.add(target);
    this.consider();
  }

  /** Goes to the scheduler's queue if it may deliver now. */
  consider(): void {
    if (!this.#isStarted || this.#isClosed || this.#isQueued || this.#isReading) return;
    if (this.#behind.isEmpty) return;
    const isWaiting = this.#room() <= 0;
    if (isWaiting !== this.#isWaiting) this.#wait(isWaiting);
    if (isWaiting) return;
    if (this.sink.isFull) {
      this.sink.park(this);
      return;
    }
    this.#isQueued = true;
    this.#host.enqueue(this);
  }

  /** Delivers up to `max` events of one target; the next call takes the next target. */
  run(max: number): void {
    this.#isQueued = false;
    if (this.#isClosed) return;
    if (this.sink.isFull) {
      this.sink.park(this);
      return;
    }
    const target = this.#behind.take();
    if (target === null || target.feed === null) return;
    this.#isReading = true;
    try {
      const count = Math.min(max, this.#room());
      const pending = target.feed.read(target.position, count, (event) =>
        this.#take(target, event),
      );
      this.readsDisk = pending instanceof Promise;
      if (pending instanceof Promise) {
        this.#host.reading(1);
        void pending
          .finally(() => this.#host.reading(-1))
          .then(
            () => this.#readDone(target),
            (error: unknown) => this.#fail(error),
          );
        return;
      }
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#readDone(target);
  }

  /** Events that may still be delivered before an acknowledgement. */
  #room(): number {
    return this.#acknowledged + this.#window - this.#delivered + 1;
  }

  #take(target: Target, event: EventView): boolean {
    if (this.#isClosed || this.sink.isFull) return false;
    const cursor = this.#delivered;
    this.#delivered += 1;
    target.position += 1;
    this.sink.event(this, cursor, event);
    this.#host.delivered(this.sink, event.payloadEnd - event.eventIdAt);
    return true;
  }

  #readDone(target: Target): void {
    this.#isReading = false;
    if (this.#isClosed) return;
    if (target.isBehind && !target.isListed) this.#behind.add(target);
    this.consider();
  }

  #fail(error: unknown): void {
    const known =
      error instanceof SierraError
        ? error
        : new SierraError('ERR', 'the subscription failed', { cause: error });
    this.#end(known);
  }

  #wait(begins: boolean): void {
    this.#isWaiting = begins;
    this.#host.waiting(begins ? 1 : -1);
  }

  #end(error: SierraError | null): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isWaiting) this.#wait(false);
    for (const target of this.targets) target.feed?.close(target);
    this.#host.ended(this, error);
    this.targets = [];
  }
}
