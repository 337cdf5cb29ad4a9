/**
 * Carries out what the assignment says of this member's replicas: as a leader, step by step (`moves.ts`); as a holder, by
 * making the replicas that it is to have, and by removing those that are over.
 *
 * Invariants
 * - A replica is removed when the assignment that this member follows does not name it, and a committed configuration without
 *   it is known that is later than every one that names it in this replica's own log: from that log, or told by a replica
 *   that has it committed. What this one has acknowledged can then count for nothing any more. Never by guess.
 * - That a stay is over is durable (`removed-replicas.ts`) before anything of it is removed; it never begins again.
 * - At most so many buckets are moved at a time by one leader.
 */
import type { MoveProgress, NodeStatus } from '../../../common/cluster-contract.ts';
import type { PeerRequests } from '../replication/peer-requests.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import { isJoint, membersOf } from '../replication/raft/configuration.ts';
import type { Configuration, ReplicaId } from '../replication/raft/types.ts';
import type { ReplicaPlan } from '../storage/storage.ts';
import type { ClusterLog } from './cluster-node.ts';
import type { MemberDirectory } from './member-directory.ts';
import { statusesOf } from './member-requests.ts';
import { type LedBucket, type MoveStep, nextStep } from './moves.ts';
import type { RemovedReplicas } from './removed-replicas.ts';

/** The store as far as moves need it. */
export interface MovingStore {
  group(bucket: number): RaftGroup | undefined;
  groups(): Iterable<RaftGroup>;
  addReplica(plan: ReplicaPlan): Promise<RaftGroup>;
  removeReplica(bucket: number): Promise<void>;
}

export interface MoveDriverContext {
  readonly store: MovingStore;
  readonly directory: () => MemberDirectory;
  /** Whether a replica's member wants to lead. */
  readonly isWilling: (bucket: number, replica: ReplicaId) => boolean;
  readonly removed: RemovedReplicas;
  readonly peers: PeerRequests;
  readonly log: ClusterLog;
}

/** Buckets that one leader moves at the same time: each copies a log beside what clients do. */
const MOVES_MAX = 2;

export class MoveDriver {
  readonly #context: MoveDriverContext;
  readonly #stopped = new AbortController();
  readonly #steps = new Map<number, MoveStep>();
  /** By bucket: the configuration that the assignment asks for no change of. */
  readonly #settled = new Map<number, Configuration>();
  #settledBy: MemberDirectory | null = null;
  /** Buckets in which nothing of an earlier stay is left. */
  readonly #cleared = new Set<number>();
  #tending: Promise<void> = Promise.resolve();
  #isTending = false;

  constructor(context: MoveDriverContext) {
    this.#context = context;
  }

  /** How far a bucket is that this member leads; undefined where there is nothing to do. */
  progress(bucket: number): MoveProgress | undefined {
    const step = this.#steps.get(bucket);
    if (step === undefined || step.kind === 'none') return undefined;
    return { stage: step.stage, waitsFor: step.kind === 'wait' ? step.reason : null };
  }

  /** The next step of every bucket that is led here; to be called several times a second. */
  look(): void {
    if (this.#stopped.signal.aborted) return;
    const led = this.#unsettled();
    this.#steps.clear();
    let moving = led.filter(isMoving).length;
    for (const group of led) {
      const step = nextStep(this.#ledBucket(group), moving < MOVES_MAX);
      this.#steps.set(group.log.bucket, step);
      if (step.kind === 'none') this.#settled.set(group.log.bucket, group.core.configuration);
      if (step.kind === 'change') {
        if (!isMoving(group)) moving += 1;
        group.change(step.configuration);
      } else if (step.kind === 'transfer' && !group.core.isHandingOver) {
        group.transfer(step.to);
      }
    }
  }

  /** Makes and removes replicas, one after the other; to be called once a second. */
  tend(): void {
    if (this.#isTending || this.#stopped.signal.aborted) return;
    this.#isTending = true;
    this.#tending = this.#tend()
      .catch((error: unknown) => {
        if (this.#stopped.signal.aborted) return;
        this.#context.log.error({ err: error }, 'a replica could not be made or removed');
      })
      .finally(() => {
        this.#isTending = false;
      });
  }

  /** Resolves when no replica is being made or removed. */
  async idle(): Promise<void> {
    await this.#tending;
  }

  /** Nothing more is begun; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the node is stopping'));
    await this.#tending;
  }

  /** What is led here and may have a next step: that follows from configuration and assignment alone. */
  #unsettled(): RaftGroup[] {
    const directory = this.#context.directory();
    if (this.#settledBy !== directory) this.#settled.clear();
    this.#settledBy = directory;
    const led: RaftGroup[] = [];
    for (const group of this.#context.store.groups()) {
      if (group.state !== 'leading') continue;
      if (this.#settled.get(group.log.bucket) !== group.core.configuration) led.push(group);
    }
    return led;
  }

  #ledBucket(group: RaftGroup): LedBucket {
    const { log, core, replicaId } = group;
    const directory = this.#context.directory();
    return {
      self: replicaId,
      assigned: directory.assigned(log.bucket),
      configuration: core.configuration,
      changeFault: core.changeFault(),
      lastIndex: log.endIndex,
      follower: (id) => {
        const progress = core.leadership?.progress(id);
        if (progress === undefined) return undefined;
        const { state, match, isActive, wasActive } = progress;
        return { state, match, isActive: isActive || wasActive };
      },
      memberOf: (id) => directory.memberOf(log.bucket, id),
      isWilling: (id) => this.#context.isWilling(log.bucket, id),
    };
  }

  async #tend(): Promise<void> {
    const leaving: RaftGroup[] = [];
    const { bucketCount } = this.#context.directory().assignment;
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      if (this.#stopped.signal.aborted) return;
      const group = this.#context.store.group(bucket);
      if (group === undefined) await this.#makeOrClear(bucket);
      else if (!this.#isAssigned(group)) leaving.push(group);
    }
    if (leaving.length > 0) await this.#removeEnded(leaving);
  }

  #isAssigned({ log, replicaId }: RaftGroup): boolean {
    return this.#context.directory().assigned(log.bucket).includes(replicaId);
  }

  async #makeOrClear(bucket: number): Promise<void> {
    const { store, removed, log } = this.#context;
    const directory = this.#context.directory();
    const stay = directory.ownStay(bucket);
    const plan = directory.planOf(bucket);
    // The journal knows every replica that was made here: this one never was, also where its stay is older than the directory.
    const isNew = stay !== null && stay.since > removed.since(bucket);
    if (isNew && plan !== null) {
      await store.addReplica(plan);
      log.info({ bucket, since: stay.since }, 'a replica begins its stay');
    } else if (removed.since(bucket) > 0 && !this.#cleared.has(bucket)) {
      await store.removeReplica(bucket);
      this.#cleared.add(bucket);
    }
  }

  async #removeEnded(leaving: readonly RaftGroup[]): Promise<void> {
    const statuses = await this.#askHolders(leaving);
    for (const group of leaving) {
      if (this.#stopped.signal.aborted) return;
      // The assignment may have changed while others were asked.
      if (this.#isAssigned(group) || !this.#isOver(group, statuses)) continue;
      await this.#remove(group);
    }
  }

  async #remove(group: RaftGroup): Promise<void> {
    const { store, removed, log } = this.#context;
    const { bucket } = group.log;
    const stay = this.#context.directory().stayOf(bucket, group.replicaId);
    if (stay === null) {
      log.warn({ bucket, replica: group.replicaId }, 'a replica of an unknown stay is kept');
      return;
    }
    await removed.note(bucket, stay.since);
    await store.removeReplica(bucket);
    this.#cleared.add(bucket);
    log.info({ bucket, since: stay.since }, 'a replica has left');
  }

  /** What the members say that hold these buckets now. */
  async #askHolders(leaving: readonly RaftGroup[]): Promise<NodeStatus[]> {
    const { assignment, self } = this.#context.directory();
    const holders = new Set(
      leaving
        .flatMap(({ log }) => assignment.buckets[log.bucket]?.replicas ?? [])
        .map(({ member }) => member),
    );
    const asked = assignment.members.filter(({ id }) => id !== self.id && holders.has(id));
    const { signal } = this.#stopped;
    const answers = await statusesOf(this.#context.peers, asked, signal);
    return answers.filter(({ cluster }) => cluster === assignment.clusterId);
  }

  #isOver(group: RaftGroup, statuses: readonly NodeStatus[]): boolean {
    const { log, replicaId } = group;
    const named = lastNamed(group);
    if (named === null) return true;
    return statuses.some(({ buckets }) =>
      buckets.some(
        ({ bucket, committed }) =>
          bucket === log.bucket &&
          // A replica that was made later and has heard of no leader yet names nobody at all.
          committed !== undefined &&
          committed.replicas.length > 0 &&
          committed.index > named &&
          !committed.replicas.includes(replicaId),
      ),
    );
  }
}

const isMoving = ({ core }: RaftGroup): boolean =>
  isJoint(core.configuration) || core.configuration.learners.length > 0;

/**
 * Index of the last configuration in its own log that names the replica; -1: none has come to it yet; null: the last
 * committed one, and all behind it, do not name it.
 */
function lastNamed({ core, replicaId }: RaftGroup): number | null {
  const last = core.configurations.findLast(({ configuration }) =>
    membersOf(configuration).includes(replicaId),
  );
  if (last !== undefined) return last.index;
  const [committed] = core.configurations;
  const isEmpty = committed === undefined || membersOf(committed.configuration).length === 0;
  return isEmpty ? -1 : null;
}
