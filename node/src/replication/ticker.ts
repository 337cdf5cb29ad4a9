/** The clock of all groups of a node: one timer. A process that was stopped for long counts that as one tick. */
import type { GroupTiming, RaftGroup } from './raft-group.ts';

/**
 * A leader is heard of every 250 ms. A follower that has heard nothing for 0.7 to 1.4 s, of two heartbeats at least,
 * campaigns; where two do so in the same tick a second round decides, so that a group is without a leader for less than 3 s.
 * Heartbeats are what an idle node with many buckets spends its time on: twice as many cost twice as much.
 */
export const defaultTiming: GroupTiming = { electionTicks: 14, heartbeatTicks: 5 };
export const TICK_MS = 50;

export class Ticker {
  readonly #timer: NodeJS.Timeout;

  constructor(groups: () => Iterable<RaftGroup>, tickMs: number = TICK_MS) {
    this.#timer = setInterval(() => {
      for (const group of groups()) group.tick();
    }, tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
