/**
 * Reads ranges of a stream or a partition, in pieces: a long scan gives the event loop back between them, so that it
 * never holds up others' appends. What is read is what was applied when the scan began.
 */
import { SierraError } from '../../../common/errors.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import { DamageError } from '../storage/errors.ts';
import type { FrameRef } from '../storage/frame-reader.ts';
import { EventCursor } from './event-cursor.ts';
import type { LogSearch } from './log-search.ts';
import { partitionPiece } from './pieces.ts';
import type { EventVisitor, PageEnd } from './types.ts';

/** Events shown before the event loop gets its turn: well below a millisecond. */
const TURN_EVENTS = 256;

const MORE: PageEnd = { hasMore: true };
const END: PageEnd = { hasMore: false };

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Shows frames one after the other and remembers where it stands, so that events of one frame cost one look-up. */
class FrameWalk {
  readonly cursor = new EventCursor();
  readonly #log: BucketLog;
  readonly #frame: FrameRef = { bytes: Buffer.alloc(0), at: 0 };
  #segment = -1;
  #offset = -1;
  #shown = 0;

  constructor(log: BucketLog) {
    this.#log = log;
  }

  /** Goes to a frame. A promise where it has to be read, or when it is time to let others run. */
  enter(segment: number, offset: number): Promise<void> | null {
    this.#shown += 1;
    if (this.#shown % TURN_EVENTS === 0) return this.#enterNextTurn(segment, offset);
    if (segment === this.#segment && offset === this.#offset) return null;
    if (!this.#log.tryFrame(segment, offset, this.#frame)) return this.#load(segment, offset);
    this.#look(segment, offset);
    return null;
  }

  async #load(segment: number, offset: number): Promise<void> {
    await this.#log.frame(segment, offset, this.#frame);
    this.#look(segment, offset);
  }

  /** What was looked at before the turn is not valid any more. */
  async #enterNextTurn(segment: number, offset: number): Promise<void> {
    await nextTurn();
    const same = segment === this.#segment && offset === this.#offset;
    await this.#log.frame(segment, offset, this.#frame);
    if (same) this.cursor.move(this.#frame);
    else this.#look(segment, offset);
  }

  #look(segment: number, offset: number): void {
    this.cursor.enter(this.#frame, this.#log.groupId);
    this.#segment = segment;
    this.#offset = offset;
  }
}

export const damaged = (what: string, cause?: unknown): SierraError =>
  new SierraError('READERR', `read error: ${what}`, { cause });

/** Turns damage met on the way into the error that a client sees. */
export async function readingErrors<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof SierraError) throw error;
    if (error instanceof DamageError) throw damaged(error.message, error);
    throw damaged((error as Error).message, error);
  }
}

/** Shows versions `from` to `to` of a stream, which are all applied. */
export async function scanStream(
  log: BucketLog,
  search: LogSearch,
  streamId: Uint8Array,
  from: number,
  to: number,
  visit: EventVisitor,
): Promise<PageEnd> {
  const walk = new FrameWalk(log);
  let next = from;
  // A segment that is sealed while we look moves from one list to the other: look again before calling it a gap. Many may
  // be during a long scan, so only looks that find nothing count.
  for (let fruitless = 0; fruitless < 3 && next <= to; fruitless += 1) {
    const before = next;
    for await (const run of search.streamRuns(streamId, next)) {
      if (run.firstVersion > next) break;
      while (next <= to && next < run.firstVersion + run.count) {
        const ordinal = next - run.firstVersion;
        const offsets = await run.positions(ordinal, Math.min(TURN_EVENTS, to - next + 1));
        for (const offset of offsets) {
          const wait = walk.enter(run.segment, offset);
          if (wait !== null) await wait;
          if (!walk.cursor.seekVersion(streamId, next)) {
            throw damaged(`version ${String(next)} is not where the index says`);
          }
          if (!visit(walk.cursor)) return MORE;
          next += 1;
        }
      }
      if (next > to) break;
    }
    if (next > before) fruitless = 0;
  }
  if (next <= to)
    throw damaged(`version ${String(next)} of the stream is in a damaged part of the log`);
  return END;
}

/** Shows sequences `from` to `to` of a partition, which are all applied. */
export async function scanPartition(
  log: BucketLog,
  partition: number,
  from: number,
  to: number,
  visit: EventVisitor,
): Promise<PageEnd> {
  const walk = new FrameWalk(log);
  let next = from;
  while (next <= to) {
    const found = await partitionPiece(log, partition, next, Math.min(TURN_EVENTS, to - next + 1));
    if (found === null) {
      throw damaged(`sequence ${String(next)} of the partition is in a damaged part of the log`);
    }
    for (const offset of found.offsets) {
      const wait = walk.enter(found.segment, offset);
      if (wait !== null) await wait;
      if (!walk.cursor.seekSequence(next)) {
        throw damaged(`sequence ${String(next)} is not where the index says`);
      }
      if (!visit(walk.cursor)) return MORE;
      next += 1;
    }
  }
  return END;
}
