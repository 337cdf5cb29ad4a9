/** What a subscription follows: from what a caller writes to feeds and their places. */
import { invalidArgument } from '../../../common/errors.ts';
import { defaultPartitionKey, partitionHash } from '../../../common/ids.ts';
import type { FeedTarget } from '../engine/index.ts';
import { type StoredEvent, utf8, uuid, wholeNumber } from './events.ts';
import type {
  StreamTarget,
  SubscribeOptions,
  SubscriptionPosition,
  SubscriptionStart,
} from './subscription-types.ts';

/** A stream's id or a partition's number. */
export type TargetKey = string | number;

export interface Targets {
  readonly feeds: ReadonlyMap<TargetKey, FeedTarget>;
  keyOf(event: StoredEvent): TargetKey;
  placeOf(event: StoredEvent): number;
  /** Where one starts, as far as the caller has said. */
  startOf(key: TargetKey): number | 'latest';
  position(places: ReadonlyMap<TargetKey, number>): SubscriptionPosition;
}

/** Throws `INVALIDARG`. */
export function subscriptionTargets(options: SubscribeOptions, partitionCount: number): Targets {
  const kinds = ['stream', 'streams', 'partition', 'partitions', 'all'];
  if (kinds.filter((kind) => kind in options).length !== 1) {
    throw invalidArgument(`a subscription is to one of ${kinds.join(', ')}`);
  }
  const { from = 0 } = options;
  if ('stream' in options) return streams([options.stream], from);
  if ('streams' in options) return streams(options.streams, from);
  if ('partition' in options) return partitions([options.partition], from, partitionCount);
  const all = Array.from({ length: partitionCount }, (_, i) => i);
  return partitions('partitions' in options ? options.partitions : all, from, partitionCount);
}

function streams(asked: readonly StreamTarget[], from: SubscriptionStart): Targets {
  const feeds = new Map<TargetKey, FeedTarget>();
  for (const each of asked) {
    const { streamId: id, partitionKey: key } =
      typeof each === 'string' ? { streamId: each } : each;
    const streamId = utf8(id, 'stream id');
    const partitionKey =
      key === undefined ? defaultPartitionKey(streamId) : uuid(key, 'partition key');
    if (feeds.has(id)) throw invalidArgument(`stream ${id} is given twice`);
    feeds.set(id, { kind: 'stream', streamId, partitionKey });
  }
  if (feeds.size === 0) throw invalidArgument('a subscription without a stream');
  return {
    feeds,
    keyOf: (event) => event.streamId,
    placeOf: (event) => event.version,
    startOf: starts(from, 'streams'),
    position: (places) => ({ streams: Object.fromEntries(places) }),
  };
}

function partitions(
  asked: readonly (number | string)[],
  from: SubscriptionStart,
  partitionCount: number,
): Targets {
  const feeds = new Map<TargetKey, FeedTarget>();
  for (const each of asked) {
    const partition =
      typeof each === 'string'
        ? partitionHash(uuid(each, 'partition key')) % partitionCount
        : wholeNumber(each, 'partition');
    if (partition >= partitionCount) {
      throw invalidArgument(`there are ${partitionCount} partitions, from 0 on`);
    }
    feeds.set(partition, { kind: 'partition', partition });
  }
  if (feeds.size === 0) throw invalidArgument('a subscription without a partition');
  return {
    feeds,
    keyOf: (event) => event.partition,
    placeOf: (event) => event.sequence,
    startOf: starts(from, 'partitions'),
    position: (places) => ({ partitions: Object.fromEntries(places) }),
  };
}

function starts(
  from: SubscriptionStart,
  kind: 'streams' | 'partitions',
): (key: TargetKey) => number | 'latest' {
  if (from === 'latest') return () => 'latest';
  if (typeof from === 'number') {
    const first = wholeNumber(from, 'from');
    return () => first;
  }
  const { [kind]: places } = from;
  if (places === undefined && Object.keys(from).length > 0) {
    throw invalidArgument('from is the position of another kind of subscription');
  }
  const known = new Map(
    Object.entries(places ?? {}).map(([key, place]) => [key, wholeNumber(place, 'position')]),
  );
  return (key) => known.get(String(key)) ?? 0;
}
