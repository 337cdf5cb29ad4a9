/**
 * A subscription beside the model: every event that it shows is the one that is due, in every field, and it shows no more
 * than its window lets it.
 */
import assert from 'node:assert/strict';

import type { SierraError } from '../../../../common/errors.ts';
import type { StoreModel } from '../../engine/testing/model.ts';
import type { ObservedEvent } from '../../engine/testing/observed.ts';
import type { Subscription, SubscriptionRequest, SubscriptionStart } from '../types.ts';
import { keysOf, Lane, targetKey } from './lane.ts';

export type SubscriptionState = 'opening' | 'open' | 'started' | 'closed' | 'failed';

/** A sink that serves subscriptions. */
export interface Served {
  /** It was full when flushed, and has not resumed since. */
  isParked: boolean;
  /** A subscription has ended, by `close` or by itself. */
  ended(): void;
}

export class ModelledSubscription {
  readonly sink: Served;
  readonly window: number | null;
  readonly #lanes: ReadonlyMap<string, Lane>;
  state: SubscriptionState = 'opening';
  error: SierraError | null = null;
  #subscription: Subscription | null = null;
  #shown = 0;
  #acknowledged = -1;

  constructor({ starts, window }: SubscriptionRequest, sink: Served, model: StoreModel) {
    this.sink = sink;
    this.window = window;
    this.#lanes = new Map(starts.map((start) => [targetKey(start.target), new Lane(start, model)]));
  }

  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()];
  }

  get shown(): number {
    return this.#shown;
  }

  get subscription(): Subscription {
    assert(this.#subscription !== null, 'the subscription is open');
    return this.#subscription;
  }

  get hasEnded(): boolean {
    return this.state === 'closed' || this.state === 'failed';
  }

  get isLive(): boolean {
    return this.state === 'open' || this.state === 'started';
  }

  /** Events that must come without anybody doing more. */
  get due(): number {
    if (this.state !== 'started' || this.sink.isParked) return 0;
    return Math.min(this.#room, this.outstanding);
  }

  /** Events that must come as soon as they may. */
  get outstanding(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.due, 0);
  }

  /** Where a reader that has processed everything goes on. */
  get resumption(): readonly SubscriptionStart[] {
    return this.lanes.map(({ target, next }) => ({ target, from: next }));
  }

  isOf(subscription: Subscription): boolean {
    return subscription === this.#subscription;
  }

  opened(subscription: Subscription): void {
    assert.equal(this.state, 'opening');
    this.#subscription = subscription;
    this.state = 'open';
    for (const lane of this.lanes) lane.opened();
  }

  show(cursor: number, event: ObservedEvent): void {
    assert.equal(this.state, 'started', 'events come between start() and the end');
    assert.equal(cursor, this.#shown, 'cursors count from 0');
    assert(!this.sink.isParked, 'a sink that is full is given nothing');
    assert(this.#room > 0, `no more than the window of ${this.window} is outstanding`);
    const lane = keysOf(event).flatMap((key) => this.#lanes.get(key) ?? [])[0];
    assert(lane !== undefined, `an event of ${keysOf(event).join(', ')} was asked for`);
    this.#shown += 1;
    lane.show(event);
  }

  acknowledge(cursor: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, Math.min(cursor, this.#shown - 1));
    this.subscription.acknowledge(cursor);
  }

  resume(): void {
    this.sink.isParked = false;
    this.subscription.resume();
  }

  start(): void {
    assert.equal(this.state, 'open');
    this.state = 'started';
    this.subscription.start();
  }

  close(): void {
    if (this.isLive) this.state = 'closed';
    this.subscription.close();
    this.sink.ended();
  }

  failed(error: SierraError): void {
    assert(this.isLive, `a subscription that is ${this.state} does not fail`);
    this.state = 'failed';
    this.error = error;
    this.sink.ended();
  }

  describe(): string {
    const lanes = this.lanes.map(
      (lane) => `${targetKey(lane.target)}: next ${lane.next}, ${lane.due} due`,
    );
    const pace = `window ${this.window}, shown ${this.#shown}, acknowledged ${this.#acknowledged}`;
    return `${this.state}, ${pace}${this.sink.isParked ? ', parked' : ''}; ${lanes.join('; ')}`;
  }

  get #room(): number {
    if (this.window === null) return Infinity;
    return this.window - (this.#shown - 1 - this.#acknowledged);
  }
}
