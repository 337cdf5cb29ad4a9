/**
 * Finds streams and events in the log of a bucket, across its young and sealed segments.
 *
 * What an index or a filter says is a hint: every hit is compared with the bytes in its frame before it is believed.
 * Answers come at once where filters, index pages and frames are in memory, else as promises.
 */
import { hashBytes, hashUuid } from '../storage/hash.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import { eventIdSupplied, frameIndex } from '../storage/frame-format.ts';
import type { FrameRef } from '../storage/frame-reader.ts';
import type { SealedSegment } from '../storage/sealed-segments.ts';
import type { StreamRun } from '../storage/young-index.ts';
import type { YoungSegment } from '../storage/young-segment.ts';
import { EventCursor } from './event-cursor.ts';

export type Eventually<T> = T | Promise<T>;

/** A place in the log. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
}

/** Consecutive events of one stream in one segment. */
export interface RunRef {
  readonly segment: number;
  readonly firstVersion: number;
  readonly count: number;
  /** Of a sealed segment: it never grows, and keeping it keeps no young index in memory. */
  readonly isSealed: boolean;
  /** Frame offsets of up to `max` events from the run's `ordinal`-th on. */
  positions(ordinal: number, max: number): Eventually<Uint32Array>;
}

export interface StoredHead extends Place {
  readonly version: number;
  readonly partitionKey: Buffer;
}

/** An event found by its id, copied out of its frame. */
export interface StoredEvent {
  readonly frameIndex: number;
  readonly ordinal: number;
  readonly eventCount: number;
  readonly eventId: Buffer;
  readonly streamId: Buffer;
  readonly idSupplied: boolean;
  readonly partitionKey: Buffer;
  readonly partition: number;
  readonly sequence: number;
  readonly version: number;
  readonly timestamp: number;
}

export const hashStream = (streamId: Uint8Array): number => hashBytes(streamId, 0, streamId.length);
export const hashEvent = (eventId: Uint8Array): number => hashUuid(eventId, 0);

const NOWHERE = Buffer.alloc(0);

export class LogSearch {
  readonly #log: BucketLog;

  constructor(log: BucketLog) {
    this.#log = log;
  }

  /** True only if no stream with this hash is in the log; false if one may be, or if the answer needs the disk. */
  lacksStream(hash: number): boolean {
    for (const { index } of this.#log.young) if (!index.lacksStream(hash)) return false;
    return this.#log.sealed.lacksStream(hash);
  }

  /** True only if no event with this id hash is in the log; false if one may be, or if the answer needs the disk. */
  lacksEvent(hash: number): boolean {
    for (const { index } of this.#log.young) if (!index.lacksEvent(hash)) return false;
    return this.#log.sealed.lacksEvent(hash);
  }

  /** Version and key of a stream's latest event, or null where the log has none. */
  async findHead(streamId: Uint8Array): Promise<StoredHead | null> {
    const hash = hashStream(streamId);
    const { sealed } = this.#log;
    const newestSealed = sealed.segments.at(-1)?.number ?? -1;
    const young = await this.#youngHead(streamId, hash, newestSealed, Infinity);
    if (young !== null) return young;
    let above = newestSealed + 1;
    let segment = await sealed.newestStreamCandidate(hash, null);
    while (segment !== null) {
      const head =
        (await this.#youngHead(streamId, hash, segment.number, above)) ??
        (await this.#latestOf(streamId, await this.#sealedRuns(segment, hash)));
      if (head !== null) return head;
      above = segment.number;
      segment = await sealed.newestStreamCandidate(hash, segment);
    }
    // A segment may have been sealed while we looked.
    return this.#youngHead(streamId, hash, -1, Infinity);
  }

  /** Where events with this id may stand, oldest first. */
  eventPlaces(hash: number): Eventually<Place[]> {
    const candidates = this.#log.sealed.eventCandidates(hash);
    const young = this.#youngPlaces(hash);
    if (Array.isArray(candidates) && candidates.length === 0) return young;
    return this.#allPlaces(hash, candidates, young);
  }

  /** The events at these places with this id, in their order. */
  async eventsAt(places: readonly Place[], eventId: Uint8Array): Promise<StoredEvent[]> {
    const found: StoredEvent[] = [];
    const cursor = new EventCursor();
    const frame: FrameRef = { bytes: NOWHERE, at: 0 };
    for (const { segment, offset } of places) {
      await this.#log.frame(segment, offset, frame);
      cursor.enter(frame, this.#log.groupId);
      let ordinal = 0;
      do {
        if (cursor.hasEventId(eventId)) found.push(copyOf(cursor, ordinal, frame));
        ordinal += 1;
      } while (cursor.next());
    }
    return found;
  }

  /** Runs of a stream that hold versions from `from` on, in ascending order. */
  async *streamRuns(streamId: Uint8Array, from: number): AsyncGenerator<RunRef> {
    const hash = hashStream(streamId);
    let next = from;
    const sealed = await this.#sealedFrom(streamId, hash, from);
    const damaged = this.#log.young.filter((segment) => segment.damaged);
    for (const segment of [...damaged, ...sealed].sort((a, b) => a.number - b.number)) {
      const runs =
        'damaged' in segment ? youngRuns(segment, hash) : await this.#sealedRuns(segment, hash);
      for (const run of runs) {
        if (run.firstVersion + run.count <= next || !(await this.#isOfStream(streamId, run)))
          continue;
        yield run;
        next = run.firstVersion + run.count;
      }
    }
    for (const segment of [...this.#log.young]) {
      for (const run of youngRuns(segment, hash)) {
        if (run.firstVersion + run.count <= next || !(await this.#isOfStream(streamId, run)))
          continue;
        yield run;
        next = run.firstVersion + run.count;
      }
    }
  }

  /** Sealed segments that may hold the stream, from the one with version `from` on. */
  async #sealedFrom(streamId: Uint8Array, hash: number, from: number): Promise<SealedSegment[]> {
    const candidates = await this.#log.sealed.streamCandidates(hash);
    let low = 0;
    let high = candidates.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const last = await this.#lastVersionIn(streamId, hash, candidates, middle, low);
      if (last === null || last >= from) high = middle;
      else low = middle + 1;
    }
    return candidates.slice(Math.max(0, low - 1));
  }

  /** The stream's last version in the nearest candidate at or before `at` that really holds it, or null. */
  async #lastVersionIn(
    streamId: Uint8Array,
    hash: number,
    candidates: readonly SealedSegment[],
    at: number,
    low: number,
  ): Promise<number | null> {
    for (let i = at; i >= low; i -= 1) {
      const head = await this.#latestRun(
        streamId,
        await this.#sealedRuns(candidates[i] as SealedSegment, hash),
      );
      if (head !== null) return i === at ? head : null;
    }
    return null;
  }

  async #latestRun(streamId: Uint8Array, runs: readonly RunRef[]): Promise<number | null> {
    let last: number | null = null;
    for (const run of runs) {
      const end = run.firstVersion + run.count - 1;
      if ((last === null || end > last) && (await this.#isOfStream(streamId, run))) last = end;
    }
    return last;
  }

  /**
   * The head in young segments whose number is between these. All are newer than the sealed ones, but for damaged
   * segments, which never get index files.
   */
  async #youngHead(
    streamId: Uint8Array,
    hash: number,
    above: number,
    below: number,
  ): Promise<StoredHead | null> {
    for (const segment of [...this.#log.young].reverse()) {
      if (segment.number <= above || segment.number >= below) continue;
      const head = await this.#latestOf(streamId, youngRuns(segment, hash));
      if (head !== null) return head;
    }
    return null;
  }

  /** The latest event of the stream in these runs of one segment. */
  async #latestOf(streamId: Uint8Array, runs: readonly RunRef[]): Promise<StoredHead | null> {
    const newestFirst = [...runs].sort((a, b) => b.firstVersion - a.firstVersion);
    for (const run of newestFirst) {
      const last = run.count - 1;
      const [offset] = await run.positions(last, 1);
      const cursor = await this.#eventOf(streamId, run, last);
      if (cursor === null) continue;
      const key = cursor.bytes.subarray(cursor.partitionKeyAt, cursor.partitionKeyAt + 16);
      const { segment } = run;
      return {
        version: cursor.version,
        partitionKey: Buffer.from(key),
        segment,
        offset: offset ?? 0,
      };
    }
    return null;
  }

  async #isOfStream(streamId: Uint8Array, run: RunRef): Promise<boolean> {
    return (await this.#eventOf(streamId, run, 0)) !== null;
  }

  /** The run's `ordinal`-th event, or null if the run is another stream's. Valid until the end of the turn. */
  async #eventOf(streamId: Uint8Array, run: RunRef, ordinal: number): Promise<EventCursor | null> {
    const [offset] = await run.positions(ordinal, 1);
    if (offset === undefined) return null;
    const frame: FrameRef = { bytes: NOWHERE, at: 0 };
    await this.#log.frame(run.segment, offset, frame);
    const cursor = new EventCursor();
    cursor.enter(frame, this.#log.groupId);
    return cursor.seekVersion(streamId, run.firstVersion + ordinal) ? cursor : null;
  }

  async #sealedRuns(segment: SealedSegment, hash: number): Promise<RunRef[]> {
    const entries = await this.#log.sealed.ask(segment, (index) => index.findStream(hash));
    return entries.map((entry) => ({
      segment: segment.number,
      firstVersion: entry.firstVersion,
      count: entry.count,
      isSealed: true,
      positions: (ordinal, max) =>
        this.#log.sealed.ask(segment, (index) =>
          index.streamPositions(entry, ordinal, Math.min(max, entry.count - ordinal)),
        ),
    }));
  }

  #youngPlaces(hash: number): Place[] {
    const places: Place[] = [];
    for (const segment of this.#log.young) {
      const offsets: number[] = [];
      segment.index.findEvent(hash, offsets);
      for (const offset of offsets) places.push({ segment: segment.number, offset });
    }
    return places;
  }

  async #allPlaces(
    hash: number,
    candidates: Eventually<readonly SealedSegment[]>,
    young: readonly Place[],
  ): Promise<Place[]> {
    const places: Place[] = [];
    for (const segment of await candidates) {
      const offsets = await this.#log.sealed.ask(segment, (index) => index.findEvent(hash));
      for (const offset of offsets) places.push({ segment: segment.number, offset });
    }
    return [...places, ...young];
  }
}

function youngRuns(segment: YoungSegment, hash: number): RunRef[] {
  const runs: StreamRun[] = [];
  segment.index.findStream(hash, runs);
  return runs.map(({ run, first, count }) => ({
    segment: segment.number,
    firstVersion: first,
    count,
    isSealed: false,
    positions: (ordinal, max) => segment.index.streamPositions(run, ordinal, max),
  }));
}

function copyOf(cursor: EventCursor, ordinal: number, frame: FrameRef): StoredEvent {
  const { bytes } = cursor;
  const copy = (from: number, to: number): Buffer => Buffer.from(bytes.subarray(from, to));
  return {
    frameIndex: frameIndex(frame.bytes, frame.at),
    ordinal,
    eventCount: cursor.eventCount,
    eventId: copy(cursor.eventIdAt, cursor.eventIdAt + 16),
    streamId: copy(cursor.streamIdAt, cursor.eventNameAt),
    idSupplied: eventIdSupplied(bytes, cursor.eventIdAt),
    partitionKey: copy(cursor.partitionKeyAt, cursor.partitionKeyAt + 16),
    partition: cursor.partition,
    sequence: cursor.sequence,
    version: cursor.version,
    timestamp: cursor.timestamp,
  };
}
