/** From calls to command words, and from replies to results. Rules that the server checks are left to it. */
import { systemClock } from '../common/clock.ts';
import {
  defaultPartitionKey,
  EventIdSource,
  parseUuid,
  partitionHash,
  uuidText,
} from '../common/ids.ts';
import { commandBytes, type Word } from './command-bytes.ts';
import type { CallRequest } from './calls.ts';
import { InvalidArgumentError, ProtocolError } from './errors.ts';
import { numberIn, textIn, WireEvent } from './event.ts';
import type {
  AppendedEvent,
  AppendResult,
  Bytes,
  ExpectedVersion,
  NewEvent,
  NewStreamEvent,
  Page,
  PageOptions,
} from './types.ts';

type Pairs = ReadonlyMap<string, unknown>;

/**
 * Ids carry the partition's hash, as the server's own do: looking an event up by its id then takes one place, not all of them.
 */
const ids = new EventIdSource(systemClock);

/** A request, and what its reply means. */
export interface Command<T> extends CallRequest {
  readonly result: (reply: unknown) => T;
}

const reading = <T>(words: readonly Word[], result: (reply: unknown) => T): Command<T> => ({
  kind: 'read',
  bytes: commandBytes(words),
  result,
});

export function appendCommand(
  streamId: string,
  events: readonly NewEvent[],
  expected: ExpectedVersion,
  partitionKey: string | undefined,
): Command<AppendResult> {
  const stream = text(streamId, 'stream id');
  const [first] = events;
  if (first === undefined) throw new InvalidArgumentError('an append needs an event');
  const key =
    partitionKey === undefined
      ? defaultPartitionKey(Buffer.from(stream))
      : uuid(partitionKey, 'partition key');
  if (events.length > 1) {
    const all = events.map((event, i) => ({
      ...event,
      streamId,
      expectedVersion: versionAfter(expected, i),
    }));
    return transactionWords(key, all);
  }
  const id = idOf(first, key);
  const keyWords = partitionKey === undefined ? [] : ['PARTITION_KEY', uuidText(key)];
  return {
    kind: 'append',
    eventIds: [id],
    bytes: commandBytes(['EAPPEND', stream, ...eventWords(first, id, expected), ...keyWords]),
    result: (reply) => appended(streamId, reply),
  };
}

export function transactionCommand(
  partitionKey: string,
  events: readonly NewStreamEvent[],
): Command<AppendResult> {
  if (events.length === 0) throw new InvalidArgumentError('a transaction needs an event');
  return transactionWords(uuid(partitionKey, 'partition key'), events);
}

function transactionWords(
  key: Uint8Array,
  events: readonly NewStreamEvent[],
): Command<AppendResult> {
  const eventIds = events.map((event) => idOf(event, key));
  const words = events.flatMap((event, i) => [
    text(event.streamId, 'stream id'),
    ...eventWords(event, eventIds[i] ?? '', event.expectedVersion ?? 'any'),
  ]);
  return {
    kind: 'append',
    eventIds,
    bytes: commandBytes(['EMAPPEND', uuidText(key), ...words]),
    result: (reply) => committed(events, reply),
  };
}

const idOf = (event: NewEvent, key: Uint8Array): string =>
  uuidText(event.id === undefined ? ids.next(partitionHash(key)) : uuid(event.id, 'event id'));

function eventWords(event: NewEvent, id: string, expected: ExpectedVersion): Word[] {
  const words: Word[] = [text(event.name, 'event name'), 'EVENT_ID', id];
  if (versionWord(expected) !== 'any') words.push('EXPECTED_VERSION', expected);
  if (event.timestamp !== undefined) {
    words.push('TIMESTAMP', wholeNumber(event.timestamp, 'timestamp'));
  }
  if (event.payload !== undefined) words.push('PAYLOAD', bytes(event.payload, 'payload'));
  if (event.metadata !== undefined) words.push('METADATA', bytes(event.metadata, 'metadata'));
  return words;
}

/** What the `i`-th event of an append to one stream must expect: the condition is the whole append's. */
function versionAfter(expected: ExpectedVersion, i: number): ExpectedVersion {
  if (i === 0) return expected;
  if (typeof expected === 'number') return expected + i;
  return expected === 'empty' ? i - 1 : expected;
}

export const streamPage = (
  streamId: string,
  partitionKey: string | undefined,
  range: PageOptions,
): Command<Page> =>
  reading(
    ['ESCAN', text(streamId, 'stream id'), ...rangeWords(range), ...keyOption(partitionKey)],
    (reply) => page(reply, range, 'version'),
  );

export const partitionPage = (partition: number | string, range: PageOptions): Command<Page> =>
  reading(['EPSCAN', selector(partition), ...rangeWords(range)], (reply) =>
    page(reply, range, 'sequence'),
  );

export const eventById = (id: string): Command<WireEvent | null> =>
  reading(['EGET', uuidText(uuid(id, 'event id'))], (reply) => {
    if (reply === null || reply instanceof WireEvent) return reply;
    throw new ProtocolError('the reply is no event');
  });

export const streamVersion = (
  streamId: string,
  partitionKey: string | undefined,
): Command<number | null> =>
  reading(['ESVER', text(streamId, 'stream id'), ...keyOption(partitionKey)], numberOrNull);

export const partitionSequence = (partition: number | string): Command<number | null> =>
  reading(['EPSEQ', selector(partition)], numberOrNull);

export const info = (section: string | undefined): Command<Record<string, string>> =>
  reading(['INFO', ...(section === undefined ? [] : [section])], (reply) => {
    if (reply instanceof Map) {
      return Object.fromEntries([...(reply as Pairs)].map(([key, value]) => [key, String(value)]));
    }
    if (!Buffer.isBuffer(reply)) throw new ProtocolError('the reply is no text');
    const lines = reply.toString('utf8').split(/\r?\n/);
    return Object.fromEntries(
      lines
        .filter((line) => !line.startsWith('#') && line.includes(':'))
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
    );
  });

const keyOption = (partitionKey: string | undefined): readonly string[] =>
  partitionKey === undefined
    ? []
    : ['PARTITION_KEY', uuidText(uuid(partitionKey, 'partition key'))];

const rangeWords = ({ from = 0, to, limit }: PageOptions): readonly Word[] => [
  wholeNumber(from, 'from'),
  to === undefined || to === Infinity ? '+' : wholeNumber(to, 'to'),
  'COUNT',
  wholeNumber(limit ?? 100, 'limit'),
];

const selector = (partition: number | string): Word =>
  typeof partition === 'number'
    ? wholeNumber(partition, 'partition')
    : uuidText(uuid(partition, 'partition key'));

function page(reply: unknown, range: PageOptions, place: 'version' | 'sequence'): Page {
  const pairs = pairsOf(reply);
  const events = pairs.get('events');
  const hasMore = pairs.get('has_more');
  const isPage = Array.isArray(events) && events.every((event) => event instanceof WireEvent);
  if (!isPage || typeof hasMore !== 'boolean') throw new ProtocolError('the reply is no page');
  const last = events.at(-1);
  return { events, hasMore, next: last === undefined ? (range.from ?? 0) : last[place] + 1 };
}

function appended(streamId: string, reply: unknown): AppendResult {
  const pairs = pairsOf(reply);
  const event: AppendedEvent = {
    id: textIn(pairs, 'event_id'),
    streamId,
    version: numberIn(pairs, 'stream_version'),
    sequence: numberIn(pairs, 'partition_sequence'),
    timestamp: numberIn(pairs, 'timestamp'),
  };
  return {
    partition: numberIn(pairs, 'partition_id'),
    partitionKey: textIn(pairs, 'partition_key'),
    events: [event],
  };
}

function committed(asked: readonly NewStreamEvent[], reply: unknown): AppendResult {
  const pairs = pairsOf(reply);
  const list = pairs.get('events');
  if (!Array.isArray(list) || list.length !== asked.length) {
    throw new ProtocolError('the reply names other events');
  }
  const first = numberIn(pairs, 'first_partition_sequence');
  return {
    partition: numberIn(pairs, 'partition_id'),
    partitionKey: textIn(pairs, 'partition_key'),
    events: list.map((each: unknown, i) => {
      const event = pairsOf(each);
      return {
        id: textIn(event, 'event_id'),
        streamId: textIn(event, 'stream_id'),
        version: numberIn(event, 'stream_version'),
        sequence: first + i,
        timestamp: numberIn(event, 'timestamp'),
      };
    }),
  };
}

function pairsOf(reply: unknown): Pairs {
  if (reply instanceof Map) return reply as Pairs;
  throw new ProtocolError('the reply is no map');
}

export function numberOrNull(reply: unknown): number | null {
  if (reply === null || typeof reply === 'number') return reply;
  throw new ProtocolError('the reply is no number');
}

/** Half a surrogate pair has no UTF-8: two such texts would become one name. */
export function text(value: string, what: string): string {
  if (typeof value === 'string' && value.isWellFormed()) return value;
  throw new InvalidArgumentError(`${what} is not well-formed text`);
}

export function uuid(value: string, what: string): Buffer {
  const parsed = typeof value === 'string' ? parseUuid(Buffer.from(value, 'utf8')) : null;
  if (parsed === null) throw new InvalidArgumentError(`invalid ${what}`);
  return parsed;
}

export function wholeNumber(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError(
    `${what} must be a whole number from 0 on, but got ${String(value)}`,
  );
}

function bytes(value: Bytes, what: string): Bytes {
  if (typeof value === 'string' || value instanceof Uint8Array) return value;
  throw new InvalidArgumentError(
    `${what} must be a string or bytes; for values there is json(value)`,
  );
}

function versionWord(expected: ExpectedVersion): ExpectedVersion {
  if (typeof expected === 'number') return wholeNumber(expected, 'expected version');
  if (/^(any|exists|empty)$/.test(expected)) return expected;
  throw new InvalidArgumentError(`invalid expected version ${expected}`);
}
