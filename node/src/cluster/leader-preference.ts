/**
 * Gives leadership to the member that the assignment prefers for a bucket, so that members lead equally many.
 *
 * Invariants, against flapping
 * - Only a voter that has been heard of, and had the whole log but for what is under way, at every look for a while.
 * - One hand-over at a time; after one, the bucket is left alone for longer.
 */
import type { ReplicaId } from '../replication/raft/types.ts';
import { UNDER_WAY_MAX } from './drain-status.ts';

/** A replica group as far as this needs it; a `RaftGroup` is one. */
export interface PreferenceGroup {
  readonly log: { readonly bucket: number; readonly endIndex: number };
  readonly replicaId: ReplicaId;
  readonly state: string;
  readonly core: {
    readonly isHandingOver: boolean;
    readonly isSettled: boolean;
    readonly leadership: {
      progress(id: ReplicaId):
        | {
            readonly state: string;
            readonly match: number;
            readonly isActive: boolean;
            readonly wasActive: boolean;
          }
        | undefined;
    } | null;
  };
  transfer(to: ReplicaId): void;
}

/** A group that has never had a leader, as far as this needs it. */
export interface LeaderlessGroup {
  readonly log: { readonly bucket: number };
  readonly replicaId: ReplicaId;
  readonly leader: ReplicaId | null;
  readonly core: { readonly term: number; isReluctant: boolean };
  campaign(): void;
}

/** Ticks after which a preferred replica asks for votes again: the others may not have started yet. */
const FIRST_ASK_TICKS = 4;

/**
 * Has the preferred replicas of new groups lead from the first moment on: they ask for votes at once, the others only when the
 * preferred one is not heard of for some election timeouts.
 */
export class FirstLeaders {
  readonly #preferredOf: (bucket: number) => ReplicaId | null;
  readonly #waiting = new Set<LeaderlessGroup>();

  constructor(preferredOf: (bucket: number) => ReplicaId | null) {
    this.#preferredOf = preferredOf;
  }

  /** To be called at every tick, numbered from 1. */
  look(group: LeaderlessGroup, tick: number): void {
    if (group.core.term > 0 || group.leader !== null) {
      if (this.#waiting.delete(group)) group.core.isReluctant = false;
      return;
    }
    const preferred = this.#preferredOf(group.log.bucket);
    if (preferred === group.replicaId) {
      if (tick % FIRST_ASK_TICKS === 1) group.campaign();
    } else if (preferred !== null && !this.#waiting.has(group)) {
      this.#waiting.add(group);
      group.core.isReluctant = true;
    }
  }
}

/** Looks in a row at which a preferred replica must have been well. */
const WELL_LOOKS = 10;
/** Looks during which a bucket that was handed over is left alone. */
const REST_LOOKS = 60;

export class LeaderPreference {
  readonly #preferredOf: (bucket: number) => ReplicaId | null;
  /** By bucket: looks at which the preferred replica was well; negative while the bucket rests. */
  readonly #looks = new Map<number, number>();

  constructor(preferredOf: (bucket: number) => ReplicaId | null) {
    this.#preferredOf = preferredOf;
  }

  /** To be called once a second; hands over at most one bucket. */
  look(groups: Iterable<PreferenceGroup>): void {
    let hasHandedOver = false;
    for (const group of groups) {
      const { bucket } = group.log;
      const preferred = this.#preferredOf(bucket);
      const isElsewhere = group.state === 'leading' && preferred !== group.replicaId;
      const looks = this.#looks.get(bucket) ?? 0;
      if (looks < 0) {
        this.#looks.set(bucket, looks + 1);
      } else if (!isElsewhere || preferred === null || !isWell(group, preferred)) {
        this.#looks.delete(bucket);
      } else if (looks + 1 < WELL_LOOKS || hasHandedOver) {
        this.#looks.set(bucket, looks + 1);
      } else {
        group.transfer(preferred);
        this.#looks.set(bucket, -REST_LOOKS);
        hasHandedOver = true;
      }
    }
  }
}

/** Whether a follower of this leader would go on without a pause. */
export function isWell({ core, log }: PreferenceGroup, preferred: ReplicaId): boolean {
  if (core.isHandingOver || !core.isSettled) return false;
  const progress = core.leadership?.progress(preferred);
  if (progress?.state !== 'stream') return false;
  if (!progress.isActive && !progress.wasActive) return false;
  return log.endIndex - progress.match <= UNDER_WAY_MAX;
}
