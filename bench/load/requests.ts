/**
 * What each workload sends, for both servers. Requests are made from prepared bytes: a template is copied and a few
 * digits are overwritten, so that the generator spends its time in system calls only.
 *
 * Names: stream n is `stream-` and 13 digits (20 bytes), the event name has 20 bytes, the payload 256. Event n with a
 * supplied id lies in stream n modulo the number of streams; its id carries the partition hash of its stream, as ids
 * drawn by the server do. Redis gets the same stream ids as keys, name and payload as two fields.
 */
import { defaultPartitionKey, partitionHash, uuidText } from '../../common/ids.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { assert } from '../../common/assert.ts';

export const PAYLOAD_BYTES = 256;
export const EVENT_NAME = 'AccountCreditedEvent';

export type Dialect = 'sierradb' | 'redis';

/** One event per request. `random`: any of `streams`; `cycle`: event n goes to stream n modulo `streams`. */
export interface AppendWorkload {
  readonly kind: 'append';
  readonly order: 'random' | 'cycle';
  readonly streams: number;
  /** Number of the first event; later runs on the same data go on where earlier ones ended. */
  readonly firstEvent: number;
  /** Send EVENT_ID (Redis: an explicit entry id). */
  readonly suppliedIds: boolean;
}

/** `events` events per request, atomically: EMAPPEND, or XADDs between MULTI and EXEC. */
export interface TransactionWorkload {
  readonly kind: 'transaction';
  readonly events: number;
}

/** Pages of `count` events from random places of streams filled in order `cycle`. */
export interface ScanWorkload {
  readonly kind: 'scan' | 'partition-scan';
  readonly count: number;
  readonly streams: number;
  readonly eventsPerStream: number;
  readonly partitions: number;
}

/** One event by its id, of those filled in order `cycle` with supplied ids. */
export interface GetWorkload {
  readonly kind: 'get';
  readonly streams: number;
  readonly events: number;
}

/** What a subscriber of Redis does: XREAD of `count` entries behind the last one it has, stream by stream. */
export interface TailWorkload {
  readonly kind: 'tail';
  readonly count: number;
  /** Of those filled in order `cycle` with supplied ids, `read` from number `first` on are read to their ends. */
  readonly streams: number;
  readonly first: number;
  readonly read: number;
  readonly eventsPerStream: number;
}

export type Workload =
  AppendWorkload | TransactionWorkload | ScanWorkload | GetWorkload | TailWorkload;

/** The requests that read all of it. */
export const tailRequests = ({ count, read, eventsPerStream }: TailWorkload): number =>
  read * Math.ceil(eventsPerStream / count);

/** Produces the requests of a workload. */
export interface RequestSource {
  readonly requestBytesMax: number;
  readonly repliesPerRequest: number;
  /** Writes the next request to `target[at]`; returns the offset behind it. */
  write(target: Buffer, at: number): number;
  /** Events in `requests` answered requests that carried `blobs` blob strings. */
  eventsIn(requests: number, blobs: number): number;
}

export const STREAM_DIGITS = 13;
export const STREAM_PREFIX = 'stream-';
export const STREAM_PLACEHOLDER: string = `${STREAM_PREFIX}${'0'.repeat(STREAM_DIGITS)}`;
const ID_PLACEHOLDER = '00000000-0000-4000-8000-000000000000';
/** Redis entry ids all have 13 digits in front, so that one template fits all of them. */
const ENTRY_ID_BASE = 1e12;
const ENTRY_ID_PLACEHOLDER = '1000000000000-1';
const ENTRY_ID_DIGITS = 13;
/** Streams of transactions stand apart: one stream lives under one partition key. */
const TRANSACTION_STREAM_BASE = 5e12;
const TRANSACTION_GROUPS = 256;
const TRANSACTION_GROUP_STREAMS = 400;
const SCAN_REQUESTS = 4096;
const SUPPLIED_STREAMS_MAX = 1_000_000;
/** Blob strings in one event of a reply: stream id, name, metadata, payload; Redis: id, two fields, two values. */
const EVENT_BLOBS = { sierradb: 4, redis: 5 } as const;

export const streamName = (stream: number): string =>
  STREAM_PREFIX + String(stream).padStart(STREAM_DIGITS, '0');

/** 256 bytes that look like JSON, most of them random text, the same in every run. */
export function makePayload(): string {
  const random = seededRandom(20);
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/';
  const word = (length: number): string =>
    Array.from({ length }, () => letters.charAt(random.below(letters.length))).join('');
  const head = `{"account":"${word(24)}","amount":1250,"currency":"EUR","booked":true,"reference":"`;
  return `${head}${word(PAYLOAD_BYTES - head.length - 2)}"}`;
}

export function encodeCommand(...parts: readonly string[]): string {
  const blobs = parts.map((part) => `$${String(Buffer.byteLength(part))}\r\n${part}\r\n`);
  return `*${String(parts.length)}\r\n${blobs.join('')}`;
}

/** Overwrites `digits` bytes at `at` with the decimal digits of `value`. */
export function writeDigits(target: Buffer, at: number, digits: number, value: number): void {
  let high = Math.floor(value / 1e6);
  let low = value - high * 1e6;
  let place = at + digits - 1;
  for (let i = 0; i < 6 && place >= at; i += 1, place -= 1) {
    const next = (low / 10) | 0;
    target[place] = 0x30 + low - next * 10;
    low = next;
  }
  for (; place >= at; place -= 1) {
    const next = Math.floor(high / 10);
    target[place] = 0x30 + high - next * 10;
    high = next;
  }
}

function placesOf(bytes: Buffer, placeholder: string): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(placeholder); at >= 0; at = bytes.indexOf(placeholder, at + 1)) {
    places.push(at);
  }
  return places;
}

/** The five hex digits of an event id that carry the partition hash, for every stream. */
class IdDigits {
  readonly #digits: Buffer;

  constructor(streams: number) {
    assert(streams <= SUPPLIED_STREAMS_MAX, 'supplied ids need a table of all streams');
    this.#digits = Buffer.allocUnsafe(5 * streams);
    for (let stream = 0; stream < streams; stream += 1) {
      const hash = partitionHash(defaultPartitionKey(Buffer.from(streamName(stream))));
      const bits = (0x80000 | (hash << 2)).toString(16);
      this.#digits.write(bits, 5 * stream, 'latin1');
    }
  }

  /** Completes the id at `target[at]`: `00000000-0000-4000-HHHH-Hnnnnnnnnnnn`. */
  write(target: Buffer, at: number, stream: number, event: number): void {
    this.#digits.copy(target, at + 19, 5 * stream, 5 * stream + 4);
    target[at + 24] = this.#digits[5 * stream + 4] as number;
    writeDigits(target, at + 25, 11, event);
  }
}

/** The id that event `event` of stream `stream` gets when ids are supplied. */
export function suppliedEventId(stream: number, event: number): string {
  const hash = partitionHash(defaultPartitionKey(Buffer.from(streamName(stream))));
  const bits = (0x80000 | (hash << 2)).toString(16);
  const digits = String(event).padStart(11, '0');
  return `00000000-0000-4000-${bits.slice(0, 4)}-${bits.slice(4)}${digits}`;
}

function appendTemplate(dialect: Dialect, suppliedIds: boolean): Buffer {
  const payload = makePayload();
  if (dialect === 'redis') {
    const id = suppliedIds ? ENTRY_ID_PLACEHOLDER : '*';
    const fields = ['name', EVENT_NAME, 'payload', payload];
    return Buffer.from(encodeCommand('XADD', STREAM_PLACEHOLDER, id, ...fields));
  }
  const id = suppliedIds ? ['EVENT_ID', ID_PLACEHOLDER] : [];
  const rest = ['PAYLOAD', payload];
  return Buffer.from(encodeCommand('EAPPEND', STREAM_PLACEHOLDER, EVENT_NAME, ...id, ...rest));
}

function appendSource(workload: AppendWorkload, dialect: Dialect, random: Random): RequestSource {
  const { order, streams, suppliedIds } = workload;
  const template = appendTemplate(dialect, suppliedIds);
  const streamAt = template.indexOf(STREAM_PLACEHOLDER) + STREAM_PREFIX.length;
  const idAt = template.indexOf(dialect === 'redis' ? ENTRY_ID_PLACEHOLDER : ID_PLACEHOLDER);
  const ids = suppliedIds && dialect === 'sierradb' ? new IdDigits(streams) : null;
  let event = workload.firstEvent;
  return {
    requestBytesMax: template.length,
    repliesPerRequest: 1,
    eventsIn: (requests) => requests,
    write: (target, at) => {
      const stream = order === 'random' ? random.below(streams) : event % streams;
      template.copy(target, at);
      writeDigits(target, at + streamAt, STREAM_DIGITS, stream);
      if (ids !== null) ids.write(target, at + idAt, stream, event);
      else if (suppliedIds) writeDigits(target, at + idAt, ENTRY_ID_DIGITS, ENTRY_ID_BASE + event);
      event += 1;
      return at + template.length;
    },
  };
}

function transactionTemplate(dialect: Dialect, events: number, partitionKey: string): Buffer {
  const payload = makePayload();
  const each = Array.from({ length: events });
  if (dialect === 'sierradb') {
    const event = [STREAM_PLACEHOLDER, EVENT_NAME, 'PAYLOAD', payload];
    return Buffer.from(encodeCommand('EMAPPEND', partitionKey, ...each.flatMap(() => event)));
  }
  const entry = ['XADD', STREAM_PLACEHOLDER, '*', 'name', EVENT_NAME, 'payload', payload];
  const commands = [['MULTI'], ...each.map(() => entry), ['EXEC']];
  return Buffer.from(commands.map((command) => encodeCommand(...command)).join(''));
}

function randomUuid(random: Random): string {
  const bytes = Buffer.alloc(16);
  random.fill(bytes);
  return uuidText(bytes);
}

function transactionSource(
  workload: TransactionWorkload,
  dialect: Dialect,
  random: Random,
): RequestSource {
  const { events } = workload;
  // The same keys in every run: a stream must stay under its partition key.
  const keys = seededRandom(3);
  const templates = Array.from({ length: TRANSACTION_GROUPS }, () =>
    transactionTemplate(dialect, events, randomUuid(keys)),
  );
  const first = templates[0] as Buffer;
  const places = placesOf(first, STREAM_PLACEHOLDER).map((at) => at + STREAM_PREFIX.length);
  return {
    requestBytesMax: first.length,
    repliesPerRequest: dialect === 'redis' ? events + 2 : 1,
    eventsIn: (requests) => requests * events,
    write: (target, at) => {
      const group = random.below(TRANSACTION_GROUPS);
      const base = TRANSACTION_STREAM_BASE + group * TRANSACTION_GROUP_STREAMS;
      (templates[group] as Buffer).copy(target, at);
      for (const place of places) {
        const stream = base + random.below(TRANSACTION_GROUP_STREAMS);
        writeDigits(target, at + place, STREAM_DIGITS, stream);
      }
      return at + first.length;
    },
  };
}

function scanCommand(workload: ScanWorkload, dialect: Dialect, random: Random): string {
  const { count, streams, eventsPerStream } = workload;
  const stream = random.below(streams);
  const from = random.below(eventsPerStream - count + 1);
  const range = ['+', 'COUNT', String(count)];
  if (dialect === 'redis') {
    const start = `${String(ENTRY_ID_BASE + stream + from * streams)}-1`;
    return encodeCommand('XRANGE', streamName(stream), start, ...range);
  }
  if (workload.kind === 'scan') {
    return encodeCommand('ESCAN', streamName(stream), String(from), ...range);
  }
  const hash = partitionHash(defaultPartitionKey(Buffer.from(streamName(stream))));
  return encodeCommand('EPSCAN', String(hash % workload.partitions), String(from), ...range);
}

function scanSource(workload: ScanWorkload, dialect: Dialect, random: Random): RequestSource {
  const requests = Array.from({ length: SCAN_REQUESTS }, () =>
    Buffer.from(scanCommand(workload, dialect, random)),
  );
  return {
    requestBytesMax: Math.max(...requests.map((request) => request.length)),
    repliesPerRequest: 1,
    eventsIn: (_, blobs) => blobs / EVENT_BLOBS[dialect],
    write: (target, at) => {
      const request = requests[random.below(SCAN_REQUESTS)] as Buffer;
      request.copy(target, at);
      return at + request.length;
    },
  };
}

function getSource(workload: GetWorkload, dialect: Dialect, random: Random): RequestSource {
  const { streams, events } = workload;
  const xrange = ['XRANGE', STREAM_PLACEHOLDER, ENTRY_ID_PLACEHOLDER, ENTRY_ID_PLACEHOLDER];
  const parts = dialect === 'redis' ? xrange : ['EGET', ID_PLACEHOLDER];
  const template = Buffer.from(encodeCommand(...parts));
  const ids = dialect === 'sierradb' ? new IdDigits(streams) : null;
  const idAt = template.indexOf(ID_PLACEHOLDER);
  const entryAt = placesOf(template, ENTRY_ID_PLACEHOLDER);
  const streamAt = template.indexOf(STREAM_PLACEHOLDER) + STREAM_PREFIX.length;
  return {
    requestBytesMax: template.length,
    repliesPerRequest: 1,
    eventsIn: (_, blobs) => blobs / EVENT_BLOBS[dialect],
    write: (target, at) => {
      const event = random.below(events);
      const stream = event % streams;
      template.copy(target, at);
      if (ids !== null) ids.write(target, at + idAt, stream, event);
      else {
        writeDigits(target, at + streamAt, STREAM_DIGITS, stream);
        for (const place of entryAt)
          writeDigits(target, at + place, ENTRY_ID_DIGITS, ENTRY_ID_BASE + event);
      }
      return at + template.length;
    },
  };
}

function tailSource(workload: TailWorkload): RequestSource {
  const { count, streams, first, eventsPerStream } = workload;
  const pages = Math.ceil(eventsPerStream / count);
  const command = ['XREAD', 'COUNT', String(count), 'STREAMS'];
  const template = Buffer.from(encodeCommand(...command, STREAM_PLACEHOLDER, ENTRY_ID_PLACEHOLDER));
  const streamAt = template.indexOf(STREAM_PLACEHOLDER) + STREAM_PREFIX.length;
  const lastIdAt = template.indexOf(ENTRY_ID_PLACEHOLDER);
  let request = 0;
  return {
    requestBytesMax: template.length,
    repliesPerRequest: 1,
    // Each page also names its stream.
    eventsIn: (requests, blobs) => (blobs - requests) / EVENT_BLOBS.redis,
    write: (target, at) => {
      const stream = first + Math.floor(request / pages);
      const have = (request % pages) * count;
      const lastId = ENTRY_ID_BASE + stream + (have - 1) * streams;
      template.copy(target, at);
      writeDigits(target, at + streamAt, STREAM_DIGITS, stream);
      writeDigits(target, at + lastIdAt, ENTRY_ID_DIGITS, Math.max(0, lastId));
      request += 1;
      return at + template.length;
    },
  };
}

/** `seed` decides every random choice of the run, so that both servers can be shown the same requests. */
export function makeRequests(workload: Workload, dialect: Dialect, seed: number): RequestSource {
  const random = seededRandom(seed);
  switch (workload.kind) {
    case 'append':
      return appendSource(workload, dialect, random);
    case 'transaction':
      return transactionSource(workload, dialect, random);
    case 'scan':
    case 'partition-scan':
      return scanSource(workload, dialect, random);
    case 'get':
      return getSource(workload, dialect, random);
    case 'tail':
      return tailSource(workload);
  }
}
