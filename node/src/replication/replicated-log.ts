/**
 * What the engine proposes frames to: the group of a bucket (`raft-group.ts`), of one voter or of several.
 *
 * The caller's duty: `begin` only while the state is `leading`; after `begin`, fill in the frame and `finish` it in the same
 * turn; nothing else may be begun in between. A frame becomes visible when `onCommitted` shows it, in the order of indexes,
 * never before. When `leading` ends, what was finished and not shown has an unknown outcome.
 */
import type { ApplyFrame, BucketLog, FrameFields, FramePlace } from '../storage/bucket-log.ts';

/**
 * `starting`: takes no part yet; nothing is answered.
 * `following`: takes frames of a leader, if there is one.
 * `leading`: appends are taken, reads are answered.
 * `stopped`: nothing will be committed any more; what is in flight has an unknown outcome.
 */
export type GroupState = 'starting' | 'following' | 'leading' | 'stopped';

export interface ReplicatedLog {
  readonly log: BucketLog;
  readonly state: GroupState;
  /** Index of the last committed and applied frame. */
  readonly appliedIndex: number;
  /** Shown every committed frame in order. */
  onCommitted: ApplyFrame;
  onStateChange: (state: GroupState) => void;
  /** Takes part; a lone voter leads when this resolves. */
  start(): Promise<void>;
  begin(length: number): FramePlace;
  /** Sends the frame on its way; returns its index. */
  finish(place: FramePlace, length: number, fields: Omit<FrameFields, 'term'>): number;
  /**
   * True once what is applied holds everything that was acknowledged before the call; false: this replica does not lead.
   * Null where that is so already.
   */
  readBarrier(): Promise<boolean> | null;
  /** Nothing will be committed any more. */
  stop(): void;
}
