/** What a subscription is for: its streams or partitions, the events' places in them, and the command that asks for them. */
import type { Word } from './command-bytes.ts';
import {
  type Command,
  partitionSequence,
  streamVersion,
  text,
  uuid,
  wholeNumber,
} from './commands.ts';
import { partitionHash, uuidText } from '../common/ids.ts';
import { InvalidArgumentError } from './errors.ts';
import type {
  StoredEvent,
  StreamTarget,
  SubscriptionPosition,
  SubscriptionTarget,
} from './types.ts';

/** A stream's id, or a partition's number. */
export type TargetKey = string | number;

/** The first number of each stream or partition that is still to come. */
export type Places = ReadonlyMap<TargetKey, number>;

export interface Target {
  /** For logs. */
  readonly label: string;
  /** All of them, once it is known how many partitions there are. */
  keys(partitionCount: number): readonly TargetKey[];
  keyOf(event: StoredEvent): TargetKey;
  placeOf(event: StoredEvent): number;
  /** Asks for the latest event's place. */
  latest(key: TargetKey): Command<number | null>;
  /** ESUB or EPSUB. */
  words(places: Places, window: number): readonly Word[];
  position(places: Places): SubscriptionPosition;
  /** What a position says of these; null where it is of the other kind. */
  numbers(position: SubscriptionPosition): ReadonlyMap<TargetKey, number> | null;
}

/** Throws `InvalidArgumentError`. */
export function compileTarget(asked: SubscriptionTarget): Target {
  const given = ['stream', 'streams', 'partition', 'partitions', 'all'].filter(
    (key) => key in asked,
  );
  if (given.length !== 1) {
    throw new InvalidArgumentError(
      'a subscription is to one of stream, streams, partition, partitions, all',
    );
  }
  if ('stream' in asked) return streamsTarget([asked.stream]);
  if ('streams' in asked) return streamsTarget(asked.streams);
  if ('partition' in asked) return partitionsTarget([asked.partition]);
  return partitionsTarget('partitions' in asked ? asked.partitions : null);
}

/** Words that ESUB takes for an option behind the first stream. */
const isKeyword = (streamId: string): boolean => /^(FROM|WINDOW|PARTITION_KEY)$/i.test(streamId);

function streamsTarget(asked: readonly StreamTarget[]): Target {
  const keys = new Map<string, string | undefined>();
  for (const each of asked) {
    const { streamId, partitionKey } = typeof each === 'string' ? { streamId: each } : each;
    text(streamId, 'stream id');
    if (keys.has(streamId)) throw new InvalidArgumentError(`stream ${streamId} is given twice`);
    keys.set(
      streamId,
      partitionKey === undefined ? undefined : uuidText(uuid(partitionKey, 'partition key')),
    );
  }
  if (keys.size === 0) throw new InvalidArgumentError('a subscription without a stream');
  const order = [...keys.keys()].sort((a, b) => Number(isKeyword(b)) - Number(isKeyword(a)));
  const [, second] = order;
  if (second !== undefined && isKeyword(second)) {
    throw new InvalidArgumentError(`stream ${second} needs a subscription of its own`);
  }
  const names = order.flatMap((streamId) => {
    const key = keys.get(streamId);
    return key === undefined ? [streamId] : [streamId, 'PARTITION_KEY', key];
  });
  return {
    label: order.length === 1 ? `stream ${order[0] ?? ''}` : `${order.length} streams`,
    keys: () => order,
    keyOf: (event) => event.streamId,
    placeOf: (event) => event.version,
    latest: (key) => streamVersion(String(key), keys.get(String(key))),
    words: (places, window) => ['ESUB', ...names, ...clauses(places, window)],
    position: (places) => ({ streams: recordOf(places) }),
    numbers: ({ streams, partitions }) =>
      streams === undefined && partitions !== undefined ? null : numbersIn(streams, (key) => key),
  };
}

/** Null: all of them. */
function partitionsTarget(asked: readonly (number | string)[] | null): Target {
  const selectors = asked?.map((each) =>
    typeof each === 'number' ? wholeNumber(each, 'partition') : uuid(each, 'partition key'),
  );
  if (selectors?.length === 0) throw new InvalidArgumentError('a subscription without a partition');
  const keys = (partitionCount: number): number[] => {
    if (selectors === undefined) return Array.from({ length: partitionCount }, (_, i) => i);
    const numbers = selectors.map((each) =>
      typeof each === 'number' ? each : partitionHash(each) % partitionCount,
    );
    return [...new Set(numbers)];
  };
  return {
    label: asked === null ? 'all partitions' : `partition ${asked.join(', ')}`,
    keys,
    keyOf: (event) => event.partition,
    placeOf: (event) => event.sequence,
    latest: (key) => partitionSequence(Number(key)),
    words: (places, window) => [
      'EPSUB',
      asked === null ? '*' : [...places.keys()].join(','),
      ...clauses(places, window),
    ],
    position: (places) => ({ partitions: recordOf(places) }),
    numbers: ({ streams, partitions }) =>
      partitions === undefined && streams !== undefined ? null : numbersIn(partitions, Number),
  };
}

function clauses(places: Places, window: number): Word[] {
  const [first = 0] = places.values();
  const isSame = [...places.values()].every((place) => place === first);
  const from: Word[] = isSame
    ? [first]
    : ['MAP', ...[...places].map(([key, place]) => `${key}=${place}`)];
  return ['FROM', ...from, 'WINDOW', window];
}

const recordOf = (places: Places): Record<string, number> => Object.fromEntries(places);

function numbersIn(
  record: Readonly<Record<string, number>> = {},
  keyOf: (key: string) => TargetKey,
): Map<TargetKey, number> {
  return new Map(
    Object.entries(record).map(([key, place]) => [keyOf(key), wholeNumber(place, 'position')]),
  );
}
