/** A data directory with events in it, written by the storage engine alone, and read back from the segment files. */
import { systemClock } from '../../../../common/clock.ts';
import { seededRandom } from '../../../../common/random.ts';
import type { BucketLog } from '../bucket-log.ts';
import { writeUint32, writeUint48 } from '../bytes.ts';
import { scanPastDamage } from '../damage-scan.ts';
import type { FileSystem } from '../file-system.ts';
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
} from '../frame-format.ts';
import { inlineIndexBuilds } from '../index-builds.ts';
import { parseSegmentFileName, segmentFileName, segmentsFolder } from '../names.ts';
import { silentObserver, type StorageObserver } from '../observer.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../segment-format.ts';
import { Storage, type StorageSettings } from '../storage.ts';

export interface FilledEvent {
  readonly partition: number;
  readonly sequence: number;
  readonly streamId: string;
  readonly version: number;
  readonly payload: string;
}

/** Small enough that a few hundred events fill several segments and go round the journal. */
export const smallSettings: StorageSettings = {
  bucketCount: 2,
  partitionCount: 4,
  segmentBytes: 8 * 1024,
  journalFileBytes: 64 * 1024,
  journalFilesMax: 4,
  cacheBytes: 1024 * 1024,
  filterBytes: 1024 * 1024,
  diskReserveBytes: 0,
  scrubBytesPerSecond: 0,
};

export interface FillOptions {
  readonly settings?: Partial<StorageSettings>;
  readonly seed?: number;
  readonly observer?: StorageObserver;
  /** It is a member's: it need not hold every bucket. */
  readonly isMember?: boolean;
  /** What the directory holds: streams and events go on behind it. */
  readonly after?: readonly FilledEvent[];
}

export class FilledDirectory {
  readonly events: FilledEvent[] = [];
  readonly storage: Storage;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #versions = new Map<string, number>();

  private constructor(storage: Storage, seed: number, after: readonly FilledEvent[]) {
    this.storage = storage;
    this.#random = seededRandom(seed + 1);
    this.events.push(...after);
    for (const { streamId, version } of after) this.#versions.set(streamId, version + 1);
    for (const log of storage.logs) {
      log.onDurable = (index): void => {
        log.commit(index);
      };
    }
  }

  static async open(
    files: FileSystem,
    directory: string,
    options: FillOptions = {},
  ): Promise<FilledDirectory> {
    const { seed = 1, observer = silentObserver } = options;
    const settings = { ...smallSettings, ...options.settings };
    const storage = await Storage.open(directory, settings, {
      files,
      clock: systemClock,
      random: seededRandom(seed),
      observer,
      builds: inlineIndexBuilds(files),
      ...(options.isMember === true && { replicas: [] }),
      onFatal: (error) => {
        throw error;
      },
    });
    return new FilledDirectory(storage, seed, options.after ?? []);
  }

  /** Appends `count` events to some twenty streams of a bucket's partitions, in rounds of a few, and waits for them. */
  async append(count: number, bucket?: number): Promise<void> {
    const { logs } = this.storage;
    for (let i = 0; i < count; i += 1) {
      const log = logs[bucket ?? this.#random.below(logs.length)] as BucketLog;
      this.#appendOne(log);
      if (this.#random.below(3) === 0) await this.storage.journal.flushed();
    }
    await this.storage.journal.flushed();
  }

  close(): Promise<void> {
    return this.storage.close();
  }

  #appendOne(log: BucketLog): void {
    const { bucketCount, partitionCount } = this.storage.identity;
    const slots = Math.floor((partitionCount - 1 - log.bucket) / bucketCount) + 1;
    const partition = log.bucket + bucketCount * this.#random.below(slots);
    const streamId = `stream-${String(partition)}-${String(this.#random.below(10))}`;
    const version = this.#versions.get(streamId) ?? 0;
    const payload = 'x'.repeat(this.#random.below(400)) + String(this.events.length);
    const sequence = log.nextSequence(partition);
    const length = FRAME_EVENTS_OFFSET + EVENT_HEADER_BYTES + streamId.length + 4 + payload.length;
    const place = log.begin(length);
    place.bytes.fill(partition, place.at, place.at + length);
    writeTestEvent(
      place.bytes,
      place.at + FRAME_EVENTS_OFFSET,
      streamId,
      version,
      payload,
      this.#random,
    );
    const fields = { kind: frameKind.events, term: 1, partition, firstSequence: sequence };
    log.finish(place, length, { ...fields, eventCount: 1 });
    this.#versions.set(streamId, version + 1);
    this.events.push({ partition, sequence, streamId, version, payload });
  }
}

/** Writes an event named `Test`. */
export function writeTestEvent(
  bytes: Buffer,
  at: number,
  streamId: string,
  version: number,
  payload: string,
  random: ReturnType<typeof seededRandom>,
): void {
  random.fill(bytes.subarray(at, at + 16));
  writeUint48(bytes, at + 16, version);
  writeUint48(bytes, at + 22, 1_700_000_000_000);
  bytes[at + 28] = streamId.length;
  bytes[at + 29] = 4;
  writeUint32(bytes, at + 30, 0);
  writeUint32(bytes, at + 34, payload.length);
  bytes.write(`${streamId}Test${payload}`, at + EVENT_HEADER_BYTES, 'latin1');
}

/**
 * All events that stand in whole frames of a bucket's segment files, in the order of the log. `uncut`: a file may go on
 * behind its last frame with bytes that no start has cut yet.
 */
export async function eventsOnDisk(
  files: FileSystem,
  directory: string,
  bucket: number,
  uncut: boolean = false,
): Promise<FilledEvent[]> {
  const events: FilledEvent[] = [];
  const folder = segmentsFolder(directory, bucket);
  for (const name of await files.list(folder)) {
    const segment = parseSegmentFileName(name);
    if (segment === null) continue;
    const path = `${folder}/${segmentFileName(segment)}`;
    const bytes = await files.readFile(path);
    const header = decodeSegmentHeader(bytes);
    if (typeof header === 'string') throw new Error(`${path}: ${header}`);
    const offset = segmentHeaderBytes(header.nextSequences.length);
    const start = { segment, offset, index: header.firstIndex - 1, crc: header.previousCrc };
    const { damage } = await scanPastDamage(files, path, start, bytes.length, (b, at) => {
      collect(b, at, events);
    });
    const isRest = uncut && damage.length === 1 && damage[0]?.to === bytes.length;
    if (damage.length > 0 && !isRest) throw new Error(`${path}: ${JSON.stringify(damage)}`);
  }
  return events;
}

function collect(bytes: Buffer, at: number, events: FilledEvent[]): void {
  if (frameKindOf(bytes, at) !== frameKind.events) return;
  let event = at + FRAME_EVENTS_OFFSET;
  for (let i = 0; i < frameEventCount(bytes, at); i += 1) {
    const name = event + EVENT_HEADER_BYTES + eventStreamIdLength(bytes, event);
    const end = event + eventLength(bytes, event);
    events.push({
      partition: framePartition(bytes, at),
      sequence: frameFirstSequence(bytes, at) + i,
      streamId: bytes.toString('latin1', event + EVENT_HEADER_BYTES, name),
      version: eventVersion(bytes, event),
      payload: bytes.toString('latin1', name + 4, end),
    });
    event = end;
  }
}

/** Every file below a folder, by path; taken while the directory is open it is what a crash of the process leaves. */
export async function copyTree(from: FileSystem, to: FileSystem, folder: string): Promise<void> {
  await to.makeDirectory(folder);
  for (const name of await from.list(folder)) {
    const path = `${folder}/${name}`;
    let bytes: Buffer;
    try {
      bytes = await from.readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error;
      await copyTree(from, to, path);
      continue;
    }
    const file = await to.open(path, 'create');
    await file.write(bytes, 0);
    await file.close();
  }
}

/** Paths of all files below a folder. */
export async function pathsBelow(files: FileSystem, folder: string): Promise<string[]> {
  const paths: string[] = [];
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`;
    const size = await files.sizeOf(path).catch(() => null);
    paths.push(...(size === null ? await pathsBelow(files, path) : [path]));
  }
  return paths;
}
