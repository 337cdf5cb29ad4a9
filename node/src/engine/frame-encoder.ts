/** Writes the events of a transaction into a frame, in the order in which replies will send their fields. */
import { writeUint32, writeUint48 } from '../storage/bytes.ts';
import {
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  ID_SUPPLIED,
} from '../storage/frame-format.ts';
import type { EventDraft } from './types.ts';

/** Length of the frame that holds these events. */
export function frameBytes(events: readonly EventDraft[]): number {
  let length = FRAME_EVENTS_OFFSET;
  for (const event of events) length += draftBytes(event);
  return length;
}

const draftBytes = (event: EventDraft): number =>
  EVENT_HEADER_BYTES +
  event.streamId.length +
  event.eventName.length +
  event.metadata.length +
  event.payload.length;

export function writePartitionKey(target: Buffer, frameAt: number, key: Uint8Array): void {
  target.set(key, frameAt + FRAME_HEADER_BYTES);
}

/** Writes an event, whose id already stands at `target[at]`; returns the offset behind it. */
export function writeEvent(
  target: Buffer,
  at: number,
  event: EventDraft,
  version: number,
  timestamp: number,
): number {
  const { streamId, eventName, metadata, payload } = event;
  writeUint48(target, at + 16, version);
  writeUint48(target, at + 22, timestamp);
  const isSupplied = event.eventId !== null && event.isDrawn !== true;
  target[at + 28] = streamId.length | (isSupplied ? ID_SUPPLIED : 0);
  target[at + 29] = eventName.length;
  writeUint32(target, at + 30, metadata.length);
  writeUint32(target, at + 34, payload.length);
  let place = at + EVENT_HEADER_BYTES;
  target.set(streamId, place);
  place += streamId.length;
  target.set(eventName, place);
  place += eventName.length;
  target.set(metadata, place);
  place += metadata.length;
  target.set(payload, place);
  return place + payload.length;
}
