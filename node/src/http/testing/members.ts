/** Members in one process, on memory disks, that reach each other over real HTTP on loopback. */
import assert from 'node:assert/strict';

import { groupIdOf, replicaIdOf } from '../../../../common/assignment.ts';
import { partitionHash } from '../../../../common/ids.ts';
import { seededRandom } from '../../../../common/random.ts';
import type { MemberService, Sender } from '../../cluster/types.ts';
import { type EventDraft, openStore, type Store } from '../../engine/index.ts';
import { configurationBytes, replicaText } from '../../replication/message-format.ts';
import { PeerNetwork, type PeerNetworkOptions } from '../../replication/peer-network.ts';
import type { RaftGroup } from '../../replication/raft-group.ts';
import { listSegments, readSegment } from '../../replication/segment-serving.ts';
import { defaultTiming, Ticker } from '../../replication/ticker.ts';
import { MemoryFileSystem } from '../../storage/memory-file-system.ts';
import { type ClusterServer, openClusterServer } from '../cluster-server.ts';

/** Shorter than in earnest: elections are soon over. */
const TICK_MS = 20;

export const CLUSTER = '6f2f6f0a-7b0b-4d3c-9a1e-0d6e1b6c2a11';

export interface MembersOptions {
  readonly count: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly network?: Partial<PeerNetworkOptions>;
}

export interface TestMember {
  readonly name: string;
  readonly network: PeerNetwork;
  readonly server: ClusterServer;
  readonly store: Store;
  readonly ticker: Ticker;
}

/** A service that serves groups and segments, and nothing else. */
export function groupsService(
  network: PeerNetwork,
  groupOf: (bucket: number) => RaftGroup | undefined,
  received: () => void,
): MemberService {
  const logOf = (bucket: number): RaftGroup['log'] => {
    const group = groupOf(bucket);
    assert(group !== undefined);
    return group.log;
  };
  return {
    admit: () => undefined,
    status: () => assert.fail('not asked for'),
    currentAssignment: () => assert.fail('not asked for'),
    putAssignment: () => assert.fail('not asked for'),
    drain: () => assert.fail('not asked for'),
    endDrain: () => assert.fail('not asked for'),
    receive: (batch) => {
      network.receive(batch);
      received();
    },
    runCommands: () => assert.fail('not asked for'),
    segments: (bucket) => listSegments(logOf(bucket)),
    isBusy: () => false,
    readSegment: async (bucket, segment, from, to, into) => {
      const bytes = await readSegment(logOf(bucket), segment, from, to, into);
      assert(bytes !== null);
      return bytes;
    },
  };
}

export class TestMembers {
  readonly options: MembersOptions;
  /** Of disks: there should be none. */
  readonly failures: Error[] = [];
  readonly members: Map<string, TestMember> = new Map();
  readonly #ports = new Map<string, number>();
  readonly #disks = new Map<string, MemoryFileSystem>();
  /** Resolved when something may have changed. */
  #moved = Promise.withResolvers<void>();

  private constructor(options: MembersOptions) {
    this.options = options;
  }

  static async open(options: MembersOptions): Promise<TestMembers> {
    const members = new TestMembers(options);
    for (const name of members.names) await members.start(name);
    return members;
  }

  get names(): string[] {
    return Array.from({ length: this.options.count }, (_, i) => `m${String(i)}`);
  }

  /** A member's files are in `/disk`. */
  disk(name: string): MemoryFileSystem {
    return this.#disks.get(name) ?? assert.fail(`${name} has no disk`);
  }

  /** Opens a member on the disk that it has, or on an empty one. */
  async start(name: string): Promise<TestMember> {
    const { bucketCount, partitionCount, segmentBytes } = this.options;
    const self: Sender = { member: name, cluster: CLUSTER, boot: 1, bucketCount, partitionCount };
    const network = new PeerNetwork({
      self: () => self,
      memberOf: (bucket, replica) => this.#memberOf(bucket, replica),
      addressOf: (member) => `127.0.0.1:${String(this.#ports.get(member) ?? 1)}`,
      random: seededRandom(name.charCodeAt(1)),
      ...this.options.network,
    });
    const groupOf = (bucket: number): RaftGroup | undefined => member?.store.group(bucket);
    let member = null as TestMember | null;
    const port = this.#ports.get(name) ?? 0;
    const server = await openClusterServer(
      { host: '127.0.0.1', port },
      groupsService(network, groupOf, () => {
        this.#move();
      }),
    );
    this.#ports.set(name, server.port);
    const replicas = Array.from({ length: bucketCount }, (_, bucket) => this.#plan(name, bucket));
    const files = this.#disks.get(name) ?? new MemoryFileSystem();
    this.#disks.set(name, files);
    const store = await openStore(
      '/disk',
      { bucketCount, partitionCount, segmentBytes, diskReserveBytes: 0, scrubBytesPerSecond: 0 },
      {
        files,
        replication: { timing: defaultTiming, host: network, replicas },
        onFatal: (error) => {
          this.failures.push(error);
        },
      },
    );
    const ticker = new Ticker(() => this.#ticking(name, store), TICK_MS);
    member = { name, network, server, store, ticker };
    network.attach(groupOf);
    this.members.set(name, member);
    return member;
  }

  async stop(name: string): Promise<void> {
    const member = this.members.get(name);
    assert(member !== undefined);
    this.members.delete(name);
    member.ticker.stop();
    await member.network.close();
    await member.server.close();
    for (const group of member.store.groups()) group.stop();
    await member.store.close();
  }

  async close(): Promise<void> {
    for (const name of [...this.members.keys()]) await this.stop(name);
    assert.deepEqual(this.failures, []);
  }

  groups(bucket: number): RaftGroup[] {
    return [...this.members.values()].map(({ store }) => {
      const group = store.group(bucket);
      assert(group !== undefined);
      return group;
    });
  }

  leader(bucket: number): RaftGroup | undefined {
    return this.groups(bucket).find(({ state }) => state === 'leading');
  }

  /** Appends one event to a partition through its leader; rejects with the code of an error. */
  async append(partitionKey: Buffer, payload: Buffer): Promise<void> {
    const { bucketCount, partitionCount } = this.options;
    const bucket = (partitionHash(partitionKey) % partitionCount) % bucketCount;
    const found = [...this.members.values()].find(
      ({ store }) => store.group(bucket)?.state === 'leading',
    );
    if (found === undefined) throw new Error('no leader');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const event: EventDraft = {
      streamId: Buffer.from(partitionKey.toString('hex')),
      eventName: Buffer.from('Happened'),
      eventId: null,
      expectedVersion: 'any',
      timestamp: null,
      metadata: Buffer.alloc(0),
      payload,
    };
    await found.store.append({ partitionKey, events: [event] }, (error) => {
      if (error === null) resolve();
      else reject(new Error(error.code));
    });
    await promise;
  }

  /** Resolves when the condition holds; asked after every tick, and every batch that arrives. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#moved.promise;
  }

  *#ticking(name: string, store: Store): Generator<RaftGroup> {
    yield* store.groups();
    this.members.get(name)?.network.healing.look(store.groups());
    this.#move();
  }

  #move(): void {
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  #memberOf(bucket: number, replica: string): string | null {
    return this.names.find((name) => replicaOf(name, bucket) === replica) ?? null;
  }

  #plan(
    name: string,
    bucket: number,
  ): { bucket: number; replicaId: Buffer; groupId: Buffer; configuration: Buffer } {
    const voters = this.names.map((member) => replicaOf(member, bucket));
    return {
      bucket,
      replicaId: replicaIdOf(CLUSTER, bucket, { member: name, since: 1 }),
      groupId: groupIdOf(CLUSTER, bucket),
      configuration: configurationBytes({ voters, outgoing: [], learners: [] }),
    };
  }
}

const replicas = new Map<string, string>();

function replicaOf(member: string, bucket: number): string {
  const key = `${member}/${String(bucket)}`;
  const known =
    replicas.get(key) ?? replicaText(replicaIdOf(CLUSTER, bucket, { member, since: 1 }));
  replicas.set(key, known);
  return known;
}
