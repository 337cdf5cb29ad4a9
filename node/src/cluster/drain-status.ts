/** Whether the other members can do without this one. Values only. */
import type { DrainStatus, NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';
import { majority } from '../replication/raft/configuration.ts';

/** Entries that may be under way to a follower that is up to date: under load there are always some. */
export const UNDER_WAY_MAX = 1024;

/** What stands against stopping a member, from what it and the others say of themselves; those that are silent are missing. */
export function drainStatus(
  own: Pick<NodeStatus, 'member' | 'buckets'>,
  others: readonly NodeStatus[],
  endsInMs: number,
): DrainStatus {
  const leading = own.buckets.filter(isLeader).map(({ bucket }) => bucket);
  const blocked = own.buckets
    .filter((replica) => !isLeader(replica))
    .flatMap(({ bucket, term }) => {
      const reason = blockOf(bucket, term, own.member, others);
      return reason === null ? [] : [{ bucket, reason }];
    });
  const isSafeToStop = leading.length === 0 && blocked.length === 0;
  return { member: own.member, endsInMs, leading, blocked, isSafeToStop };
}

const isLeader = ({ role }: ReplicaStatus): boolean => role === 'leader';

interface Told {
  readonly status: NodeStatus;
  readonly replica: ReplicaStatus;
}

function blockOf(
  bucket: number,
  term: number,
  own: string,
  others: readonly NodeStatus[],
): string | null {
  const told = others.flatMap((status) => {
    const replica = status.buckets.find((each) => each.bucket === bucket);
    return replica === undefined ? [] : [{ status, replica }];
  });
  // One that was cut off may still think that it leads.
  const leader = told
    .filter(({ replica }) => isLeader(replica) && replica.term >= term)
    .sort((a, b) => b.replica.term - a.replica.term)[0];
  if (leader === undefined) return 'none of the others leads it';
  const upToDate = told
    .filter((each) => each.status.member !== own && isUpToDate(each, leader.replica))
    .map(({ status }) => status.member);
  const { voters, joint } = leader.replica;
  const sets = joint === undefined ? [voters] : [joint.incoming, joint.outgoing];
  return sets.map((set) => lackOf(set, upToDate)).find((lack) => lack !== null) ?? null;
}

function lackOf(voters: readonly string[], upToDate: readonly string[]): string | null {
  const need = majority(voters.length);
  const count = voters.filter((id) => upToDate.includes(id)).length;
  if (count >= need) return null;
  return `${count} of the others are up to date, a majority is ${need}`;
}

/** One that is about to stop as well is no help. */
function isUpToDate({ status, replica }: Told, leader: ReplicaStatus): boolean {
  const { member, state } = status;
  if (state !== 'serving' || replica.health !== 'ok') return false;
  if (replica === leader) return true;
  const lag = leader.lag[member] ?? Infinity;
  return leader.progress?.[member] === 'stream' && lag <= UNDER_WAY_MAX;
}
