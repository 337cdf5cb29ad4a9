/**
 * Members of a cluster in one process, on memory disks, over a network that can be cut: what the router is tested on. Each has
 * its store, its router and its subscriptions.
 */
import assert from 'node:assert/strict';

import {
  type Assignment,
  firstAssignment,
  groupIdOf,
  type Member,
  type Replica,
  replicaIdOf,
} from '../../../../common/assignment.ts';
import { type Random, seededRandom } from '../../../../common/random.ts';
import { openMemoryStore, type Store } from '../../engine/index.ts';
import {
  configurationBytes,
  decodeBatch,
  encodeMessage,
  replicaText,
} from '../../replication/message-format.ts';
import { PeerError, type PeerRequests } from '../../replication/peer-requests.ts';
import type { GroupHost, RaftGroup } from '../../replication/raft-group.ts';
import { CommandRunner } from '../command-runner.ts';
import { LeaderWatch } from '../leader-watch.ts';
import { MajorityWatch } from '../majority-watch.ts';
import { Router } from '../router.ts';
import type { ClusterView } from '../types.ts';

const CLUSTER = '7d3b0c52-5a8e-4a55-9c1e-31d0f5b0a1c4';
const TICK_MS = 10;
const TIMING = { electionTicks: 14, heartbeatTicks: 2 };

export interface MemoryClusterOptions {
  readonly members: number;
  /** Copies of every bucket. */
  readonly factor: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly requestTimeoutMs: number;
  readonly seed: number;
}

const defaults: MemoryClusterOptions = {
  members: 3,
  factor: 3,
  bucketCount: 4,
  partitionCount: 16,
  requestTimeoutMs: 10_000,
  seed: 1,
};

export class TestMember {
  readonly self: Member;
  readonly store: Store;
  readonly router: Router;
  readonly runner: CommandRunner;
  readonly watch: LeaderWatch;
  readonly majorities: MajorityWatch;
  /** Nothing reaches it, and nothing of it reaches others. */
  isCutOff = false;
  /** It runs what is forwarded to it, but its answers get lost. */
  losesAnswers = false;
  /** Requests that it was sent. */
  requests = 0;

  constructor(
    self: Member,
    store: Store,
    view: ClusterView,
    watches: Pick<TestMember, 'watch' | 'majorities'>,
    timeout: number,
  ) {
    this.self = self;
    this.store = store;
    this.watch = watches.watch;
    this.majorities = watches.majorities;
    this.runner = new CommandRunner(store);
    this.router = new Router(store, view, { requestTimeoutMs: timeout });
  }
}

export class MemoryCluster implements AsyncDisposable {
  readonly assignment: Assignment;
  readonly members: TestMember[] = [];
  readonly #options: MemoryClusterOptions;
  readonly #random: Random;
  readonly #ticker: NodeJS.Timeout;
  /** Members by the text of a replica id. */
  readonly #byReplica = new Map<string, string>();

  private constructor(options: MemoryClusterOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const members = Array.from({ length: options.members }, (_, index) => ({
      id: `member-${String(index)}`,
      index,
      address: '',
    }));
    this.assignment = firstAssignment(CLUSTER, options, members);
    for (let bucket = 0; bucket < options.bucketCount; bucket += 1) {
      for (const replica of this.replicas(bucket)) {
        this.#byReplica.set(replicaText(replicaIdOf(CLUSTER, bucket, replica)), replica.member);
      }
    }
    this.#ticker = setInterval(() => {
      this.#tick();
    }, TICK_MS);
  }

  static async open(options: Partial<MemoryClusterOptions> = {}): Promise<MemoryCluster> {
    const cluster = new MemoryCluster({ ...defaults, ...options });
    for (const member of cluster.assignment.members) {
      cluster.members.push(await cluster.#openMember(member));
    }
    return cluster;
  }

  /** Resolves when every bucket has a leader. */
  async led(): Promise<void> {
    for (let bucket = 0; bucket < this.#options.bucketCount; bucket += 1) {
      while (this.leader(bucket) === null) await this.#ticked();
    }
  }

  /** The member that leads a bucket, as those see it that are not cut off. */
  leader(bucket: number): TestMember | null {
    return (
      this.members.find(
        ({ store, isCutOff }) => !isCutOff && store.group(bucket)?.state === 'leading',
      ) ?? null
    );
  }

  member(index: number): TestMember {
    const member = this.members[index];
    assert(member !== undefined);
    return member;
  }

  /** Has the leader of a bucket hand over to another member. */
  transfer(bucket: number): void {
    const leader = this.leader(bucket);
    if (leader === null) return;
    const others = this.replicas(bucket).filter(({ member }) => member !== leader.self.id);
    const to = others[this.#random.below(others.length)];
    if (to === undefined) return;
    leader.store.group(bucket)?.transfer(replicaText(replicaIdOf(CLUSTER, bucket, to)));
  }

  replicas(bucket: number): readonly Replica[] {
    return this.assignment.buckets[bucket]?.replicas ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticker);
    for (const { store, watch } of this.members) {
      watch.stop();
      for (const group of store.groups()) group.stop();
      await store.close();
    }
  }

  async #openMember(self: Member): Promise<TestMember> {
    const { bucketCount, partitionCount, requestTimeoutMs } = this.#options;
    const store = await openMemoryStore(
      { bucketCount, partitionCount, journalFileBytes: 16 * 1024 * 1024 },
      { replication: { timing: TIMING, host: this.#host(self), replicas: this.#plans(self) } },
    );
    const watch = new LeaderWatch((bucket) => this.#leaderOf(self, bucket));
    const majorities = new MajorityWatch();
    const view: ClusterView = {
      assignment: this.assignment,
      self,
      leaderOf: (bucket) => this.#leaderOf(self, bucket),
      lostMajority: (bucket) => {
        const group = store.group(bucket);
        return group === undefined ? null : majorities.lost(group);
      },
      leaderChange: (bucket, signal) => watch.change(bucket, signal),
      peers: this.#peers(self),
    };
    return new TestMember(self, store, view, { watch, majorities }, requestTimeoutMs);
  }

  #plans(self: Member): {
    bucket: number;
    replicaId: Buffer;
    groupId: Buffer;
    configuration: Buffer;
  }[] {
    const buckets = Array.from({ length: this.#options.bucketCount }, (_, bucket) => bucket);
    return buckets.flatMap((bucket) => {
      const replicas = this.replicas(bucket);
      const own = replicas.find(({ member }) => member === self.id);
      if (own === undefined) return [];
      const idOf = (replica: Replica): Buffer => replicaIdOf(CLUSTER, bucket, replica);
      const voters = replicas.map((replica) => replicaText(idOf(replica)));
      return {
        bucket,
        replicaId: idOf(own),
        groupId: groupIdOf(CLUSTER, bucket),
        configuration: configurationBytes({ voters, outgoing: [], learners: [] }),
      };
    });
  }

  #host(self: Member): GroupHost {
    return {
      random: this.#random,
      send: (bucket, message, frames) => {
        const bytes = encodeMessage(bucket, message, frames);
        const to = this.#byReplica.get(message.to);
        setImmediate(() => {
          if (to === undefined || !this.#isConnected(self.id, to)) return;
          const { store } = this.#byId(to);
          for (const received of decodeBatch(bytes))
            store.group(received.bucket)?.receive(received);
        });
      },
      pull: () => undefined,
      diverged: (_group, reason) => assert.fail(reason),
    };
  }

  /** A member without a replica has heard of the leader from those that have one. */
  #leaderOf(self: Member, bucket: number): string | null {
    const own = this.members[self.index]?.store.group(bucket);
    const known = own ?? this.leader(bucket)?.store.group(bucket);
    return this.#memberOf(known);
  }

  #memberOf(group: RaftGroup | undefined): string | null {
    const leader = group?.leader ?? null;
    return leader === null ? null : (this.#byReplica.get(leader) ?? null);
  }

  #peers(self: Member): PeerRequests {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    return {
      run: async (member, { bucket, body }, signal) => {
        await turn();
        if (!this.#isConnected(self.id, member)) throw new PeerError('refused', 'not done');
        const peer = this.#byId(member);
        peer.requests += 1;
        const answer = await peer.runner.run(bucket, Buffer.from(body));
        await turn();
        if (peer.losesAnswers) throw new PeerError('connection lost', 'unknown');
        if (this.#isConnected(self.id, member)) return answer;
        return this.#lost(self.id, member, signal);
      },
      put: () => assert.fail('not asked for'),
      get: () => assert.fail('not asked for'),
    };
  }

  /** An answer that does not come: until nobody waits any more, or until the network says so when it is whole again. */
  async #lost(a: string, b: string, signal: AbortSignal): Promise<never> {
    while (!signal.aborted && !this.#isConnected(a, b)) await this.#ticked();
    throw new PeerError('no answer', 'unknown');
  }

  #byId(id: string): TestMember {
    const member = this.members.find(({ self }) => self.id === id);
    assert(member !== undefined);
    return member;
  }

  #isConnected(a: string, b: string): boolean {
    return !this.#byId(a).isCutOff && !this.#byId(b).isCutOff;
  }

  #tick(): void {
    for (const { store, watch, majorities } of this.members) {
      for (const group of store.groups()) {
        majorities.look(group);
        group.tick();
      }
      watch.look();
    }
  }

  #ticked(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}
