/**
 * This node as a member of a cluster: who it is, what it knows, what it answers to the others.
 *
 * ```ts
 * const node = await ClusterNode.open(options);      // refuses a directory of another kind
 * const server = await openClusterServer(address, node, …);
 * await node.formed();                               // at once, unless the disk is fresh
 * const store = await node.openStore((replication) => openStore(directory, options, { replication }));
 * const router = new Router(store, node);
 * await node.close();
 * ```
 *
 * Invariants
 * - An assignment is followed when it is durable, never before; what was followed once is followed after every restart.
 * - A disk that belongs to a cluster never belongs to another one, and never forms.
 */
import { type Assignment, firstAssignment, type Member } from '../../../common/assignment.ts';
import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
} from '../../../common/cluster-contract.ts';
import type { Random } from '../../../common/random.ts';
import type { StoreEnvironment } from '../engine/options.ts';
import { ClientWatch } from '../replication/client-watch.ts';
import { CopyPace, unhindered } from '../replication/copy-pace.ts';
import { PeerNetwork, type PeerNetworkOptions } from '../replication/peer-network.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import type { HealingEvent } from '../replication/segment-healing.ts';
import { listSegments, readSegment } from '../replication/segment-serving.ts';
import { defaultTiming, TICK_MS, Ticker } from '../replication/ticker.ts';
import type { BucketLog } from '../storage/bucket-log.ts';
import type { DirectoryLock, FileSystem } from '../storage/file-system.ts';
import { drawStartId, drawUuid, type Identity, startedOnce } from '../storage/identity.ts';
import { writeAssignment } from './assignment-file.ts';
import { takesAssignment } from './assignment-rules.ts';
import { assignmentOf } from './assignment-shape.ts';
import { Forming } from './forming-loop.ts';
import { claimDirectory, type ClaimedDirectory } from './claim-directory.ts';
import { clusterStatistics, type ClusterStatistics, LeaderTally } from './cluster-statistics.ts';
import { doubtful, requireUncounted } from './counted-members.ts';
import { Drain } from './drain.ts';
import { drainStatus } from './drain-status.ts';
import { handOver } from './hand-over.ts';
import { introduce, rollBackOf } from './introduction.ts';
import { FirstLeaders, LeaderPreference } from './leader-preference.ts';
import { LeaderWatch } from './leader-watch.ts';
import { type Majority, MajorityWatch } from './majority-watch.ts';
import { MemberDirectory } from './member-directory.ts';
import { statusesOf } from './member-requests.ts';
import { MoveDriver, type MovingStore } from './move-driver.ts';
import { MemberWatch } from './member-watch.ts';
import { RemovedReplicas } from './removed-replicas.ts';
import { replicaStatus } from './replica-status.ts';
import { isHolder } from './routes.ts';
import { Senders } from './senders.ts';
import {
  ClusterRefusal,
  type ClusterView,
  type MemberService,
  type SegmentListing,
  type Sender,
} from './types.ts';

/** Sentences for the log. */
export interface ClusterLog {
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}

export interface ClusterNodeOptions {
  readonly directory: string;
  readonly index: number;
  /** `host:port` of all nodes by index; what the assignment says wins. None: somebody else forms the cluster. */
  readonly peers: readonly string[];
  /** Copies of every event in a cluster that forms. */
  readonly factor: number;
  /** Those of a new directory; a given one must be the directory's. */
  readonly counts: { readonly bucketCount?: number; readonly partitionCount?: number };
  readonly secret: string | null;
  /** Share of the time that copying segments takes while clients append, percent. */
  readonly copyPercent?: number;
  /** Segments are copied to this node, or no longer. */
  readonly onCopying?: (isCopying: boolean) => void;
  readonly version: string;
  readonly files: FileSystem;
  readonly random: Random;
  readonly log: ClusterLog;
  /** What the node does now. */
  readonly state: () => NodeStatus['state'];
  /** Another member knows of a later start of this disk: it must not serve any more. */
  readonly onRolledBack?: (error: Error) => void;
  /** Of simulations. */
  readonly network?: Pick<PeerNetworkOptions, 'connect' | 'copies'>;
}

/** The store as far as a member needs it. */
export type GroupStore = MovingStore;

export type Replication = NonNullable<StoreEnvironment['replication']>;

const healingLog =
  (log: ClusterLog) =>
  ({ kind, ...facts }: HealingEvent): void => {
    if (kind === 'replaced') log.info(facts, 'a damaged segment was replaced');
    else if (kind === 'healed') log.info(facts, 'a quarantined bucket has healed');
    else log.warn(facts, 'a quarantined bucket could not be healed, it is tried again');
  };

/** One that was damaged when it was opened hears nothing of its group until it has healed. */
const takesPart = (group: RaftGroup): boolean => isHolder(group) && group.state !== 'starting';

const TICKS_PER_SECOND = 1000 / TICK_MS;

const NOBODY: Pick<GroupStore, 'group' | 'groups'> = { group: () => undefined, groups: () => [] };
const COPY_PERCENT = 20;
/** Steps of a move take some round trips each. */
const TICKS_PER_STEP = 4;

export class ClusterNode implements MemberService, ClusterView {
  readonly peers: PeerNetwork;
  /** Runs commands that other members forward; put in by the router's owner. */
  onCommands: (bucket: number, body: Buffer) => Promise<Buffer> = () =>
    Promise.reject(new ClusterRefusal('the node is still starting'));
  readonly #options: ClusterNodeOptions;
  readonly #identity: Identity;
  readonly #leaders: LeaderWatch;
  readonly #members: MemberWatch;
  readonly #senders: Senders;
  /** Of this process, once the store is open. */
  readonly #startId: string;
  readonly #formed = Promise.withResolvers<void>();
  readonly #stopped = new AbortController();
  #sender: Sender;
  #directory: MemberDirectory | null = null;
  #lock: DirectoryLock | null;
  #store: Pick<GroupStore, 'group' | 'groups'> = NOBODY;
  #moves: MoveDriver | null = null;
  #ticker: Ticker | null = null;
  #ticks = 0;
  readonly #preference = new LeaderPreference((bucket) => this.#preferred(bucket));
  readonly #firstLeaders = new FirstLeaders((bucket) => this.#preferred(bucket));
  readonly #tally = new LeaderTally();
  readonly #majorities = new MajorityWatch();
  readonly #clients = new ClientWatch<RaftGroup>({
    groups: () => this.#store.groups(),
    isCopying: (group) => this.peers.copies.isCopying(group),
    now: () => performance.now(),
  });
  readonly #drain = new Drain({
    groups: () => this.#store.groups(),
    isWilling: (bucket, replica) => this.#isWilling(bucket, replica),
    changed: () => this.#drainChanged(),
    now: () => performance.now(),
  });
  /** Assignments are taken one after the other. */
  #taking: Promise<void> = Promise.resolve();

  /** Rejects with `OpenError` for a directory that is not such a node's. */
  static async open(options: ClusterNodeOptions): Promise<ClusterNode> {
    const { directory, files, log } = options;
    const claimed = await claimDirectory(options);
    try {
      const senders = await Senders.read(files, directory, (error) => {
        log.error({ err: error }, 'what is known of other members could not be written');
      });
      return new ClusterNode(options, claimed, senders);
    } catch (error) {
      await claimed.lock.release();
      throw error;
    }
  }

  private constructor(
    options: ClusterNodeOptions,
    { identity, assignment, lock }: ClaimedDirectory,
    senders: Senders,
  ) {
    this.#options = options;
    this.#senders = senders;
    this.#startId = drawStartId(options.random);
    this.#identity = identity;
    this.#lock = lock;
    const { memberId, bucketCount, partitionCount } = identity;
    // Until this start is durable, others hear of the one before.
    const { bootCount: boot, starts = [] } = identity;
    this.#sender = { member: memberId, cluster: null, boot, starts, bucketCount, partitionCount };
    const pace = this.#copyPace();
    this.peers = new PeerNetwork({
      ...options.network,
      self: () => this.#sender,
      secret: options.secret,
      memberOf: (bucket, replica) => this.#memberOf(bucket, replica),
      // Nodes that form know each other by address only.
      addressOf: (member) => (member.includes(':') ? member : this.#addressOf(member)),
      random: options.random,
      copies: {
        pace,
        ...(options.onCopying && { onActive: options.onCopying }),
        ...options.network?.copies,
      },
      healing: { onEvent: healingLog(options.log), pace },
      onDiffers: (found) => {
        options.log.error(found, 'a segment holds other events than its leader’s');
      },
      onRefused: (member, reason) => {
        options.log.warn({ member, reason }, 'a member takes no messages of this one');
      },
      onDiverged: ({ log }, reason) => {
        options.log.error({ bucket: log.bucket, reason }, 'a log does not continue its leader’s');
      },
    });
    this.#leaders = new LeaderWatch((bucket) => this.leaderOf(bucket));
    this.#members = new MemberWatch(this, options.log, {
      learnt: () => this.#leaders.look(),
      refused: (error) => {
        const fault = rollBackOf(error, options.directory);
        if (fault !== null) options.onRolledBack?.(fault);
      },
    });
    if (assignment !== null) {
      this.#follow(assignment);
      this.#tellDifferences(assignment);
    }
  }

  get assignment(): Assignment {
    return this.#known.assignment;
  }

  get self(): Member {
    return this.#known.self;
  }

  get counts(): { readonly bucketCount: number; readonly partitionCount: number } {
    const { bucketCount, partitionCount } = this.#identity;
    return { bucketCount, partitionCount };
  }

  get #known(): MemberDirectory {
    if (this.#directory === null) throw new ClusterRefusal('the cluster is still forming');
    return this.#directory;
  }

  /** Resolves when the node belongs to a cluster. Rejects when it is closed before. */
  async formed(): Promise<void> {
    if (this.#directory !== null) {
      const { assignment, self } = this.#directory;
      const others = assignment.members.filter(({ id }) => id !== self.id);
      await introduce(this.peers, others, this.#options.directory, this.#stopped.signal);
      return;
    }
    const { index, peers, log } = this.#options;
    const forming = new Forming({ index, addresses: peers, log }, this.peers, () => this.status());
    const aborted = new AbortController();
    const signal = AbortSignal.any([aborted.signal, this.#stopped.signal]);
    try {
      const members = await Promise.race([forming.run(signal), this.#formed.promise]);
      if (members !== undefined) await this.#form(members);
    } finally {
      aborted.abort();
    }
  }

  /** Opens the store as this member's; from then on its groups take part. */
  async openStore<S extends GroupStore>(
    open: (replication: Replication) => Promise<S>,
  ): Promise<S> {
    const { clusterId } = this.assignment;
    const replicas = this.#known.plans();
    const lock = this.#lock;
    const { files, directory, log } = this.#options;
    const removed = await RemovedReplicas.read(files, directory);
    const plan = { clusterId, replicas, startId: this.#startId, ...(lock !== null && { lock }) };
    const store = await open({ timing: defaultTiming, host: this.peers, ...plan });
    this.#lock = null;
    const { bootCount: boot, starts = [] } = startedOnce(this.#identity, this.#startId);
    this.#sender = { ...this.#sender, boot, starts };
    this.#store = store;
    this.#moves = new MoveDriver({
      ...{ store, removed, log, peers: this.peers },
      directory: () => this.#known,
      isWilling: (bucket, replica) => this.#isWilling(bucket, replica),
    });
    this.#shareRoom();
    this.peers.attach((bucket) => this.#store.group(bucket));
    this.#ticker = new Ticker(() => this.#ticking());
    this.#members.start();
    return store;
  }

  /** Whether every bucket that is held here, and is not damaged, has a leader. */
  isReady(): boolean {
    const groups = [...this.#store.groups()];
    const isServed = ({ log }: RaftGroup): boolean =>
      log.quarantined || this.leaderOf(log.bucket) !== null;
    return this.#ticker !== null && groups.every(isServed);
  }

  /** Hands over what it leads and takes part no more; the store may be closed then. */
  async leave(): Promise<void> {
    this.#members.stop();
    await this.#moves?.stop();
    await handOver(this.#store.groups(), (bucket, replica) => this.#isWilling(bucket, replica));
    this.#ticker?.stop();
    this.#ticker = null;
    for (const group of this.#store.groups()) group.stop();
    this.#store = NOBODY;
    await this.peers.healing.close();
    await this.peers.digests.close();
  }

  /** Ends what {@link leave} has left: requests and connections. */
  async close(): Promise<void> {
    this.#stopped.abort(new Error('the node is stopping'));
    this.#ticker?.stop();
    this.#members.stop();
    this.#leaders.stop();
    await this.peers.close();
    await this.#taking;
    await this.#lock?.release();
    this.#lock = null;
  }

  leaderOf(bucket: number): string | null {
    const group = this.#store.group(bucket);
    if (group === undefined || !takesPart(group)) {
      return this.#members.leaderOf(bucket) ?? this.assignment.buckets[bucket]?.preferred ?? null;
    }
    if (group.state === 'leading') return this.self.id;
    const { leader } = group;
    // One that has only just been elected does not answer yet.
    if (leader === null || leader === group.replicaId) return null;
    return this.#known.memberOf(bucket, leader);
  }

  lostMajority(bucket: number): Majority | null {
    const group = this.#store.group(bucket);
    return group === undefined ? null : this.#majorities.lost(group);
  }

  leaderChange(bucket: number, signal: AbortSignal): Promise<void> {
    if (!this.#holds(bucket)) this.#members.lookSoon();
    return this.#leaders.change(bucket, signal);
  }

  /** Whether there are buckets whose leaders are to be learnt from others. */
  get lacksBuckets(): boolean {
    return this.assignment.buckets.some((_, bucket) => !this.#holds(bucket));
  }

  #holds(bucket: number): boolean {
    const group = this.#store.group(bucket);
    return group !== undefined && takesPart(group);
  }

  admit(sender: Sender): void {
    const directory = this.#directory;
    // Nodes with fresh disks look around, and a fresh disk is to be sent an assignment.
    if (directory === null || sender.cluster === null) return;
    this.#senders.admit(sender, directory);
  }

  async drain(): Promise<DrainStatus> {
    const { assignment, self } = this.#known;
    const { signal } = this.#stopped;
    if (this.#ticker === null) throw new ClusterRefusal('the node is still starting');
    await this.#drain.begin();
    const others = assignment.members.filter(({ id }) => id !== self.id);
    const statuses = await statusesOf(this.peers, others, signal);
    return drainStatus(this.status(), statuses, this.#drain.endsInMs);
  }

  endDrain(): void {
    this.#drain.end();
  }

  status(): NodeStatus {
    const { index, version, state } = this.#options;
    const { member, cluster, boot, bucketCount, partitionCount } = this.#sender;
    const directory = this.#directory;
    return {
      ...{ member, index, cluster, version, boot },
      state: this.#drain.isOn && state() === 'serving' ? 'draining' : state(),
      assignment: directory?.summary ?? null,
      ...(directory && { members: directory.assignment.members }),
      ...{ bucketCount, partitionCount },
      buckets:
        directory === null
          ? []
          : Array.from(this.#store.groups(), (group) =>
              replicaStatus(group, directory, this.#moves?.progress(group.log.bucket)),
            ),
    };
  }

  currentAssignment(): Assignment | null {
    return this.#directory?.assignment ?? null;
  }

  statistics(): ClusterStatistics {
    return clusterStatistics({
      groups: this.#store.groups(),
      tally: this.#tally,
      copies: this.peers.copies,
      healing: this.peers.healing,
      digests: this.peers.digests,
      memberOf: (bucket, replica) => this.#memberOf(bucket, replica),
      isDraining: this.#drain.isOn,
    });
  }

  putAssignment(update: AssignmentUpdate): Promise<void> {
    const taking = this.#taking.then(() => this.#take(update));
    this.#taking = taking.catch(() => undefined);
    return taking;
  }

  receive(batch: Buffer): void {
    if (this.#directory === null) throw new ClusterRefusal('the cluster is still forming');
    if (this.#senders.isBehind) {
      // The bytes are the caller's again when this returns.
      const held = Buffer.from(batch);
      this.#senders.hold(held.length, () => this.receive(held));
      return;
    }
    this.peers.receive(batch);
    this.#leaders.look();
  }

  runCommands(bucket: number, body: Buffer): Promise<Buffer> {
    return this.onCommands(bucket, body);
  }

  segments(bucket: number): readonly SegmentListing[] {
    return listSegments(this.#logOf(bucket));
  }

  async readSegment(
    bucket: number,
    segment: number,
    from: number,
    to: number,
    into?: Buffer,
  ): Promise<Buffer> {
    const bytes = await readSegment(this.#logOf(bucket), segment, from, to, into);
    if (bytes === null) throw new ClusterRefusal(`bucket ${bucket} has no segment ${segment} here`);
    return bytes;
  }

  /** Simulations have a time of their own, in which nothing takes any. */
  #copyPace(): CopyPace {
    const { copyPercent = COPY_PERCENT, network } = this.#options;
    if (network !== undefined) return unhindered;
    return new CopyPace({ share: copyPercent / 100, isBusy: () => this.isBusy() });
  }

  isBusy(): boolean {
    return this.#clients.areActive();
  }

  #logOf(bucket: number): BucketLog {
    const group = this.#store.group(bucket);
    if (group === undefined) throw new ClusterRefusal(`no replica of bucket ${bucket} is here`);
    return group.log;
  }

  #addressOf(member: string): string | null {
    return this.#directory?.member(member)?.address ?? null;
  }

  /** The only place where a cluster begins. */
  async #form(members: readonly Member[]): Promise<void> {
    const { factor, random } = this.#options;
    const counts = { ...this.counts, factor: Math.min(factor, members.length) };
    const assignment = firstAssignment(drawUuid(random), counts, members);
    await this.putAssignment({ replaces: 0, assignment });
  }

  async #take({ replaces, assignment: given }: AssignmentUpdate): Promise<void> {
    const assignment = assignmentOf(given);
    if (assignment === null) throw new ClusterRefusal('it is no assignment');
    const { memberId: member } = this.#identity;
    const { directory, files, index, log } = this.#options;
    const current = this.#directory?.assignment ?? null;
    const taker = { member, index, ...this.counts, assignment: current };
    if (!takesAssignment(taker, { replaces, assignment })) return;
    await this.#requireUncounted(assignment);
    await writeAssignment(files, directory, assignment);
    this.#follow(assignment);
    const { clusterId, version, members } = assignment;
    const facts = { cluster: clusterId, version, members: members.length };
    log.info(facts, current === null ? 'cluster formed' : 'assignment changed');
    this.#formed.resolve();
  }

  /** Before the directory forgets members. */
  async #requireUncounted({ members }: Assignment): Promise<void> {
    const known = this.#directory;
    if (known === null) return;
    const ids = new Set(members.map(({ id }) => id));
    const gone = known.assignment.members.filter(({ id }) => !ids.has(id));
    const leaving = new Set(gone.map(({ id }) => id));
    const own = this.status();
    const replicas = doubtful(own, leaving);
    if (replicas.length === 0) return;
    const others = members.filter(({ id }) => id !== own.member);
    // Those to come are not known yet.
    const nameOf = ({ id, address }: Member): string => (known.member(id) ? id : address);
    const statuses = await statusesOf(this.peers, others, this.#stopped.signal, nameOf);
    requireUncounted(replicas, [own, ...statuses], leaving);
  }

  /** Flags that the assignment wins over. */
  #tellDifferences({ members }: Assignment): void {
    const { peers, index, log } = this.#options;
    if (peers.length > 0 && peers.length !== members.length) {
      const facts = { given: peers.length, members: members.length };
      log.warn(facts, 'node.count has no effect: the directory knows its cluster');
    }
    const [given, known] = [peers[index], this.self.address];
    if (given !== undefined && given !== known) {
      log.warn({ given, known }, 'the other members look for this node where its cluster knows it');
    }
  }

  /** All logs of a node have one room. */
  #shareRoom(): void {
    const [group] = this.#store.groups();
    if (group !== undefined) group.log.room.leaders = this.assignment.members.length;
  }

  /** The replica that should lead a bucket, unless its member wants to lead nothing. */
  #preferred(bucket: number): ReplicaId | null {
    const preferred = this.#directory?.preferredReplica(bucket) ?? null;
    return preferred !== null && this.#isWilling(bucket, preferred) ? preferred : null;
  }

  #memberOf(bucket: number, replica: ReplicaId): string | null {
    return this.#directory?.memberOf(bucket, replica) ?? null;
  }

  #isWilling(bucket: number, replica: ReplicaId): boolean {
    const member = this.#memberOf(bucket, replica);
    if (member === this.#identity.memberId) return !this.#drain.isOn;
    return member !== null && !this.#senders.isDraining(member);
  }

  #drainChanged(): void {
    const { isOn } = this.#drain;
    this.#sender = { ...this.#sender, isDraining: isOn };
    this.#options.log.info({}, isOn ? 'draining: it leads nothing' : 'it may lead again');
  }

  #follow(assignment: Assignment): void {
    this.#directory = new MemberDirectory(assignment, this.#identity.memberId);
    this.#sender = { ...this.#sender, cluster: assignment.clusterId };
    this.#members.expect(assignment);
  }

  *#ticking(): Generator<RaftGroup> {
    this.#ticks += 1;
    for (const group of this.#store.groups()) {
      this.#tally.look(group);
      this.#majorities.look(group);
      this.#firstLeaders.look(group, this.#ticks);
      yield group;
    }
    this.#leaders.look();
    this.#drain.look();
    if (this.#ticks % TICKS_PER_STEP === 0) this.#moves?.look();
    if (this.#ticks % TICKS_PER_SECOND !== 0) return;
    this.#shareRoom();
    this.#moves?.tend();
    this.#preference.look(this.#store.groups());
    this.peers.healing.look(this.#store.groups());
    this.peers.digests.look(this.#store.groups());
  }
}
