/**
 * Whoever runs a simulated cluster: changes its members and who holds what, through the doors of the members, and replaces disks
 * that are lost.
 *
 * What it never does, as no system survives it: lose a second disk before the first one is out of every group, and leave a
 * bucket with fewer than three holders.
 */
import {
  type Assignment,
  type BucketAssignment,
  type Replica,
  replicaIdOf,
} from '../../common/assignment.ts';
import {
  isIdle,
  withMember,
  withoutIdle,
  withoutMember,
  withReplacement,
} from '../../common/assignment-changes.ts';
import { clusterPaths } from '../../common/cluster-contract.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import type { ClusterNode } from '../../node/src/cluster/cluster-node.ts';
import { replicaText } from '../../node/src/replication/message-format.ts';
import { isJoint, membersOf } from '../../node/src/replication/raft/configuration.ts';
import type { SimulatedCluster } from './cluster.ts';
import { DIRECTORY, type SimulatedMember } from './member.ts';
import { admit } from './peer.ts';

const TEND_MS = 100;
const ANSWER_MS = 1000;
const HOLDERS_MIN = 3;
const NODES_MAX = 6;

/** A disk that is lost, until its member is in no group any more. */
interface Loss {
  readonly node: SimulatedMember;
  /** Of the disk as it was. */
  readonly memberId: string;
  readonly replicas: ReadonlySet<string>;
}

export class Operator {
  readonly #cluster: SimulatedCluster;
  readonly #random: Random;
  /** The latest that it has asked for, and the ones before. */
  readonly #history: Assignment[] = [];
  /** Whether a member follows it, so that it may be built upon. */
  #isTaken = false;
  /** Members whose disks were lost. */
  readonly #lost = new Set<string>();
  #loss: Loss | null = null;
  /** Damage on a disk that is not healed yet, or null. */
  #damage: (() => boolean) | null = null;
  #areBegun = false;
  /** Replicas that were open once. */
  readonly #seen = new Set<string>();
  #isAsking = false;
  isOver = false;
  changes = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    this.#random = seededRandom(cluster.seed ^ 0x2c1b3c6d);
  }

  /** Whether a disk may be lost or damaged now. */
  get mayLose(): boolean {
    return (
      this.#loss === null &&
      this.#damage === null &&
      this.#isTaken &&
      this.#cluster.staying.every(({ node }) => node?.currentAssignment() !== null) &&
      (this.#current as Assignment).buckets.every((_, bucket) => this.#canSpareOne(bucket))
    );
  }

  /**
   * Whether the group of a bucket has three voters, and none that is to begin anew: it would be two for a while. One that was not
   * started before it was to leave does not count: it was never there.
   */
  #canSpareOne(bucket: number): boolean {
    const { clusterId, buckets } = this.#current as Assignment;
    const { replicas } = buckets[bucket] as BucketAssignment;
    const [leader] = this.#cluster.leaders(bucket);
    const core = leader?.group(bucket)?.core;
    if (core?.isSettled !== true || isJoint(core.configuration)) return false;
    const { voters } = core.configuration;
    const assigned = replicas.map((each) => replicaText(replicaIdOf(clusterId, bucket, each)));
    const ofMembers = new Set(replicas.flatMap(({ member }) => [...this.#replicasOf(member)]));
    const isTwin = (id: string): boolean => !assigned.includes(id) && ofMembers.has(id);
    const isMissing = (id: string): boolean => !this.#seen.has(id);
    return voters.length >= HOLDERS_MIN && !voters.some(isTwin) && !voters.some(isMissing);
  }

  /** What it has still to do, or null. */
  get unfinished(): string | null {
    if (this.#current === undefined) return 'no cluster has formed';
    if (this.#loss !== null) return `member ${this.#loss.memberId} is to be replaced`;
    if (this.#damage !== null) return 'damage is to be healed';
    if (this.#newcomers().length > 0) return 'a node is to be taken in';
    if (!this.#isTaken) return 'an assignment is to be taken';
    return this.#leaving() === undefined ? null : 'a member is to be struck out';
  }

  /** Until `isOver`. */
  async run(): Promise<void> {
    const { time } = this.#cluster;
    while (!this.isOver) {
      await time.sleep(TEND_MS);
      this.#tend();
    }
  }

  // What may be asked of it

  /** A node more. */
  add(): void {
    const cluster = this.#cluster;
    if (this.#current === undefined || cluster.staying.length >= NODES_MAX) return;
    const node = cluster.addMember();
    cluster.trace(`node ${String(node.number)} is new`);
    node.start();
  }

  /** A node leaves for good. */
  remove(): void {
    const current = this.#base();
    if (current === null || current.members.length <= HOLDERS_MIN || this.#leaving()) return;
    if (current.members.some(({ id }) => this.#lost.has(id))) return;
    const indices = current.members.map(({ index }) => index);
    const index = this.#of(indices) as number;
    this.#next(withoutMember(current, index), `node ${String(index)} is to leave`);
  }

  /** Other holders of a bucket: one is replaced, one comes, one goes, or all are drawn anew. */
  move(): void {
    const current = this.#base();
    if (current === null) return;
    const bucket = this.#random.below(current.bucketCount);
    const { replicas, preferred, ...rest } = current.buckets[bucket] as BucketAssignment;
    const next = this.#movedReplicas(current, bucket, replicas);
    if (next.length < HOLDERS_MIN) return;
    const stays = next.some(({ member }) => member === preferred);
    const leader = stays ? preferred : (this.#of(next) as Replica).member;
    const buckets = current.buckets.map((each, at) =>
      at === bucket ? { ...rest, replicas: next, preferred: leader } : each,
    );
    this.#next(
      { ...current, version: current.version + 1, buckets },
      `bucket ${String(bucket)} is to move from ${this.#names(replicas)} to ${this.#names(next)}`,
    );
  }

  /** A bucket goes back to who held it before, as far as their stays have not ended. */
  cancel(): void {
    const current = this.#base();
    const earlier = this.#history.at(-2);
    if (current === null || earlier === undefined || this.#loss !== null) return;
    const members = new Set(current.members.map(({ id }) => id));
    const leaving = this.#leaving()?.id;
    const buckets = current.buckets.map((each, bucket) => {
      const before = earlier.buckets[bucket] as BucketAssignment;
      const areThere = before.replicas.every(
        (replica) =>
          members.has(replica.member) &&
          replica.member !== leaving &&
          !this.#lost.has(replica.member) &&
          !this.#hasEnded(bucket, replica),
      );
      return areThere ? before : each;
    });
    const version = current.version + 1;
    this.#next({ ...current, version, buckets }, 'the last change is taken back');
  }

  async drain(node: SimulatedMember): Promise<void> {
    const cluster = this.#cluster;
    cluster.trace(`member ${String(node.number)} is to drain`);
    const status = await this.#ask(node, (service) => service.drain());
    if (typeof status === 'string') return;
    cluster.trace(
      `member ${String(node.number)} drains; leads ${status.leading.join(', ') || 'nothing'}` +
        (status.isSafeToStop ? ', may be stopped' : ''),
    );
    if (this.#random.below(2) === 0) node.close();
    else {
      await cluster.time.sleep(this.#random.below(1500));
      await this.#ask(node, (service) => {
        service.endDrain();
        return Promise.resolve();
      });
    }
  }

  /** The disk of a node is lost from now on; whoever starts on it is another member. */
  lose(node: SimulatedMember): void {
    const { memberId } = node;
    if (memberId === null) return;
    const replicas = this.#replicasOf(memberId);
    this.#loss = { node, memberId, replicas };
    this.#lost.add(memberId);
    // Nobody else may have the latest assignment.
    this.#isTaken = false;
  }

  /** A disk is damaged until `isHealed` says otherwise. */
  damaged(isHealed: () => boolean): void {
    this.#damage = isHealed;
  }

  // What it does by itself

  #tend(): void {
    const cluster = this.#cluster;
    if (this.#current === undefined) {
      const { assignment } = cluster;
      if (assignment === null) return;
      this.#history.push(assignment);
      this.#isTaken = true;
    }
    for (const { store } of cluster.members) {
      for (const { replicaId } of store?.groups() ?? []) this.#seen.add(replicaId);
    }
    if (this.#damage?.() === true) {
      this.#damage = null;
      cluster.trace('the damage is healed');
    }
    if (this.#loss !== null && this.#isOver(this.#loss)) {
      cluster.trace(`member ${this.#loss.memberId} is in no group any more`);
      this.#loss = null;
    }
    void this.#spread();
    if (this.#isTaken) this.#changeWhatMust();
  }

  /** What is still named a holder may only just be about to be taken into a group. */
  #isOver({ memberId, replicas }: Loss): boolean {
    return isIdle(this.#current as Assignment, memberId) && this.#isOut(replicas);
  }

  /** Members that have an older assignment are sent the latest: who was sent it first may be away. */
  async #spread(): Promise<void> {
    const current = this.#current;
    if (current === undefined || this.#isAsking) return;
    // Others do not listen to a new member before they know of it.
    const nodes = this.#cluster.staying.filter(({ node, memberId }) => {
      const has = node?.currentAssignment() ?? null;
      const isMember = current.members.some(({ id }) => id === memberId);
      const isNext = has === null ? this.#isTaken : has.version < current.version;
      return isMember && node !== null && isNext;
    });
    const follows = ({ node }: SimulatedMember): boolean =>
      node?.currentAssignment()?.version === current.version;
    if (this.#cluster.staying.some(follows)) this.#isTaken = true;
    const node = this.#of(nodes);
    const has = node?.node?.currentAssignment() ?? null;
    if (node === undefined || (this.#isTaken && has !== null)) return;
    this.#isAsking = true;
    const update = { replaces: has?.version ?? 0, assignment: current };
    const answer = await this.#ask(node, (service) => service.putAssignment(update));
    this.#isAsking = false;
    if (typeof answer === 'string') {
      this.#cluster.trace(`member ${String(node.number)} does not take it: ${answer}`);
    }
  }

  #changeWhatMust(): void {
    const current = this.#current as Assignment;
    const leaving = this.#leaving();
    if (leaving !== undefined && this.#isGone(leaving.id)) {
      this.#next(withoutIdle(current, leaving.id), `member ${leaving.id} has left`);
      return;
    }
    if (this.#replaceLost(current) || this.#takeIn(current)) return;
    this.#renewEnded(current);
  }

  #replaceLost(current: Assignment): boolean {
    const { node, memberId: lost } = this.#loss ?? {};
    if (node === undefined || lost === undefined) return false;
    if (isIdle(current, lost)) return false;
    const { memberId } = node;
    if (memberId === null || memberId === lost || node.node === null) return false;
    const member = { id: memberId, index: node.number, address: node.address };
    if (current.members.some(({ id }) => id === memberId)) return false;
    this.#next(withReplacement(current, member), `node ${String(node.number)} has another disk`);
    return true;
  }

  #takeIn(current: Assignment): boolean {
    const [node] = this.#newcomers();
    const memberId = node?.memberId ?? null;
    if (node === undefined || memberId === null || node.node === null) return false;
    const member = { id: memberId, index: node.number, address: node.address };
    this.#next(withMember(current, member), `node ${String(node.number)} is taken in`);
    return true;
  }

  /** Nodes at places where no member is. */
  #newcomers(): SimulatedMember[] {
    const { members = [] } = this.#current ?? {};
    return this.#cluster.staying.filter(
      ({ number }) => !members.some(({ index }) => index === number),
    );
  }

  /** A stay that ended while it was named again begins anew. */
  #renewEnded(current: Assignment): void {
    const version = current.version + 1;
    const buckets = current.buckets.map((each, bucket) => {
      const replicas = each.replicas.map((replica) =>
        this.#hasEnded(bucket, replica) ? { member: replica.member, since: version } : replica,
      );
      return { ...each, replicas };
    });
    const isNew = buckets.some(({ replicas }) => replicas.some(({ since }) => since === version));
    if (isNew) this.#next({ ...current, version, buckets }, 'stays that have ended begin anew');
  }

  #hasEnded(bucket: number, { member, since }: Replica): boolean {
    const node = this.#cluster.byId(member);
    const path = `${DIRECTORY}/removed.json`;
    if (node === undefined) return false;
    try {
      const { removed } = JSON.parse(node.disk.bytes(path).toString()) as {
        removed: Record<string, number>;
      };
      return (removed[String(bucket)] ?? 0) >= since;
    } catch {
      return false;
    }
  }

  /** Groups begin with the first assignment: whoever changes it before they have led may leave some with nobody who knows them. */
  #haveBegun(): boolean {
    const current = this.#current as Assignment;
    this.#areBegun ||= current.buckets.every(
      (_, bucket) => this.#cluster.leaders(bucket).length > 0,
    );
    return this.#areBegun;
  }

  #next(assignment: Assignment, why: string): void {
    if (!this.#haveBegun()) return;
    const isSpared = this.#loss === null && this.#damage === null;
    if (!isSpared && this.#makesTwins(assignment)) return;
    this.#cluster.trace(`assignment ${String(assignment.version)}: ${why}`);
    this.changes += 1;
    this.#history.push(assignment);
    this.#isTaken = false;
    for (const id of assignment.removed) {
      const node = this.#cluster.byId(id);
      if (node === undefined || node.isRetired) continue;
      node.isRetired = true;
      if (this.#random.below(2) === 0) node.close();
    }
    void this.#spread();
  }

  /**
   * Whether a member would have to leave a group before it comes back: of three voters two would be left for a while, which must
   * not be while a disk is lost.
   */
  #makesTwins({ clusterId, buckets }: Assignment): boolean {
    return buckets.some(({ replicas }, bucket) => {
      const known = this.#cluster
        .leaders(bucket)
        .flatMap((leader) => leader.group(bucket)?.core.configuration.voters ?? []);
      const before = this.#current?.buckets[bucket]?.replicas ?? [];
      return replicas.some((replica) => {
        if (
          before.some(({ member, since }) => member === replica.member && since === replica.since)
        )
          return false;
        const id = replicaText(replicaIdOf(clusterId, bucket, replica));
        if (known.includes(id)) return false;
        const own = this.#replicasOf(replica.member);
        return known.length === 0 || known.some((voter) => own.has(voter));
      });
    });
  }

  get #current(): Assignment | undefined {
    return this.#history.at(-1);
  }

  /** What a change may begin with, or null where one is under way to the members. */
  #base(): Assignment | null {
    return this.#isTaken ? (this.#current ?? null) : null;
  }

  /** Who holds nothing by the assignment, and was not just taken in. */
  #leaving(): Assignment['members'][number] | undefined {
    const current = this.#current;
    if (current === undefined) return undefined;
    return current.members.find(({ id, index }) => {
      if (!isIdle(current, id)) return false;
      if (this.#lost.has(id)) return true;
      const isFirst = this.#history.every(
        (each) => isIdle(each, id) || !each.members.some((member) => member.id === id),
      );
      return !isFirst || current.members.some((other) => other.id !== id && other.index === index);
    });
  }

  /** Whether a member is in no group, and has nothing left that it would have to remove. */
  #isGone(id: string): boolean {
    const node = this.#cluster.byId(id);
    if (!this.#isOut(this.#replicasOf(id))) return false;
    return node === undefined || (node.store !== null && [...node.store.groups()].length === 0);
  }

  /** Ids of all replicas that a member has, or may have had. */
  #replicasOf(member: string): ReadonlySet<string> {
    const { clusterId, version, bucketCount } = this.#current as Assignment;
    const replicas = new Set<string>();
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      for (let since = 1; since <= version; since += 1) {
        replicas.add(replicaText(replicaIdOf(clusterId, bucket, { member, since })));
      }
    }
    return replicas;
  }

  /** Every bucket has a leader, and none of these replicas is in its group. */
  #isOut(replicas: ReadonlySet<string>): boolean {
    const { options } = this.#cluster;
    for (let bucket = 0; bucket < options.bucketCount; bucket += 1) {
      const groups = this.#cluster.leaders(bucket).map((leader) => leader.group(bucket));
      if (groups.length === 0) return false;
      for (const group of groups) {
        if (group?.core.isSettled !== true) return false;
        if (membersOf(group.core.configuration).some((id) => replicas.has(id))) return false;
      }
    }
    return true;
  }

  #movedReplicas(current: Assignment, bucket: number, replicas: readonly Replica[]): Replica[] {
    const since = current.version + 1;
    const leavingId = this.#leaving()?.id;
    const others = current.members
      .map(({ id }) => id)
      .filter((id) => id !== leavingId && !this.#lost.has(id))
      .filter((id) => !replicas.some(({ member }) => member === id));
    const other = this.#of(others);
    // Who leads is drawn more often: it hands over before it leaves.
    const [leader] = this.#cluster.leaders(bucket);
    const leads = replicas.find(({ member }) => member === leader?.memberId);
    const out = this.#random.below(3) === 0 ? (leads ?? this.#of(replicas)) : this.#of(replicas);
    const rest = replicas.filter((replica) => replica !== out);
    switch (this.#random.below(6)) {
      case 0:
        return other === undefined ? [...replicas] : [...replicas, { member: other, since }];
      case 1:
        return rest;
      case 2:
        if (this.#loss !== null) return [...replicas];
        return this.#drawnAnew(current, replicas, since);
      default:
        return other === undefined ? rest : [...rest, { member: other, since }];
    }
  }

  #drawnAnew(current: Assignment, replicas: readonly Replica[], since: number): Replica[] {
    const leavingId = this.#leaving()?.id;
    const ids = current.members
      .map(({ id }) => id)
      .filter((id) => id !== leavingId && !this.#lost.has(id));
    while (ids.length > HOLDERS_MIN) ids.splice(this.#random.below(ids.length), 1);
    // Some of those that stay leave and come back at once.
    return ids.map((member) => {
      const known = replicas.find((replica) => replica.member === member);
      return known !== undefined && this.#random.below(4) !== 0 ? known : { member, since };
    });
  }

  #names(replicas: readonly Replica[]): string {
    return replicas
      .map(({ member, since }) => {
        const number = this.#cluster.byId(member)?.number;
        return `${number === undefined ? member : String(number)} (${String(since)})`;
      })
      .join(', ');
  }

  /** Resolves with the answer, or why there is none. */
  #ask<T>(node: SimulatedMember, work: (service: ClusterNode) => Promise<T>): Promise<T | string> {
    return new Promise((resolve) => {
      this.#cluster.time.after(ANSWER_MS, null, () => {
        resolve('no answer in time');
      });
      const isThere = node.serve(
        (service) => {
          admit(service, null, clusterPaths.assignment);
          return work(service);
        },
        resolve,
        (error) => {
          resolve(error instanceof Error ? error.message : String(error));
        },
      );
      if (!isThere) resolve('nobody listens there');
    });
  }

  #of<T>(values: readonly T[]): T | undefined {
    return values[this.#random.below(Math.max(1, values.length))];
  }
}
