/** The words of subscriptions; the same as those of the client (`sierradb/client`). */
import type { StoredEvent } from './events.ts';

/**
 * Where a subscription goes on: the first version of each stream, or the first sequence of each partition, that has not
 * been processed. Plain JSON: keep it anywhere, and give it back as `from`.
 */
export interface SubscriptionPosition {
  readonly streams?: Readonly<Record<string, number>>;
  readonly partitions?: Readonly<Record<string, number>>;
}

/**
 * - `latest`: events that are appended after the subscription began.
 * - a number: events whose version (streams) or sequence (partitions) is not below it; 0 is the beginning.
 * - a position: per stream or partition; one that it does not name starts at 0.
 */
export type SubscriptionStart = 'latest' | number | SubscriptionPosition;

/** A stream, with its partition key where it has one of its own. */
export type StreamTarget = string | { readonly streamId: string; readonly partitionKey?: string };

/** What to subscribe to: exactly one of these. */
export type SubscriptionTarget =
  | { readonly stream: StreamTarget }
  | { readonly streams: readonly StreamTarget[] }
  /** A partition's number, or a partition key in it. */
  | { readonly partition: number | string }
  | { readonly partitions: readonly (number | string)[] }
  /** Every partition. */
  | { readonly all: true };

export type SubscribeOptions = SubscriptionTarget & {
  /** Default 0: from the beginning. */
  readonly from?: SubscriptionStart;
  /** Events that are read ahead of the loop, besides a limit of 1 MiB. Default 256. */
  readonly window?: number;
  /** Ends the loop, as `break` would. */
  readonly signal?: AbortSignal;
};

/**
 * Events as they come: history, then live, without a gap. Ends with `break`, `close`, the signal, the database's end, or an
 * error (the loop throws it). To be read by one loop, once.
 *
 * Within a stream events come in the order of versions, within a partition in that of sequences; across partitions in none.
 * What the loop does not take is not read: a slow one costs no memory and holds up nobody.
 */
export interface Subscription extends AsyncIterable<StoredEvent>, AsyncDisposable {
  /** What has been processed: the loop has asked for the event behind it. Complete when {@link ready} has resolved. */
  readonly position: SubscriptionPosition;
  /** Resolves when it is known where it starts; everything that is appended from then on will be delivered. */
  readonly ready: Promise<void>;
  /** Ends it. The loop ends. */
  close(): Promise<void>;
}
