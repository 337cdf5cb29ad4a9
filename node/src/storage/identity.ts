/**
 * `identity.json`: what a data directory is, and what it can not become. `docs/formats/directory.md`. Its last member is
 * a checksum: the CRC32C, in hex, of the others as JSON without blanks, in their order.
 */
import { uuidText } from '../../../common/ids.ts';
import type { Random } from '../../../common/random.ts';
import { jsonChecksum } from './crc.ts';
import { OpenError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import { readJsonFile, writeJsonFile } from './json-file.ts';
import { IDENTITY_FILE, RECOVER_FILE } from './names.ts';

export const FORMAT_VERSION = 1;

export interface Identity {
  readonly formatVersion: number;
  /** Drawn when the disk is first used; dies with it. */
  readonly memberId: string;
  /** Null until a cluster has taken the member in; a lone node draws its own. */
  readonly clusterId: string | null;
  readonly bucketCount: number;
  readonly partitionCount: number;
  /** Starts so far. Peers will refuse a lower one: a copied or rolled-back disk. */
  readonly bootCount: number;
  /** Ids of the last starts, oldest first; fewer than there were where an earlier version has opened the directory. */
  readonly starts?: readonly string[];
  /** False until the first start has made the journal; nothing was acknowledged before. */
  readonly initialized: boolean;
}

export function drawIdentity(
  random: Random,
  bucketCount: number,
  partitionCount: number,
): Identity {
  return {
    formatVersion: FORMAT_VERSION,
    memberId: drawUuid(random),
    clusterId: null,
    bucketCount,
    partitionCount,
    bootCount: 0,
    initialized: false,
  };
}

/** A random UUID, version 4. */
export function drawUuid(random: Random): string {
  const bytes = Buffer.alloc(16);
  random.fill(bytes);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return uuidText(bytes);
}

/** How many starts a disk can show that they were its own. */
const STARTS_MAX = 16;

/** Of a start that nobody was told of. */
export const NAMELESS_START = '-';

/** 8 hex digits. */
export function drawStartId(random: Random): string {
  const bytes = Buffer.alloc(4);
  random.fill(bytes);
  return bytes.toString('hex');
}

/** What a directory is when its next start has begun. */
export function startedOnce<T extends Identity>(identity: T, start: string = NAMELESS_START): T {
  const { bootCount, starts = [] } = identity;
  return {
    ...identity,
    bootCount: bootCount + 1,
    starts: [...starts, start].slice(-STARTS_MAX),
  };
}

/** The directory's identity, or null where it has none. Rejects with {@link OpenError} for one it cannot read. */
export async function readIdentity(files: FileSystem, directory: string): Promise<Identity | null> {
  const identity = await readJsonFile(files, directory, IDENTITY_FILE, parse);
  if (identity !== null && identity.formatVersion !== FORMAT_VERSION) {
    throw new OpenError(
      'version',
      `${directory} has format version ${String(identity.formatVersion)}, this program reads version ${String(FORMAT_VERSION)}`,
    );
  }
  return identity;
}

/**
 * The directory's identity; a new directory, which must exist, gets one before anything else is in it. Rejects with {@link OpenError}
 * where there are data without an identity: that is no new directory.
 */
export async function claimIdentity(
  files: FileSystem,
  directory: string,
  random: Random,
  counts: { readonly bucketCount: number; readonly partitionCount: number },
  newClusterId: () => string | null,
): Promise<Identity> {
  const known = await readIdentity(files, directory);
  if ((await files.sizeOf(`${directory}/${RECOVER_FILE}`)) !== null) {
    throw new OpenError(
      'damaged',
      `${directory} is half of what "sierradb cluster recover" makes of it; run that again to its end`,
    );
  }
  if (known !== null) return known;
  const names = await files.list(directory);
  const data = names.filter((name) => name === 'journal' || name === 'buckets');
  if (data.length > 0) {
    throw new OpenError(
      'damaged',
      `${directory} holds ${data.join(' and ')} but no identity.json: it is damaged, not new`,
    );
  }
  const drawn = drawIdentity(random, counts.bucketCount, counts.partitionCount);
  const identity = { ...drawn, clusterId: newClusterId() };
  await writeIdentity(files, directory, identity);
  return identity;
}

function parse(text: string): Identity | null {
  try {
    const { checksum: stated, ...value } = JSON.parse(text) as Partial<Identity> & {
      checksum?: unknown;
    };
    const whole =
      typeof value.formatVersion === 'number' &&
      typeof value.memberId === 'string' &&
      (typeof value.clusterId === 'string' || value.clusterId === null) &&
      typeof value.bucketCount === 'number' &&
      typeof value.partitionCount === 'number' &&
      typeof value.bootCount === 'number' &&
      typeof value.initialized === 'boolean';
    if (!whole) return null;
    const identity = value as Identity;
    // Another version may count otherwise; it is refused by its number.
    const isOther = identity.formatVersion !== FORMAT_VERSION;
    return isOther || stated === jsonChecksum(identity) ? identity : null;
  } catch {
    return null;
  }
}

export async function writeIdentity(
  files: FileSystem,
  directory: string,
  identity: Identity,
): Promise<void> {
  const whole = { ...identity, checksum: jsonChecksum(identity) };
  await writeJsonFile(files, directory, IDENTITY_FILE, whole);
}

/** Refuses counts other than those that the directory was made with. */
export function checkCounts(
  directory: string,
  identity: Identity,
  bucketCount: number,
  partitionCount: number,
): void {
  const differing = [
    ['bucket.count', identity.bucketCount, bucketCount] as const,
    ['partition.count', identity.partitionCount, partitionCount] as const,
  ].filter(([, has, asked]) => has !== asked);
  if (differing.length === 0) return;
  const facts = differing.map(
    ([key, has, asked]) => `${key} ${String(has)} and cannot be opened with ${String(asked)}`,
  );
  throw new OpenError('mismatch', `${directory} was made with ${facts.join(', ')}`);
}
