/**
 * A segment file: a header, then frames back to back. The header is the same on every replica, so that segments are
 * compared byte by byte. `docs/formats/segment.md` has the grammar and an example.
 *
 * ```text
 *  0 8 bytes "SDBSEGM1"    12 u16 bucket             20 u48 index of its first frame   28 16 bytes group id
 *  8 u32 header length     14 u16 partition slots    26 u16 zero                       44 u32 crc of the frame before
 *                          16 u32 segment number                                       48 u32 crc of the header but this
 *                                                                                         field
 * 52 u48 next sequence of each partition of the bucket, in ascending partition order, as of the segment's start; all ones
 *    where damage before it hides what it was
 * ```
 */
import { readUint32, readUint48, UINT48_MAX, writeUint32, writeUint48 } from './bytes.ts';
import { crc32c } from './crc.ts';

const MAGIC = Buffer.from('SDBSEGM1', 'latin1');
const FIXED_BYTES = 52;

/** Next sequence of a partition whose latest events are damaged. */
export const UNKNOWN_SEQUENCE: number = UINT48_MAX;

export interface SegmentHeader {
  readonly bucket: number;
  readonly segment: number;
  readonly firstIndex: number;
  /** 16 bytes, drawn when the bucket's group is made; transaction ids are derived from it. */
  readonly groupId: Uint8Array;
  readonly previousCrc: number;
  /** Next sequence of each partition of the bucket: partition `bucket + slot * bucketCount` stands at `slot`. */
  readonly nextSequences: readonly number[];
}

export const segmentHeaderBytes = (slots: number): number => FIXED_BYTES + 6 * slots;

/** How many partitions a bucket has: those whose number leaves it as the remainder. */
export const slotCount = (
  bucket: number,
  {
    bucketCount,
    partitionCount,
  }: { readonly bucketCount: number; readonly partitionCount: number },
): number => Math.floor((partitionCount - 1 - bucket) / bucketCount) + 1;

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const slots = header.nextSequences.length;
  const length = segmentHeaderBytes(slots);
  const bytes = Buffer.alloc(length);
  MAGIC.copy(bytes, 0);
  writeUint32(bytes, 8, length);
  bytes.writeUInt16LE(header.bucket, 12);
  bytes.writeUInt16LE(slots, 14);
  writeUint32(bytes, 16, header.segment);
  writeUint48(bytes, 20, header.firstIndex);
  bytes.set(header.groupId, 28);
  writeUint32(bytes, 44, header.previousCrc);
  header.nextSequences.forEach((next, slot) => {
    writeUint48(bytes, FIXED_BYTES + 6 * slot, next);
  });
  writeUint32(bytes, 48, headerCrc(bytes));
  return bytes;
}

function headerCrc(bytes: Uint8Array): number {
  return crc32c(bytes.subarray(FIXED_BYTES), crc32c(bytes.subarray(0, 48)));
}

/** The header at the start of `bytes`, or what is wrong with it. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | string {
  if (bytes.length < FIXED_BYTES) return 'shorter than a segment header';
  if (!MAGIC.equals(bytes.subarray(0, 8))) return 'not a segment file of this format version';
  const length = readUint32(bytes, 8);
  const slots = bytes.readUInt16LE(14);
  if (length !== segmentHeaderBytes(slots) || length > bytes.length)
    return 'impossible header length';
  if (headerCrc(bytes.subarray(0, length)) !== readUint32(bytes, 48))
    return 'header checksum mismatch';
  const nextSequences: number[] = [];
  for (let slot = 0; slot < slots; slot += 1) {
    nextSequences.push(readUint48(bytes, FIXED_BYTES + 6 * slot));
  }
  return {
    bucket: bytes.readUInt16LE(12),
    segment: readUint32(bytes, 16),
    firstIndex: readUint48(bytes, 20),
    groupId: Buffer.from(bytes.subarray(28, 44)),
    previousCrc: readUint32(bytes, 44),
    nextSequences,
  };
}
