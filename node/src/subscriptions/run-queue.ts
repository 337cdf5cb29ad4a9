import type { RunningSubscription } from './running-subscription.ts';

/** Subscriptions that may deliver, first come first served; linked through themselves. */
export class RunQueue {
  #first: RunningSubscription | null = null;
  #last: RunningSubscription | null = null;

  get isEmpty(): boolean {
    return this.#first === null;
  }

  add(subscription: RunningSubscription): void {
    if (this.#last === null) this.#first = subscription;
    else this.#last.nextQueued = subscription;
    this.#last = subscription;
  }

  take(): RunningSubscription | null {
    const subscription = this.#first;
    if (subscription === null) return null;
    this.#first = subscription.nextQueued;
    if (this.#first === null) this.#last = null;
    subscription.nextQueued = null;
    return subscription;
  }
}
