/**
 * What the engine proposes frames to. Today's only kind has one voter (`sole-voter.ts`): what is durable here is
 * committed. The next kind will be a Raft group with the same door.
 *
 * The caller's duty: after `begin`, fill in the frame and `finish` it in the same turn; nothing else may be begun in
 * between. A frame becomes visible when `onCommitted` shows it, in the order of indexes, never before.
 */
import type { ApplyFrame, BucketLog, FrameFields, FramePlace } from '../storage/bucket-log.ts';

/**
 * `starting`: the leader's first entry of this term is not committed yet; nothing is answered.
 * `leading`: appends are taken, reads are answered.
 * `stopped`: nothing will be committed any more; what is in flight has an unknown outcome.
 */
export type GroupState = 'starting' | 'leading' | 'stopped';

export interface ReplicatedLog {
  readonly log: BucketLog;
  readonly state: GroupState;
  /** Index of the last committed and applied frame. */
  readonly appliedIndex: number;
  /** Shown every committed frame in order. */
  onCommitted: ApplyFrame;
  /** Takes leadership; resolves when the first entry of its term is applied. */
  start(): Promise<void>;
  begin(length: number): FramePlace;
  /** Sends the frame on its way; returns its index. */
  finish(place: FramePlace, length: number, fields: Omit<FrameFields, 'term'>): number;
  /** Nothing will be committed any more. */
  stop(): void;
}
