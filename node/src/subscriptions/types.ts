/** The words of this folder's door: what a subscription asks for, and who takes its events. */
import type { SierraError } from '../../../common/errors.ts';
import type { EventView, FeedTarget } from '../engine/types.ts';

/** One target of a subscription and where it starts: at the first event not below `from`, or behind the latest event. */
export interface SubscriptionStart {
  readonly target: FeedTarget;
  readonly from: number | 'latest';
}

export interface SubscriptionRequest {
  /** One or more; each target once. */
  readonly starts: readonly SubscriptionStart[];
  /** Events that may be delivered and not acknowledged, 1 or more; null: no limit. */
  readonly window: number | null;
}

/**
 * Takes the events of subscriptions: a connection, or a loop in the same process. One sink may serve many. Its methods are
 * called from the event loop's own turn, never from inside a method of a subscription.
 */
export interface SubscriptionSink {
  /**
   * Takes one event; the view is valid during the call only. `cursor` counts the subscription's events from 0. False: this
   * one was taken, but no more before `flush`.
   */
  event(subscription: Subscription, cursor: number, event: EventView): boolean;
  /**
   * Sends what it was given; called at the end of every turn in which it was given something. False: it can take no more
   * for now, and will call {@link Subscription.resume} on one of its subscriptions when it can.
   */
  flush(): boolean;
  /** The subscription has ended by itself; it is closed. A `flush` follows. */
  failed(subscription: Subscription, error: SierraError): void;
}

export interface Subscription {
  /** A random UUID, as text. */
  readonly id: string;
  /** Begins to deliver. Called once, after the client has been told the id. */
  start(): void;
  /** Everything up to `cursor` is processed. Never moves backwards, never beyond what was delivered. */
  acknowledge(cursor: number): void;
  /** The sink takes events again, this subscription's and those of all others that it serves. */
  resume(): void;
  /** Ends it; nothing is delivered any more. May be called again. */
  close(): void;
}

/** Counters and gauges for metrics. */
export interface SubscriptionStatistics {
  /** Open now. */
  readonly open: number;
  /** Targets of those. */
  readonly targets: number;
  /** Of those: waiting for an acknowledgement, waiting for their sink. */
  readonly waitingForAcknowledgement: number;
  readonly waitingForSink: number;
  /** Events given to sinks since the start. */
  readonly delivered: number;
  /** Ended by themselves since the start. */
  readonly failed: number;
}

/** The door: opens subscriptions and runs all of them, fairly. */
export interface SubscriptionOpener {
  /**
   * Fixes where each target starts; nothing is delivered before {@link Subscription.start}. Throws or rejects with
   * `CLUSTERDOWN`, `READERR` or `BUFFERFULL` (too many targets on this node).
   */
  open(request: SubscriptionRequest, sink: SubscriptionSink): Subscription | Promise<Subscription>;
  readonly statistics: SubscriptionStatistics;
}
