/**
 * Reads what a feed shows: from memory at once, else from disk, piece by piece. What is common to feeds of partitions and of
 * streams (`feeds.ts`).
 */
import type { SierraError } from '../../../common/errors.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import { DamageError } from '../storage/errors.ts';
import type { EventCursor } from './event-cursor.ts';
import type { Eventually, LogSearch } from './log-search.ts';
import type { Piece } from './pieces.ts';
import { type Halt, PieceWalk, type Seeker } from './piece-walk.ts';
import { damaged, readingErrors } from './scans.ts';
import type { EventVisitor, Feed, FeedWatcher } from './types.ts';

export interface StreamEnd {
  /** Version behind the stream's latest known event under its key; 0 for none. */
  readonly nextVersion: number;
  /** False where damage may hide later ones. */
  readonly isSure: boolean;
}

/** The bucket that feeds read from. */
export interface FeedContext {
  readonly log: BucketLog;
  readonly search: LogSearch;
  readonly streamEnd: (streamId: Uint8Array, partitionKey: Uint8Array) => Eventually<StreamEnd>;
  /** What is answered where damage may hide what was asked for. */
  readonly hidden: () => SierraError;
}

/** Those who are told when a feed grows. Nearly always one, so that one costs no collection. */
class Watchers {
  #only: FeedWatcher | null = null;
  #more: Set<FeedWatcher> | null = null;

  get isEmpty(): boolean {
    return this.#only === null && this.#more === null;
  }

  add(watcher: FeedWatcher): void {
    if (this.isEmpty) {
      this.#only = watcher;
      return;
    }
    this.#more ??= new Set(this.#only === null ? [] : [this.#only]);
    this.#only = null;
    this.#more.add(watcher);
  }

  remove(watcher: FeedWatcher): void {
    if (this.#only === watcher) this.#only = null;
    this.#more?.delete(watcher);
    if (this.#more?.size === 0) this.#more = null;
  }

  tell(): void {
    if (this.#only !== null) this.#only.advanced();
    else if (this.#more !== null) for (const watcher of this.#more) watcher.advanced();
  }
}

/** Walks that nobody uses at the moment. */
const idleWalks: PieceWalk[] = [];
const IDLE_WALKS_MAX = 64;

/** What partitions and streams have in common: how a read goes. */
export abstract class LogFeed implements Feed, Seeker {
  readonly watchers: Watchers = new Watchers();
  protected readonly context: FeedContext;

  constructor(context: FeedContext) {
    this.context = context;
  }

  abstract readonly end: number;

  /** Behind the last event that can be read. */
  protected abstract readonly readableEnd: number;

  /** Gives up the feed's place in the table. */
  protected abstract forget(): void;

  /** Where events from `from` on stand; null in a gap. May be another's where it is not a promise. */
  protected abstract find(from: number, max: number): Eventually<Piece | null>;

  /** The same, for certain. */
  protected abstract findSurely(from: number, max: number): Eventually<Piece | null>;

  abstract seek(cursor: EventCursor, position: number): boolean;

  close(watcher: FeedWatcher): void {
    this.watchers.remove(watcher);
    if (this.watchers.isEmpty) this.forget();
  }

  read(from: number, max: number, visit: EventVisitor): void | Promise<void> {
    const count = Math.min(max, this.readableEnd - from);
    if (count <= 0) throw this.context.hidden();
    const walk = idleWalks.pop() ?? new PieceWalk();
    walk.rest();
    const found = this.find(from, count);
    let halt: Halt = 'foreign';
    if (found !== null && !(found instanceof Promise)) {
      walk.begin(this.context.log, found);
      halt = this.#go(walk, from, visit);
      if (halt === 'end' || halt === 'refused') {
        release(walk);
        return;
      }
    }
    const piece = found instanceof Promise ? found : null;
    return readingErrors(this.#readOn(walk, halt, piece, from, count, visit)).finally(() => {
      release(walk);
    });
  }

  async #readOn(
    walk: PieceWalk,
    before: Halt,
    found: Promise<Piece | null> | null,
    from: number,
    max: number,
    visit: EventVisitor,
  ): Promise<void> {
    let halt = before;
    if (halt === 'foreign' && walk.shown === 0) {
      const piece = await (found ?? this.findSurely(from, max));
      if (piece === null) {
        throw damaged(`position ${String(from)} is in a damaged part of the log`);
      }
      walk.begin(this.context.log, piece);
      halt = this.#go(walk, from, visit);
    }
    while (halt === 'missing') {
      await walk.load();
      halt = this.#go(walk, from, visit);
    }
    if (halt === 'foreign') {
      throw damaged(`position ${String(from + walk.shown)} is not where the index says`);
    }
  }

  /** Damage counts as missing: reading the frame again meets it again, and reports it. */
  #go(walk: PieceWalk, from: number, visit: EventVisitor): Halt {
    try {
      return walk.go(from, this, visit);
    } catch (error) {
      if (error instanceof DamageError) return 'missing';
      throw error;
    }
  }
}

function release(walk: PieceWalk): void {
  if (idleWalks.length < IDLE_WALKS_MAX) idleWalks.push(walk);
}
