/**
 * A group of Raft cores in one process, without storage or sockets: logs are arrays, the network is a bag of messages, disks
 * sync when the script says so. Used by scripted conversations and by the random walk.
 *
 * Checks after every step what the paper promises: one leader per term, logs that agree on an entry agree on all before it,
 * what is committed anywhere is the same everywhere and never lost, and nothing is told before it is durable.
 */
import assert from 'node:assert/strict';

import { type Random, seededRandom } from '../../../../../common/random.ts';
import { isJoint } from '../configuration.ts';
import { RaftCore } from '../core.ts';
import type { Append, Configuration, Entry, Message, RaftLog, ReplicaId, Vote } from '../types.ts';

/** An entry of the test log; `value` stands for its payload. */
export interface TestEntry extends Entry {
  readonly value: string;
}

interface WireMessage {
  readonly message: Message;
  /** What an append carries. */
  readonly values: readonly TestEntry[];
}

interface Copy {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  /** What the follower has taken and must make durable; null: nothing yet. */
  readonly index: number | null;
}

const BATCH_MAX = 4;

/** The log of one replica; entries up to `base` are only in segments. */
export class TestLog implements RaftLog {
  base = 0;
  entries: TestEntry[];

  constructor(entries: readonly TestEntry[]) {
    this.entries = [...entries];
  }

  get lastIndex(): number {
    return this.entries.length;
  }

  term(index: number): number | null {
    if (index === 0) return 0;
    if (index < this.base) return null;
    return this.entries[index - 1]?.term ?? null;
  }

  batchEnd(from: number): number {
    return Math.min(this.lastIndex, from + BATCH_MAX - 1);
  }

  at(index: number): TestEntry {
    const entry = this.entries[index - 1];
    assert(entry !== undefined);
    return entry;
  }
}

/** One replica: what survives a crash, and the core that runs on it. */
export class TestReplica {
  readonly id: ReplicaId;
  log: TestLog;
  core: RaftCore;
  /** Durable. */
  vote: Vote = { term: 0, votedFor: null };
  durableEntries: TestEntry[] = [];
  applied = 0;
  isUp = true;
  isLost = false;
  /** Writes on their way to the disk. */
  pendingVotes: Vote[] = [];
  pendingIndex: number | null = null;
  readonly initial: Configuration;

  constructor(id: ReplicaId, initial: Configuration, random: Random) {
    this.id = id;
    this.initial = initial;
    this.log = new TestLog([]);
    this.core = this.#start(random);
  }

  /** Starts again from what is durable. */
  restart(random: Random): void {
    this.log = new TestLog(this.durableEntries);
    this.log.base = 0;
    this.pendingVotes = [];
    this.pendingIndex = null;
    this.applied = 0;
    this.isUp = true;
    this.core = this.#start(random);
  }

  #start(random: Random): RaftCore {
    const configurations = this.log.entries.flatMap(({ index, configuration }) =>
      configuration === null ? [] : [{ index, configuration }],
    );
    return new RaftCore(
      { id: this.id, electionTicks: 10, heartbeatTicks: 2, random },
      {
        log: this.log,
        vote: this.vote,
        commit: 0,
        configurations: [{ index: 0, configuration: this.initial }, ...configurations],
      },
    );
  }
}

export class RaftCluster {
  readonly replicas: Map<ReplicaId, TestReplica> = new Map();
  readonly network: WireMessage[] = [];
  /** What was committed anywhere, by index. */
  readonly committed: Map<number, TestEntry> = new Map();
  /** Answers of reads: id → index, null where refused. */
  readonly reads: Map<number, number | null> = new Map();
  readonly trace: string[] = [];
  /** Copies of segments that leaders have asked for. */
  readonly copies: Copy[] = [];
  readonly random: Random;
  readonly #initial: Configuration;
  readonly #leaders = new Map<number, ReplicaId>();
  /** By read: the highest commit index anywhere when it was asked. */
  readonly #readFloor = new Map<number, number>();
  #values = 0;
  #ticks = 0;

  constructor(voters: readonly ReplicaId[], seed: number) {
    this.random = seededRandom(seed);
    this.#initial = { voters, outgoing: [], learners: [] };
    for (const id of voters) this.add(id);
  }

  get committedIndex(): number {
    return this.committed.size;
  }

  add(id: ReplicaId): TestReplica {
    const replica = new TestReplica(id, this.#initial, this.random);
    this.replicas.set(id, replica);
    return replica;
  }

  get(id: ReplicaId): TestReplica {
    const replica = this.replicas.get(id);
    assert(replica !== undefined, `no replica ${id}`);
    return replica;
  }

  leaders(): TestReplica[] {
    return [...this.replicas.values()].filter(({ core, isUp }) => isUp && core.role === 'leader');
  }

  /** Quiet ticks are stepped and passed over by turns: it must not matter. */
  tick(id: ReplicaId): void {
    const { core, isUp } = this.get(id);
    const { quietTicks } = core;
    if (!isUp || quietTicks === 0) {
      this.#step(id, { kind: 'tick' });
      return;
    }
    this.#ticks += 1;
    if (this.#ticks % 2 === 0) core.pass(1);
    else core.step({ kind: 'tick' });
    assert.deepEqual(core.take(), [], 'a quiet tick has no effect');
    assert.equal(core.quietTicks, quietTicks - 1);
  }

  campaign(id: ReplicaId): void {
    this.#step(id, { kind: 'campaign' });
  }

  propose(id: ReplicaId): boolean {
    const replica = this.get(id);
    if (!replica.isUp || replica.core.role !== 'leader' || replica.core.isHandingOver) return false;
    this.#values += 1;
    this.#leaderAppends(replica, `v${String(this.#values)}`, null);
    this.#drain(replica);
    return true;
  }

  read(id: ReplicaId, read: number): void {
    this.#readFloor.set(read, this.committedIndex);
    this.#step(id, { kind: 'read', id: read });
  }

  change(id: ReplicaId, configuration: Configuration): boolean {
    const replica = this.get(id);
    if (!replica.isUp || replica.core.changeFault() !== null) return false;
    this.#step(id, { kind: 'change', configuration });
    return true;
  }

  transfer(id: ReplicaId, to: ReplicaId): void {
    this.#step(id, { kind: 'transfer', to });
  }

  damage(id: ReplicaId, isDamaged: boolean): void {
    this.#step(id, { kind: 'damaged', isDamaged });
  }

  /** The disk of a replica catches up with what was written before. */
  sync(id: ReplicaId): void {
    const replica = this.get(id);
    if (!replica.isUp) return;
    const votes = replica.pendingVotes.splice(0);
    const index = replica.pendingIndex;
    replica.pendingIndex = null;
    if (index !== null) replica.durableEntries = [...replica.log.entries];
    for (const vote of votes) {
      replica.vote = vote;
      replica.core.step({ kind: 'voteDurable', vote });
    }
    if (index !== null) replica.core.step({ kind: 'durable', index: replica.log.lastIndex });
    this.#drain(replica);
  }

  crash(id: ReplicaId): void {
    const replica = this.get(id);
    replica.isUp = false;
    this.trace.push(`${id} crashes`);
  }

  restart(id: ReplicaId): void {
    const replica = this.get(id);
    replica.restart(this.random);
    this.trace.push(`${id} restarts at ${String(replica.log.lastIndex)}`);
  }

  /** The memory of old terms is gone; what is needed from before is only in segments. */
  forget(id: ReplicaId): void {
    const replica = this.get(id);
    replica.log.base = replica.core.commit;
  }

  /** Delivers the n-th message; `copies` leaves it in the network, too. */
  deliver(n: number, copies = false): void {
    const wire = copies ? this.network[n] : this.network.splice(n, 1)[0];
    if (wire === undefined) return;
    const { message, values } = wire;
    const replica = this.replicas.get(message.to);
    if (replica?.isUp !== true) return;
    this.trace.push(describe(message));
    const complete = message.kind === 'append' ? { ...message, entries: values } : message;
    replica.core.step({ kind: 'message', message: complete });
    this.#drain(replica);
  }

  /** Loses the messages between two replicas (`a>b`), or all; answers how many. */
  drop(way: string): number {
    const before = this.network.length;
    const [from, to] = way.split('>');
    const kept = this.network.filter(
      ({ message }) => way !== '' && !(message.from === from && message.to === to),
    );
    this.network.splice(0, before, ...kept);
    return before - this.network.length;
  }

  status(id: ReplicaId): string {
    const { core, log, durableEntries, isUp } = this.get(id);
    const { voters, outgoing, learners } = core.configuration;
    const group = [
      `voters=${voters.join(',')}`,
      ...(outgoing.length > 0 ? [`outgoing=${outgoing.join(',')}`] : []),
      ...(learners.length > 0 ? [`learners=${learners.join(',')}`] : []),
    ].join(' ');
    const numbers = `last=${String(log.lastIndex)} durable=${String(durableEntries.length)} commit=${String(core.commit)}`;
    const state = isUp ? core.role : 'down';
    return `${id} ${state} term=${String(core.term)} leader=${core.leader ?? '-'} ${numbers} ${group}`;
  }

  /** Until nothing moves: all messages arrive in order, all disks sync. */
  settle(): void {
    for (let i = 0; i < 10_000; i += 1) {
      if (this.network.length > 0) this.deliver(0);
      else if (this.#syncAny()) continue;
      else if (this.copies.length > 0) this.copy();
      else return;
    }
    assert.fail('the group does not come to rest');
  }

  #syncAny(): boolean {
    for (const replica of this.replicas.values()) {
      if (!replica.isUp) continue;
      if (replica.pendingVotes.length === 0 && replica.pendingIndex === null) continue;
      this.sync(replica.id);
      return true;
    }
    return false;
  }

  #step(id: ReplicaId, input: Parameters<RaftCore['step']>[0]): void {
    const replica = this.get(id);
    if (!replica.isUp) return;
    replica.core.step(input);
    this.#drain(replica);
  }

  #drain(replica: TestReplica): void {
    for (let effects = replica.core.take(); effects.length > 0; effects = replica.core.take()) {
      for (const effect of effects) {
        switch (effect.kind) {
          case 'persistVote':
            replica.pendingVotes.push(effect.vote);
            break;
          case 'append':
            this.#followerAppends(replica, effect.truncateAfter, effect.entries as TestEntry[]);
            break;
          case 'send':
            this.#send(replica, effect.message);
            break;
          case 'commit':
            this.#commit(replica, effect.index);
            break;
          case 'role':
            this.#role(replica, effect.role, effect.term);
            break;
          case 'appendFirst':
            this.#leaderAppends(replica, 'first', null);
            break;
          case 'configure':
            this.#leaderAppends(replica, 'configuration', effect.configuration);
            break;
          case 'read':
            this.#readAnswered(effect.id, effect.index);
            break;
          case 'copy':
            this.copies.push({ from: replica.id, to: effect.to, index: null });
            break;
        }
      }
    }
  }

  #leaderAppends(replica: TestReplica, value: string, configuration: Configuration | null): void {
    const { log, core } = replica;
    const entry = { index: log.lastIndex + 1, term: core.term, configuration, value };
    log.entries.push(entry);
    replica.pendingIndex = entry.index;
    const { index } = entry;
    const configurations = configuration === null ? [] : [{ index, configuration }];
    core.step({ kind: 'appended', configurations });
  }

  #followerAppends(
    replica: TestReplica,
    truncateAfter: number | null,
    entries: readonly TestEntry[],
  ): void {
    const { log } = replica;
    if (truncateAfter !== null) {
      assert(truncateAfter >= replica.applied, 'a committed entry is truncated');
      log.entries.length = truncateAfter;
    }
    assert.equal(entries[0]?.index, log.lastIndex + 1);
    log.entries.push(...entries);
    replica.pendingIndex = log.lastIndex;
  }

  #send(replica: TestReplica, message: Message): void {
    if (
      message.term >= replica.core.term &&
      message.kind !== 'preVote' &&
      message.kind !== 'preVoteReply'
    ) {
      assert(
        replica.vote.term >= message.term,
        `${replica.id} tells of term ${String(message.term)} before it is durable`,
      );
    }
    this.network.push({
      message,
      values: message.kind === 'append' ? carried(replica.log, message) : [],
    });
  }

  #commit(replica: TestReplica, index: number): void {
    for (let at = replica.applied + 1; at <= index; at += 1) {
      const entry = replica.log.at(at);
      const known = this.committed.get(at);
      if (known === undefined) {
        this.committed.set(at, entry);
        this.#assertMajorityHas(at, entry);
      } else {
        assert.deepEqual(
          { term: entry.term, value: entry.value },
          { term: known.term, value: known.value },
          `${replica.id} applies another entry at ${String(at)}`,
        );
      }
    }
    replica.applied = index;
    this.trace.push(`${replica.id} commits ${String(index)}`);
  }

  /** Acknowledged means durable on a majority. */
  #assertMajorityHas(index: number, entry: TestEntry): void {
    const [leader] = this.leaders().filter(({ core }) => core.commit >= index);
    if (leader === undefined) return;
    const has = (id: ReplicaId): boolean => {
      const durable = this.replicas.get(id)?.durableEntries[index - 1];
      return durable?.value === entry.value && durable.term === entry.term;
    };
    const { voters, outgoing } = leader.core.configuration;
    for (const ids of isJoint(leader.core.configuration) ? [voters, outgoing] : [voters]) {
      assert(
        2 * ids.filter(has).length > ids.length,
        `entry ${String(index)} is committed without a durable majority`,
      );
    }
  }

  #role(replica: TestReplica, role: string, term: number): void {
    this.trace.push(`${replica.id} becomes ${role} in term ${String(term)}`);
    if (role !== 'leader') return;
    const other = this.#leaders.get(term);
    assert(other === undefined || other === replica.id, `two leaders in term ${String(term)}`);
    this.#leaders.set(term, replica.id);
    for (const [index, entry] of this.committed) {
      const own = replica.log.entries[index - 1];
      assert(
        own?.value === entry.value && own.term === entry.term,
        `the leader ${replica.id} lacks the committed entry ${String(index)}`,
      );
    }
  }

  #readAnswered(id: number, index: number | null): void {
    this.trace.push(
      `read ${String(id)} ${index === null ? 'refused' : `answered at ${String(index)}`}`,
    );
    assert(!this.reads.has(id), `read ${String(id)} is answered twice`);
    this.reads.set(id, index);
    if (index === null) return;
    assert(
      index >= (this.#readFloor.get(id) as number),
      `read ${String(id)} misses what was committed when it was asked`,
    );
  }

  /**
   * The oldest copy goes on: the follower takes what is committed and what it lacks; when that is durable, the leader hears of
   * it. Segments hold committed entries only.
   */
  copy(): void {
    const job = this.copies.shift();
    if (job === undefined) return;
    const follower = this.replicas.get(job.to);
    if (job.index !== null && follower?.isUp === true) {
      if (follower.core.durable >= job.index) this.copied(job.from, job.to, job.index);
      else this.copies.push(job);
      return;
    }
    const leader = this.replicas.get(job.from);
    if (leader?.isUp !== true) return;
    if (follower?.isUp !== true) {
      this.copied(job.from, job.to, null);
      return;
    }
    const { commit } = leader.core;
    this.#takeCopied(follower, leader.log.entries.slice(0, commit));
    this.copies.push({ ...job, index: Math.min(commit, follower.log.lastIndex) });
    this.#drain(follower);
  }

  /** The leader `from` is told what became of a copy. */
  copied(from: ReplicaId, to: ReplicaId, index: number | null): void {
    const leader = this.replicas.get(from);
    if (leader?.isUp !== true) return;
    leader.core.step({ kind: 'copied', to, index });
    this.#drain(leader);
  }

  /** As the loop does it: what is the same stays, what is not gives way, nothing is shortened. */
  #takeCopied(replica: TestReplica, entries: readonly TestEntry[]): void {
    const { log, core } = replica;
    if (core.role === 'leader') return;
    const last = entries.at(-1);
    const isSame = (entry: TestEntry): boolean => log.entries[entry.index - 1]?.term === entry.term;
    const first = entries.findIndex((entry) => !isSame(entry));
    if (last === undefined || last.index <= core.commit) return;
    let truncateAfter: number | null = null;
    const taken = first === -1 ? [] : entries.slice(first);
    if (taken.length > 0) {
      assert(first >= replica.applied, 'a committed entry is truncated');
      if (first < log.lastIndex) truncateAfter = first;
      log.entries.length = first;
      log.entries.push(...taken);
      replica.pendingIndex = log.lastIndex;
    }
    const configurations = taken.flatMap(({ index, configuration }) =>
      configuration === null ? [] : [{ index, configuration }],
    );
    const { index, term } = last;
    core.step({ kind: 'copiedHere', index, term, truncateAfter, configurations });
  }
}

function carried(log: TestLog, { entries }: Append): readonly TestEntry[] {
  const first = entries[0];
  const last = entries.at(-1);
  return first === undefined || last === undefined
    ? []
    : log.entries.slice(first.index - 1, last.index);
}

export function describe(message: Message): string {
  const { kind, from, to, term, ...rest } = message;
  const facts = Object.entries(rest)
    .map(
      ([name, value]) =>
        `${name}=${Array.isArray(value) ? describeEntries(value as Entry[]) : String(value)}`,
    )
    .join(' ');
  return `${from}→${to} ${kind} term=${String(term)} ${facts}`;
}

const describeEntries = (entries: readonly Entry[]): string => {
  const first = entries[0];
  return first === undefined ? 'none' : `${String(first.index)}..${String(entries.at(-1)?.index)}`;
};
