/**
 * Summaries: one filter over the keys of several consecutive sealed segments, so that a key never seen before asks a
 * handful of filters instead of hundreds. Derived from the segments' index files; a missing one only means that the
 * filters of the single segments are asked.
 */
import { BlockCache } from './block-cache.ts';
import { readUint32, writeUint32 } from './bytes.ts';
import { type FileSystem, replaceFile } from './file-system.ts';
import { filterShape, KeyFilter } from './filter.ts';
import {
  filterFirstPage,
  INDEX_HEADER_BYTES,
  indexMagic,
  SUMMARY_ENTRY_BYTES,
  writeIndexHeader,
} from './index-format.ts';
import { openIndexFile } from './index-file.ts';
import { PAGE_CONTENT_BYTES, paginate } from './index-page.ts';
import { filterSummaryFileName } from './names.ts';
import { OpenFiles } from './open-files.ts';
import { placeFilter } from './segment-index-builder.ts';
import { SegmentIndex } from './segment-index.ts';
import { StoredFilter } from './stored-filter.ts';

export type SummaryKind = 'streams' | 'events';

/** Share of absent keys for which a summary says "maybe", and the filters below it are asked. */
const FALSE_POSITIVE_RATE = 0.001;
/** For walking index files once. */
const CACHE_BYTES = 1 << 21;

/** A segment as a summary knows it. */
export interface SummarizedSegment {
  readonly segment: number;
  readonly lastCrc: number;
}

const magicOf = { streams: indexMagic.streamSummary, events: indexMagic.eventSummary } as const;

/** Bytes of a summary's filter over so many keys. */
export function summaryBytes(keys: number): number {
  const { blocks, blockBytes } = filterShape(keys, FALSE_POSITIVE_RATE);
  return blocks * blockBytes;
}

/** Builds the summary of `segments`, ascending, from their index files. Rejects where one of those is bad. */
export async function buildFilterSummary(
  files: FileSystem,
  folder: string,
  kind: SummaryKind,
  segments: readonly number[],
): Promise<void> {
  const openFiles = new OpenFiles(files);
  try {
    const indexes = await openIndexes(openFiles, folder, segments);
    const keys = indexes.reduce((sum, index) => sum + keyCount(index, kind), 0);
    const filter = new KeyFilter(filterShape(keys, FALSE_POSITIVE_RATE));
    for (const index of indexes) {
      const hashes = kind === 'streams' ? index.streamHashes : index.eventHashes;
      await hashes.walk((hash) => {
        filter.add(hash);
      });
    }
    const name = filterSummaryFileName(segments[0] as number, segments.length, kind);
    await replaceFile(files, folder, name, encode(kind, indexes, keys, filter));
  } finally {
    await openFiles.close();
  }
}

export const keyCount = (index: SegmentIndex, kind: SummaryKind): number =>
  kind === 'streams' ? index.summary.streamCount : index.summary.eventCount;

async function openIndexes(
  openFiles: OpenFiles,
  folder: string,
  segments: readonly number[],
): Promise<SegmentIndex[]> {
  const cache = new BlockCache(CACHE_BYTES);
  const indexes: SegmentIndex[] = [];
  for (const segment of segments) {
    const index = await SegmentIndex.open(openFiles, folder, segment, cache);
    if (typeof index === 'string') throw new Error(index);
    indexes.push(index);
  }
  return indexes;
}

function encode(
  kind: SummaryKind,
  indexes: readonly SegmentIndex[],
  keys: number,
  filter: KeyFilter,
): Buffer {
  const filterPage = filterFirstPage(INDEX_HEADER_BYTES + indexes.length * SUMMARY_ENTRY_BYTES);
  const pages = filterPage + filter.shape.blocks;
  const content = Buffer.alloc(pages * PAGE_CONTENT_BYTES);
  const last = (indexes.at(-1) as SegmentIndex).summary;
  writeIndexHeader(content, {
    ...last,
    magic: magicOf[kind],
    eventCount: keys,
    entryCount: indexes.length,
    directoryBits: 0,
    keyBytes: 0,
    filter: filter.shape,
    pages,
  });
  indexes.forEach(({ summary }, i) => {
    const at = INDEX_HEADER_BYTES + i * SUMMARY_ENTRY_BYTES;
    writeUint32(content, at, summary.segment);
    writeUint32(content, at + 4, summary.lastCrc);
  });
  placeFilter(content, filterPage, filter);
  return paginate(content);
}

/**
 * The filter of the summary of exactly these segments. Rejects with IndexDamageError where there is none, or it is
 * damaged, or of other segments.
 */
export async function openFilterSummary(
  openFiles: OpenFiles,
  folder: string,
  kind: SummaryKind,
  segments: readonly SummarizedSegment[],
  cache: BlockCache,
): Promise<StoredFilter> {
  const first = (segments[0] as SummarizedSegment).segment;
  const path = `${folder}/${filterSummaryFileName(first, segments.length, kind)}`;
  const { pages, header } = await openIndexFile(openFiles, path, cache, magicOf[kind]);
  const bytes = await pages.read(INDEX_HEADER_BYTES, header.entryCount * SUMMARY_ENTRY_BYTES);
  const isSame =
    header.entryCount === segments.length &&
    segments.every(
      ({ segment, lastCrc }, i) =>
        readUint32(bytes, i * SUMMARY_ENTRY_BYTES) === segment &&
        readUint32(bytes, i * SUMMARY_ENTRY_BYTES + 4) === lastCrc,
    );
  if (!isSame) throw pages.damage('summary of other segments');
  return new StoredFilter(pages, header.pages - header.filter.blocks, header.filter);
}
