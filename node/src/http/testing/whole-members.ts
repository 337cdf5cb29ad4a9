/** Whole members in one process, on memory disks, over real HTTP on loopback: all of a node but its clients' port. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';

import type { Assignment } from '../../../../common/assignment.ts';
import { seededRandom } from '../../../../common/random.ts';
import { ClusterNode } from '../../cluster/cluster-node.ts';
import { CommandRunner } from '../../cluster/command-runner.ts';
import { Router } from '../../cluster/router.ts';
import { openStore, type Store, type StoreOptions } from '../../engine/index.ts';
import { MemoryFileSystem } from '../../storage/memory-file-system.ts';
import { type ClusterServer, openClusterServer } from '../cluster-server.ts';

const DIRECTORY = '/data';
const KIB = 1024;

export const wholeOptions: Partial<StoreOptions> & {
  readonly bucketCount: number;
  readonly partitionCount: number;
} = {
  bucketCount: 4,
  partitionCount: 16,
  segmentBytes: 256 * KIB,
  journalFileBytes: 4096 * KIB,
  appendMaxBytes: 64 * KIB,
  diskReserveBytes: 0,
  scrubBytesPerSecond: 0,
};

export interface WholeMember {
  readonly index: number;
  readonly node: ClusterNode;
  readonly store: Store;
  readonly router: Router;
  readonly server: ClusterServer;
}

export class WholeMembers implements AsyncDisposable {
  readonly members: Map<number, WholeMember> = new Map();
  /** Of disks; and sentences of the nodes at the level of an error. There should be none. */
  readonly failures: unknown[] = [];
  readonly disks: Map<number, MemoryFileSystem> = new Map();
  readonly #addresses: readonly string[];

  private constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  /** Nobody runs yet; `countMax` may. */
  static async prepare(countMax: number): Promise<WholeMembers> {
    const ports = await Promise.all(Array.from({ length: countMax }, freePort));
    return new WholeMembers(ports.map((port) => `127.0.0.1:${String(port)}`));
  }

  /** Starts members that know of the first `count` addresses; resolves when all serve. */
  async start(indexes: readonly number[], count: number): Promise<void> {
    await Promise.all(indexes.map((index) => this.#start(index, count)));
  }

  member(index: number): WholeMember {
    const member = this.members.get(index);
    assert(member !== undefined, `member ${String(index)} runs`);
    return member;
  }

  address(index: number): string {
    return this.#addresses[index] ?? '';
  }

  /** Asks a member to take the next assignment, as an operator does. */
  async put(index: number, assignment: Assignment): Promise<void> {
    const replaces = assignment.version - 1;
    const response = await fetch(`http://${this.address(index)}/v1/assignment`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ replaces, assignment }),
    });
    if (response.status !== 204) throw new Error(await response.text());
  }

  /** Members that hold a bucket as their own groups say: voters of a configuration that is final and committed. */
  holders(bucket: number): number[][] {
    return [...this.members.values()].flatMap(({ store, node }) => {
      const group = store.group(bucket);
      if (group === undefined) return [];
      const { voters, outgoing, learners } = group.core.configuration;
      if (outgoing.length + learners.length > 0 || !group.core.isSettled) return [[-1]];
      const ids = node.status().buckets.find((each) => each.bucket === bucket)?.voters ?? [];
      assert.equal(ids.length, voters.length);
      return [ids.map((id) => this.#indexOf(id)).sort()];
    });
  }

  async stop(index: number): Promise<void> {
    const { node, store, server } = this.member(index);
    this.members.delete(index);
    await node.leave();
    await store.close();
    await server.close();
    await node.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of [...this.members.keys()]) await this.stop(index);
  }

  async #start(index: number, count: number): Promise<void> {
    const files = this.disks.get(index) ?? new MemoryFileSystem();
    this.disks.set(index, files);
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (facts: object, sentence: string) => void this.failures.push({ ...facts, sentence }),
    };
    const { bucketCount, partitionCount } = wholeOptions;
    const node = await ClusterNode.open({
      ...{ directory: DIRECTORY, index, peers: this.#addresses.slice(0, count), factor: 3 },
      ...{ counts: { bucketCount, partitionCount }, secret: null, version: '1.0.0', files, log },
      random: seededRandom(index + 1),
      state: () => 'serving',
    });
    const port = Number(this.address(index).split(':')[1]);
    const server = await openClusterServer({ host: '127.0.0.1', port }, node);
    await node.formed();
    const store = await node.openStore((replication) =>
      openStore(DIRECTORY, wholeOptions, {
        ...{ files, replication },
        onFatal: (error) => void this.failures.push(error),
      }),
    );
    const runner = new CommandRunner(store);
    node.onCommands = (bucket, body) => runner.run(bucket, body);
    const router = new Router(store, node, { requestTimeoutMs: 10_000 });
    this.members.set(index, { index, node, store, router, server });
  }

  #indexOf(member: string): number {
    return [...this.members.values()].find(({ node }) => node.self.id === member)?.index ?? -1;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert(typeof address === 'object' && address !== null);
  return address.port;
}
