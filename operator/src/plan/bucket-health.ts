/**
 * How the group of a bucket is, from what nodes say of themselves. Values only.
 *
 * Invariants
 * - A leader is believed when a majority of its voters answer and follow it in its term: one that was cut off may take itself for
 *   the leader a little longer.
 * - A move is done when the committed configuration has the very replicas of the record, and nothing else is under way. Replicas
 *   are compared by their ids: another stay of the same member is another replica.
 */
import { type Assignment, replicaIdOf } from '../../../common/assignment.ts';
import type { NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';

/** Entries that may be under way to a follower that is up to date. */
const UNDER_WAY_MAX = 1024;

interface Told {
  readonly status: NodeStatus;
  readonly replica: ReplicaStatus;
}

export interface BucketHealth {
  readonly bucket: number;
  /** Member id; null: nobody leads it, as far as is known. */
  readonly leader: string | null;
  /** Sets of members of which each needs a majority: one, or two while voters change. Without a leader, whatever is known. */
  readonly sets: readonly (readonly string[])[];
  readonly learners: readonly string[];
  /** Ids of the replicas in the last configuration that its leader has committed; none where that is not known. */
  readonly committed: readonly string[];
  /** Members whose replica has everything, could vote and could lead; without a leader: whose log is as long as any. */
  readonly upToDate: ReadonlySet<string>;
  /** What the record asks for is in force. */
  readonly isSettled: boolean;
  /** What the move waits for, in words; null where nothing is known to stand against it. */
  readonly waitsFor: string | null;
}

export const majority = (count: number): number => Math.floor(count / 2) + 1;

/** `record`: what is to be in force. `statuses`: of members that answer, by member id. */
export function bucketHealth(
  bucket: number,
  record: Assignment,
  statuses: ReadonlyMap<string, NodeStatus>,
): BucketHealth {
  const told = toldOf(bucket, statuses);
  const leader = leaderOf(told);
  const assigned = record.buckets[bucket]?.replicas ?? [];
  if (leader === null) {
    const last = Math.max(0, ...told.map(({ replica }) => replica.last));
    const known = told.filter(
      ({ replica }) => replica.health === 'ok' && last - replica.last <= UNDER_WAY_MAX,
    );
    return {
      ...{
        bucket,
        leader: null,
        learners: [],
        committed: [],
        isSettled: false,
        waitsFor: 'nobody leads it',
      },
      sets: [assigned.map(({ member }) => member), ...told.flatMap((each) => setsOf(each.replica))],
      upToDate: new Set(known.map(({ status }) => status.member)),
    };
  }
  const { replica } = leader;
  return {
    bucket,
    leader: leader.status.member,
    sets: setsOf(replica),
    learners: replica.learners,
    committed: replica.committed?.replicas ?? [],
    upToDate: new Set(
      told.filter((each) => isUpToDate(each, replica)).map(({ status }) => status.member),
    ),
    isSettled: isSettled(bucket, record, leader),
    waitsFor: replica.move?.waitsFor ?? null,
  };
}

/** Whether each set keeps a majority that is up to date when these members are away. */
export function hasMajority(
  { sets, upToDate }: Pick<BucketHealth, 'sets' | 'upToDate'>,
  away: ReadonlySet<string> = new Set(),
): boolean {
  return sets.every((set) => {
    const there = set.filter((id) => upToDate.has(id) && !away.has(id));
    return there.length >= majority(set.length);
  });
}

/** Whether a group names a member in any way. */
export const names = ({ sets, learners }: BucketHealth, id: string): boolean =>
  learners.includes(id) || sets.some((set) => set.includes(id));

function toldOf(bucket: number, statuses: ReadonlyMap<string, NodeStatus>): Told[] {
  return [...statuses.values()].flatMap((status) => {
    const replica = status.buckets.find((each) => each.bucket === bucket);
    return replica === undefined ? [] : [{ status, replica }];
  });
}

function leaderOf(told: readonly Told[]): Told | null {
  const [latest] = told
    .filter(({ replica }) => replica.role === 'leader')
    .sort((a, b) => b.replica.term - a.replica.term);
  if (latest === undefined) return null;
  const { member } = latest.status;
  const { term } = latest.replica;
  const following = new Set(
    told
      .filter(({ replica }) => replica.term === term && replica.leader === member)
      .map(({ status }) => status.member),
  );
  following.add(member);
  const isFollowed = hasMajority({ sets: setsOf(latest.replica), upToDate: following });
  return isFollowed ? latest : null;
}

const setsOf = ({ joint, voters }: ReplicaStatus): (readonly string[])[] =>
  joint === undefined ? [voters] : [joint.incoming, joint.outgoing];

function isUpToDate({ status, replica }: Told, leader: ReplicaStatus): boolean {
  if (status.state !== 'serving' && status.state !== 'draining') return false;
  if (replica.health !== 'ok') return false;
  if (replica === leader) return true;
  const { member } = status;
  return (
    leader.progress?.[member] === 'stream' && (leader.lag[member] ?? Infinity) <= UNDER_WAY_MAX
  );
}

function isSettled(bucket: number, record: Assignment, { status, replica }: Told): boolean {
  const { epoch, version, clusterId } = record;
  const { assignment } = status;
  if (assignment?.epoch !== epoch || assignment.version !== version) return false;
  if (replica.joint !== undefined || replica.learners.length > 0) return false;
  if (replica.move !== undefined) return false;
  const assigned = record.buckets[bucket]?.replicas ?? [];
  if (
    !isSameSet(
      replica.voters,
      assigned.map(({ member }) => member),
    )
  )
    return false;
  const { committed } = replica;
  if (committed === undefined) return true;
  const ids = assigned.map((each) => replicaIdOf(clusterId, bucket, each).toString('hex'));
  return isSameSet(committed.replicas, ids);
}

const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id) => b.includes(id));
