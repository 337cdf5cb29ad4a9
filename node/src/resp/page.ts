/**
 * One page of a scan: `has_more`, then the events. What `has_more` will be, and how many events there are, is known at the
 * end only, so the events are written first behind some room, and the beginning of the reply is put in front of them.
 */
import type { EventVisitor, PageEnd } from '../engine/types.ts';
import { eventReplyBytesMax, writeEvent } from './event-reply.ts';
import { ReplyWriter } from './replies.ts';

const HAS_MORE = Buffer.from('+has_more\r\n', 'latin1');
const EVENTS = Buffer.from('+events\r\n', 'latin1');

/** Room for `%2`, both keys, the boolean and the longest array header. */
const FRONT_BYTES = 64;

export interface PageLimits {
  /** Events of the page at most; may be 0 or `Infinity`. */
  readonly count: number;
  /** Bytes of the page; the first event is always taken. */
  readonly bytesMax: number;
}

/** Writes a page to `reply`, which must be empty. `read` is given the visitor and says whether more events follow. */
export function writePage(
  limits: PageLimits,
  reply: ReplyWriter,
  read: (visit: EventVisitor) => PageEnd | Promise<PageEnd>,
): void | Promise<void> {
  reply.reserve(FRONT_BYTES);
  reply.start = FRONT_BYTES;
  reply.end = FRONT_BYTES;
  let events = 0;
  const end = read((event) => {
    if (events >= limits.count) return false;
    if (events > 0 && reply.length + eventReplyBytesMax(event) > limits.bytesMax) return false;
    writeEvent(reply, event);
    events += 1;
    return true;
  });
  if (end instanceof Promise) return end.then(({ hasMore }) => writeFront(reply, hasMore, events));
  writeFront(reply, end.hasMore, events);
}

const front = new ReplyWriter(FRONT_BYTES);

function writeFront(reply: ReplyWriter, hasMore: boolean, events: number): void {
  front.clear();
  front.version = reply.version;
  front.map(2);
  front.raw(HAS_MORE);
  front.boolean(hasMore);
  front.raw(EVENTS);
  front.array(events);
  reply.start = FRONT_BYTES - front.length;
  reply.bytes.set(front.content(), reply.start);
}

/** The page of a range that can hold nothing. */
export function writeEmptyPage(reply: ReplyWriter): void {
  reply.reserve(FRONT_BYTES);
  reply.end = FRONT_BYTES;
  writeFront(reply, false, 0);
}

export const COUNT_DEFAULT = 100;
