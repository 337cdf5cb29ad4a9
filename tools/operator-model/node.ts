/** A node of the model: a disk, and a process that may run on it. It takes assignments by the rules of the real one. */
import { type Assignment, digestOf, replicaIdOf } from '../../common/assignment.ts';
import type { AssignmentUpdate, NodeStatus, ReplicaStatus } from '../../common/cluster-contract.ts';
import { takesAssignment } from '../../node/src/cluster/assignment-rules.ts';
import { doubtful, requireUncounted } from '../../node/src/cluster/counted-members.ts';
import { isJoint, membersOf } from '../../node/src/replication/raft/configuration.ts';
import type { Configuration, ReplicaId } from '../../node/src/replication/raft/types.ts';
import type { NodePlace } from '../../operator/src/resources/names.ts';
import { assignedMember, Group, type Live } from './group.ts';

export interface Counts {
  readonly bucketCount: number;
  readonly partitionCount: number;
}

/** What a member has of a bucket. */
export interface Replica {
  readonly id: ReplicaId;
  readonly bucket: number;
  readonly since: number;
  match: number;
  role: 'follower' | 'candidate' | 'leader' | 'learner';
  term: number;
  leader: ReplicaId | null;
  configuration: Configuration;
  configurationIndex: number;
}

export interface Disk {
  readonly member: string;
  assignment: Assignment | null;
  /** By bucket. */
  readonly replicas: Map<number, Replica>;
  /** By bucket: since of the latest stay that has ended. */
  readonly ended: Map<number, number>;
}

export const freshDisk = (member: string): Disk => ({
  ...{ member, assignment: null, replicas: new Map(), ended: new Map() },
});

/** What nodes and groups know of each other. */
export interface Cluster {
  readonly counts: Counts;
  readonly groups: Map<number, Group>;
  readonly live: ReadonlyMap<ReplicaId, Live>;
  /** Disk on which a replica was made, by replica id. */
  readonly diskOf: Map<ReplicaId, Disk>;
  readonly nodes: () => readonly ModelNode[];
}

const digests = new WeakMap<Assignment, string>();
/** The real one, kept: it is asked for in every look. */
export function digest(assignment: Assignment): string {
  let known = digests.get(assignment);
  if (known === undefined) digests.set(assignment, (known = digestOf(assignment)));
  return known;
}

export class ModelNode {
  readonly place: NodePlace;
  readonly disk: Disk;
  readonly #cluster: Cluster;
  isDraining = false;
  drainEndMs = 0;
  /** The operator reaches it. */
  isReachable = true;
  /** Other members reach it. */
  isConnected = true;
  /** When it was cut off last. */
  cutMs = 0;
  /** Buckets that it moves as their leader, in this step. */
  moving = 0;

  constructor(place: NodePlace, disk: Disk, cluster: Cluster) {
    this.place = place;
    this.disk = disk;
    this.#cluster = cluster;
  }

  /** Throws where the real one refuses. */
  take(update: AssignmentUpdate): void {
    const { disk } = this;
    const { member, assignment: current } = disk;
    const taker = { member, index: this.place.index, ...this.#cluster.counts, assignment: current };
    if (!takesAssignment(taker, update)) return;
    this.#requireUncounted(update.assignment);
    disk.assignment = update.assignment;
  }

  #requireUncounted({ members }: Assignment): void {
    const known = this.disk.assignment;
    if (known === null) return;
    const gone = known.members.filter(({ id }) => !members.some((each) => each.id === id));
    const leaving = new Set(gone.map(({ id }) => id));
    const own = this.status();
    const replicas = doubtful(own, leaving);
    if (replicas.length === 0) return;
    const others = this.#cluster
      .nodes()
      .filter((node) => node !== this && node.isConnected && this.isConnected)
      .filter((node) => members.some(({ id }) => id === node.disk.member));
    requireUncounted(replicas, [own, ...others.map((node) => node.status())], leaving);
  }

  /** A leader that hears of no majority leads no longer. */
  stepDown(): void {
    for (const replica of this.disk.replicas.values()) {
      if (replica.role === 'leader') replica.role = 'candidate';
    }
  }

  /** Makes the replicas that it is to have, removes those that have ended. */
  tend(mayRemove: () => boolean): void {
    const { assignment } = this.disk;
    if (assignment === null) return;
    for (let bucket = 0; bucket < assignment.bucketCount; bucket += 1) {
      this.#tendBucket(assignment, bucket, mayRemove);
    }
  }

  #tendBucket(assignment: Assignment, bucket: number, mayRemove: () => boolean): void {
    const { disk } = this;
    const { groups, diskOf } = this.#cluster;
    const stays = assignment.buckets[bucket]?.replicas ?? [];
    const stay = stays.find(({ member }) => member === disk.member);
    const idOf = (each: (typeof stays)[number]): string =>
      replicaIdOf(assignment.clusterId, bucket, each).toString('hex');
    const replica = disk.replicas.get(bucket);
    if (replica !== undefined) {
      const isAssigned = stay !== undefined && idOf(stay) === replica.id;
      const isNamed = groups.get(bucket)?.ids.includes(replica.id) === true;
      if (isAssigned || isNamed || !this.isConnected || !mayRemove()) return;
      disk.replicas.delete(bucket);
      disk.ended.set(bucket, replica.since);
      return;
    }
    if (stay === undefined || stay.since <= (disk.ended.get(bucket) ?? 0)) return;
    const id = idOf(stay);
    if (!groups.has(bucket)) groups.set(bucket, new Group(bucket, stays.map(idOf)));
    const isFirst = assignment.version === 1;
    disk.replicas.set(bucket, {
      ...{ id, bucket, since: stay.since, match: isFirst ? 1 : 0, role: 'follower', term: 0 },
      ...{ leader: null, configurationIndex: isFirst ? 1 : 0 },
      configuration: { voters: isFirst ? stays.map(idOf) : [], outgoing: [], learners: [] },
    });
    diskOf.set(id, disk);
  }

  status(): NodeStatus {
    const { disk, place, isDraining } = this;
    const { assignment } = disk;
    const { counts } = this.#cluster;
    return {
      ...{ member: disk.member, index: place.index, version: '1', boot: 1, ...counts },
      cluster: assignment?.clusterId ?? null,
      state: assignment === null ? 'forming' : isDraining ? 'draining' : 'serving',
      assignment:
        assignment === null
          ? null
          : { epoch: assignment.epoch, version: assignment.version, digest: digest(assignment) },
      ...(assignment !== null && { members: assignment.members }),
      buckets: [...disk.replicas.values()].map((replica) => this.#replicaStatus(replica)),
    };
  }

  #replicaStatus(replica: Replica): ReplicaStatus {
    const { bucket, id, term, configuration } = replica;
    const { groups, live, diskOf } = this.#cluster;
    const group = groups.get(bucket) as Group;
    const { assignment } = this.disk;
    const nameOf = (other: ReplicaId): string => {
      if (assignment === null) return other;
      const member = assignedMember(assignment, bucket, other) ?? diskOf.get(other)?.member;
      return assignment.members.find(({ id: known }) => known === member)?.id ?? other;
    };
    const isLeader = replica.role === 'leader';
    const { voters, outgoing, learners } = configuration;
    const others = isLeader ? membersOf(configuration).filter((other) => other !== id) : [];
    const matchOf = (other: ReplicaId): number => live.get(other)?.replica.match ?? 0;
    return {
      ...{ bucket, replica: id, term, role: replica.role },
      leader: replica.leader === null ? null : nameOf(replica.leader),
      ...{ commit: replica.match, applied: replica.match, last: replica.match, health: 'ok' },
      voters: [...new Set([...voters, ...outgoing])].map(nameOf),
      learners: learners.map(nameOf),
      ...(isJoint(configuration) && {
        joint: { incoming: voters.map(nameOf), outgoing: outgoing.map(nameOf) },
      }),
      lag: Object.fromEntries(others.map((other) => [nameOf(other), group.end - matchOf(other)])),
      committed: { index: replica.configurationIndex, replicas: membersOf(configuration) },
      ...(group.leader === id && group.move !== undefined && { move: group.move }),
      ...(isLeader && {
        progress: Object.fromEntries(
          others.map((other) => [nameOf(other), live.has(other) ? 'stream' : 'probe'] as const),
        ),
      }),
    };
  }
}
