/**
 * A frame: one transaction, leader's first entry or configuration, as it stands in the journal, in segments, and later
 * on the wire. Grammar, worked example and reasons: `docs/formats/frame.md`. Numbers are little-endian.
 *
 * ```text
 *  0 u32 length      whole frame        20 u48 index            44 16 bytes partition key   (kind events only)
 *  4 u32 crc         of bytes 8..length 26 u32 term             60 event …
 *  8 u32 previous    crc of the frame   30 u8  kind
 *        before it in the log           31 u8  zero             event:
 * 12 u32 segment     number             32 u16 partition         0 16 bytes id     28 u8  stream id length, high bit:
 * 16 u32 offset      in that segment    34 u48 first sequence   16 u48 version            the client supplied the id
 *                                       40 u32 event count      22 u48 timestamp   29 u8  event name length
 *                                                                    (ms)          30 u32 metadata length
 *                                                                                  34 u32 payload length
 *                                                               38 stream id, event name, metadata, payload
 * ```
 *
 * Values on disk: do not change.
 */
import { readUint32, readUint48, writeUint32, writeUint48 } from './bytes.ts';
import { crc32c } from './crc.ts';

export const FRAME_HEADER_BYTES = 44;
export const FRAME_EVENTS_OFFSET = 60;
export const EVENT_HEADER_BYTES = 38;

export const frameKind = { events: 1, leader: 2, configuration: 3 } as const;
export type FrameKind = (typeof frameKind)[keyof typeof frameKind];

export const STREAM_ID_BYTES_MAX = 64;
export const EVENT_NAME_BYTES_MAX = 255;
/** Set in an event's stream id length when the client supplied the event id: only such ids take part in idempotency. */
export const ID_SUPPLIED = 0x80;

export const frameLength = (b: Uint8Array, at: number): number => readUint32(b, at);
export const frameCrc = (b: Uint8Array, at: number): number => readUint32(b, at + 4);
export const framePrevious = (b: Uint8Array, at: number): number => readUint32(b, at + 8);
export const frameSegment = (b: Uint8Array, at: number): number => readUint32(b, at + 12);
export const frameOffset = (b: Uint8Array, at: number): number => readUint32(b, at + 16);
export const frameIndex = (b: Uint8Array, at: number): number => readUint48(b, at + 20);
export const frameTerm = (b: Uint8Array, at: number): number => readUint32(b, at + 26);
export const frameKindOf = (b: Uint8Array, at: number): number => b[at + 30] as number;
export const framePartition = (b: Uint8Array, at: number): number =>
  (b[at + 32] as number) | ((b[at + 33] as number) << 8);
export const frameFirstSequence = (b: Uint8Array, at: number): number => readUint48(b, at + 34);
export const frameEventCount = (b: Uint8Array, at: number): number => readUint32(b, at + 40);

/** Where an event's parts stand; `at` is the offset of the event itself. */
export const eventVersion = (b: Uint8Array, at: number): number => readUint48(b, at + 16);
export const eventTimestamp = (b: Uint8Array, at: number): number => readUint48(b, at + 22);
export const eventStreamIdLength = (b: Uint8Array, at: number): number =>
  (b[at + 28] as number) & 0x7f;
export const eventIdSupplied = (b: Uint8Array, at: number): boolean =>
  ((b[at + 28] as number) & ID_SUPPLIED) !== 0;
export const eventNameLength = (b: Uint8Array, at: number): number => b[at + 29] as number;
export const eventMetadataLength = (b: Uint8Array, at: number): number => readUint32(b, at + 30);
export const eventLength = (b: Uint8Array, at: number): number =>
  EVENT_HEADER_BYTES +
  ((b[at + 28] as number) & 0x7f) +
  (b[at + 29] as number) +
  readUint32(b, at + 30) +
  readUint32(b, at + 34);

export interface FrameHeader {
  readonly length: number;
  readonly previousCrc: number;
  readonly segment: number;
  readonly offset: number;
  readonly index: number;
  readonly term: number;
  readonly kind: FrameKind;
  readonly partition: number;
  readonly firstSequence: number;
  readonly eventCount: number;
}

/** Writes all of a header but the CRC. */
export function writeFrameHeader(b: Uint8Array, at: number, header: FrameHeader): void {
  writeUint32(b, at, header.length);
  writeUint32(b, at + 8, header.previousCrc);
  writeUint32(b, at + 12, header.segment);
  writeUint32(b, at + 16, header.offset);
  writeUint48(b, at + 20, header.index);
  writeUint32(b, at + 26, header.term);
  b[at + 30] = header.kind;
  b[at + 31] = 0;
  b[at + 32] = header.partition;
  b[at + 33] = header.partition >>> 8;
  writeUint48(b, at + 34, header.firstSequence);
  writeUint32(b, at + 40, header.eventCount);
}

/** Computes and stores the CRC of a complete frame; returns it. */
export function sealFrame(b: Uint8Array, at: number, length: number): number {
  const crc = crc32c(b.subarray(at + 8, at + length));
  writeUint32(b, at + 4, crc);
  return crc;
}

/**
 * What is wrong with the frame at `b[at]`, of which bytes up to `end` are at hand, or null. Checks length, CRC and that
 * the frame believes to stand at this place; the caller checks the chain (`framePrevious`, `frameIndex`).
 */
export function frameFault(
  b: Uint8Array,
  at: number,
  end: number,
  segment: number,
  offset: number,
): string | null {
  if (end - at < FRAME_HEADER_BYTES) return 'shorter than a frame header';
  const length = frameLength(b, at);
  if (length < FRAME_HEADER_BYTES || length > end - at)
    return `impossible length ${String(length)}`;
  if (crc32c(b.subarray(at + 8, at + length)) !== frameCrc(b, at)) return 'checksum mismatch';
  if (frameSegment(b, at) !== segment || frameOffset(b, at) !== offset) {
    return `frame belongs at ${String(frameSegment(b, at))}:${String(frameOffset(b, at))}`;
  }
  return null;
}
