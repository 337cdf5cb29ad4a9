/** What the node's files occupy, by kind, and whether two nodes have the same events. */
import { readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import {
  eventIndexFileName,
  parseSegmentFileName,
  partitionIndexFileName,
  streamIndexFileName,
} from '../node/src/storage/names.ts';

export interface DataFiles {
  readonly logBytes: number;
  /** Logs without index files: what a start has to read. */
  readonly unsealedLogBytes: number;
  readonly sealedSegments: number;
  readonly indexBytes: number;
  readonly journalBytes: number;
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

function segmentFolders(directory: string): string[] {
  const buckets = join(directory, 'buckets');
  return readdirSync(buckets).map((bucket) => join(buckets, bucket, 'segments'));
}

/** Sizes are lengths of files in bytes. A segment counts as sealed when its stream index is there. */
export function dataFiles(directory: string): DataFiles {
  const sum = { logBytes: 0, unsealedLogBytes: 0, sealedSegments: 0, indexBytes: 0 };
  for (const folder of segmentFolders(directory)) {
    for (const name of readdirSync(folder)) {
      const segment = parseSegmentFileName(name);
      if (segment === null) continue;
      const logBytes = sizeOf(join(folder, name));
      const indexes = [streamIndexFileName, partitionIndexFileName, eventIndexFileName].map(
        (fileName) => sizeOf(join(folder, fileName(segment))),
      );
      const indexBytes = indexes.reduce((total, bytes) => total + bytes, 0);
      sum.logBytes += logBytes;
      sum.indexBytes += indexBytes;
      if ((indexes[0] ?? 0) > 0) sum.sealedSegments += 1;
      else sum.unsealedLogBytes += logBytes;
    }
  }
  const journal = join(directory, 'journal');
  const journalBytes = readdirSync(journal).reduce(
    (total, name) => total + sizeOf(join(journal, name)),
    0,
  );
  return { ...sum, journalBytes };
}

function logsOf(directory: string): string[] {
  return segmentFolders(directory)
    .flatMap((folder) => readdirSync(folder).map((name) => ({ folder, name })))
    .filter(({ name }) => parseSegmentFileName(name) !== null)
    .map(({ folder, name }) => relative(directory, join(folder, name)))
    .sort();
}

/** Frames with which leaders begin, when nodes stop one after the other: the last one to stop has some that others lack. */
const LEADERS_BYTES_MAX = 4096;

/**
 * What distinguishes the segments of two nodes; null where all have the same bytes, but for the first entries of the last
 * leaders. Neither node may be running.
 */
export async function firstDifference(first: string, second: string): Promise<string | null> {
  const [logs, others] = [logsOf(first), logsOf(second)];
  for (const log of new Set([...logs, ...others])) {
    if (!logs.includes(log) || !others.includes(log)) return `only one has ${log}`;
    const [mine, theirs] = await Promise.all([
      readFile(join(first, log)),
      readFile(join(second, log)),
    ]);
    const common = Math.min(mine.length, theirs.length);
    const areEqual = mine.subarray(0, common).equals(theirs.subarray(0, common));
    if (areEqual && Math.max(mine.length, theirs.length) - common <= LEADERS_BYTES_MAX) continue;
    const at = areEqual ? common : mine.findIndex((byte, i) => byte !== theirs[i]);
    return `${log}, ${String(mine.length)} and ${String(theirs.length)} bytes, at ${String(at)}`;
  }
  return null;
}
