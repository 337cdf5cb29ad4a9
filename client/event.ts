/** Events as they come over the wire: a map of eleven pairs, always the same keys in the same order (wire protocol, 3). */
import { ProtocolError } from './errors.ts';
import type { StoredEvent } from './types.ts';

/** Plain fields, so that an event can be spread, compared and printed. */
export class WireEvent implements StoredEvent {
  readonly id: string;
  readonly streamId: string;
  readonly name: string;
  readonly version: number;
  readonly partition: number;
  readonly partitionKey: string;
  readonly sequence: number;
  readonly transactionId: string;
  readonly timestamp: number;
  readonly payload: Buffer;
  readonly metadata: Buffer;

  constructor(fields: Omit<StoredEvent, 'json' | 'metadataJson'>) {
    this.id = fields.id;
    this.streamId = fields.streamId;
    this.name = fields.name;
    this.version = fields.version;
    this.partition = fields.partition;
    this.partitionKey = fields.partitionKey;
    this.sequence = fields.sequence;
    this.transactionId = fields.transactionId;
    this.timestamp = fields.timestamp;
    this.payload = fields.payload;
    this.metadata = fields.metadata;
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what its events hold
  json<T = unknown>(): T {
    return JSON.parse(this.payload.toString('utf8')) as T;
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- as above
  metadataJson<T = unknown>(): T | undefined {
    if (this.metadata.length === 0) return undefined;
    return JSON.parse(this.metadata.toString('utf8')) as T;
  }
}

/** What an event weighs in a queue. */
export const eventBytes = (event: StoredEvent): number =>
  event.payload.length + event.metadata.length;

const CR = 0x0d;
const UUID_CHARACTERS = 36;

/** The bytes in front of each of the eleven values, and behind the last. */
const [ID, KEY, PARTITION, TRANSACTION, SEQUENCE, VERSION, TIMESTAMP, STREAM, NAME, META, PAYLOAD] =
  [
    '%11\r\n+event_id\r\n+',
    '\r\n+partition_key\r\n+',
    '\r\n+partition_id\r\n:',
    '\r\n+transaction_id\r\n+',
    '\r\n+partition_sequence\r\n:',
    '\r\n+stream_version\r\n:',
    '\r\n+timestamp\r\n:',
    '\r\n+stream_id\r\n$',
    '\r\n+event_name\r\n$',
    '\r\n+metadata\r\n$',
    '\r\n+payload\r\n$',
  ].map((text) => Buffer.from(text, 'latin1')) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
const END = Buffer.from('\r\n', 'latin1');

const NOTHING = Buffer.alloc(0);

/** Copies, so that a kept payload does not keep the 64 KiB that it arrived in. */
function copied(bytes: Buffer, from: number, to: number): Buffer {
  if (from === to) return NOTHING;
  const copy = Buffer.allocUnsafe(to - from);
  bytes.copy(copy, 0, from, to);
  return copy;
}

/**
 * Reads an event that lies whole in one piece of bytes and is written as servers write it. It is the short way for the
 * overwhelming part of a long history; whatever differs is left to the parser of any RESP3, which knows all forms.
 *
 * After `read` has returned an event, `end` is the offset behind it.
 */
export class EventReader {
  end = 0;
  #bytes: Buffer = NOTHING;
  #at = 0;
  /** Set when something differs from what is expected, or the bytes end; every step after that does nothing. */
  #failed = false;

  read(bytes: Buffer, at: number): WireEvent | null {
    this.#bytes = bytes;
    this.#at = at;
    this.#failed = false;
    const id = this.#uuid(ID);
    const partitionKey = this.#uuid(KEY);
    const partition = this.#number(PARTITION);
    const transactionId = this.#uuid(TRANSACTION);
    const sequence = this.#number(SEQUENCE);
    const version = this.#number(VERSION);
    const timestamp = this.#number(TIMESTAMP);
    const streamId = this.#text(STREAM);
    const name = this.#text(NAME);
    const metadata = this.#blob(META);
    const payload = this.#blob(PAYLOAD);
    const isWhole = this.#skip(END);
    this.end = this.#at;
    this.#bytes = NOTHING;
    if (!isWhole) return null;
    return new WireEvent({
      id,
      streamId,
      name,
      version,
      partition,
      partitionKey,
      sequence,
      transactionId,
      timestamp,
      payload,
      metadata,
    });
  }

  /** False: something else stands there, and all has failed. */
  #skip(literal: Buffer): boolean {
    if (this.#failed) return false;
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = 0; i < literal.length; i += 1, at += 1) {
      if (bytes[at] !== literal[i]) return this.#fail();
    }
    this.#at = at;
    return true;
  }

  #fail(): false {
    this.#failed = true;
    return false;
  }

  #uuid(before: Buffer): string {
    if (!this.#skip(before)) return '';
    const at = this.#at;
    const end = at + UUID_CHARACTERS;
    // Longer or shorter than a UUID: there is no CR where it should end.
    if (this.#bytes[end] !== CR) {
      this.#fail();
      return '';
    }
    this.#at = end;
    return this.#bytes.toString('latin1', at, end);
  }

  #number(before: Buffer): number {
    if (!this.#skip(before)) return 0;
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    for (;;) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      at += 1;
    }
    if (at === start || bytes[at] !== CR) this.#fail();
    this.#at = at;
    return value;
  }

  /** Sets the place to the blob's first byte; returns the offset of its end. */
  #blobEnd(before: Buffer): number {
    const length = this.#number(before);
    if (this.#failed || !this.#skip(END)) return 0;
    const end = this.#at + length;
    if (end > this.#bytes.length) this.#fail();
    return end;
  }

  #text(before: Buffer): string {
    const end = this.#blobEnd(before);
    if (this.#failed) return '';
    const at = this.#at;
    this.#at = end;
    return this.#bytes.toString('utf8', at, end);
  }

  #blob(before: Buffer): Buffer {
    const end = this.#blobEnd(before);
    if (this.#failed) return NOTHING;
    const at = this.#at;
    this.#at = end;
    return copied(this.#bytes, at, end);
  }
}

/** An event from its pairs in whatever order; unknown keys are passed over. */
export function eventOfPairs(pairs: ReadonlyMap<string, unknown>): WireEvent {
  return new WireEvent({
    id: textIn(pairs, 'event_id'),
    streamId: textIn(pairs, 'stream_id'),
    name: textIn(pairs, 'event_name'),
    version: numberIn(pairs, 'stream_version'),
    partition: numberIn(pairs, 'partition_id'),
    partitionKey: textIn(pairs, 'partition_key'),
    sequence: numberIn(pairs, 'partition_sequence'),
    transactionId: textIn(pairs, 'transaction_id'),
    timestamp: numberIn(pairs, 'timestamp'),
    payload: bytesIn(pairs, 'payload'),
    metadata: bytesIn(pairs, 'metadata'),
  });
}

/** The text under a key of a reply, whether it was sent as a simple string or as a blob. */
export function textIn(pairs: ReadonlyMap<string, unknown>, key: string): string {
  const value = pairs.get(key);
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  throw new ProtocolError(`the reply has no text ${key}`);
}

export function numberIn(pairs: ReadonlyMap<string, unknown>, key: string): number {
  const value = pairs.get(key);
  if (typeof value === 'number') return value;
  throw new ProtocolError(`the reply has no number ${key}`);
}

function bytesIn(pairs: ReadonlyMap<string, unknown>, key: string): Buffer {
  const value = pairs.get(key);
  if (Buffer.isBuffer(value)) return value;
  if (value === null) return NOTHING;
  throw new ProtocolError(`the reply has no bytes ${key}`);
}
