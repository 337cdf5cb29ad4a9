import type { EventView } from '../engine/types.ts';
import type { RunningSubscription } from './running-subscription.ts';
import type { SubscriptionSink } from './types.ts';

/**
 * What the scheduler knows of a sink that its subscriptions share.
 *
 * A sink that says "no more" within a turn is full until the end of the turn, when it is flushed; one that says it when
 * flushed is full until it resumes. Subscriptions that would deliver to a full sink are parked here, in their order.
 */
export class SinkState {
  readonly sink: SubscriptionSink;
  /** Open subscriptions. */
  subscriptions = 0;
  isFull = false;
  /** Given something since its last flush; the scheduler's own. */
  isTouched = false;
  #isStopped = false;
  #parked: RunningSubscription[] = [];

  constructor(sink: SubscriptionSink) {
    this.sink = sink;
  }

  get parkedCount(): number {
    return this.#isStopped ? this.#parked.length : 0;
  }

  event(subscription: RunningSubscription, cursor: number, event: EventView): void {
    if (!this.sink.event(subscription, cursor, event)) this.isFull = true;
  }

  /** Considered again when the sink takes events. */
  park(subscription: RunningSubscription): void {
    if (subscription.isParked) return;
    subscription.isParked = true;
    this.#parked.push(subscription);
  }

  flush(): void {
    this.isTouched = false;
    this.#isStopped = !this.sink.flush();
    if (this.#isStopped) this.isFull = true;
    else this.#open();
  }

  resume(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#open();
  }

  #open(): void {
    if (!this.isFull) return;
    this.isFull = false;
    const parked = this.#parked;
    this.#parked = [];
    for (const subscription of parked) {
      subscription.isParked = false;
      subscription.consider();
    }
  }
}
