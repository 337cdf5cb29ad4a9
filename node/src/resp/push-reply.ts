/** The pushes of subscriptions (wire protocol 4.2). RESP3 only: an array out of turn would be taken for a reply. */
import type { SierraError } from '../../../common/errors.ts';
import type { PushStyle } from './connection.ts';
import { writeDecimal } from './decimal.ts';
import { cleanLine, type ReplyWriter } from './replies.ts';

const piece = (text: string): Buffer => Buffer.from(text, 'latin1');

const SUBSCRIBE = piece('>3\r\n+subscribe\r\n');
const ERROR = piece('>3\r\n+error\r\n');

/** A cursor and its line end. */
const NUMBER_BYTES_MAX = 16 + 2;

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
 * The beginning of an event's push: what stands in front of the event map. Kept for the last subscription, because its events
 * come in runs; one for each subscription would cost more memory than it saves time.
 */
export class EventStart {
  #bytes: Uint8Array = Buffer.alloc(0);
  #kind: PushStyle['event'] = 'message';
  #id = '';

  write(reply: ReplyWriter, kind: PushStyle['event'], id: string, cursor: number): void {
    if (id !== this.#id || kind !== this.#kind) this.#prepare(kind, id);
    const start = this.#bytes;
    reply.reserve(start.length + NUMBER_BYTES_MAX);
    const target = reply.bytes;
    target.set(start, reply.end);
    const at = writeDecimal(cursor, target, reply.end + start.length);
    target[at] = 0x0d;
    target[at + 1] = 0x0a;
    reply.end = at + 2;
  }

  #prepare(kind: PushStyle['event'], id: string): void {
    this.#kind = kind;
    this.#id = id;
    this.#bytes = piece(`>4\r\n+${kind}\r\n+${id}\r\n:`);
  }
}

/** A subscription has ended by itself. A kind of push that no client library gives a meaning of its own. */
export function writeSubscriptionError(reply: ReplyWriter, id: string, error: SierraError): void {
  reply.raw(ERROR);
  reply.simple(id);
  reply.simple(cleanLine(`${error.code} ${error.message}`));
}
