/**
 * The sealed segments of a bucket: immutable, each with its index files, found through filters.
 *
 * Invariants: `segments` is ascending by number; a segment is here only with index files that belong to it. What an
 * index says is a position; the frame there is checked before it is believed.
 */
import type { BlockCache } from './block-cache.ts';
import type { CachedFile } from './cached-file.ts';
import { DamageError, IndexDamageError } from './errors.ts';
import type { FileSystem } from './file-system.ts';
import type { FilterForest } from './filter-forest.ts';
import { segmentFileName } from './names.ts';
import type { StorageObserver } from './observer.ts';
import type { OpenFiles } from './open-files.ts';
import type { IndexBuilds } from './index-builds.ts';
import { SegmentIndex } from './segment-index.ts';
import type { SpaceGuard } from './space-guard.ts';
import { isDiskFull } from './system-error.ts';
import type { YoungSegment } from './young-segment.ts';

export interface SealedSegment {
  readonly number: number;
  /** Replaced when it had to be built again. */
  index: SegmentIndex;
  /** Replaced when the file was. */
  file: CachedFile;
}

/** How sealing ended: index files are in place, or the segment is damaged, or the store stopped meanwhile. */
export type SealOutcome = 'sealed' | 'stopped' | DamageError;

export interface SealedContext {
  readonly bucket: number;
  readonly files: FileSystem;
  readonly folder: string;
  readonly cache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly builds: IndexBuilds;
  readonly streamFilters: FilterForest;
  readonly eventFilters: FilterForest;
  readonly observer: StorageObserver;
  readonly space: Pick<SpaceGuard, 'take'>;
  readonly failed: (error: Error) => void;
}

const NO_SEGMENTS: readonly SealedSegment[] = [];
const RETRY_MS = 1000;

export class SealedSegments {
  readonly segments: SealedSegment[] = [];
  readonly #context: SealedContext;
  #queue: Promise<void> = Promise.resolve();
  #stopped = false;
  #endPause: (() => void) | null = null;

  constructor(context: SealedContext) {
    this.#context = context;
  }

  /** Segments that may hold a stream with this hash, oldest first; at once where the filters are in memory. */
  streamCandidates(hash: number): readonly SealedSegment[] | Promise<readonly SealedSegment[]> {
    return this.#candidates(this.#context.streamFilters, hash);
  }

  /** Segments that may hold an event whose id has this hash, oldest first. */
  eventCandidates(hash: number): readonly SealedSegment[] | Promise<readonly SealedSegment[]> {
    return this.#candidates(this.#context.eventFilters, hash);
  }

  /** True only if no sealed segment holds a stream with this hash; false also where only the disk knows. */
  lacksStream(hash: number): boolean {
    return this.#context.streamFilters.lacks(hash);
  }

  /** True only if no sealed segment holds an event with this id hash; false also where only the disk knows. */
  lacksEvent(hash: number): boolean {
    return this.#context.eventFilters.lacks(hash);
  }

  /** The newest segment before `before` (null: of all) that may hold a stream with this hash, or null. */
  async newestStreamCandidate(
    hash: number,
    before: SealedSegment | null,
  ): Promise<SealedSegment | null> {
    const number = await this.#context.streamFilters.newest(hash, before?.number);
    return number === null ? null : (this.find(number) ?? null);
  }

  /** Asks a segment's index; where that turns out to be damaged, builds it again and asks once more. */
  ask<T>(
    segment: SealedSegment,
    question: (index: SegmentIndex) => T | Promise<T>,
  ): T | Promise<T> {
    try {
      const answer = question(segment.index);
      return answer instanceof Promise
        ? answer.catch((error: unknown) => this.#askAgain(segment, question, error))
        : answer;
    } catch (error) {
      return this.#askAgain(segment, question, error);
    }
  }

  async #askAgain<T>(
    segment: SealedSegment,
    question: (index: SegmentIndex) => T | Promise<T>,
    error: unknown,
  ): Promise<T> {
    if (!(error instanceof IndexDamageError)) throw error;
    await this.#rebuild(segment, error.reason);
    return question(segment.index);
  }

  async #rebuild(segment: SealedSegment, reason: string): Promise<void> {
    const { folder, cache, openFiles, builds, observer, bucket } = this.#context;
    observer.recovery('index rebuilt', { bucket, segment: segment.number, reason });
    await segment.index.close();
    await builds.build(folder, segment.number, segment.file.length);
    const index = await SegmentIndex.open(openFiles, folder, segment.number, cache);
    if (typeof index === 'string') throw new Error(`segment ${String(segment.number)}: ${index}`);
    segment.index = index;
    this.#context.streamFilters.add(index);
    this.#context.eventFilters.add(index);
  }

  #candidates(
    filters: FilterForest,
    hash: number,
  ): readonly SealedSegment[] | Promise<readonly SealedSegment[]> {
    if (this.segments.length === 0) return this.segments;
    const numbers = filters.candidates(hash);
    return numbers instanceof Promise
      ? numbers.then((found) => this.#byNumber(found))
      : this.#byNumber(numbers);
  }

  #byNumber(numbers: readonly number[]): readonly SealedSegment[] {
    if (numbers.length === 0) return NO_SEGMENTS;
    return numbers.flatMap((number) => this.find(number) ?? []);
  }

  /** Memory that filters occupy. */
  get filterBytes(): number {
    return this.#context.streamFilters.memoryBytes + this.#context.eventFilters.memoryBytes;
  }

  /** Whether so many bytes of segments may be written that nobody waits for, beside what is kept free; counts them if so. */
  takesSpace(bytes: number): boolean {
    return this.#context.space.take(bytes);
  }

  /** Bytes of the log in sealed segments. */
  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.file.length, 0);
  }

  /** The segment with this number, or undefined. */
  find(number: number): SealedSegment | undefined {
    let low = 0;
    let high = this.segments.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const segment = this.segments[middle] as SealedSegment;
      if (segment.number === number) return segment;
      if (segment.number < number) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  fileOf(number: number): CachedFile {
    const segment = this.find(number);
    if (segment === undefined) throw new DamageError(number, 0, 'the segment is missing');
    return segment.file;
  }

  /** Takes in an existing segment of `end` bytes, building index files that are missing or bad. Throws DamageError. */
  async admit(number: number, end: number, isNew: boolean = false): Promise<void> {
    const { folder, cache, openFiles, builds, observer, bucket } = this.#context;
    let index = await SegmentIndex.open(openFiles, folder, number, cache);
    if (typeof index !== 'string' && index.summary.end !== end) {
      const { end: other } = index.summary;
      await index.close();
      index = `belongs to a segment of ${String(other)} bytes, the file has ${String(end)}`;
    }
    if (typeof index === 'string') {
      if (!isNew) observer.recovery('index rebuilt', { bucket, segment: number, reason: index });
      await builds.build(folder, number, end);
      index = await SegmentIndex.open(openFiles, folder, number, cache);
    }
    if (typeof index === 'string') throw new Error(`segment ${String(number)}: ${index}`);
    const file = openFiles.get(`${folder}/${segmentFileName(number)}`, end);
    this.segments.push({ number, index, file });
    this.segments.sort((a, b) => a.number - b.number);
    this.#context.streamFilters.add(index);
    this.#context.eventFilters.add(index);
  }

  /** The segment's file was replaced by a whole one of `end` bytes, or put where none was: its index files are built anew. */
  async replaced(number: number, end: number): Promise<void> {
    const { folder, cache, openFiles, builds } = this.#context;
    const path = `${folder}/${segmentFileName(number)}`;
    await openFiles.forget(path);
    const segment = this.find(number);
    if (segment === undefined) {
      await builds.build(folder, number, end);
      await this.admit(number, end, true);
      return;
    }
    cache.forget(segment.file);
    segment.file = openFiles.get(path, end);
    await this.#rebuild(segment, 'the segment was replaced');
  }

  /** Gives an ended, synced segment its index files, one segment at a time, in the background. */
  seal(segment: YoungSegment, done: (outcome: SealOutcome) => void): void {
    this.#queue = this.#queue.then(() => this.#sealNow(segment, done));
  }

  async close(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.#queue;
    await this.#context.streamFilters.close();
    await this.#context.eventFilters.close();
  }

  /** Asked behind an await, where the compiler takes the field itself for unchanged. */
  #isStopped(): boolean {
    return this.#stopped;
  }

  #pause(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.#endPause = (): void => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #sealNow(segment: YoungSegment, done: (outcome: SealOutcome) => void): Promise<void> {
    const { observer, bucket, cache, failed } = this.#context;
    const end = segment.end as number;
    while (!this.#stopped) {
      try {
        await this.admit(segment.number, end, true);
        done('sealed');
        observer.segmentSealed(bucket, segment.number, end);
        cache.forget(segment.cached);
        await segment.close();
        return;
      } catch (error) {
        if (error instanceof DamageError) {
          done(error);
          return;
        }
        if (!isDiskFull(error) && !this.#isStopped()) {
          failed(error as Error);
          return;
        }
        // Index files are derived: with a full disk they can wait, the young index serves meanwhile.
        await this.#pause();
      }
    }
    done('stopped');
  }
}
