/**
 * What the leader of a bucket does next so that the replicas that the assignment names hold it (architecture D2). Pure.
 *
 * ```text
 *   configuration ≠ assignment ──▶ add learners ──▶ catching up ──▶ [hand over] ──▶ joint ──▶ final
 * ```
 *
 * Invariants
 * - Nobody becomes a voter before its log is as long as the leader's but for what is under way.
 * - A step follows from the configuration in force and the assignment alone, so that it does not matter who led the steps
 *   before, and an assignment that names the earlier holders again leads back.
 * - Voters change only where a majority of those to come is well: the group would stand still otherwise.
 * - Where stays of the same members begin anew, one voter at a time is missing: the others hold what it gives up.
 */
import type { MoveProgress } from '../../../common/cluster-contract.ts';
import { isJoint, majority } from '../replication/raft/configuration.ts';
import type { Configuration, ReplicaId } from '../replication/raft/types.ts';
import { UNDER_WAY_MAX } from './drain-status.ts';

/** What the leader knows of another replica. */
export interface Follower {
  readonly state: 'probe' | 'stream' | 'copy';
  readonly match: number;
  /** Heard of lately. */
  readonly isActive: boolean;
}

/** A bucket as its leader sees it. */
export interface LedBucket {
  readonly self: ReplicaId;
  /** Replicas that the assignment names. */
  readonly assigned: readonly ReplicaId[];
  readonly configuration: Configuration;
  /** Why the configuration cannot be changed at the moment, or null. */
  readonly changeFault: string | null;
  readonly lastIndex: number;
  readonly follower: (id: ReplicaId) => Follower | undefined;
  /** Member id of a replica. */
  readonly memberOf: (id: ReplicaId) => string | null;
  /** Whether a replica's member wants to lead: one that drains would give it away again. */
  readonly isWilling: (id: ReplicaId) => boolean;
}

export type MoveStep =
  /** The assignment is in force. */
  | { readonly kind: 'none' }
  | { readonly kind: 'wait'; readonly stage: MoveStage; readonly reason: string }
  | { readonly kind: 'change'; readonly stage: MoveStage; readonly configuration: Configuration }
  | { readonly kind: 'transfer'; readonly stage: 'handing over'; readonly to: ReplicaId };

export type MoveStage = MoveProgress['stage'];

/** `mayAdd`: whether this member may begin another move. */
export function nextStep(bucket: LedBucket, mayAdd: boolean): MoveStep {
  const { configuration, changeFault } = bucket;
  const { voters, learners } = configuration;
  if (isJoint(configuration)) return wait('changing', 'both majorities decide');
  const next = attainable(bucket);
  const twin = without(next, bucket.assigned)[0];
  const missing = without(next, voters);
  const isSame = missing.length === 0 && without(voters, next).length === 0;
  const isDone = isSame && learners.length === 0;
  if (isDone && twin === undefined) return { kind: 'none' };
  if (changeFault !== null) return wait('changing', changeFault);
  if (isDone && twin !== undefined) return dropTwin(bucket, twin);
  if (isSame) return change('dropping', voters, []);
  if (!sameIds(learners, missing)) {
    const isNew = learners.length === 0;
    if (isNew && !mayAdd) return wait('adding', 'other buckets are moved first');
    return change('adding', voters, missing);
  }
  const late = missing.filter((id) => !isWell(bucket, id));
  const [first] = late;
  if (first !== undefined) return wait('catching up', lagText(bucket, first));
  return changeVoters(bucket, next);
}

/** The leader hands over before it leaves, where somebody stays who can take over. */
function changeVoters(bucket: LedBucket, next: readonly ReplicaId[]): MoveStep {
  const { self, configuration } = bucket;
  const well = next.filter((id) => id === self || isWell(bucket, id));
  if (well.length < majority(next.length)) {
    return wait('changing', 'too few of the replicas to come are well');
  }
  const heirs = well.filter((id) => id !== self && configuration.voters.includes(id));
  const heir = heirs.find(bucket.isWilling) ?? heirs[0];
  if (!next.includes(self) && heir !== undefined) {
    return { kind: 'transfer', stage: 'handing over', to: heir };
  }
  return change('changing', next, []);
}

/** The assignment, but for voters whose members can only make their new replica when this one is gone. */
function attainable({ assigned, configuration: { voters }, memberOf }: LedBucket): ReplicaId[] {
  const leaving = new Map(without(voters, assigned).map((id) => [memberOf(id), id]));
  return assigned.map((id) => (voters.includes(id) ? id : (leaving.get(memberOf(id)) ?? id)));
}

function dropTwin(bucket: LedBucket, twin: ReplicaId): MoveStep {
  const rest = without(bucket.configuration.voters, [twin]);
  if (rest.length === 0) {
    return wait('changing', 'the only holder cannot be replaced by itself; add another one first');
  }
  return changeVoters(bucket, rest);
}

function isWell({ follower, lastIndex }: LedBucket, id: ReplicaId): boolean {
  const known = follower(id);
  if (known?.state !== 'stream' || !known.isActive) return false;
  return lastIndex - known.match <= UNDER_WAY_MAX;
}

function lagText({ follower, lastIndex }: LedBucket, id: ReplicaId): string {
  const known = follower(id);
  if (known?.isActive !== true) return `replica ${id} does not answer`;
  return `replica ${id} lacks ${String(lastIndex - known.match)} entries`;
}

const wait = (stage: MoveStage, reason: string): MoveStep => ({ kind: 'wait', stage, reason });

const change = (
  stage: MoveStage,
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[],
): MoveStep => ({ kind: 'change', stage, configuration: { voters, outgoing: [], learners } });

const without = (ids: readonly ReplicaId[], others: readonly ReplicaId[]): ReplicaId[] =>
  ids.filter((id) => !others.includes(id));

const sameIds = (a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean =>
  a.length === b.length && a.every((id) => b.includes(id));
