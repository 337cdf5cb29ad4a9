/**
 * Members that groups still count on cannot be forgotten: nobody would find them any more. Who counts on whom is for the leader of
 * a group to say: a replica that was away, and that the group has done without since, knows of nothing that happened meanwhile.
 * Pure.
 */
import type { NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';
import { ClusterRefusal } from './types.ts';

const countedOf = ({ voters, learners }: ReplicaStatus, leaving: ReadonlySet<string>) =>
  [...voters, ...learners].find((member) => leaving.has(member));

/** Replicas that count on one of those who would be forgotten, as far as this member knows: others are to be asked. */
export function doubtful({ buckets }: NodeStatus, leaving: ReadonlySet<string>): ReplicaStatus[] {
  return buckets.filter((replica) => countedOf(replica, leaving) !== undefined);
}

/** `statuses`: of this member and of those who answer. Throws {@link ClusterRefusal} where one of the groups may count on them. */
export function requireUncounted(
  replicas: readonly ReplicaStatus[],
  statuses: readonly NodeStatus[],
  leaving: ReadonlySet<string>,
): void {
  for (const own of replicas) {
    const leader = leaderOf(own.bucket, statuses);
    const member = countedOf(leader ?? own, leaving);
    if (member === undefined) continue;
    const fault =
      leader === null ? 'may still hold it, and nobody leads it' : 'still holds it; move it first';
    throw new ClusterRefusal(`bucket ${own.bucket}: member ${member} ${fault}`);
  }
}

/** A group has one leader in a term; one that was cut off may take itself for the leader a little longer. */
function leaderOf(bucket: number, statuses: readonly NodeStatus[]): ReplicaStatus | null {
  let latest: ReplicaStatus | null = null;
  for (const replica of statuses.flatMap(({ buckets }) => buckets)) {
    if (replica.bucket !== bucket || replica.role !== 'leader') continue;
    if (latest === null || replica.term > latest.term) latest = replica;
  }
  return latest;
}
