/** Finds where the next events of a partition or a stream stand, segment by segment. */
import type { Eventually, LogSearch, RunRef } from './log-search.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import type { SealedSegment } from '../storage/sealed-segments.ts';
import type { StreamRun } from '../storage/young-index.ts';

/** Where consecutive events of a stream or partition stand in one segment. */
export interface Piece {
  readonly segment: number;
  /** Offsets of their frames, one per event. */
  readonly offsets: Uint32Array;
}

/** Positions of the partition's events from `from` on, as far as one segment has them; null in a gap. */
export function partitionPiece(
  log: BucketLog,
  partition: number,
  from: number,
  max: number,
): Eventually<Piece | null> {
  for (let i = log.young.length - 1; i >= 0; i -= 1) {
    const segment = log.young[i];
    if (segment === undefined) continue;
    const offsets = segment.index.partitionPositions(partition, from, max);
    if (offsets.length > 0) return { segment: segment.number, offsets };
  }
  return sealedPiece(log, partition, from, max);
}

/** Binary search over the partition's ranges; segments without events of the partition are stepped over. */
function sealedPiece(
  log: BucketLog,
  partition: number,
  from: number,
  max: number,
): Eventually<Piece | null> {
  const { segments } = log.sealed;
  let low = 0;
  let high = segments.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    let at = middle;
    while (at >= low && segments[at]?.index.partitions.get(partition) === undefined) at -= 1;
    const segment = segments[at];
    const entry = at < low ? undefined : segment?.index.partitions.get(partition);
    if (segment === undefined || entry === undefined || from >= entry.firstSequence + entry.count) {
      low = middle + 1;
    } else if (from < entry.firstSequence) {
      high = at - 1;
    } else {
      const length = Math.min(max, entry.firstSequence + entry.count - from);
      return readPiece(log, segment, partition, from, length);
    }
  }
  return null;
}

function readPiece(
  log: BucketLog,
  segment: SealedSegment,
  partition: number,
  from: number,
  length: number,
): Eventually<Piece> {
  const offsets = log.sealed.ask(segment, (index) =>
    index.partitionPositions(partition, from, length),
  );
  const piece = (found: Uint32Array): Piece => ({ segment: segment.number, offsets: found });
  return offsets instanceof Promise ? offsets.then(piece) : piece(offsets);
}

/**
 * Positions of a stream's versions from `from` on, as far as one young segment has them; null where none has. A hint: the
 * hash may be another stream's.
 */
export function youngStreamPiece(
  log: BucketLog,
  hash: number,
  from: number,
  max: number,
): Piece | null {
  const runs: StreamRun[] = [];
  for (let i = log.young.length - 1; i >= 0; i -= 1) {
    const segment = log.young[i];
    if (segment === undefined) continue;
    segment.index.findStream(hash, runs);
    for (const { run, first, count } of runs) {
      if (first > from || from >= first + count) continue;
      const offsets = segment.index.streamPositions(run, from - first, max);
      return { segment: segment.number, offsets };
    }
    runs.length = 0;
  }
  return null;
}

/**
 * Searches the log for the versions of one stream, in ascending order; remembers the sealed run that it found last, because
 * that is where the next ones will be.
 */
export class StreamSearch {
  readonly #search: LogSearch;
  readonly #streamId: Uint8Array;
  #last: RunRef | null = null;

  constructor(search: LogSearch, streamId: Uint8Array) {
    this.#search = search;
    this.#streamId = streamId;
  }

  /** The piece with version `from`; the stream's for certain. Null in a gap. */
  async find(from: number, max: number): Promise<Piece | null> {
    const last = this.#last;
    if (last !== null && last.firstVersion <= from && from < last.firstVersion + last.count) {
      return pieceOf(last, from, max);
    }
    this.#last = null;
    // A segment that is sealed while we look moves from one list to the other: look again before calling it a gap.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      for await (const run of this.#search.streamRuns(this.#streamId, from)) {
        if (run.firstVersion > from) break;
        if (run.isSealed) this.#last = run;
        return pieceOf(run, from, max);
      }
    }
    return null;
  }
}

async function pieceOf(run: RunRef, from: number, max: number): Promise<Piece> {
  const ordinal = from - run.firstVersion;
  const offsets = await run.positions(ordinal, Math.min(max, run.count - ordinal));
  return { segment: run.segment, offsets };
}
