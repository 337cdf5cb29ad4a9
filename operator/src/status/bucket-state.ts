/**
 * What is known of one bucket's group. Pure.
 *
 * Invariants
 * - A node that does not answer the operator may serve well: nothing is concluded from its silence while its pod is ready.
 * - A node on a host that is gone may lead as long as nobody else does, but its copy counts as missing.
 */
import type { ReplicaStatus } from '../../../common/cluster-contract.ts';
import { type BucketHealth, hasMajority } from '../plan/bucket-health.ts';
import type { ClusterView } from '../plan/cluster-view.ts';

export interface BucketState {
  readonly bucket: number;
  /** Member id; null: nobody, as far as is known. */
  readonly leader: string | null;
  readonly led: 'yes' | 'no' | 'unknown';
  /** Members of the group: as its leader says, or the record. */
  readonly holders: readonly string[];
  /** Those of them whose copy is not up to date, damaged, or not there. */
  readonly missing: readonly string[];
  /** Those of whom nothing is known. */
  readonly unknown: readonly string[];
  /** Whose copy is damaged. */
  readonly damaged: readonly string[];
  readonly isMoving: boolean;
}

export function bucketState(view: ClusterView, health: BucketHealth): BucketState {
  const { bucket, leader, sets, upToDate } = health;
  const assigned = view.record?.buckets[bucket]?.replicas.map(({ member }) => member) ?? [];
  const holders = leader === null ? assigned : [...new Set(sets.flat())];
  const late = holders.filter((id) => !upToDate.has(id));
  const damaged = [...view.statuses]
    .filter(([id]) => replicaOf(view, bucket, id)?.health === 'quarantined')
    .map(([id]) => id);
  return {
    ...{ bucket, leader, holders },
    led: leader !== null ? 'yes' : mayBeLed(view, health) ? 'unknown' : 'no',
    missing: late.filter((id) => !isUnheard(view, id)).sort(),
    unknown: late.filter((id) => isUnheard(view, id)).sort(),
    damaged: damaged.sort(),
    isMoving: leader !== null && isMoving(assigned, replicaOf(view, bucket, leader)),
  };
}

function replicaOf(view: ClusterView, bucket: number, id: string): ReplicaStatus | undefined {
  return view.statuses.get(id)?.buckets.find((replica) => replica.bucket === bucket);
}

/** The pod is ready, and yet the operator hears nothing. */
function isUnheard(view: ClusterView, id: string): boolean {
  const pod = silentPod(view, id);
  return pod?.isReady === true;
}

/** The pod of a member that does not answer, while nobody else does at its place. */
function silentPod(view: ClusterView, id: string): ReturnType<ClusterView['pod']> {
  if (view.statuses.has(id)) return undefined;
  const member = view.record?.members.find((each) => each.id === id);
  if (member === undefined || view.statusAt(member.index) !== null) return undefined;
  return view.pod(member.index);
}

/** Whether one that is not heard could be the leader, with those who say so and others that are not heard. */
function mayBeLed(view: ClusterView, { bucket, sets }: BucketHealth): boolean {
  const mayRun = (id: string): boolean => {
    const pod = silentPod(view, id);
    return pod !== undefined && (pod.isReady || !pod.isHostReady);
  };
  const all = [...new Set(sets.flat())];
  return all.filter(mayRun).some((id) => {
    const behind = all.filter(
      (other) => mayRun(other) || replicaOf(view, bucket, other)?.leader === id,
    );
    return hasMajority({ sets, upToDate: new Set(behind) });
  });
}

/** Who holds it is not who is to. That its leader does not know of the newest version yet is no move. */
function isMoving(assigned: readonly string[], led: ReplicaStatus | undefined): boolean {
  if (led === undefined) return false;
  const { joint, learners, move, voters } = led;
  if (joint !== undefined || learners.length > 0 || move !== undefined) return true;
  return voters.length !== assigned.length || voters.some((id) => !assigned.includes(id));
}
