/** Looks at the events inside a frame, without copying: the engine's {@link EventView}, filled anew for each event. */
import {
  eventLength,
  eventMetadataLength,
  eventNameLength,
  eventStreamIdLength,
  eventTimestamp,
  eventVersion,
  EVENT_HEADER_BYTES,
  frameEventCount,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameFirstSequence,
  frameIndex,
  framePartition,
} from '../storage/frame-format.ts';
import type { FrameRef } from '../storage/frame-reader.ts';
import { writeTransactionId } from './transaction-id.ts';
import type { EventView } from './types.ts';

const NOWHERE = Buffer.alloc(0);

export class EventCursor implements EventView {
  bytes: Buffer = NOWHERE;
  eventIdAt = 0;
  partitionKeyAt = 0;
  partition = 0;
  readonly transactionId: Buffer = Buffer.alloc(16);
  sequence = 0;
  version = 0;
  timestamp = 0;
  streamIdAt = 0;
  eventNameAt = 0;
  metadataAt = 0;
  payloadAt = 0;
  payloadEnd = 0;
  #count = 0;
  #ordinal = 0;
  #firstSequence = 0;

  /** Events in the frame. */
  get eventCount(): number {
    return this.#count;
  }

  /** Goes to the first event of an events frame of the group `groupId`. */
  enter(frame: FrameRef, groupId: Uint8Array): void {
    const { bytes, at } = frame;
    this.bytes = bytes;
    this.partitionKeyAt = at + FRAME_HEADER_BYTES;
    this.partition = framePartition(bytes, at);
    this.#count = frameEventCount(bytes, at);
    this.#firstSequence = frameFirstSequence(bytes, at);
    this.#ordinal = 0;
    writeTransactionId(groupId, frameIndex(bytes, at), this.#count, this.transactionId);
    this.#look(at + FRAME_EVENTS_OFFSET);
  }

  /** The same frame may have moved in memory meanwhile: points to the same event again. */
  move(frame: FrameRef): void {
    const shift = frame.at + FRAME_HEADER_BYTES - this.partitionKeyAt;
    this.bytes = frame.bytes;
    this.partitionKeyAt += shift;
    this.#look(this.eventIdAt + shift);
  }

  /** Goes to the next event; false behind the last one. */
  next(): boolean {
    if (this.#ordinal + 1 >= this.#count) return false;
    this.#ordinal += 1;
    this.#look(this.eventIdAt + eventLength(this.bytes, this.eventIdAt));
    return true;
  }

  /** Goes to the event with this sequence, which lies at or behind the present one; false if there is none. */
  seekSequence(sequence: number): boolean {
    while (this.sequence < sequence) if (!this.next()) return false;
    return this.sequence === sequence;
  }

  /** Goes to the event of this stream with this version, at or behind the present one; false if there is none. */
  seekVersion(streamId: Uint8Array, version: number): boolean {
    do {
      if (this.version === version && this.isOfStream(streamId)) return true;
    } while (this.next());
    return false;
  }

  isOfStream(streamId: Uint8Array): boolean {
    const length = this.eventNameAt - this.streamIdAt;
    if (length !== streamId.length) return false;
    for (let i = 0; i < length; i += 1) {
      if (this.bytes[this.streamIdAt + i] !== streamId[i]) return false;
    }
    return true;
  }

  hasEventId(eventId: Uint8Array): boolean {
    return sameBytes(this.bytes, this.eventIdAt, eventId);
  }

  hasPartitionKey(partitionKey: Uint8Array): boolean {
    return sameBytes(this.bytes, this.partitionKeyAt, partitionKey);
  }

  #look(at: number): void {
    const { bytes } = this;
    this.eventIdAt = at;
    this.sequence = this.#firstSequence + this.#ordinal;
    this.version = eventVersion(bytes, at);
    this.timestamp = eventTimestamp(bytes, at);
    this.streamIdAt = at + EVENT_HEADER_BYTES;
    this.eventNameAt = this.streamIdAt + eventStreamIdLength(bytes, at);
    this.metadataAt = this.eventNameAt + eventNameLength(bytes, at);
    this.payloadAt = this.metadataAt + eventMetadataLength(bytes, at);
    this.payloadEnd = at + eventLength(bytes, at);
  }
}

export function sameBytes(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}
