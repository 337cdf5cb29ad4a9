/**
 * Catch-up of this node's replicas: copies of what other replicas have in segments, a few at a time.
 *
 * Invariants
 * - One copy per group; asked for again while it runs, it answers whoever asked last.
 * - Every request to copy is answered once it has ended, for better or worse, unless this closes first.
 */
import type { LogPosition } from '../storage/journal-format.ts';
import { type CopyPace, unhindered } from './copy-pace.ts';
import { errorText, LogCopy } from './log-copy.ts';
import { PieceBuffers } from './piece-buffers.ts';
import type { RaftGroup } from './raft-group.ts';
import type { Landing } from './ranged-read.ts';
import type { ReplicaId } from './raft/types.ts';
import type { SegmentListing } from './segment-serving.ts';

/** Where segments are copied from. Both reject when the member does not answer. */
export interface SegmentSource {
  segments(member: string, bucket: number, signal: AbortSignal): Promise<readonly SegmentListing[]>;
  /** Bytes `from` to `to` (exclusive), or fewer; they may be put into `landing`, which has room for them. */
  read(
    member: string,
    bucket: number,
    segment: number,
    from: number,
    to: number,
    signal: AbortSignal,
    landing?: Landing,
  ): Promise<Buffer>;
}

export interface LogCopyOptions {
  /** At the same time. */
  readonly copiesMax: number;
  /** Asked for at once. */
  readonly pieceBytes: number;
  /** Awaited between slices of a piece: the event loop belongs to the clients. */
  readonly breathe: () => Promise<void>;
  /** What copies may take while clients append. */
  readonly pace?: Pick<CopyPace, 'begin'>;
  readonly onEvent: (event: LogCopyEvent) => void;
  /** Something is copied, or nothing any more. */
  readonly onActive?: (isActive: boolean) => void;
}

export type LogCopyEvent =
  | {
      readonly kind: 'copied';
      readonly bucket: number;
      readonly bytes: number;
      readonly end: LogPosition;
    }
  | {
      readonly kind: 'failed';
      readonly bucket: number;
      readonly member: string;
      readonly reason: string;
    };

const defaults: Required<LogCopyOptions> = {
  copiesMax: 2,
  pieceBytes: 4 * 1024 * 1024,
  breathe: breatheWhileBusy,
  pace: unhindered,
  onEvent: () => undefined,
  onActive: () => undefined,
};

interface Job {
  readonly group: RaftGroup;
  /** Who asked last. */
  from: ReplicaId;
}

export class LogCopies {
  readonly #source: SegmentSource;
  readonly #memberOf: (bucket: number, replica: ReplicaId) => string | null;
  readonly #options: Required<LogCopyOptions>;
  readonly #jobs = new Map<RaftGroup, Job>();
  readonly #waiting: Job[] = [];
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Of copies that have ended well; others take them. */
  readonly #buffers: PieceBuffers[] = [];
  #bytes = 0;
  #failures = 0;

  constructor(
    source: SegmentSource,
    memberOf: (bucket: number, replica: ReplicaId) => string | null,
    options: Partial<LogCopyOptions> = {},
  ) {
    this.#source = source;
    this.#memberOf = memberOf;
    this.#options = { ...defaults, ...options };
  }

  /** Groups that copy or wait for their turn. */
  get active(): number {
    return this.#jobs.size;
  }

  isCopying(group: RaftGroup): boolean {
    return this.#jobs.has(group);
  }

  /** Bytes of frames copied so far, and copies that failed. */
  get bytes(): number {
    return this.#bytes;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Copies what `from` has; then tells the group. */
  begin(group: RaftGroup, from: ReplicaId, commit: number): void {
    if (this.#abort.signal.aborted) return;
    const known = this.#jobs.get(group);
    if (known !== undefined) {
      known.from = from;
      return;
    }
    if (group.log.committedIndex >= commit && group.core.durable >= commit) {
      group.pulled(from, commit);
      return;
    }
    const job = { group, from };
    if (this.#jobs.size === 0) this.#options.onActive(true);
    this.#jobs.set(group, job);
    this.#waiting.push(job);
    this.#next();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#waiting.length = 0;
    await Promise.all(this.#running);
  }

  #next(): void {
    while (this.#running.size < this.#options.copiesMax) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      const running = this.#run(job).finally(() => {
        this.#running.delete(running);
        this.#jobs.delete(job.group);
        if (this.#jobs.size === 0) this.#ended();
        this.#next();
      });
      this.#running.add(running);
    }
  }

  #ended(): void {
    this.#buffers.length = 0;
    this.#options.onActive(false);
  }

  async #run(job: Job): Promise<void> {
    const { group } = job;
    let index: number | null = null;
    for (const member of this.#sources(job)) {
      index = await this.#copyFrom(group, member);
      if (index !== null || this.#abort.signal.aborted) break;
    }
    if (!this.#abort.signal.aborted) group.pulled(job.from, index);
  }

  /** Resolves with the index up to which the log is durable now, or null where the copy failed. */
  async #copyFrom(group: RaftGroup, member: string): Promise<number | null> {
    const { bucket } = group.log;
    const { signal } = this.#abort;
    const buffers = this.#buffers.pop() ?? new PieceBuffers(this.#options.pieceBytes);
    const copy = new LogCopy(group, this.#source, member, this.#options, buffers, signal);
    try {
      const end = await copy.run();
      // After a failure a piece may still be on its way into one of them.
      this.#buffers.push(buffers);
      this.#options.onEvent({ kind: 'copied', bucket, bytes: copy.bytes, end });
      return end.index;
    } catch (error) {
      if (signal.aborted) return null;
      this.#failures += 1;
      this.#options.onEvent({ kind: 'failed', bucket, member, reason: errorText(error) });
      return null;
    } finally {
      this.#bytes += copy.bytes;
    }
  }

  /** Whoever asked first, then the other replicas: all have the same bytes. */
  #sources({ group, from }: Job): string[] {
    const { voters, outgoing } = group.core.configuration;
    const members = [from, ...voters, ...outgoing]
      .filter((replica) => replica !== group.replicaId)
      .map((replica) => this.#memberOf(group.log.bucket, replica));
    return [...new Set(members)].filter((member) => member !== null);
  }
}

/** Turns of the event loop that a busy node is given between two slices. */
const BUSY_TURNS = 3;
const BUSY_MS = 1;

/** One turn of the event loop while the node has nothing else to do, several while it has. */
export async function breatheWhileBusy(): Promise<void> {
  for (let i = 0; i < BUSY_TURNS; i += 1) {
    const before = performance.now();
    await new Promise(setImmediate);
    if (performance.now() - before < BUSY_MS) return;
  }
}
