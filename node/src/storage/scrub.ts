/**
 * The background scrub: reads sealed segments and their index files slowly, over and over, so that damage is found before
 * a reader meets it. It begins some time after the start, reads at a bounded rate, and ends at once when told.
 *
 * What it finds: a damaged segment is noted in its log, which quarantines the bucket; a damaged index file is built again.
 * Pieces are small, so that checking one takes well below a millisecond of the event loop.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { BucketLog } from './bucket-log.ts';
import { type Read, scanReads } from './damage-scan.ts';
import { DamageError, IndexDamageError } from './errors.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import { damagedPage, firstPageCrc, PAGE_BYTES } from './index-page.ts';
import { eventIndexFileName, partitionIndexFileName, streamIndexFileName } from './names.ts';
import type { StorageObserver } from './observer.ts';
import type { SealedSegment } from './sealed-segments.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from './segment-format.ts';

/** Resolves after `ms`, or rejects as soon as the signal is given. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<void>;

export interface ScrubContext {
  readonly files: FileSystem;
  readonly logs: readonly BucketLog[];
  /** Folder of a bucket's segments. */
  readonly folderOf: (bucket: number) => string;
  readonly bytesPerSecond: number;
  readonly observer: StorageObserver;
  /** Replaced in tests. */
  readonly wait?: Wait;
}

/** Starts and their readers come first. */
const FIRST_PASS_MS = 60_000;
/** A small directory is not read without end. */
const BETWEEN_PASSES_MS = 3_600_000;
const PIECE_BYTES = 128 * 1024;

const waitUnreferenced: Wait = (ms, signal) => sleep(ms, undefined, { signal, ref: false });

export class Scrub {
  readonly #context: ScrubContext;
  readonly #wait: Wait;
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;

  constructor(context: ScrubContext) {
    this.#context = context;
    this.#wait = context.wait ?? waitUnreferenced;
  }

  start(): void {
    if (this.#context.bytesPerSecond > 0) this.#running ??= this.#run();
  }

  /** Resolves when nothing is read any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      await this.#wait(FIRST_PASS_MS, this.#stop.signal);
      for (;;) {
        await this.#pass();
        await this.#wait(BETWEEN_PASSES_MS, this.#stop.signal);
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // A disk that cannot be read is a reader's matter; the scrub gives up until the next start.
      const reason = (error as Error).message;
      this.#context.observer.recovery('scrub ended', { reason });
    }
  }

  async #pass(): Promise<void> {
    const { logs } = this.#context;
    for (const log of [...logs]) {
      try {
        await this.#checkLog(log);
      } catch (error) {
        // A log that was given up meanwhile has no files.
        if (logs.includes(log)) throw error;
      }
    }
    this.#context.observer.recovery('scrub pass', {});
  }

  async #checkLog(log: BucketLog): Promise<void> {
    for (const segment of [...log.sealed.segments]) {
      await this.#checkSegment(log, segment);
      await this.#checkIndexes(log, segment);
    }
  }

  async #checkSegment(log: BucketLog, segment: SealedSegment): Promise<void> {
    const { number, file } = segment;
    const { lastIndex, lastCrc } = segment.index.summary;
    const read = this.#paced((target, position) => file.source.read(target, position));
    const bytes = Buffer.alloc(Math.min(file.length, PIECE_BYTES));
    await read(bytes, 0);
    const header = decodeSegmentHeader(bytes);
    if (typeof header === 'string') {
      this.#report(log, number, 0, bytes.length, header);
      return;
    }
    const start = {
      segment: number,
      offset: segmentHeaderBytes(header.nextSequences.length),
      index: header.firstIndex - 1,
      crc: header.previousCrc,
    };
    const end = await scanReads(read, start, file.length, () => undefined, PIECE_BYTES);
    for (const { from, to, reason } of end.damage) this.#report(log, number, from, to, reason);
    // Every frame may be whole, and another one than was written: what was sealed ended in another checksum then.
    if (end.damage.length > 0 || (end.lastIndex === lastIndex && end.lastCrc === lastCrc)) return;
    this.#report(log, number, 0, file.length, 'holds other frames than were sealed');
  }

  #report(log: BucketLog, segment: number, from: number, to: number, reason: string): void {
    const { bucket } = log;
    log.noteDamage(new DamageError(segment, from, reason));
    this.#context.observer.recovery('scrub damage', { bucket, segment, from, to, reason });
  }

  async #checkIndexes(log: BucketLog, segment: SealedSegment): Promise<void> {
    const { files, folderOf, observer } = this.#context;
    const { bucket } = log;
    for (const nameOf of [streamIndexFileName, partitionIndexFileName, eventIndexFileName]) {
      const path = `${folderOf(bucket)}/${nameOf(segment.number)}`;
      const fault = await this.#indexFault(files, path);
      if (fault === null) continue;
      observer.recovery('scrub damage', { bucket, segment: segment.number, reason: fault, path });
      await rebuild(log, segment, new IndexDamageError(path, fault));
    }
  }

  async #indexFault(files: FileSystem, path: string): Promise<string | null> {
    const size = await files.sizeOf(path);
    if (size === null) return 'does not exist';
    const file = await files.open(path, 'read');
    try {
      const page = await this.#damagedPage(file, size);
      return page === null ? null : `checksum mismatch in page ${String(page)}`;
    } finally {
      await file.close();
    }
  }

  async #damagedPage(file: FileHandle, size: number): Promise<number | null> {
    const read = this.#paced((target, position) => file.read(target, position));
    let firstCrc: number | null = null;
    for (let at = 0; at < size; at += PIECE_BYTES) {
      const pages = Buffer.alloc(Math.min(PIECE_BYTES, size - at));
      await read(pages, at);
      if (pages.length < PAGE_BYTES) return at / PAGE_BYTES;
      firstCrc ??= firstPageCrc(pages);
      const page = damagedPage(pages, at / PAGE_BYTES, firstCrc);
      if (page !== null) return page;
    }
    return null;
  }

  /** Waits before each read for as long as the reads before it should have taken. */
  #paced(read: Read): Read {
    return async (target, position) => {
      const ms = (1000 * target.length) / this.#context.bytesPerSecond;
      await this.#wait(ms, this.#stop.signal);
      return read(target, position);
    };
  }
}

/** The segment's index is asked a question that it fails at first: it is built again and asked once more. */
async function rebuild(
  log: BucketLog,
  segment: SealedSegment,
  fault: IndexDamageError,
): Promise<void> {
  let failed = false;
  try {
    await log.sealed.ask(segment, () => {
      if (failed) return;
      failed = true;
      throw fault;
    });
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    log.noteDamage(error);
  }
}
