/** Events as plain objects, and the way between them and the engine's bytes. */
import { invalidArgument } from '../../../common/errors.ts';
import { parseUuid, uuidText } from '../../../common/ids.ts';
import type { Appended, EventDraft, EventView, ExpectedVersion } from '../engine/index.ts';

/** Text is stored as UTF-8. */
export type Bytes = string | Uint8Array;

/** An event to append. Its bytes are copied before the call returns. */
export interface NewEvent {
  /** What happened, such as `OrderPlaced`: at most 255 bytes of UTF-8. */
  readonly name: string;
  readonly payload?: Bytes;
  readonly metadata?: Bytes;
  /**
   * A UUID of your own. An append that repeats one of its stream is not done again: it answers what the first one did.
   * So draw it before the first attempt and keep it for every retry. Default: the database draws one.
   */
  readonly id?: string;
  /** Milliseconds since 1970. Default: now. */
  readonly timestamp?: number;
}

/** An event of a transaction over several streams. */
export interface NewStreamEvent extends NewEvent {
  /** 1 to 64 bytes of UTF-8 without a null byte. */
  readonly streamId: string;
  /** What the stream must be at before this event; earlier events of the transaction count. Default `any`. */
  readonly expectedVersion?: ExpectedVersion;
}

/** An event as it is stored. Its bytes are the reader's own. */
export interface StoredEvent {
  /** UUID. */
  readonly id: string;
  readonly streamId: string;
  readonly name: string;
  /** Place in the stream, from 0, without gaps. */
  readonly version: number;
  readonly partition: number;
  /** UUID. */
  readonly partitionKey: string;
  /** Place in the partition, from 0, without gaps. */
  readonly sequence: number;
  /** UUID that the events of one append share. */
  readonly transactionId: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  /** Empty where none was given. */
  readonly payload: Buffer;
  /** Empty where none was given. */
  readonly metadata: Buffer;
}

export type AppendedEvent = Pick<
  StoredEvent,
  'id' | 'streamId' | 'version' | 'sequence' | 'timestamp'
>;

export interface AppendResult {
  readonly partition: number;
  /** UUID. */
  readonly partitionKey: string;
  /** In the order in which they were given. */
  readonly events: readonly AppendedEvent[];
}

const NOTHING = new Uint8Array(0);

/** The bytes of a text. Half a surrogate pair has no UTF-8: two such texts would become one name. */
export function utf8(text: string, what: string): Buffer {
  if (!text.isWellFormed()) throw invalidArgument(`${what} is not well-formed text`);
  return Buffer.from(text, 'utf8');
}

/** The 16 bytes of a UUID. */
export function uuid(text: string, what: string): Buffer {
  const bytes = parseUuid(Buffer.from(text, 'utf8'));
  if (bytes === null) throw invalidArgument(`invalid ${what}`);
  return bytes;
}

/** A whole number from 0 on. */
export function wholeNumber(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw invalidArgument(`${what} must be a whole number from 0 on, but got ${String(value)}`);
  }
  return value;
}

const bytesOf = (value: Bytes | undefined): Uint8Array =>
  typeof value === 'string' ? Buffer.from(value, 'utf8') : (value ?? NOTHING);

function versionOf(expected: ExpectedVersion): ExpectedVersion {
  if (typeof expected === 'number') return wholeNumber(expected, 'expected version');
  const known = typeof expected === 'bigint' || /^(any|exists|empty)$/.test(expected);
  if (!known) throw invalidArgument(`invalid expected version ${expected}`);
  return expected;
}

/** The engine's draft of an event. Throws `INVALIDARG`. */
export function draftOf(
  event: NewEvent,
  streamId: Uint8Array,
  expectedVersion: ExpectedVersion,
): EventDraft {
  const { name, id, timestamp, payload, metadata } = event;
  return {
    streamId,
    eventName: utf8(name, 'event name'),
    eventId: id === undefined ? null : uuid(id, 'event id'),
    expectedVersion: versionOf(expectedVersion),
    timestamp: timestamp === undefined ? null : wholeNumber(timestamp, 'timestamp'),
    metadata: bytesOf(metadata),
    payload: bytesOf(payload),
  };
}

/**
 * What the `i`-th event of an append to one stream must expect: the condition is the whole append's, so those behind the
 * first expect what the ones before them make.
 */
export function versionAfter(expected: ExpectedVersion, i: number): ExpectedVersion {
  if (i === 0) return expected;
  if (typeof expected === 'number') return expected + i;
  return expected === 'empty' ? i - 1 : expected;
}

export function resultOf(appended: Appended): AppendResult {
  const { partition, partitionKey, firstSequence, events } = appended;
  return {
    partition,
    partitionKey: uuidText(partitionKey),
    events: events.map(({ eventId, streamId, version, timestamp }, i) => ({
      id: uuidText(eventId),
      streamId: Buffer.from(streamId).toString('utf8'),
      version,
      sequence: firstSequence + i,
      timestamp,
    })),
  };
}

/** Copies an event out of the log. */
export function storedEvent(view: EventView): StoredEvent {
  const { bytes, streamIdAt, eventNameAt, metadataAt, payloadAt, payloadEnd } = view;
  return {
    id: uuidText(bytes, view.eventIdAt),
    streamId: bytes.toString('utf8', streamIdAt, eventNameAt),
    name: bytes.toString('utf8', eventNameAt, metadataAt),
    version: view.version,
    partition: view.partition,
    partitionKey: uuidText(bytes, view.partitionKeyAt),
    sequence: view.sequence,
    transactionId: uuidText(view.transactionId),
    timestamp: view.timestamp,
    payload: Buffer.from(bytes.subarray(payloadAt, payloadEnd)),
    metadata: Buffer.from(bytes.subarray(metadataAt, payloadAt)),
  };
}
