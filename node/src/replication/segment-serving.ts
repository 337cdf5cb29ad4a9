/** What a replica's segment files hold, for replicas that are far behind. They hold committed frames only. */
import { assert } from '../../../common/assert.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import type { CachedFile } from '../storage/cached-file.ts';

export interface SegmentListing {
  readonly segment: number;
  /** Bytes of committed frames and the header, as far as they are in the file. Final where a later segment is listed. */
  readonly bytes: number;
  /** Of a sealed one: its last frame. By the chain of checksums a digest of all frames up to there. */
  readonly last?: { readonly index: number; readonly term: number; readonly crc: number };
}

/** Segments with anything in them, oldest first. What the files lack of the committed frames is in memory. */
export function listSegments(log: BucketLog): SegmentListing[] {
  const listed = new Map<number, SegmentListing>();
  for (const { number, file, index } of log.sealed.segments) {
    const { lastIndex, lastTerm, lastCrc } = index.summary;
    const last = { index: lastIndex, term: lastTerm, crc: lastCrc };
    listed.set(number, { segment: number, bytes: file.length, last });
  }
  for (const { number, written } of log.young) {
    if (written > 0) listed.set(number, { segment: number, bytes: written });
  }
  return [...listed.values()].sort((a, b) => a.segment - b.segment);
}

/**
 * Bytes `from` to `to` (exclusive) in `into`, fewer where nothing more is committed; null where there is no such segment. What is asked
 * for beyond the file's end is written first: a replica that heals may need what this one had no reason to write yet. Not through the
 * block cache: what is copied once would displace what clients read.
 */
export async function readSegment(
  log: BucketLog,
  segment: number,
  from: number,
  to: number,
  into: Buffer = Buffer.allocUnsafe(to - from),
): Promise<Buffer | null> {
  assert(from >= 0 && from <= to, 'a range goes up');
  if (to > (fileOf(log, segment)?.length ?? 0)) await log.settle();
  const file = fileOf(log, segment);
  if (file === null) return null;
  const end = Math.min(to, file.length);
  if (from >= end) return Buffer.alloc(0);
  const bytes = into.subarray(0, end - from);
  const read = await file.source.read(bytes, from);
  return bytes.subarray(0, read);
}

function fileOf(log: BucketLog, segment: number): CachedFile | null {
  const young = log.young.find(({ number }) => number === segment);
  if (young !== undefined) return young.cached;
  return log.sealed.find(segment)?.file ?? null;
}
