/**
 * Commands on their way to the member that can run them, and its answers: requests of
 * streams (`replication/stream-format.ts`).
 *
 * ```text
 * request:  u8 version 1, then commands:  u32 length of the rest, u8 kind, u8 flags (1: any committed copy will do), then
 *   1 append              16 bytes partition key, u32 count, events: u8 whose id (1 the client's, 2 drawn), 16 bytes id, expected version (u8: 0 any,
 *                         1 exists, 2 empty, 3 u64), u8 has a timestamp [u64], blobs stream id, name, metadata, payload
 *   2 read event          16 bytes id, u16 count, u16 buckets in the order in which they are asked
 *   3 read stream         16 bytes partition key, blob stream id, range
 *   4 read partition      u16 partition, range
 *   5 stream version      16 bytes partition key, blob stream id
 *   6 partition sequence  u16 partition
 *   7 ends                u32 milliseconds to wait, targets: u8 0 | u16 partition, or u8 1 | 16 bytes key, blob stream id;
 *                         then u48 the end that is known
 *   range: u48 from, u48 to (2^48 - 1: no end), u32 bytes at most
 *
 * response: u8 version 1, then an answer for every command: u32 length of the rest, u8: 0 done, 1 not the leader, 2 refused
 *   append                16 bytes partition key, u16 partition, u48 first sequence, u32 count,
 *                         events: 16 bytes id, u48 version, u48 timestamp, blob stream id
 *   read event            u16 count, u16 buckets that have said no; [u16 bucket that holds it, event]
 *   read stream, partition   u8 more follow, events (`received-event.ts`)
 *   stream version, partition sequence   u8 is there one, [u48]
 *   ends                  u48 by target
 *   refused               blob code, blob text
 * ```
 *
 * `Not the leader` says that nothing was proposed: the sender looks for the leader again. Commands of a request are begun in
 * their order. What was forwarded is never forwarded again.
 */
import { type ErrorCode, SierraError } from '../../../common/errors.ts';
import { type EventIdSource, partitionHash } from '../../../common/ids.ts';
import type {
  Appended,
  AppendedEvent,
  AppendRequest,
  EventDraft,
  ExpectedVersion,
  FeedTarget,
  Range,
} from '../engine/types.ts';
import { UINT48_MAX } from '../storage/bytes.ts';
import { ByteReader, ByteWriter } from './wire-bytes.ts';

const VERSION = 1;

const KINDS = [
  'append',
  'readEvent',
  'readStream',
  'readPartition',
  'streamVersion',
  'partitionSequence',
  'ends',
] as const;

const ANY_COPY = 1;

/** A target, and the end of it that is known. */
export interface KnownEnd {
  readonly target: FeedTarget;
  readonly end: number;
}

interface PageRange extends Range {
  readonly bytesMax: number;
}

type ReadOptions = {
  /** Any committed copy will do, not the leader's alone. */
  readonly anyCopy: boolean;
};

export type ReadCommand =
  | ({
      readonly kind: 'readEvent';
      readonly eventId: Uint8Array;
      readonly buckets: readonly number[];
    } & ReadOptions)
  | ({
      readonly kind: 'readStream';
      readonly streamId: Uint8Array;
      readonly partitionKey: Uint8Array;
    } & PageRange &
      ReadOptions)
  | ({ readonly kind: 'readPartition'; readonly partition: number } & PageRange & ReadOptions)
  | ({
      readonly kind: 'streamVersion';
      readonly streamId: Uint8Array;
      readonly partitionKey: Uint8Array;
    } & ReadOptions)
  | ({ readonly kind: 'partitionSequence'; readonly partition: number } & ReadOptions)
  | ({
      readonly kind: 'ends';
      readonly waitMs: number;
      readonly targets: readonly KnownEnd[];
    } & ReadOptions);

export type ForwardedCommand =
  { readonly kind: 'append'; readonly request: AppendRequest } | ReadCommand;

export type Answer =
  | { readonly kind: 'done'; readonly body: ByteReader }
  | { readonly kind: 'notLeader' }
  | { readonly kind: 'refused'; readonly error: SierraError };

/** Body of a request with these encoded commands. */
export function encodeBatch(parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + 4 + part.length, 1);
  const writer = new ByteWriter(length);
  writer.u8(VERSION);
  for (const part of parts) writer.blob(part);
  return writer.done();
}

function* readBatch(body: Buffer): Generator<ByteReader> {
  const reader = new ByteReader(body);
  if (reader.u8() !== VERSION) throw new RangeError('a forwarded message of another version');
  while (reader.hasMore) {
    const length = reader.u32();
    const from = reader.take(length);
    yield new ByteReader(body, from, from + length);
  }
}

/** Ids that the client left out are drawn: by them an append is known again when it has to be sent a second time. */
export function encodeAppend({ partitionKey, events }: AppendRequest, ids: EventIdSource): Buffer {
  const writer = new ByteWriter(appendBytes(events));
  writer.u8(KINDS.indexOf('append') + 1).u8(0);
  writer.raw(partitionKey).u32(events.length);
  const hash = partitionHash(partitionKey);
  for (const event of events) writeDraft(writer, event, () => ids.next(hash));
  return writer.done();
}

const SUPPLIED = 1;
const DRAWN = 2;
const DRAFT_HEADER_BYTES = 1 + 16 + 9 + 9 + 16;

const appendBytes = (events: readonly EventDraft[]): number =>
  events.reduce(
    (sum, { streamId, eventName, metadata, payload }) =>
      sum +
      DRAFT_HEADER_BYTES +
      streamId.length +
      eventName.length +
      metadata.length +
      payload.length,
    22,
  );

function writeDraft(writer: ByteWriter, event: EventDraft, draw: () => Buffer): void {
  const { eventId, expectedVersion, timestamp } = event;
  writer.u8(eventId === null ? DRAWN : SUPPLIED).raw(eventId ?? draw());
  writeExpectedVersion(writer, expectedVersion);
  writer.u8(timestamp === null ? 0 : 1);
  if (timestamp !== null) writer.u64(BigInt(timestamp));
  writer.blob(event.streamId).blob(event.eventName).blob(event.metadata).blob(event.payload);
}

const NAMED_VERSIONS = ['any', 'exists', 'empty'] as const;

function writeExpectedVersion(writer: ByteWriter, expected: ExpectedVersion): void {
  if (typeof expected === 'string') writer.u8(NAMED_VERSIONS.indexOf(expected));
  else writer.u8(NAMED_VERSIONS.length).u64(BigInt(expected));
}

function readAppend(reader: ByteReader): AppendRequest {
  const partitionKey = reader.raw(16);
  const count = reader.u32();
  const events: EventDraft[] = [];
  for (let i = 0; i < count; i += 1) {
    events.push({
      isDrawn: reader.u8() === DRAWN,
      eventId: reader.raw(16),
      expectedVersion: readExpectedVersion(reader),
      timestamp: reader.u8() === 0 ? null : readNumber(reader),
      streamId: reader.blob(),
      eventName: reader.blob(),
      metadata: reader.blob(),
      payload: reader.blob(),
    });
  }
  return { partitionKey, events };
}

const readExpectedVersion = (reader: ByteReader): ExpectedVersion =>
  NAMED_VERSIONS[reader.u8()] ?? readNumber(reader);

function readNumber(reader: ByteReader): number | bigint {
  const value = reader.u64();
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** The transaction of {@link encodeAppend}; its byte strings stay where they are. */
export function decodeAppend(bytes: Buffer): AppendRequest {
  return readAppend(new ByteReader(bytes, 2));
}

export function encodeRead(command: ReadCommand): Buffer {
  const writer = new ByteWriter();
  writer.u8(KINDS.indexOf(command.kind) + 1).u8(command.anyCopy ? ANY_COPY : 0);
  switch (command.kind) {
    case 'readEvent':
      writer.raw(command.eventId).u16(command.buckets.length);
      for (const bucket of command.buckets) writer.u16(bucket);
      break;
    case 'readStream':
      writer.raw(command.partitionKey).blob(command.streamId);
      writeRange(writer, command);
      break;
    case 'readPartition':
      writer.u16(command.partition);
      writeRange(writer, command);
      break;
    case 'streamVersion':
      writer.raw(command.partitionKey).blob(command.streamId);
      break;
    case 'partitionSequence':
      writer.u16(command.partition);
      break;
    case 'ends':
      writer.u32(command.waitMs);
      for (const { target, end } of command.targets) {
        writeTarget(writer, target);
        writer.u48(Math.min(end, UINT48_MAX));
      }
  }
  return writer.done();
}

function writeRange(writer: ByteWriter, { from, to, bytesMax }: PageRange): void {
  writer.u48(Math.min(from, UINT48_MAX)).u48(Math.min(to, UINT48_MAX)).u32(bytesMax);
}

function readRange(reader: ByteReader): PageRange {
  const from = reader.u48();
  const to = reader.u48();
  return { from, to: to === UINT48_MAX ? Infinity : to, bytesMax: reader.u32() };
}

function writeTarget(writer: ByteWriter, target: FeedTarget): void {
  if (target.kind === 'partition') writer.u8(0).u16(target.partition);
  else writer.u8(1).raw(target.partitionKey).blob(target.streamId);
}

function readTarget(reader: ByteReader): FeedTarget {
  if (reader.u8() === 0) return { kind: 'partition', partition: reader.u16() };
  return { kind: 'stream', partitionKey: reader.raw(16), streamId: reader.blob() };
}

/** Throws `RangeError` where the bytes are no commands. */
export function decodeCommands(body: Buffer): ForwardedCommand[] {
  return Array.from(readBatch(body), readCommand);
}

function readCommand(reader: ByteReader): ForwardedCommand {
  const kind = KINDS[reader.u8() - 1];
  const anyCopy = (reader.u8() & ANY_COPY) !== 0;
  switch (kind) {
    case 'append':
      return { kind, request: readAppend(reader) };
    case 'readEvent': {
      const eventId = reader.raw(16);
      const buckets = Array.from({ length: reader.u16() }, () => reader.u16());
      return { kind, anyCopy, eventId, buckets };
    }
    case 'readStream': {
      const partitionKey = reader.raw(16);
      return { kind, anyCopy, partitionKey, streamId: reader.blob(), ...readRange(reader) };
    }
    case 'readPartition':
      return { kind, anyCopy, partition: reader.u16(), ...readRange(reader) };
    case 'streamVersion':
      return { kind, anyCopy, partitionKey: reader.raw(16), streamId: reader.blob() };
    case 'partitionSequence':
      return { kind, anyCopy, partition: reader.u16() };
    case 'ends': {
      const waitMs = reader.u32();
      const targets: KnownEnd[] = [];
      while (reader.hasMore) targets.push({ target: readTarget(reader), end: reader.u48() });
      return { kind, anyCopy, waitMs, targets };
    }
    default:
      throw new RangeError('a forwarded command of an unknown kind');
  }
}

const DONE = 0;
const NOT_LEADER = 1;
const REFUSED = 2;

/** An answer of kind `done`, to be gone on with. */
export const beginAnswer = (): ByteWriter => new ByteWriter().u8(DONE);

export const notLeader: Buffer = Buffer.from([NOT_LEADER]);

export const refusal = ({ code, message }: SierraError): Buffer =>
  new ByteWriter().u8(REFUSED).text(code).text(message).done();

export function encodeAppended(appended: Appended): Buffer {
  const { partitionKey, partition, firstSequence, events } = appended;
  const writer = beginAnswer();
  writer.raw(partitionKey).u16(partition).u48(firstSequence).u32(events.length);
  for (const { eventId, version, timestamp, streamId } of events) {
    writer.raw(eventId).u48(version).u48(timestamp).blob(streamId);
  }
  return writer.done();
}

export function readAppended(reader: ByteReader): Appended {
  const partitionKey = reader.raw(16);
  const partition = reader.u16();
  const firstSequence = reader.u48();
  const count = reader.u32();
  const events: AppendedEvent[] = [];
  for (let i = 0; i < count; i += 1) {
    const eventId = reader.raw(16);
    const version = reader.u48();
    const timestamp = reader.u48();
    events.push({ eventId, version, timestamp, streamId: reader.blob() });
  }
  return { partitionKey, partition, firstSequence, events };
}

export const encodeNumberOrNull = (value: number | null): Buffer =>
  value === null ? beginAnswer().u8(0).done() : beginAnswer().u8(1).u48(value).done();

export const readNumberOrNull = (reader: ByteReader): number | null =>
  reader.u8() === 0 ? null : reader.u48();

/** Answers in the order of their commands; fewer than there were commands is a fault. */
export function decodeAnswers(body: Buffer, count: number): Answer[] {
  const answers = Array.from(readBatch(body), readAnswer);
  if (answers.length !== count) throw new RangeError('not an answer for every command');
  return answers;
}

function readAnswer(reader: ByteReader): Answer {
  switch (reader.u8()) {
    case DONE:
      return { kind: 'done', body: reader };
    case NOT_LEADER:
      return { kind: 'notLeader' };
    default: {
      const code = reader.text() as ErrorCode;
      return { kind: 'refused', error: new SierraError(code, reader.text()) };
    }
  }
}
