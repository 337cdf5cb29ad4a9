/**
 * A bucket's group as the operator can know it: who votes, who leads, who has everything. Entries are counted, not kept; an entry
 * is there when a majority has it. What a leader does next is decided by the node's own code (`node/src/cluster/moves.ts`).
 */
import { type Assignment, replicaIdOf } from '../../common/assignment.ts';
import type { MoveProgress } from '../../common/cluster-contract.ts';
import { type Follower, type LedBucket, nextStep } from '../../node/src/cluster/moves.ts';
import { isJoint, majority, membersOf } from '../../node/src/replication/raft/configuration.ts';
import type { Configuration, ReplicaId } from '../../node/src/replication/raft/types.ts';
import type { Chance } from './chance.ts';
import type { Disk, ModelNode, Replica } from './node.ts';

/** Buckets that one leader moves at a time. */
const MOVES_MAX = 2;

export interface Live {
  readonly node: ModelNode;
  readonly replica: Replica;
}

export class Group {
  readonly bucket: number;
  configuration: Configuration;
  /** Of the last configuration; they are committed at once. */
  configurationIndex = 1;
  /** Index of the last entry, which is committed. */
  end = 1;
  term = 1;
  leader: ReplicaId | null = null;
  move: MoveProgress | undefined;

  constructor(bucket: number, voters: readonly ReplicaId[]) {
    this.bucket = bucket;
    this.configuration = { voters, outgoing: [], learners: [] };
  }

  get sets(): (readonly ReplicaId[])[] {
    const { voters, outgoing } = this.configuration;
    return outgoing.length === 0 ? [voters] : [voters, outgoing];
  }

  get ids(): ReplicaId[] {
    return membersOf(this.configuration);
  }

  /** Whether each set has a majority for which it is so. */
  hasMajority(is: (id: ReplicaId) => boolean): boolean {
    return this.sets.every((set) => set.filter(is).length >= majority(set.length));
  }

  step(live: ReadonlyMap<ReplicaId, Live>, disks: ReadonlyMap<string, Disk>, chance: Chance): void {
    this.#elect(live, chance);
    const leader = this.leader === null ? undefined : live.get(this.leader);
    // Who was cut off and is back has heard by now that it leads no more.
    for (const id of this.ids) {
      const replica = live.get(id)?.replica;
      if (replica?.role === 'leader' && id !== this.leader) replica.role = 'candidate';
    }
    this.move = undefined;
    if (leader === undefined) return;
    this.#replicate(live, chance);
    this.#heartbeat(live, leader);
    this.#change(live, leader, disks, chance);
    this.#handOver(live, chance);
  }

  /** Whoever could be elected: it votes, runs, and has all that is committed. */
  #elect(live: ReadonlyMap<ReplicaId, Live>, chance: Chance): void {
    const isUp = (id: ReplicaId): boolean => live.has(id);
    const isVoter =
      this.leader !== null && this.sets.some((set) => set.includes(this.leader ?? ''));
    if (this.leader !== null && isUp(this.leader) && isVoter && this.hasMajority(isUp)) return;
    const former = this.leader === null ? undefined : live.get(this.leader);
    if (former !== undefined) former.replica.role = 'candidate';
    this.leader = null;
    if (!this.hasMajority(isUp) || chance.of(30)) return;
    const able = this.sets.flat().filter((id) => live.get(id)?.replica.match === this.end);
    const willing = able.filter((id) => live.get(id)?.node.isDraining === false);
    this.#lead(chance.pick(willing) ?? chance.pick(able) ?? null);
  }

  #lead(id: ReplicaId | null, former?: Live): void {
    if (id === null) return;
    if (former !== undefined) former.replica.role = 'follower';
    this.leader = id;
    this.term += 1;
  }

  #replicate(live: ReadonlyMap<ReplicaId, Live>, chance: Chance): void {
    const current = (id: ReplicaId): boolean => live.get(id)?.replica.match === this.end;
    if (chance.of(30) && this.hasMajority(current)) {
      const ids = this.ids.filter(current);
      this.end += chance.of(5) ? 5000 : 7;
      for (const id of ids) (live.get(id) as Live).replica.match = this.end;
    }
    for (const id of this.ids) {
      const replica = live.get(id)?.replica;
      if (replica !== undefined && chance.of(50)) replica.match = this.end;
    }
  }

  /** What replicas know of their group is what its leader told them last. */
  #heartbeat(live: ReadonlyMap<ReplicaId, Live>, leader: Live): void {
    for (const id of this.ids) {
      const replica = live.get(id)?.replica;
      if (replica === undefined) continue;
      replica.term = this.term;
      replica.leader = this.leader;
      replica.role = this.#roleOf(id);
      replica.configuration = this.configuration;
      replica.configurationIndex = this.configurationIndex;
    }
    // One that has left still follows whom it knew.
    leader.replica.role = 'leader';
  }

  #roleOf(id: ReplicaId): Replica['role'] {
    return this.configuration.learners.includes(id) ? 'learner' : 'follower';
  }

  #change(
    live: ReadonlyMap<ReplicaId, Live>,
    leader: Live,
    disks: ReadonlyMap<string, Disk>,
    chance: Chance,
  ): void {
    // An entry that a replica takes stands behind all others.
    const current = (id: ReplicaId): boolean => live.get(id)?.replica.match === this.end;
    if (isJoint(this.configuration)) {
      if (this.hasMajority(current) && chance.of(60)) {
        this.#commit(live, { ...this.configuration, outgoing: [] });
      }
      return;
    }
    const { assignment } = leader.node.disk;
    if (assignment === null) return;
    const step = nextStep(
      this.#ledBucket(live, leader, assignment, disks),
      leader.node.moving < MOVES_MAX,
    );
    if (step.kind === 'none') return;
    this.move = { stage: step.stage, waitsFor: step.kind === 'wait' ? step.reason : null };
    if (step.kind === 'wait' || !chance.of(60)) return;
    if (step.kind === 'transfer') {
      if (live.get(step.to)?.replica.match === this.end) this.#lead(step.to, leader);
    } else if (this.hasMajority(current)) {
      if (step.stage === 'adding') leader.node.moving += 1;
      const { voters, learners } = step.configuration;
      const isSame =
        voters.length === this.configuration.voters.length &&
        voters.every((id) => this.configuration.voters.includes(id));
      const outgoing = isSame ? [] : this.configuration.voters;
      this.#commit(live, { voters, outgoing, learners });
    }
  }

  #commit(live: ReadonlyMap<ReplicaId, Live>, configuration: Configuration): void {
    const before = this.ids.filter((id) => live.get(id)?.replica.match === this.end);
    this.configuration = configuration;
    this.end += 1;
    this.configurationIndex = this.end;
    for (const id of before) (live.get(id) as Live).replica.match = this.end;
    // The first to have it is whoever leads.
    const leader = this.leader === null ? undefined : live.get(this.leader);
    if (leader === undefined) return;
    leader.replica.match = this.end;
    leader.replica.configuration = configuration;
    leader.replica.configurationIndex = this.end;
  }

  #ledBucket(
    live: ReadonlyMap<ReplicaId, Live>,
    leader: Live,
    assignment: Assignment,
    disks: ReadonlyMap<string, Disk>,
  ): LedBucket {
    const named = new Set(assignment.members.map(({ id }) => id));
    return {
      self: leader.replica.id,
      assigned: assignedIds(assignment, this.bucket),
      configuration: this.configuration,
      changeFault: null,
      lastIndex: this.end,
      follower: (id): Follower | undefined => {
        if (!this.ids.includes(id)) return undefined;
        const replica = live.get(id)?.replica;
        if (replica === undefined) return { state: 'probe', match: 0, isActive: false };
        return { state: 'stream', match: replica.match, isActive: true };
      },
      memberOf: (id) => {
        const member = assignedMember(assignment, this.bucket, id) ?? disks.get(id)?.member ?? null;
        return member !== null && named.has(member) ? member : null;
      },
      isWilling: (id) => live.get(id)?.node.isDraining === false,
    };
  }

  /** Away from who drains, towards who is preferred. */
  #handOver(live: ReadonlyMap<ReplicaId, Live>, chance: Chance): void {
    const leader = this.leader === null ? undefined : live.get(this.leader);
    if (leader === undefined || isJoint(this.configuration)) return;
    const heirs = this.configuration.voters.filter((id) => {
      const heir = live.get(id);
      return heir?.replica.match === this.end && !heir.node.isDraining && id !== this.leader;
    });
    if (leader.node.isDraining) {
      if (chance.of(50)) this.#lead(chance.pick(heirs) ?? null, leader);
      return;
    }
    const preferred = leader.node.disk.assignment?.buckets[this.bucket]?.preferred;
    const heir = heirs.find((id) => live.get(id)?.node.disk.member === preferred);
    if (heir !== undefined && chance.of(10)) this.#lead(heir, leader);
  }
}

type IdsByBucket = Map<number, ReplicaId[]>;
const cache = new WeakMap<Assignment, IdsByBucket>();

/** Ids of the replicas that an assignment gives a bucket. */
export function assignedIds(assignment: Assignment, bucket: number): ReplicaId[] {
  const known: IdsByBucket = cache.get(assignment) ?? new Map<number, ReplicaId[]>();
  cache.set(assignment, known);
  let ids = known.get(bucket);
  if (ids === undefined) {
    ids = (assignment.buckets[bucket]?.replicas ?? []).map((each) =>
      replicaIdOf(assignment.clusterId, bucket, each).toString('hex'),
    );
    known.set(bucket, ids);
  }
  return ids;
}

/** Whose replica it is by the assignment; undefined: it is of an earlier one. */
export function assignedMember(
  assignment: Assignment,
  bucket: number,
  id: ReplicaId,
): string | undefined {
  const at = assignedIds(assignment, bucket).indexOf(id);
  return assignment.buckets[bucket]?.replicas[at]?.member;
}
