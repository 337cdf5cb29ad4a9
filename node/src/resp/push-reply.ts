/** The pushes of subscriptions (wire protocol 4.2). RESP3 only: an array out of turn would be taken for a reply. */
import type { SierraError } from '../../../common/errors.ts';
import type { PushStyle } from './connection.ts';
import { writeDecimal } from './decimal.ts';
import { cleanLine, type ReplyWriter } from './replies.ts';

const piece = (text: string): Buffer => Buffer.from(text, 'latin1');

const SUBSCRIBE = piece('>3\r\n+subscribe\r\n');
const ERROR = piece('>3\r\n+error\r\n');
const EVENT_STARTS: Readonly<Record<PushStyle['event'], Buffer>> = {
  message: piece('>4\r\n+message\r\n+'),
  event: piece('>4\r\n+event\r\n+'),
};

const UUID_LENGTH = 36;
/** The beginning, the id, a number and its line's frame. */
const EVENT_START_BYTES_MAX = EVENT_STARTS.message.length + UUID_LENGTH + 3 + 16 + 2;

/**
 * ESUB's and EPSUB's reply with the push that goes with it, where the client can bear one; `count` is the number of the
 * connection's subscriptions. Reply and push belong into one write.
 */
export function writeSubscribed(
  reply: ReplyWriter,
  id: string,
  count: number,
  place: PushStyle['subscribe'],
): void {
  if (place === 'before') writeSubscribePush(reply, id, count);
  reply.simple(id);
  if (place === 'after') writeSubscribePush(reply, id, count);
}

function writeSubscribePush(reply: ReplyWriter, id: string, count: number): void {
  reply.raw(SUBSCRIBE);
  reply.simple(id);
  reply.integer(count);
}

/**
 * The beginning of an event's push: what stands in front of the event map. The id is copied from its text: a prefix for each
 * would cost more memory than it saves time.
 */
export function writeEventStart(
  reply: ReplyWriter,
  kind: PushStyle['event'],
  id: string,
  cursor: number,
): void {
  reply.reserve(EVENT_START_BYTES_MAX);
  const start = EVENT_STARTS[kind];
  const target = reply.bytes;
  let at = reply.end;
  for (let i = 0; i < start.length; i += 1) target[at + i] = start[i] as number;
  at += start.length;
  for (let i = 0; i < UUID_LENGTH; i += 1) target[at + i] = id.charCodeAt(i);
  at += UUID_LENGTH;
  target[at] = 0x0d;
  target[at + 1] = 0x0a;
  target[at + 2] = 0x3a;
  at = writeDecimal(cursor, target, at + 3);
  target[at] = 0x0d;
  target[at + 1] = 0x0a;
  reply.end = at + 2;
}

/** A subscription has ended by itself. A kind of push that no client library gives a meaning of its own. */
export function writeSubscriptionError(reply: ReplyWriter, id: string, error: SierraError): void {
  reply.raw(ERROR);
  reply.simple(id);
  reply.simple(cleanLine(`${error.code} ${error.message}`));
}
