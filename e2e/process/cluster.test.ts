/** Three nodes as processes, formed by hand: every node serves every command, and a killed one is missed for a moment only. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { firstAssignment } from '../../common/assignment.ts';
import { systemRandom } from '../../common/random.ts';
import { writeAssignment } from '../../node/src/cluster/assignment-file.ts';
import { claimDirectory } from '../../node/src/cluster/claim-directory.ts';
import { RealFileSystem } from '../../node/src/storage/real-file-system.ts';
import { runCli } from '../testing/cli-process.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { NodeProcess, runProgram } from '../testing/node-process.ts';

/** Enough for every bucket to have some. */
const streams: readonly string[] = Array.from({ length: 24 }, (_, i) => `stream-${i}`);

const counts = { bucketCount: 4, partitionCount: 32 };

class Clients implements Disposable {
  readonly #clients = new Map<NodeProcess, Redis>();

  of(node: NodeProcess): Redis {
    const known = this.#clients.get(node);
    if (known !== undefined) return known;
    const options = { host: '127.0.0.1', port: node.port, retryStrategy: null };
    const client = new Redis({ ...options, maxRetriesPerRequest: 0 });
    client.on('error', () => undefined);
    this.#clients.set(node, client);
    return client;
  }

  /** One event to each stream through a node. */
  async append(node: NodeProcess): Promise<void> {
    const client = this.of(node);
    await Promise.all(streams.map((stream) => appendOnce(client, stream)));
  }

  /** Versions of all streams as a node tells them. */
  async versions(node: NodeProcess): Promise<unknown[]> {
    const client = this.of(node);
    return Promise.all(streams.map((stream) => client.call('ESVER', stream)));
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.disconnect();
  }
}

/** An append whose outcome is not known is tried again with the same id: then it is done once. */
async function appendOnce(client: Redis, stream: string): Promise<void> {
  const id = randomUUID();
  for (;;) {
    try {
      await client.call('EAPPEND', stream, 'E', 'EVENT_ID', id);
      return;
    } catch (error) {
      if (!/^(QUORUMFAILED|TRYAGAIN|CLUSTERDOWN)/.test((error as Error).message)) throw error;
    }
  }
}

/** Of an append with one event, under `append.max_bytes`. */
const LARGEST_BYTES = 16 * 1024 * 1024 - 1024;
const isLarge = (value: unknown): value is Buffer =>
  Buffer.isBuffer(value) && value.length === LARGEST_BYTES;

/** Leaders may change. */
async function retried(call: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!/^TRYAGAIN/.test((error as Error).message)) throw error;
    }
  }
}

/** Looks until it holds; a test that waits in vain is ended by the runner. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(50);
}

const allAre = (version: number): number[] => streams.map(() => version);

/** Whether a node's replicas have all that their leaders have. */
async function isCaughtUp(cluster: ClusterProcesses, index: number): Promise<boolean> {
  const { member } = await cluster.status(index);
  const statuses = await Promise.all(cluster.indices.map((each) => cluster.status(each)));
  const leaders = statuses.flatMap(({ buckets }) =>
    buckets.filter(({ role }) => role === 'leader'),
  );
  const lags = leaders.flatMap(({ lag }) => (member in lag ? [lag[member]] : []));
  const own = leaders.length - lags.length;
  const led = statuses[index]?.buckets.filter(({ role }) => role === 'leader').length ?? 0;
  return leaders.length === counts.bucketCount && own === led && lags.every((lag) => lag === 0);
}

describe('three nodes', { timeout: 120_000 }, () => {
  it('serve every command anywhere, and go on when one is killed', async () => {
    await using cluster = await ClusterProcesses.start(3);
    using clients = new Clients();
    for (const index of cluster.indices) await clients.append(cluster.node(index));
    for (const index of cluster.indices) {
      assert.deepEqual(await clients.versions(cluster.node(index)), allAre(2));
    }

    const told = await runCli(['cluster', 'status', '-j', '-a', cluster.addresses[1] ?? ''], 0);
    const state = JSON.parse(told.stdout) as { members: { state: string }[]; buckets: unknown[] };
    assert.deepEqual(
      [state.members.map((member) => member.state), state.buckets.length],
      [['serving', 'serving', 'serving'], counts.bucketCount],
    );

    const statuses = await Promise.all(cluster.indices.map((index) => cluster.status(index)));
    assert.equal(new Set(statuses.map((status) => status.cluster)).size, 1);
    const victim = statuses.findIndex(({ buckets }) => buckets.some((b) => b.role === 'leader'));
    const [first, second] = cluster.indices.filter((index) => index !== victim) as [number, number];
    const killedMs = performance.now();
    cluster.node(victim).kill();
    await clients.append(cluster.node(first));
    const outageMs = performance.now() - killedMs;
    assert.ok(outageMs < 3000, `no append for ${Math.round(outageMs)} ms`);
    assert.deepEqual(await clients.versions(cluster.node(second)), allAre(3));

    const again = await cluster.restart(victim);
    await until(() => isCaughtUp(cluster, victim));
    assert.deepEqual(await clients.versions(again), allAre(3));
    await clients.append(again);
    assert.deepEqual(await clients.versions(cluster.node(first)), allAre(4));
    const { boot } = await cluster.status(victim);
    assert.equal(boot, 2);
  });

  it('take the largest append through every node, and who was away gets it', async () => {
    await using cluster = await ClusterProcesses.start(3);
    using clients = new Clients();
    await clients.append(cluster.node(0));
    cluster.node(2).kill();
    await cluster.node(2).exited;
    const payload = Buffer.alloc(LARGEST_BYTES, 'x');
    const large = streams.slice(0, 4);
    for (const [i, stream] of large.entries()) {
      const client = clients.of(cluster.node(i % 2));
      await retried(() => client.call('EAPPEND', stream, 'E', 'PAYLOAD', payload));
    }
    await cluster.restart(2);
    await until(() => isCaughtUp(cluster, 2));
    for (const index of cluster.indices) {
      const client = clients.of(cluster.node(index));
      for (const stream of large) {
        const page = await retried(() => client.callBuffer('ESCAN', stream, '1', '+'));
        const found = (page as unknown[]).flat(Infinity).filter(isLarge);
        assert.ok(found.length === 1 && found[0]?.equals(payload), `${stream} at ${index}`);
      }
    }
  });

  it('are the same cluster after all of them were stopped', async () => {
    await using cluster = await ClusterProcesses.start(3);
    using clients = new Clients();
    await clients.append(cluster.node(0));
    const { cluster: id } = await cluster.status(0);
    const exits = await Promise.all(cluster.indices.map((index) => cluster.node(index).stop()));
    assert.deepEqual(
      exits.map(({ code }) => code),
      [0, 0, 0],
    );
    await cluster.startAll();
    assert.deepEqual(await clients.versions(cluster.node(2)), allAre(0));
    assert.equal((await cluster.status(1)).cluster, id);
  });

  it('are formed to the end when node 0 has died in the middle of it', async () => {
    await using cluster = await ClusterProcesses.prepare(3);
    const files = new RealFileSystem();
    const members = await Promise.all(
      cluster.addresses.map(async (address, index) => {
        const directory = cluster.directory(index);
        const claim = { directory, index, peers: cluster.addresses, counts };
        const { identity, lock } = await claimDirectory({ ...claim, files, random: systemRandom });
        await lock.release();
        return { id: identity.memberId, index, address };
      }),
    );
    const assignment = firstAssignment('the-cluster', { ...counts, factor: 3 }, members);
    await writeAssignment(files, cluster.directory(0), assignment);
    await cluster.startAll();
    for (const index of cluster.indices) {
      assert.equal((await cluster.status(index)).cluster, 'the-cluster');
    }
  });

  it('do not become another cluster where one has lost its disk', async () => {
    await using cluster = await ClusterProcesses.start(3);
    using clients = new Clients();
    await clients.append(cluster.node(1));
    cluster.node(0).kill();
    await cluster.node(0).exited;
    await rm(cluster.directory(0), { recursive: true });
    const starting = cluster.restart(0).catch(() => undefined);
    await until(async () => {
      const status = await cluster.status(0).catch(() => null);
      return status?.state === 'forming';
    });
    await clients.append(cluster.node(1));
    assert.equal((await cluster.status(0)).cluster, null);
    cluster.node(0).kill();
    await starting;
  });
});

describe('a directory of another kind', { timeout: 60_000 }, () => {
  it('is refused with the command to use', async () => {
    await using node = await NodeProcess.start();
    await node.stop();
    const { directory } = node;
    const refused = await runProgram(['--dir', directory, '--node-count', '3']);
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /holds the data of a single node and cannot become one of 3; start it as what it is: sierradb --dir \S+ --node-count 1\n$/,
    );

    await using cluster = await ClusterProcesses.start(2);
    await Promise.all(cluster.indices.map((index) => cluster.node(index).stop()));
    const lone = await runProgram(['--dir', cluster.directory(1)]);
    assert.match(
      lone.stderr,
      /is of node 1 of a cluster and cannot be a single node; start it as what it is: sierradb --dir \S+ --node-index 1 --node-count 2\n$/,
    );
  });
});
