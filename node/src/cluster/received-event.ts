/**
 * Events on their way between members, as they stand in the log, each with what its frame says about it:
 *
 * ```text
 *  0 16 bytes partition key    32 u16 partition     44 the event, see `storage/frame-format.ts`
 * 16 16 bytes transaction id   34 u48 sequence
 *                              40 u32 length of the event
 * ```
 */
import type { EventView } from '../engine/types.ts';
import {
  eventMetadataLength,
  eventNameLength,
  eventStreamIdLength,
  eventTimestamp,
  eventVersion,
  EVENT_HEADER_BYTES,
} from '../storage/frame-format.ts';
import type { ByteReader, ByteWriter } from './wire-bytes.ts';

export function writeEvent(target: ByteWriter, event: EventView): void {
  const { bytes, partitionKeyAt, eventIdAt, payloadEnd } = event;
  target
    .raw(bytes, partitionKeyAt, partitionKeyAt + 16)
    .raw(event.transactionId)
    .u16(event.partition)
    .u48(event.sequence)
    .u32(payloadEnd - eventIdAt)
    .raw(bytes, eventIdAt, payloadEnd);
}

/** The event that was read last. */
export class ReceivedEvent implements EventView {
  bytes: Buffer = Buffer.alloc(0);
  eventIdAt = 0;
  partitionKeyAt = 0;
  partition = 0;
  transactionId: Buffer = this.bytes;
  sequence = 0;
  version = 0;
  timestamp = 0;
  streamIdAt = 0;
  eventNameAt = 0;
  metadataAt = 0;
  payloadAt = 0;
  payloadEnd = 0;

  read(source: ByteReader): void {
    const { bytes } = source;
    this.bytes = bytes;
    this.partitionKeyAt = source.take(16);
    this.transactionId = source.raw(16);
    this.partition = source.u16();
    this.sequence = source.u48();
    const length = source.u32();
    const at = source.take(length);
    this.eventIdAt = at;
    this.version = eventVersion(bytes, at);
    this.timestamp = eventTimestamp(bytes, at);
    this.streamIdAt = at + EVENT_HEADER_BYTES;
    this.eventNameAt = this.streamIdAt + eventStreamIdLength(bytes, at);
    this.metadataAt = this.eventNameAt + eventNameLength(bytes, at);
    this.payloadAt = this.metadataAt + eventMetadataLength(bytes, at);
    this.payloadEnd = at + length;
  }
}
