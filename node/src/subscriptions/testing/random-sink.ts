/**
 * A sink that is full now and then, and checks how it is called: never from inside a method of a subscription, nothing
 * after it was full, a flush behind everything it was given. What it finds is thrown by {@link Findings.throwFirst}: a
 * sink must not throw.
 */
import assert from 'node:assert/strict';

import type { SierraError } from '../../../../common/errors.ts';
import type { Random } from '../../../../common/random.ts';
import { observe } from '../../engine/testing/observed.ts';
import type { EventView } from '../../engine/types.ts';
import type { Subscription, SubscriptionSink } from '../types.ts';
import type { ModelledSubscription, Served } from './modelled-subscription.ts';

/** What all sinks of a run share. */
export class Findings {
  /** Events that sinks were given. */
  shown = 0;
  /** Set while a method of a subscription is under way. */
  inside: string | null = null;
  #first: unknown = null;

  attempt(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#first ??= error;
    }
  }

  /** Runs a call of a subscription, in which no sink may be called. */
  during(method: string, call: () => void): void {
    const outer = this.inside;
    this.inside = method;
    try {
      call();
    } finally {
      this.inside = outer;
    }
  }

  throwFirst(): void {
    if (this.#first !== null) throw this.#first as Error;
  }
}

export interface SinkHabits {
  /** Per cent of events after which it takes no more before a flush. */
  readonly fullPercent: number;
  /** Per cent of flushes after which it takes no more before it resumes. */
  readonly parkPercent: number;
  /** Per cent of events at which it acknowledges the event from inside the call. */
  readonly acknowledgePercent: number;
  /** Events in ten thousand at which it closes the subscription from inside the call. */
  readonly closePerTenThousand: number;
}

export const willing: SinkHabits = {
  fullPercent: 0,
  parkPercent: 0,
  acknowledgePercent: 0,
  closePerTenThousand: 0,
};

export class RandomSink implements SubscriptionSink, Served {
  habits: SinkHabits;
  isParked = false;
  readonly #random: Random;
  readonly #findings: Findings;
  readonly #serves: ModelledSubscription[] = [];
  #isFull = false;
  #unflushed = 0;
  #isDead = false;

  constructor(random: Random, findings: Findings, habits: SinkHabits) {
    this.#random = random;
    this.#findings = findings;
    this.habits = habits;
  }

  /** Whether it was told to send all that it was given. */
  get isFlushed(): boolean {
    return this.#unflushed === 0;
  }

  serve(modelled: ModelledSubscription): void {
    this.#serves.push(modelled);
  }

  ended(): void {
    if (this.#isIdle) this.isParked = false;
  }

  /** The process is gone: whatever is still running must not be looked at. */
  die(): void {
    this.#isDead = true;
  }

  event(subscription: Subscription, cursor: number, view: EventView): boolean {
    if (this.#isDead) return false;
    this.#findings.shown += 1;
    this.#unflushed += 1;
    this.#findings.attempt(() => {
      assert.equal(this.#findings.inside, null, 'no event from inside a method');
      assert(!this.#isFull, 'a sink that has no room is flushed first');
      const modelled = this.#of(subscription);
      modelled.show(cursor, observe(view));
      this.#react(modelled, cursor);
    });
    this.#isFull = this.#chance(this.habits.fullPercent);
    return !this.#isFull;
  }

  flush(): boolean {
    if (this.#isDead) return false;
    this.#findings.attempt(() => {
      assert.equal(this.#findings.inside, null, 'no flush from inside a method');
    });
    this.#isFull = false;
    this.#unflushed = 0;
    const parks = this.#chance(this.habits.parkPercent);
    this.isParked = parks && !this.#isIdle;
    return !parks;
  }

  failed(subscription: Subscription, error: SierraError): void {
    if (this.#isDead) return;
    this.#unflushed += 1;
    this.#findings.attempt(() => {
      assert.equal(this.#findings.inside, null, 'no failure from inside a method');
      this.#of(subscription).failed(error);
    });
  }

  get #isIdle(): boolean {
    return this.#serves.every(({ hasEnded }) => hasEnded);
  }

  #react(modelled: ModelledSubscription, cursor: number): void {
    if (this.#chance(this.habits.acknowledgePercent)) {
      this.#findings.during('acknowledge', () => {
        modelled.acknowledge(cursor);
      });
    }
    if (this.#random.below(10_000) < this.habits.closePerTenThousand) {
      this.#findings.during('close', () => {
        modelled.close();
      });
    }
  }

  #of(subscription: Subscription): ModelledSubscription {
    const modelled = this.#serves.find((one) => one.isOf(subscription));
    assert(modelled !== undefined, 'events of an open subscription');
    return modelled;
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }
}
