/** Shows the events of a piece one after the other; events of one frame cost one look-up. */
import type { BucketLog } from '../storage/bucket-log.ts';
import type { FrameRef } from '../storage/frame-reader.ts';
import { EventCursor } from './event-cursor.ts';
import type { Piece } from './pieces.ts';
import type { EventVisitor } from './types.ts';

/** Moves the cursor to the event at a position, which lies at or behind it in the frame; false if it is not there. */
export interface Seeker {
  seek(cursor: EventCursor, position: number): boolean;
}

/**
 * Where a walk stands still: everything was shown; the visitor takes no more; the next frame has to be read; the next frame
 * does not hold the event that should be there.
 */
export type Halt = 'end' | 'refused' | 'missing' | 'foreign';

const NOWHERE = Buffer.alloc(0);
const NOTHING = new Uint32Array(0);

/** Frames that are on average closer than this stand in most blocks that are read for them. */
const DENSE_BYTES = 8192;
/** What is read behind a dense piece before it is asked for. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** Whether what comes behind the piece will be wanted, too: it is part of a history that fills its segment. */
function isDense(offsets: Uint32Array): boolean {
  const { length } = offsets;
  return (
    length > 1 && (offsets[length - 1] as number) - (offsets[0] as number) < length * DENSE_BYTES
  );
}

export class PieceWalk {
  readonly #cursor = new EventCursor();
  readonly #frame: FrameRef = { bytes: NOWHERE, at: 0 };
  #log: BucketLog | null = null;
  #segment = 0;
  #offsets: Uint32Array = NOTHING;
  /** Offset of the frame that the cursor is in, -1 if none. */
  #entered = -1;
  /** Events of the piece that were taken. */
  #shown = 0;

  get shown(): number {
    return this.#shown;
  }

  /** Forgets the last walk. */
  rest(): void {
    this.#log = null;
    this.#offsets = NOTHING;
    this.#shown = 0;
  }

  begin(log: BucketLog, { segment, offsets }: Piece): void {
    this.#log = log;
    this.#segment = segment;
    this.#offsets = offsets;
    this.#entered = -1;
    this.#shown = 0;
    if (isDense(offsets)) {
      const last = offsets.at(-1) as number;
      log.readAhead(segment, offsets[0] as number, last + READ_AHEAD_BYTES);
    }
  }

  /** Goes on; `first` is the position of the piece's first event. Throws `DamageError`. */
  go(first: number, seeker: Seeker, visit: EventVisitor): Halt {
    const log = this.#log as BucketLog;
    const offsets = this.#offsets;
    while (this.#shown < offsets.length) {
      const offset = offsets[this.#shown] as number;
      if (offset !== this.#entered) {
        if (!log.tryFrame(this.#segment, offset, this.#frame)) return 'missing';
        this.#enter(log, offset);
      }
      if (!seeker.seek(this.#cursor, first + this.#shown)) return 'foreign';
      if (!visit(this.#cursor)) return 'refused';
      this.#shown += 1;
    }
    return 'end';
  }

  /** Reads the frame that is missing, and has those behind it read ahead. {@link go} goes on in the same turn. */
  async load(): Promise<void> {
    const log = this.#log as BucketLog;
    const offset = this.#offsets[this.#shown] as number;
    log.readAhead(this.#segment, offset, this.#offsets.at(-1) as number);
    await log.frame(this.#segment, offset, this.#frame);
    this.#enter(log, offset);
  }

  #enter(log: BucketLog, offset: number): void {
    this.#cursor.enter(this.#frame, log.groupId);
    this.#entered = offset;
  }
}
