/**
 * The event map of wire protocol section 3, written straight from the bytes of the log: constant pieces are copied, ids
 * and numbers are printed in place. Eleven pairs, always all, always in this order.
 */
import { printUuid } from '../../../common/ids.ts';
import type { EventView } from '../engine/types.ts';
import { writeDecimal } from './decimal.ts';
import type { ReplyWriter } from './replies.ts';

const UUID_ROOM = '0'.repeat(36);

const piece = (text: string): Buffer => Buffer.from(text, 'latin1');

const opening = (type: string): Buffer =>
  piece(
    `${type}\r\n+event_id\r\n+${UUID_ROOM}\r\n+partition_key\r\n+${UUID_ROOM}\r\n+partition_id\r\n:`,
  );

/** The map's beginning up to the partition id, with room for two UUIDs; the two versions differ in the first line only. */
const OPENING_3 = opening('%11');
const OPENING_2 = opening('*22');
const EVENT_ID_AT = OPENING_3.indexOf(UUID_ROOM);
const PARTITION_KEY_AT = OPENING_3.lastIndexOf(UUID_ROOM);

const TRANSACTION = piece(`\r\n+transaction_id\r\n+${UUID_ROOM}\r\n+partition_sequence\r\n:`);
const TRANSACTION_ID_AT = TRANSACTION.indexOf(UUID_ROOM);
const VERSION = piece('\r\n+stream_version\r\n:');
const TIMESTAMP = piece('\r\n+timestamp\r\n:');
const STREAM_ID = piece('\r\n+stream_id\r\n$');
const EVENT_NAME = piece('+event_name\r\n$');
const METADATA = piece('+metadata\r\n$');
const PAYLOAD = piece('+payload\r\n$');

const PIECES = [
  ...[OPENING_3, TRANSACTION, VERSION, TIMESTAMP],
  ...[STREAM_ID, EVENT_NAME, METADATA, PAYLOAD],
];

/** What an event map takes besides its four byte strings, at most: the pieces, eight numbers, eight line ends. */
const OVERHEAD_BYTES = PIECES.reduce((sum, { length }) => sum + length, 8 * (16 + 2));

/** An upper bound of the bytes of one event map. */
export function eventReplyBytesMax(event: EventView): number {
  return OVERHEAD_BYTES + event.payloadEnd - event.streamIdAt;
}

function put(constant: Buffer, target: Buffer, at: number): number {
  target.set(constant, at);
  return at + constant.length;
}

/** Below this a loop is quicker than the call into the runtime. */
const LOOP_BYTES_MAX = 32;

/** Key (ending in `$`), length, bytes. */
function putBlob(
  key: Buffer,
  source: Buffer,
  from: number,
  to: number,
  target: Buffer,
  start: number,
): number {
  let at = writeDecimal(to - from, target, put(key, target, start));
  target[at] = 0x0d;
  target[at + 1] = 0x0a;
  at += 2;
  if (to - from > LOOP_BYTES_MAX) source.copy(target, at, from, to);
  else for (let i = from; i < to; i += 1) target[at + i - from] = source[i] as number;
  at += to - from;
  target[at] = 0x0d;
  target[at + 1] = 0x0a;
  return at + 2;
}

/** Writes one event. */
export function writeEvent(reply: ReplyWriter, event: EventView): void {
  reply.reserve(eventReplyBytesMax(event));
  const target = reply.bytes;
  const { bytes, streamIdAt, eventNameAt, metadataAt, payloadAt, payloadEnd } = event;
  const start = reply.end;
  target.set(reply.version === 3 ? OPENING_3 : OPENING_2, start);
  printUuid(bytes, event.eventIdAt, target, start + EVENT_ID_AT);
  printUuid(bytes, event.partitionKeyAt, target, start + PARTITION_KEY_AT);
  let at = writeDecimal(event.partition, target, start + OPENING_3.length);
  target.set(TRANSACTION, at);
  printUuid(event.transactionId, 0, target, at + TRANSACTION_ID_AT);
  at = writeDecimal(event.sequence, target, at + TRANSACTION.length);
  at = writeDecimal(event.version, target, put(VERSION, target, at));
  at = writeDecimal(event.timestamp, target, put(TIMESTAMP, target, at));
  at = putBlob(STREAM_ID, bytes, streamIdAt, eventNameAt, target, at);
  at = putBlob(EVENT_NAME, bytes, eventNameAt, metadataAt, target, at);
  at = putBlob(METADATA, bytes, metadataAt, payloadAt, target, at);
  reply.end = putBlob(PAYLOAD, bytes, payloadAt, payloadEnd, target, at);
}
