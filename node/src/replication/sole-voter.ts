import { assert } from '../../../common/assert.ts';
import type { ApplyFrame, BucketLog, FrameFields, FramePlace } from '../storage/bucket-log.ts';
import { FRAME_HEADER_BYTES, frameKind } from '../storage/frame-format.ts';
import type { GroupState, ReplicatedLog } from './replicated-log.ts';

/**
 * The group of one voter: it elects itself, and a frame is committed when the journal says that it is durable.
 *
 * Invariants: vote and term are durable before the first frame of that term is committed (they stand before it in the
 * journal); every term begins with a leader's entry, so that the log tells who wrote what even for a group of one.
 */
export class SoleVoter implements ReplicatedLog {
  readonly log: BucketLog;
  onCommitted: ApplyFrame = () => undefined;
  #state: GroupState = 'starting';
  #started: (() => void) | null = null;
  #firstIndex = Infinity;

  constructor(log: BucketLog) {
    this.log = log;
    log.onDurable = (index): void => {
      this.#commit(index);
    };
    log.onApplied = (bytes, at, segment, offset): void => {
      this.onCommitted(bytes, at, segment, offset);
    };
  }

  get state(): GroupState {
    return this.#state;
  }

  get appliedIndex(): number {
    return this.log.committedIndex;
  }

  start(): Promise<void> {
    assert(this.#started === null && this.#state === 'starting', 'a group starts once');
    const started = new Promise<void>((resolve) => {
      this.#started = resolve;
    });
    this.log.vote(this.log.term + 1);
    const place = this.log.begin(FRAME_HEADER_BYTES);
    this.#firstIndex = this.finish(place, FRAME_HEADER_BYTES, {
      kind: frameKind.leader,
      partition: 0,
      firstSequence: 0,
      eventCount: 0,
    });
    return started;
  }

  begin(length: number): FramePlace {
    return this.log.begin(length);
  }

  finish(place: FramePlace, length: number, fields: Omit<FrameFields, 'term'>): number {
    return this.log.finish(place, length, { ...fields, term: this.log.term });
  }

  stop(): void {
    this.#state = 'stopped';
  }

  #commit(index: number): void {
    if (this.#state === 'stopped') return;
    this.log.commit(index);
    if (this.#state === 'starting' && index >= this.#firstIndex) {
      this.#state = 'leading';
      this.#started?.();
    }
  }
}
