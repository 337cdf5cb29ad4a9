/** Nodes that wait for an operator: what it sends them is the only thing that makes them a cluster. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { type Assignment, firstAssignment } from '../../common/assignment.ts';
import type { NodeStatus } from '../../common/cluster-contract.ts';
import { NodesClient } from '../../operator/src/nodes/index.ts';
import { freePorts } from '../testing/free-ports.ts';
import { type LogLine, NodeProcess } from '../testing/node-process.ts';

const SECRET = 'only told to operators';
const counts = { bucketCount: 4, partitionCount: 16 };

/** Nodes as pods have them: all addresses are given, none knows another one. */
class Pods implements AsyncDisposable {
  readonly #root: string;
  readonly #processes = new Map<number, NodeProcess>();
  /** By index. */
  readonly addresses: ReadonlyMap<number, string>;
  /** As the operator has it. */
  readonly nodes: NodesClient = new NodesClient();

  static async prepare(...indices: readonly number[]): Promise<Pods> {
    const root = await mkdtemp(join(tmpdir(), 'sierradb-pods-'));
    await writeFile(join(root, 'secret'), `${SECRET}\n`);
    const ports = await freePorts(indices.length);
    return new Pods(root, new Map(indices.map((index, i) => [index, `127.0.0.1:${ports[i]}`])));
  }

  private constructor(root: string, addresses: ReadonlyMap<number, string>) {
    this.#root = root;
    this.addresses = addresses;
  }

  /** Resolves when it listens for clients, which it does as a member only. */
  start(index: number): Promise<NodeProcess> {
    return NodeProcess.start({
      directory: join(this.#root, `data${index}`),
      environment: {
        SIERRADB_CLUSTER_FORMING: 'operator',
        SIERRADB_NODE_INDEX: String(index),
        SIERRADB_BUCKET_COUNT: String(counts.bucketCount),
        SIERRADB_PARTITION_COUNT: String(counts.partitionCount),
        SIERRADB_NETWORK_CLUSTER_ADDRESS: this.addresses.get(index) ?? '',
        SIERRADB_NETWORK_CLUSTER_SECRET_FILE: join(this.#root, 'secret'),
      },
      onSpawn: (node) => this.#processes.set(index, node),
    });
  }

  node(index: number): NodeProcess {
    const node = this.#processes.get(index);
    assert.ok(node !== undefined);
    return node;
  }

  status(index: number): Promise<NodeStatus> {
    return this.nodes.status(this.addresses.get(index) ?? '', SECRET);
  }

  /** What a node says that has just been started. */
  async awake(index: number): Promise<NodeStatus> {
    for (;;) {
      const status = await this.status(index).catch(() => null);
      if (status !== null) return status;
      await delay(20);
    }
  }

  put(index: number, assignment: Assignment): Promise<void> {
    const update = { replaces: 0, assignment };
    return this.nodes.putAssignment(this.addresses.get(index) ?? '', SECRET, update);
  }

  /** A first assignment for all of them. */
  async firstAssignment(): Promise<Assignment> {
    const members = await Promise.all(
      [...this.addresses].map(async ([index, address]) => {
        const { member: id } = await this.awake(index);
        return { id, index, address };
      }),
    );
    const factor = Math.min(members.length, 3);
    return firstAssignment('of-these-tests', { ...counts, factor }, members);
  }

  /** Starts all; `form` is called when they wait, and must make them a cluster. */
  async startAll(form: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const started = Promise.all([...this.addresses.keys()].map((index) => this.start(index)));
    await Promise.all([started, form()]);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((node) => node.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nodes.close();
    for (const node of this.#processes.values()) await node[Symbol.asyncDispose]();
    await rm(this.#root, { recursive: true, force: true });
  }
}

async function withClient<T>(node: NodeProcess, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: node.host, port: node.port, retryStrategy: null });
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

const append = (node: NodeProcess, stream: string): Promise<unknown> =>
  withClient(node, (client) => client.call('EAPPEND', stream, 'Noted', 'PAYLOAD', stream));

const versionOf = (node: NodeProcess, stream: string): Promise<unknown> =>
  withClient(node, (client) => client.call('ESVER', stream));

/** Resolves when clients should be sent there. */
async function ready(node: NodeProcess): Promise<void> {
  while (!(await fetch(`http://127.0.0.1:${node.adminPort}/readyz`)).ok) await delay(20);
}

/** About how it was started: an operator's nodes know neither count nor peers. */
const complaints = ({ log }: NodeProcess): LogLine[] =>
  log.filter(({ msg }) => /effect|unknown|look for this node/.test(msg));

describe('nodes that wait for an operator', { timeout: 180_000 }, () => {
  it('are made a cluster by the assignment that all are sent, and stay one', async () => {
    await using pods = await Pods.prepare(0, 101, 9999);
    await pods.startAll(async () => {
      const assignment = await pods.firstAssignment();
      const waiting = await Promise.all([0, 101, 9999].map((index) => pods.status(index)));
      for (const { index, cluster, state, assignment: known, buckets } of waiting) {
        assert.deepEqual([cluster, state, known, buckets], [null, 'forming', null, []], `${index}`);
      }
      assert.deepEqual(
        waiting.map(({ index }) => index),
        [0, 101, 9999],
      );
      const foreign = pods.nodes.status(pods.addresses.get(0) ?? '', 'guessed');
      await assert.rejects(foreign, { name: 'NodeError', status: 401 });
      assert.equal(await pods.nodes.assignment(pods.addresses.get(0) ?? '', SECRET), null);
      const other = { ...assignment, bucketCount: 3, buckets: assignment.buckets.slice(0, 3) };
      await assert.rejects(pods.put(0, other), {
        status: 409,
        message: 'it has 3 buckets and 16 partitions, this node 4 and 16',
      });
      for (const [index, address] of pods.addresses) {
        await pods.put(index, assignment);
        assert.deepEqual(await pods.nodes.assignment(address, SECRET), assignment);
      }
    });
    for (const index of pods.addresses.keys()) {
      await append(pods.node(index), `of-${index}`);
      await ready(pods.node(index));
    }

    const [address = ''] = pods.addresses.values();
    while (!(await pods.nodes.drain(address, SECRET)).isSafeToStop) await delay(50);
    assert.equal((await pods.status(0)).state, 'draining');
    await pods.nodes.endDrain(address, SECRET);
    assert.equal((await pods.status(0)).state, 'serving');

    await pods.stopAll();
    await pods.startAll();
    for (const index of pods.addresses.keys()) {
      const other = pods.node(index === 0 ? 101 : 0);
      assert.equal(await versionOf(other, `of-${index}`), 0);
      assert.deepEqual(complaints(pods.node(index)), []);
    }
  });

  it('can be one alone', async () => {
    await using pods = await Pods.prepare(0);
    await pods.startAll(async () => {
      await pods.put(0, await pods.firstAssignment());
    });
    await append(pods.node(0), 'alone');
    await ready(pods.node(0));
    pods.node(0).kill();
    await pods.node(0).exited;
    await pods.startAll();
    assert.equal(await versionOf(pods.node(0), 'alone'), 0);
    assert.deepEqual(complaints(pods.node(0)), []);
  });

  it('are ready when they hold nothing', async () => {
    await using pods = await Pods.prepare(0, 1);
    await pods.startAll(async () => {
      const assignment = await pods.firstAssignment();
      const [first] = assignment.members;
      const member = first?.id ?? '';
      const buckets = assignment.buckets.map(() => ({
        ...{ replicas: [{ member, since: 1 }], preferred: member },
      }));
      for (const index of [0, 1]) {
        await pods.put(index, { ...assignment, buckets });
      }
    });
    await append(pods.node(1), 'forwarded');
    assert.deepEqual((await pods.status(1)).buckets, []);
    await ready(pods.node(1));
  });
});
