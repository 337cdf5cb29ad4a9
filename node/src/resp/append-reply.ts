/** The replies of appends (wire protocol 2.4 and 2.5). Map keys are simple strings: the Rust client skips all others. */
import { printUuid } from '../../../common/ids.ts';
import type { Appended, AppendedEvent } from '../engine/types.ts';
import { writeDecimal } from './decimal.ts';
import type { ReplyWriter } from './replies.ts';

const UUID_ROOM = '0'.repeat(36);

const piece = (text: string): Buffer => Buffer.from(text, 'latin1');

const opening = (type: string): Buffer =>
  piece(
    `${type}\r\n+event_id\r\n+${UUID_ROOM}\r\n+partition_key\r\n+${UUID_ROOM}\r\n+partition_id\r\n:`,
  );

const OPENING_3 = opening('%6');
const OPENING_2 = opening('*12');
const EVENT_ID_BEFORE_END = OPENING_3.length - OPENING_3.indexOf(UUID_ROOM);
const PARTITION_KEY_BEFORE_END = OPENING_3.length - OPENING_3.lastIndexOf(UUID_ROOM);
const SEQUENCE = piece('\r\n+partition_sequence\r\n:');
const VERSION = piece('\r\n+stream_version\r\n:');
const TIMESTAMP = piece('\r\n+timestamp\r\n:');

/** An upper bound of the bytes of EAPPEND's reply. */
const REPLY_BYTES_MAX = 320;

function put(constant: Buffer, target: Buffer, at: number): number {
  for (let i = 0; i < constant.length; i += 1) target[at + i] = constant[i] as number;
  return at + constant.length;
}

/** EAPPEND's reply. */
export function writeAppended(appended: Appended, reply: ReplyWriter): void {
  const event = appended.events[0] as AppendedEvent;
  reply.reserve(REPLY_BYTES_MAX);
  const target = reply.bytes;
  const start = reply.end;
  const constant = reply.version === 3 ? OPENING_3 : OPENING_2;
  target.set(constant, start);
  // Counted from the end, because the two openings differ in the length of their first line.
  const end = start + constant.length;
  printUuid(event.eventId, 0, target, end - EVENT_ID_BEFORE_END);
  printUuid(appended.partitionKey, 0, target, end - PARTITION_KEY_BEFORE_END);
  let at = writeDecimal(appended.partition, target, end);
  at = writeDecimal(appended.firstSequence, target, put(SEQUENCE, target, at));
  at = writeDecimal(event.version, target, put(VERSION, target, at));
  at = writeDecimal(event.timestamp, target, put(TIMESTAMP, target, at));
  target[at] = 0x0d;
  target[at + 1] = 0x0a;
  reply.end = at + 2;
}

const PARTITION_KEY = piece('+partition_key\r\n');
const PARTITION_ID = piece('+partition_id\r\n');
const FIRST_SEQUENCE = piece('+first_partition_sequence\r\n');
const LAST_SEQUENCE = piece('+last_partition_sequence\r\n');
const EVENTS = piece('+events\r\n');
const EVENT_ID = piece('+event_id\r\n');
const STREAM_ID = piece('+stream_id\r\n+');
const STREAM_ID_BLOB = piece('+stream_id\r\n');
const STREAM_VERSION = piece('+stream_version\r\n');
const TIMESTAMP_KEY = piece('+timestamp\r\n');
const LINE_END = piece('\r\n');

/** A simple string, but a blob where that would break the framing or be read as the word OK by the Rust client. */
function writeStreamId(streamId: Uint8Array, reply: ReplyWriter): void {
  const isOk = streamId.length === 2 && streamId[0] === 0x4f && streamId[1] === 0x4b;
  if (isOk || streamId.includes(0x0d) || streamId.includes(0x0a)) {
    reply.raw(STREAM_ID_BLOB);
    reply.blob(streamId);
    return;
  }
  reply.raw(STREAM_ID);
  reply.raw(streamId);
  reply.raw(LINE_END);
}

/** EMAPPEND's reply. */
export function writeTransaction(appended: Appended, reply: ReplyWriter): void {
  reply.map(5);
  reply.raw(PARTITION_KEY);
  reply.uuid(appended.partitionKey);
  reply.raw(PARTITION_ID);
  reply.integer(appended.partition);
  reply.raw(FIRST_SEQUENCE);
  reply.integer(appended.firstSequence);
  reply.raw(LAST_SEQUENCE);
  reply.integer(appended.firstSequence + appended.events.length - 1);
  reply.raw(EVENTS);
  reply.array(appended.events.length);
  for (const event of appended.events) {
    reply.map(4);
    reply.raw(EVENT_ID);
    reply.uuid(event.eventId);
    writeStreamId(event.streamId, reply);
    reply.raw(STREAM_VERSION);
    reply.integer(event.version);
    reply.raw(TIMESTAMP_KEY);
    reply.integer(event.timestamp);
  }
}
