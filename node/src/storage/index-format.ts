/**
 * Headers and entries of the derived files of a sealed segment: `.streams`, `.partitions`, `.events`, and of filter
 * summaries. Grammar, worked example and reasons: `docs/formats/index-files.md`. Numbers are little-endian.
 *
 * ```text
 * header, at content offset 0
 *  0 8 bytes magic     24 u48 first index of the segment   44 u32 entries             52 u32 filter blocks
 *  8 u16 bucket        30 u48 last index                   48 u8  directory bits      56 u16 bytes of a filter block
 * 10 u16 zero          36 u32 last term                    49 u8  bytes of a key      58 u16 zero
 * 12 u32 segment       40 u32 crc of its last frame        50 u8  filter hashes       60 u32 pages of this file
 * 16 u32 end of its last frame                             51 u8  zero
 * 20 u32 events
 *
 * .streams, .events: header, directory, entries, position list (.streams only), filter blocks from the next page on
 *   directory: for each value of the hash's first `directory bits`, and one more: u32 number of the first entry
 *   entry of .events:  key (the rest of the hash), u32 frame offset
 *   entry of .streams: key, u48 first version, u32 count, u32 start in the position list
 * .partitions: header, entries, position list
 *   entry: u16 partition, u48 first sequence, u32 count, u32 start in the position list
 * position list: u32 frame offset of each event, in the order of versions or sequences. An entry whose count is 1 has
 *   no part of the list: its start is the frame offset
 * summary: header, then for each segment covered: u32 number, u32 crc of its last frame; filter blocks from the next
 *   page on. `entries` counts the segments, `events` the keys; index, term and CRC are those of the last segment
 * ```
 *
 * Values on disk: do not change.
 */
import { readUint32, readUint48, writeUint32, writeUint48 } from './bytes.ts';
import type { FilterShape } from './filter.ts';
import { PAGE_CONTENT_BYTES } from './index-page.ts';

export const INDEX_HEADER_BYTES = 64;
export const PARTITION_ENTRY_BYTES = 16;
/** Bytes of an entry behind its key. */
export const STREAM_VALUE_BYTES = 14;
export const EVENT_VALUE_BYTES = 4;
export const SUMMARY_ENTRY_BYTES = 8;

export const indexMagic = {
  streams: 'SDBSTRM1',
  partitions: 'SDBPART1',
  events: 'SDBEVNT1',
  streamSummary: 'SDBSSUM1',
  eventSummary: 'SDBESUM1',
} as const;
export type IndexMagic = (typeof indexMagic)[keyof typeof indexMagic];

/** What a segment holds, and that its index files are its own: the last frame's CRC ends a chain over all of them. */
export interface SegmentIdentity {
  readonly bucket: number;
  readonly segment: number;
  /** Bytes of the segment file that hold its header and frames. */
  readonly end: number;
  readonly eventCount: number;
  readonly firstIndex: number;
  /** `firstIndex - 1` if the segment holds no frame. */
  readonly lastIndex: number;
  /** 0 if the segment holds no frame. */
  readonly lastTerm: number;
  /** CRC of the last frame; of the frame before the segment if it holds none. */
  readonly lastCrc: number;
}

export interface IndexHeader extends SegmentIdentity {
  readonly magic: IndexMagic;
  readonly entryCount: number;
  readonly directoryBits: number;
  readonly keyBytes: number;
  readonly filter: FilterShape;
  readonly pages: number;
}

export function writeIndexHeader(content: Buffer, header: IndexHeader): void {
  content.write(header.magic, 0, 'latin1');
  content.writeUInt16LE(header.bucket, 8);
  writeUint32(content, 12, header.segment);
  writeUint32(content, 16, header.end);
  writeUint32(content, 20, header.eventCount);
  writeUint48(content, 24, header.firstIndex);
  writeUint48(content, 30, header.lastIndex);
  writeUint32(content, 36, header.lastTerm);
  writeUint32(content, 40, header.lastCrc);
  writeUint32(content, 44, header.entryCount);
  content[48] = header.directoryBits;
  content[49] = header.keyBytes;
  content[50] = header.filter.hashes;
  writeUint32(content, 52, header.filter.blocks);
  content.writeUInt16LE(header.filter.blockBytes, 56);
  writeUint32(content, 60, header.pages);
}

/** The header at the start of verified content, or what is wrong with it. */
export function readIndexHeader(content: Buffer, magic: IndexMagic): IndexHeader | string {
  if (content.toString('latin1', 0, 8) !== magic) return 'not an index file of this format version';
  return {
    magic,
    bucket: content.readUInt16LE(8),
    segment: readUint32(content, 12),
    end: readUint32(content, 16),
    eventCount: readUint32(content, 20),
    firstIndex: readUint48(content, 24),
    lastIndex: readUint48(content, 30),
    lastTerm: readUint32(content, 36),
    lastCrc: readUint32(content, 40),
    entryCount: readUint32(content, 44),
    directoryBits: content[48] as number,
    keyBytes: content[49] as number,
    filter: {
      blocks: readUint32(content, 52),
      blockBytes: content.readUInt16LE(56),
      hashes: content[50] as number,
    },
    pages: readUint32(content, 60),
  };
}

/**
 * First bits of a hash that the directory resolves: 64 to 128 entries then share a directory slot, which is one or two
 * pages to read and seven steps to search.
 */
export function directoryBitsFor(entries: number): number {
  return entries < 128 ? 0 : Math.min(21, Math.floor(Math.log2(entries / 64)));
}

export const keyBytesFor = (directoryBits: number): number => Math.ceil((53 - directoryBits) / 8);

/** 2 to the power of the bits that a key keeps of a hash: `hash = slot * keySpan + key`. */
export const keySpan = (directoryBits: number): number => 2 ** (53 - directoryBits);

export const directoryBytes = (directoryBits: number): number => 4 * (2 ** directoryBits + 1);

/** Page on which filter blocks begin, behind `contentBytes` of everything else. */
export const filterFirstPage = (contentBytes: number): number =>
  Math.ceil(contentBytes / PAGE_CONTENT_BYTES);

/** Reads a key of 4 to 7 bytes. */
export function readKey(bytes: Uint8Array, at: number, keyBytes: number): number {
  let high = 0;
  for (let i = keyBytes - 1; i >= 4; i -= 1) high = high * 256 + (bytes[at + i] as number);
  return readUint32(bytes, at) + high * 2 ** 32;
}

export function writeKey(bytes: Uint8Array, at: number, key: number, keyBytes: number): void {
  writeUint32(bytes, at, key >>> 0);
  let high = Math.floor(key / 2 ** 32);
  for (let i = 4; i < keyBytes; i += 1) {
    bytes[at + i] = high;
    high = Math.floor(high / 256);
  }
}
