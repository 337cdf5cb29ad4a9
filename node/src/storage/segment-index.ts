/**
 * The index files of one sealed segment, read in place through the block cache.
 *
 * ```ts
 * const index = await SegmentIndex.open(openFiles, folder, segment, cache);
 * if (typeof index === 'string') … // missing or damaged: build again from the segment
 * const [stream] = await index.findStream(hash);
 * const offsets = await index.streamPositions(stream, 0, 10);
 * ```
 *
 * The caller's duties: hashes are not keys, so every hit is compared with the bytes in its frame; an
 * {@link IndexDamageError} from any method means that the file is to be built again, after which the question can be
 * asked again. No method ever answers from bytes that failed their checksum.
 */
import { assert } from '../../../common/assert.ts';
import type { BlockCache } from './block-cache.ts';
import { readUint32, readUint48 } from './bytes.ts';
import { IndexDamageError } from './errors.ts';
import { HashedIndex } from './hashed-index.ts';
import {
  EVENT_VALUE_BYTES,
  INDEX_HEADER_BYTES,
  type IndexHeader,
  indexMagic,
  PARTITION_ENTRY_BYTES,
  STREAM_VALUE_BYTES,
} from './index-format.ts';
import { type IndexFile, openIndexFile } from './index-file.ts';
import type { PageReader } from './index-page.ts';
import { eventIndexFileName, partitionIndexFileName, streamIndexFileName } from './names.ts';
import type { OpenFiles } from './open-files.ts';
import type { SegmentSummary } from './segment-index-builder.ts';
import { StoredFilter } from './stored-filter.ts';

/** Events of one stream in one segment. */
export interface StreamEntry {
  readonly firstVersion: number;
  /** Versions follow without a gap. */
  readonly count: number;
  /** Start in the position list; the frame offset itself if `count` is 1. */
  readonly start: number;
}

/** Events of one partition in one segment. */
export interface PartitionEntry {
  readonly partition: number;
  readonly firstSequence: number;
  /** Sequences follow without a gap. */
  readonly count: number;
  /** As in a {@link StreamEntry}. */
  readonly start: number;
}

const readStreamEntry = (bytes: Buffer, at: number): StreamEntry => ({
  firstVersion: readUint48(bytes, at),
  count: readUint32(bytes, at + 6),
  start: readUint32(bytes, at + 10),
});

export class SegmentIndex {
  readonly summary: SegmentSummary;
  /** Partition → its events in this segment. In memory: as many as the segment's header names anyway. */
  readonly partitions: ReadonlyMap<number, PartitionEntry>;
  readonly streamFilter: StoredFilter;
  readonly eventFilter: StoredFilter;
  readonly streamHashes: HashedIndex<StreamEntry>;
  readonly eventHashes: HashedIndex<number>;
  readonly #files: OpenFiles;
  readonly #cache: BlockCache;
  readonly #streamPages: PageReader;
  readonly #partitionPages: PageReader;
  readonly #eventPages: PageReader;

  private constructor(
    files: OpenFiles,
    cache: BlockCache,
    streams: IndexFile,
    partitionPages: PageReader,
    partitions: ReadonlyMap<number, PartitionEntry>,
    events: IndexFile,
  ) {
    const { header } = streams;
    this.summary = { ...identityOf(header), streamCount: header.entryCount };
    this.partitions = partitions;
    this.#files = files;
    this.#cache = cache;
    this.#streamPages = streams.pages;
    this.#partitionPages = partitionPages;
    this.#eventPages = events.pages;
    this.streamHashes = new HashedIndex(streams.pages, header, STREAM_VALUE_BYTES, readStreamEntry);
    this.eventHashes = new HashedIndex(events.pages, events.header, EVENT_VALUE_BYTES, readUint32);
    this.streamFilter = storedFilter(streams);
    this.eventFilter = storedFilter(events);
  }

  /** A string says which file is missing or damaged. Rejects only with errors of the disk. */
  static async open(
    files: OpenFiles,
    folder: string,
    segment: number,
    cache: BlockCache,
  ): Promise<SegmentIndex | string> {
    const path = (name: string): string => `${folder}/${name}`;
    try {
      const streams = await openIndexFile(
        files,
        path(streamIndexFileName(segment)),
        cache,
        indexMagic.streams,
      );
      const partitions = await openIndexFile(
        files,
        path(partitionIndexFileName(segment)),
        cache,
        indexMagic.partitions,
      );
      const events = await openIndexFile(
        files,
        path(eventIndexFileName(segment)),
        cache,
        indexMagic.events,
      );
      if (streams.header.segment !== segment) {
        return `${streams.pages.file.path} belongs to another segment`;
      }
      for (const other of [partitions, events]) {
        if (!isSameSegment(streams.header, other.header)) {
          return `${other.pages.file.path} belongs to another segment`;
        }
      }
      const directory = await readPartitions(partitions);
      return new SegmentIndex(files, cache, streams, partitions.pages, directory, events);
    } catch (error) {
      if (error instanceof IndexDamageError) return error.message;
      throw error;
    }
  }

  /** Streams whose id has this hash: none, one, or in the rare case of a collision several. */
  findStream(hash: number): StreamEntry[] | Promise<StreamEntry[]> {
    return this.streamHashes.find(hash);
  }

  /** Frame offsets of `count` events of a stream, the first being the stream's `from`th in this segment. */
  streamPositions(
    entry: StreamEntry,
    from: number,
    count: number,
  ): Uint32Array | Promise<Uint32Array> {
    return readPositions(this.#streamPages, this.streamHashes.end, entry, from, count);
  }

  /** Frame offsets of `count` events of a partition from sequence `fromSequence` on; all must be in this segment. */
  partitionPositions(
    partition: number,
    fromSequence: number,
    count: number,
  ): Uint32Array | Promise<Uint32Array> {
    const entry = this.partitions.get(partition);
    assert(entry !== undefined, 'positions are asked for of a partition that is in the segment');
    const listAt = INDEX_HEADER_BYTES + this.partitions.size * PARTITION_ENTRY_BYTES;
    const from = fromSequence - entry.firstSequence;
    return readPositions(this.#partitionPages, listAt, entry, from, count);
  }

  /** Offsets of the frames that hold an event whose id has this hash, in ascending order. */
  findEvent(hash: number): number[] | Promise<number[]> {
    return this.eventHashes.find(hash);
  }

  /** Gives up blocks and handles. Look-ups under way may still end. */
  async close(): Promise<void> {
    for (const { file } of [this.#streamPages, this.#partitionPages, this.#eventPages]) {
      this.#cache.forget(file);
      await this.#files.forget(file.path);
    }
  }
}

function identityOf(header: IndexHeader): Omit<SegmentSummary, 'streamCount'> {
  const { bucket, segment, end, eventCount, firstIndex, lastIndex, lastTerm, lastCrc } = header;
  return { bucket, segment, end, eventCount, firstIndex, lastIndex, lastTerm, lastCrc };
}

function isSameSegment(a: IndexHeader, b: IndexHeader): boolean {
  return JSON.stringify(identityOf(a)) === JSON.stringify(identityOf(b));
}

const storedFilter = (file: IndexFile): StoredFilter =>
  new StoredFilter(file.pages, file.header.pages - file.header.filter.blocks, file.header.filter);

async function readPartitions(file: IndexFile): Promise<Map<number, PartitionEntry>> {
  const bytes = await file.pages.read(
    INDEX_HEADER_BYTES,
    file.header.entryCount * PARTITION_ENTRY_BYTES,
  );
  const partitions = new Map<number, PartitionEntry>();
  for (let at = 0; at < bytes.length; at += PARTITION_ENTRY_BYTES) {
    const partition = bytes.readUInt16LE(at);
    const firstSequence = readUint48(bytes, at + 2);
    const count = readUint32(bytes, at + 8);
    partitions.set(partition, {
      partition,
      firstSequence,
      count,
      start: readUint32(bytes, at + 12),
    });
  }
  return partitions;
}

function readPositions(
  pages: PageReader,
  listAt: number,
  entry: { readonly count: number; readonly start: number },
  from: number,
  count: number,
): Uint32Array | Promise<Uint32Array> {
  assert(
    from >= 0 && from + count <= entry.count,
    'positions are asked for that are in the segment',
  );
  if (count === 0) return new Uint32Array(0);
  if (entry.count === 1) return Uint32Array.of(entry.start);
  const bytes = pages.read(listAt + 4 * (entry.start + from), 4 * count);
  return bytes instanceof Promise ? bytes.then(toOffsets) : toOffsets(bytes);
}

function toOffsets(bytes: Buffer): Uint32Array {
  const offsets = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < offsets.length; i += 1) offsets[i] = readUint32(bytes, 4 * i);
  return offsets;
}
