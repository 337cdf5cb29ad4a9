/** Every file name of a data directory is made and parsed here. */

export const IDENTITY_FILE = 'identity.json';
/** The assignment that a forced recovery makes; while it is there, that is not finished. */
export const RECOVER_FILE = 'recover.json';
export const LOCK_FILE = 'lock';

const SEGMENT_DIGITS = 10;

export const journalFolder = (directory: string): string => `${directory}/journal`;
export const journalFileName = (slot: number): string => `${String(slot).padStart(4, '0')}.journal`;
export const parseJournalFileName = (name: string): number | null =>
  /^\d{4}\.journal$/.test(name) ? Number(name.slice(0, 4)) : null;

export const bucketsFolder = (directory: string): string => `${directory}/buckets`;
export const bucketFolder = (directory: string, bucket: number): string =>
  `${directory}/buckets/${String(bucket).padStart(5, '0')}`;
export const segmentsFolder = (directory: string, bucket: number): string =>
  `${bucketFolder(directory, bucket)}/segments`;

const numbered = (segment: number, suffix: string): string =>
  `${String(segment).padStart(SEGMENT_DIGITS, '0')}.${suffix}`;

/** The log itself. */
export const segmentFileName = (segment: number): string => numbered(segment, 'log');
/** A segment of another replica on its way to replace a damaged one. What a crash leaves of it is of no use. */
export const replacementFileName = (segment: number): string => numbered(segment, 'log.tmp');
export const isReplacementFileName = (name: string): boolean => /^\d{10}\.log\.tmp$/.test(name);
/** Derived: stream id → positions. */
export const streamIndexFileName = (segment: number): string => numbered(segment, 'streams');
/** Derived: partition sequence → position. */
export const partitionIndexFileName = (segment: number): string => numbered(segment, 'partitions');
/** Derived: event id → position. */
export const eventIndexFileName = (segment: number): string => numbered(segment, 'events');

/** Derived: one filter over the keys of `count` segments from `first` on; `kind` is the extension of their index. */
export const filterSummaryFileName = (
  first: number,
  count: number,
  kind: 'streams' | 'events',
): string => numbered(first, `${String(count)}.${kind}`);

/** Derived: the young index of the bucket's last segment, as a clean close left it. */
export const youngSnapshotFileName = 'young.index';

/** The segments that a derived file was built from, first and last, or null for any other name. */
export function parseDerivedFileName(name: string): { first: number; last: number } | null {
  const found = /^(\d{10})\.(?:(\d+)\.)?(?:streams|partitions|events)$/.exec(name);
  if (found === null) return null;
  const first = Number(found[1]);
  return { first, last: first + Number(found[2] ?? 1) - 1 };
}

/** The number of a segment file, or null for any other name. */
export function parseSegmentFileName(name: string): number | null {
  return /^\d{10}\.log$/.test(name) ? Number(name.slice(0, SEGMENT_DIGITS)) : null;
}
