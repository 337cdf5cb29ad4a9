/**
 * A member that is to be stopped gives away what it leads beforehand, and says when the others can do without it.
 *
 * ```ts
 * await drain.begin();            // resolves when it leads nothing, or after two seconds
 * drain.look();                   // at every tick: what came back is given away again
 * drain.end();
 * ```
 *
 * Invariants
 * - Only a follower that is well is handed a bucket: appends wait while a leader hands over.
 * - It leads when nobody else can: it campaigns late, and it votes.
 * - It ends by itself: an operator that has gone away leaves no member idle.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { RaftGroup } from '../replication/raft-group.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import { heirOf } from './hand-over.ts';
import { isWell } from './leader-preference.ts';

export const DRAIN_MS: number = 5 * 60_000;
const PATIENCE_MS = 2000;
const LOOK_MS = 10;
/** Before a bucket whose follower did not take over is offered again: its appends go on meanwhile. */
const RETRY_MS = 2000;

export interface DrainContext {
  readonly groups: () => Iterable<RaftGroup>;
  /** Whether a replica's member wants to lead. */
  readonly isWilling: (bucket: number, replica: ReplicaId) => boolean;
  /** It has begun or ended. */
  readonly changed: () => void;
  /** Monotonic, milliseconds. */
  readonly now: () => number;
}

export class Drain {
  readonly #context: DrainContext;
  #endMs: number | null = null;
  /** When groups were offered to another replica last. */
  #offers = new Map<RaftGroup, number>();

  constructor(context: DrainContext) {
    this.#context = context;
  }

  get isOn(): boolean {
    return this.#endMs !== null;
  }

  get endsInMs(): number {
    return this.#endMs === null ? 0 : Math.max(0, Math.round(this.#endMs - this.#context.now()));
  }

  /** Begins, or goes on for longer. Resolves when nothing is led here, or nobody else takes it for a while. */
  async begin(): Promise<void> {
    const { now, changed } = this.#context;
    const isNew = !this.isOn;
    this.#endMs = now() + DRAIN_MS;
    if (isNew) changed();
    const endMs = now() + PATIENCE_MS;
    while (this.look() && now() < endMs) await delay(LOOK_MS);
  }

  end(): void {
    if (!this.isOn) return;
    this.#endMs = null;
    this.#offers.clear();
    for (const { core } of this.#context.groups()) core.isReluctant = false;
    this.#context.changed();
  }

  /** Gives away what is led here by now. True while there is something that others can take. */
  look(): boolean {
    if (this.#endMs === null) return false;
    const now = this.#context.now();
    if (now >= this.#endMs) this.end();
    if (!this.isOn) return false;
    let isUnderWay = false;
    for (const group of this.#context.groups()) {
      group.core.isReluctant = true;
      if (group.core.role === 'leader') isUnderWay = this.#offer(group, now) || isUnderWay;
    }
    return isUnderWay;
  }

  /** False where nobody can take it. */
  #offer(group: RaftGroup, now: number): boolean {
    if (group.core.isHandingOver) return true;
    const heir = this.#heirOf(group);
    if (heir === null) return false;
    if (now - (this.#offers.get(group) ?? -Infinity) >= RETRY_MS) {
      this.#offers.set(group, now);
      group.transfer(heir);
    }
    return true;
  }

  #heirOf(group: RaftGroup): ReplicaId | null {
    const { isWilling } = this.#context;
    return heirOf(group, (id) => isWilling(group.log.bucket, id) && isWell(group, id));
  }
}
