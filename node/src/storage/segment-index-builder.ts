/**
 * Builds the three index files of a sealed segment from the segment alone. 256 MB with 700,000 events take about 1.5 s,
 * so the node does it in a worker thread (`index-builds.ts`).
 */
import { writeUint32, writeUint48 } from './bytes.ts';
import { DamageError } from './errors.ts';
import { type FileSystem, replaceFile } from './file-system.ts';
import { filterBytes, filterShape, KeyFilter, noFilter } from './filter.ts';
import {
  EVENT_HEADER_BYTES,
  eventLength,
  eventStreamIdLength,
  eventVersion,
  FRAME_EVENTS_OFFSET,
  frameEventCount,
  frameFirstSequence,
  frameKind,
  frameKindOf,
  framePartition,
} from './frame-format.ts';
import { GrowableUint32 } from './growable.ts';
import { NumberList } from './growing-arrays.ts';
import { hashUuid } from './hash.ts';
import { sortHashes } from './hash-sort.ts';
import {
  directoryBitsFor,
  directoryBytes,
  EVENT_VALUE_BYTES,
  filterFirstPage,
  INDEX_HEADER_BYTES,
  type IndexHeader,
  type IndexMagic,
  indexMagic,
  keyBytesFor,
  keySpan,
  PARTITION_ENTRY_BYTES,
  type SegmentIdentity,
  STREAM_VALUE_BYTES,
  writeIndexHeader,
  writeKey,
} from './index-format.ts';
import { PAGE_CONTENT_BYTES, pagesOf, paginate } from './index-page.ts';
import {
  eventIndexFileName,
  partitionIndexFileName,
  segmentFileName,
  streamIndexFileName,
} from './names.ts';
import { scanSegment } from './segment-scan.ts';
import { StreamTable } from './stream-table.ts';

/** Share of absent keys for which a segment's own filter says "maybe". */
const FALSE_POSITIVE_RATE = 0.005;

export interface SegmentSummary extends SegmentIdentity {
  readonly streamCount: number;
}

/** What a scan collects: per event its frame's offset, its id's hash, its stream and partition by number. */
class SegmentContents {
  readonly streams = new StreamTable();
  readonly offsets = new GrowableUint32(1024);
  readonly idHashes = new NumberList();
  readonly streamOf = new GrowableUint32(1024);
  /** Partition number → its number here, in order of first appearance. */
  readonly partitions = new Map<number, number>();
  readonly firstSequences = new NumberList();
  readonly partitionCounts = new GrowableUint32(1024);
  readonly partitionOf = new GrowableUint32(1024);

  /** Takes in the events of a frame; returns what is wrong with them, or null. */
  add(bytes: Buffer, at: number, length: number, offset: number): string | null {
    if (frameKindOf(bytes, at) !== frameKind.events) return null;
    const end = at + length;
    const count = frameEventCount(bytes, at);
    const partition = this.#partition(framePartition(bytes, at), frameFirstSequence(bytes, at));
    if (partition < 0) return 'partition sequence does not follow the one before';
    let event = at + FRAME_EVENTS_OFFSET;
    for (let i = 0; i < count; i += 1) {
      const next = event + EVENT_HEADER_BYTES <= end ? event + eventLength(bytes, event) : Infinity;
      if (next > end) return 'events are longer than their frame';
      const name = event + EVENT_HEADER_BYTES;
      const nameEnd = name + eventStreamIdLength(bytes, event);
      const stream = this.streams.count(bytes, name, nameEnd, eventVersion(bytes, event));
      if (stream < 0) return 'stream version does not follow the one before';
      this.offsets.push(offset);
      this.idHashes.push(hashUuid(bytes, event));
      this.streamOf.push(stream);
      this.partitionOf.push(partition);
      this.partitionCounts.increment(partition);
      event = next;
    }
    return event === end ? null : 'events are shorter than their frame';
  }

  #partition(partition: number, sequence: number): number {
    const known = this.partitions.get(partition);
    if (known !== undefined) {
      const next = this.firstSequences.at(known) + this.partitionCounts.get(known);
      return sequence === next ? known : -1;
    }
    const added = this.partitions.size;
    this.partitions.set(partition, added);
    this.firstSequences.push(sequence);
    this.partitionCounts.push(0);
    return added;
  }
}

/**
 * Reads and verifies the segment up to `end` and puts its three index files beside it, each whole or not at all. Rejects
 * with {@link DamageError} if the segment is damaged.
 */
export async function buildSegmentIndexes(
  files: FileSystem,
  folder: string,
  segment: number,
  end: number,
): Promise<SegmentSummary> {
  const contents = new SegmentContents();
  const file = await files.open(`${folder}/${segmentFileName(segment)}`, 'read');
  let scanned: Omit<SegmentIdentity, 'eventCount'>;
  try {
    scanned = await scanSegment(file, segment, end, (bytes, at, length, offset) => {
      const fault = contents.add(bytes, at, length, offset);
      if (fault !== null) throw new DamageError(segment, offset, fault);
    });
  } finally {
    await file.close();
  }
  const identity = { ...scanned, eventCount: contents.offsets.length };
  await replaceFile(files, folder, streamIndexFileName(segment), streamIndex(contents, identity));
  await replaceFile(
    files,
    folder,
    partitionIndexFileName(segment),
    partitionIndex(contents, identity),
  );
  await replaceFile(files, folder, eventIndexFileName(segment), eventIndex(contents, identity));
  return { ...identity, streamCount: contents.streams.size };
}

/** Length of the position list: groups of one event keep their position in their entry. */
function listLength(counts: Uint32Array): number {
  let length = 0;
  for (const count of counts) if (count > 1) length += count;
  return length;
}

/**
 * Writes the events' frame offsets, group by group in the order `groups`, as a list at `content[at]`. Returns for each
 * group what its entry holds: its start in the list, or the offset itself if it has but one event.
 */
function writePositions(
  content: Buffer,
  at: number,
  offsets: Uint32Array,
  groupOf: Uint32Array,
  groups: ArrayLike<number>,
  counts: Uint32Array,
): Uint32Array {
  const starts = new Uint32Array(counts.length);
  let start = 0;
  for (let i = 0; i < groups.length; i += 1) {
    const group = groups[i] as number;
    const count = counts[group] as number;
    starts[group] = start;
    if (count > 1) start += count;
  }
  const next = starts.slice();
  for (let event = 0; event < offsets.length; event += 1) {
    const group = groupOf[event] as number;
    const offset = offsets[event] as number;
    if (counts[group] === 1) {
      starts[group] = offset;
    } else {
      const place = next[group] as number;
      next[group] = place + 1;
      writeUint32(content, at + 4 * place, offset);
    }
  }
  return starts;
}

interface HashedIndex {
  readonly content: Buffer;
  readonly order: Uint32Array;
  readonly keyBytes: number;
  /** Content offset of the first entry, and of what stands behind the entries. */
  readonly entriesAt: number;
  readonly tailAt: number;
}

/** Lays out an index by hash: header, directory, keys and filter are written; values and tail are the caller's. */
function hashedIndex(
  magic: IndexMagic,
  identity: SegmentIdentity,
  hashes: Float64Array,
  valueBytes: number,
  tailBytes: number,
): HashedIndex {
  const directoryBits = directoryBitsFor(hashes.length);
  const keyBytes = keyBytesFor(directoryBits);
  const entriesAt = INDEX_HEADER_BYTES + directoryBytes(directoryBits);
  const tailAt = entriesAt + hashes.length * (keyBytes + valueBytes);
  const filter = filterShape(hashes.length, FALSE_POSITIVE_RATE);
  const filterPage = filterFirstPage(tailAt + tailBytes);
  const content = Buffer.alloc((filterPage + filter.blocks) * PAGE_CONTENT_BYTES);
  const pages = pagesOf(content.length);
  const entryCount = hashes.length;
  writeIndexHeader(content, {
    ...identity,
    magic,
    entryCount,
    directoryBits,
    keyBytes,
    filter,
    pages,
  });
  const { order, directory } = sortHashes(hashes, directoryBits);
  directory.forEach((entry, slot) => {
    writeUint32(content, INDEX_HEADER_BYTES + 4 * slot, entry);
  });
  const span = keySpan(directoryBits);
  for (let entry = 0; entry < order.length; entry += 1) {
    const hash = hashes[order[entry] as number] as number;
    writeKey(content, entriesAt + entry * (keyBytes + valueBytes), hash % span, keyBytes);
  }
  writeFilter(content, filterPage, new KeyFilter(filter), hashes);
  return { content, order, keyBytes, entriesAt, tailAt };
}

function writeFilter(content: Buffer, page: number, filter: KeyFilter, hashes: Float64Array): void {
  for (const hash of hashes) filter.add(hash);
  placeFilter(content, page, filter);
}

/** Copies a filter into content, one block to a page from page `page` on. */
export function placeFilter(content: Buffer, page: number, filter: KeyFilter): void {
  const { blockBytes } = filter.shape;
  for (let at = 0, to = page; at < filterBytes(filter.shape); at += blockBytes, to += 1) {
    filter.bytes.copy(content, to * PAGE_CONTENT_BYTES, at, at + blockBytes);
  }
}

function streamIndex(contents: SegmentContents, identity: SegmentIdentity): Buffer {
  const { streams, offsets } = contents;
  const counts = streams.counts.values;
  const hashes = streams.hashes.values;
  const index = hashedIndex(
    indexMagic.streams,
    identity,
    hashes,
    STREAM_VALUE_BYTES,
    4 * listLength(counts),
  );
  const { content, order, keyBytes, entriesAt, tailAt } = index;
  const streamOf = contents.streamOf.values;
  const starts = writePositions(content, tailAt, offsets.values, streamOf, order, counts);
  for (let entry = 0; entry < order.length; entry += 1) {
    const stream = order[entry] as number;
    const at = entriesAt + entry * (keyBytes + STREAM_VALUE_BYTES) + keyBytes;
    writeUint48(content, at, streams.firstVersions.at(stream));
    writeUint32(content, at + 6, counts[stream] as number);
    writeUint32(content, at + 10, starts[stream] as number);
  }
  return paginate(content);
}

function eventIndex(contents: SegmentContents, identity: SegmentIdentity): Buffer {
  const hashes = contents.idHashes.values;
  const { content, order, keyBytes, entriesAt } = hashedIndex(
    indexMagic.events,
    identity,
    hashes,
    EVENT_VALUE_BYTES,
    0,
  );
  for (let entry = 0; entry < order.length; entry += 1) {
    const at = entriesAt + entry * (keyBytes + EVENT_VALUE_BYTES) + keyBytes;
    writeUint32(content, at, contents.offsets.get(order[entry] as number));
  }
  return paginate(content);
}

function partitionIndex(contents: SegmentContents, identity: SegmentIdentity): Buffer {
  const sorted = [...contents.partitions].sort(([a], [b]) => a - b);
  const counts = contents.partitionCounts.values;
  const listAt = INDEX_HEADER_BYTES + sorted.length * PARTITION_ENTRY_BYTES;
  const content = Buffer.alloc(listAt + 4 * listLength(counts));
  const header: IndexHeader = {
    ...identity,
    magic: indexMagic.partitions,
    entryCount: sorted.length,
    directoryBits: 0,
    keyBytes: 0,
    filter: noFilter,
    pages: pagesOf(content.length),
  };
  writeIndexHeader(content, header);
  const groups = sorted.map(([, group]) => group);
  const { offsets, partitionOf } = contents;
  const starts = writePositions(
    content,
    listAt,
    offsets.values,
    partitionOf.values,
    groups,
    counts,
  );
  sorted.forEach(([partition, group], entry) => {
    const at = INDEX_HEADER_BYTES + entry * PARTITION_ENTRY_BYTES;
    content.writeUInt16LE(partition, at);
    writeUint48(content, at + 2, contents.firstSequences.at(group));
    writeUint32(content, at + 8, counts[group] as number);
    writeUint32(content, at + 12, starts[group] as number);
  });
  return paginate(content);
}
