/**
 * The journal's files: a header page, then rounds, each starting on a page. Grammar, example and reasons:
 * `docs/formats/journal.md`. Numbers are little-endian.
 *
 * ```text
 * file header (first page)          round                                   entry
 *  0 8 bytes "SDBJRNL1"              0 u32 "RND1"                             0 u8  type
 *  8 u32 crc of bytes 12..24         4 u32 crc of bytes 8..length, seeded     1 u8  zero
 * 12 u32 slot                          with the file's salt                   2 u16 bucket
 * 16 u32 file length in pages        8 u32 length, without padding            4 u32 payload length
 * 20 u32 salt                       12 u32 crc of the round before
 *                                   16 u48 number                             8 8 bytes replica id
 *                                   22 u48 lap of the file                   16 payload
 *                                   28 u32 entry count
 *                                   32 entries
 * ```
 *
 * The file header stands twice in the first page, at 0 and at 2048. The salt is random and told to nobody: without it
 * a client could put the image of a round into a payload, and recovery, looking for rounds behind a torn one, would
 * believe it.
 *
 * Values on disk: do not change.
 */
import { readUint32, readUint48, writeUint32, writeUint48 } from './bytes.ts';
import { crc32c } from './crc.ts';

/** Rounds start on pages, so that writing one never rewrites a sector that holds an acknowledged one. */
export const PAGE_BYTES = 4096;
export const ROUND_HEADER_BYTES = 32;
export const ENTRY_HEADER_BYTES = 16;
export const REPLICA_ID_BYTES = 8;

const FILE_MAGIC = Buffer.from('SDBJRNL1', 'latin1');
export const ROUND_MAGIC = 0x31444e52;

export const entryType = {
  /** A frame of a bucket's log. */
  frame: 1,
  /** Term and vote of a bucket's replica. */
  vote: 2,
  /** Where every bucket's log ends in synced segments; the record that lets older files be reused. */
  checkpoint: 3,
} as const;
export type EntryType = (typeof entryType)[keyof typeof entryType];

export const paddedLength = (length: number): number => Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;

const HEADER_COPIES = [0, PAGE_BYTES / 2];
const FILE_HEADER_BYTES = 24;

export interface JournalFileHeader {
  /** Length of the file. */
  readonly bytes: number;
  readonly salt: number;
}

export function encodeFileHeader(slot: number, { bytes, salt }: JournalFileHeader): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  for (const at of HEADER_COPIES) {
    FILE_MAGIC.copy(page, at);
    writeUint32(page, at + 12, slot);
    writeUint32(page, at + 16, bytes / PAGE_BYTES);
    writeUint32(page, at + 20, salt);
    writeUint32(page, at + 8, crc32c(page.subarray(at + 12, at + FILE_HEADER_BYTES)));
  }
  return page;
}

/** The header of the file that starts with this page, or null when both copies are unreadable. */
export function decodeFileHeader(page: Uint8Array): JournalFileHeader | null {
  for (const at of HEADER_COPIES) {
    if (page.length < at + FILE_HEADER_BYTES) continue;
    if (!FILE_MAGIC.equals(page.subarray(at, at + 8))) continue;
    if (crc32c(page.subarray(at + 12, at + FILE_HEADER_BYTES)) !== readUint32(page, at + 8))
      continue;
    return { bytes: readUint32(page, at + 16) * PAGE_BYTES, salt: readUint32(page, at + 20) };
  }
  return null;
}

export interface RoundHeader {
  readonly length: number;
  readonly crc: number;
  readonly previousCrc: number;
  readonly number: number;
  readonly lap: number;
  readonly entryCount: number;
}

/** Completes a round whose entries stand behind the header's place in `bytes[0..length)`; returns its CRC. */
export function sealRound(bytes: Buffer, salt: number, header: Omit<RoundHeader, 'crc'>): number {
  writeUint32(bytes, 0, ROUND_MAGIC);
  writeUint32(bytes, 8, header.length);
  writeUint32(bytes, 12, header.previousCrc);
  writeUint48(bytes, 16, header.number);
  writeUint48(bytes, 22, header.lap);
  writeUint32(bytes, 28, header.entryCount);
  const crc = crc32c(bytes.subarray(8, header.length), salt);
  writeUint32(bytes, 4, crc);
  return crc;
}

/** The round at `bytes[at]` if one of a file with this salt stands there whole and undamaged, else null. */
export function decodeRound(bytes: Buffer, at: number, salt: number): RoundHeader | null {
  if (at + ROUND_HEADER_BYTES > bytes.length || readUint32(bytes, at) !== ROUND_MAGIC) return null;
  const length = readUint32(bytes, at + 8);
  if (length < ROUND_HEADER_BYTES || at + length > bytes.length) return null;
  const crc = readUint32(bytes, at + 4);
  if (crc32c(bytes.subarray(at + 8, at + length), salt) !== crc) return null;
  return {
    length,
    crc,
    previousCrc: readUint32(bytes, at + 12),
    number: readUint48(bytes, at + 16),
    lap: readUint48(bytes, at + 22),
    entryCount: readUint32(bytes, at + 28),
  };
}

/** Writes an entry's header; the payload follows at `at + ENTRY_HEADER_BYTES`. */
export function writeEntryHeader(
  bytes: Buffer,
  at: number,
  type: EntryType,
  bucket: number,
  replicaId: Uint8Array,
  payloadBytes: number,
): void {
  bytes[at] = type;
  bytes[at + 1] = 0;
  bytes[at + 2] = bucket;
  bytes[at + 3] = bucket >>> 8;
  writeUint32(bytes, at + 4, payloadBytes);
  bytes.set(replicaId, at + 8);
}

export interface Entry {
  readonly type: number;
  readonly bucket: number;
  readonly replicaId: Buffer;
  /** Where the payload stands in the round's buffer. */
  readonly from: number;
  readonly to: number;
}

/** The entries of a round that {@link decodeRound} has accepted. */
export function* entriesOf(bytes: Buffer, at: number, round: RoundHeader): Generator<Entry> {
  let place = at + ROUND_HEADER_BYTES;
  for (let i = 0; i < round.entryCount; i += 1) {
    const from = place + ENTRY_HEADER_BYTES;
    const to = from + readUint32(bytes, place + 4);
    yield {
      type: bytes[place] as number,
      bucket: bytes.readUInt16LE(place + 2),
      replicaId: bytes.subarray(place + 8, place + 16),
      from,
      to,
    };
    place = to;
  }
}

/** Where a bucket's log ends: behind the frame `index`, whose CRC is `crc`, at `segment`:`offset`. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
  readonly index: number;
  readonly term: number;
  readonly crc: number;
}

export interface BucketCheckpoint {
  readonly bucket: number;
  readonly replicaId: Uint8Array;
  /** 16 bytes. */
  readonly groupId: Uint8Array;
  /** Highest term seen. */
  readonly term: number;
  /** The replica that this one has voted for in that term, or null. */
  readonly votedFor: Uint8Array | null;
  /** Everything before it is in synced segments. */
  readonly end: LogPosition;
  /** Who belongs to the group as of `end`, see `configuration-format.ts`. */
  readonly configuration: Uint8Array;
}

export interface Checkpoint {
  /** The oldest lap whose frames are not all in synced segments. Recovery needs every lap from this one on. */
  readonly oldestLap: number;
  readonly buckets: readonly BucketCheckpoint[];
}

const BUCKET_CHECKPOINT_BYTES = 64;
const CHECKPOINT_HEADER_BYTES = 8;

export const checkpointLength = (buckets: readonly BucketCheckpoint[]): number =>
  buckets.reduce(
    (sum, { configuration }) => sum + BUCKET_CHECKPOINT_BYTES + configuration.length,
    CHECKPOINT_HEADER_BYTES,
  );

export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const bytes = Buffer.alloc(checkpointLength(checkpoint.buckets));
  writeUint48(bytes, 0, checkpoint.oldestLap);
  bytes.writeUInt16LE(checkpoint.buckets.length, 6);
  let at = CHECKPOINT_HEADER_BYTES;
  for (const {
    bucket,
    replicaId,
    groupId,
    term,
    votedFor,
    end,
    configuration,
  } of checkpoint.buckets) {
    bytes.writeUInt16LE(bucket, at);
    bytes.set(replicaId, at + 2);
    bytes.set(groupId, at + 10);
    writeUint32(bytes, at + 26, term);
    if (votedFor !== null) bytes.set(votedFor, at + 30);
    writeUint32(bytes, at + 38, end.segment);
    writeUint32(bytes, at + 42, end.offset);
    writeUint48(bytes, at + 46, end.index);
    writeUint32(bytes, at + 52, end.term);
    writeUint32(bytes, at + 56, end.crc);
    bytes.writeUInt16LE(configuration.length, at + 60);
    bytes.set(configuration, at + BUCKET_CHECKPOINT_BYTES);
    at += BUCKET_CHECKPOINT_BYTES + configuration.length;
  }
  return bytes;
}

export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const count = bytes.readUInt16LE(6);
  const buckets: BucketCheckpoint[] = [];
  let at = CHECKPOINT_HEADER_BYTES;
  for (let i = 0; i < count; i += 1) {
    const configurationEnd = at + BUCKET_CHECKPOINT_BYTES + bytes.readUInt16LE(at + 60);
    buckets.push({
      bucket: bytes.readUInt16LE(at),
      replicaId: Buffer.from(bytes.subarray(at + 2, at + 10)),
      groupId: Buffer.from(bytes.subarray(at + 10, at + 26)),
      term: readUint32(bytes, at + 26),
      votedFor: replicaOrNone(bytes, at + 30),
      end: {
        segment: readUint32(bytes, at + 38),
        offset: readUint32(bytes, at + 42),
        index: readUint48(bytes, at + 46),
        term: readUint32(bytes, at + 52),
        crc: readUint32(bytes, at + 56),
      },
      configuration: Buffer.from(bytes.subarray(at + BUCKET_CHECKPOINT_BYTES, configurationEnd)),
    });
    at = configurationEnd;
  }
  return { oldestLap: readUint48(bytes, 0), buckets };
}

/** A replica id is never all zeros: those stand for nobody. */
function replicaOrNone(bytes: Uint8Array, at: number): Buffer | null {
  const id = Buffer.from(bytes.subarray(at, at + REPLICA_ID_BYTES));
  return id.equals(NOBODY) ? null : id;
}

const NOBODY = Buffer.alloc(REPLICA_ID_BYTES);

export interface VoteRecord {
  readonly term: number;
  readonly votedFor: Uint8Array | null;
}

export function encodeVote({ term, votedFor }: VoteRecord): Buffer {
  const bytes = Buffer.alloc(4 + REPLICA_ID_BYTES);
  writeUint32(bytes, 0, term);
  if (votedFor !== null) bytes.set(votedFor, 4);
  return bytes;
}

export const decodeVote = (bytes: Uint8Array): VoteRecord => ({
  term: readUint32(bytes, 0),
  votedFor: replicaOrNone(bytes, 4),
});
