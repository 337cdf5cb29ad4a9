/** Members come and go by `sierradb cluster add`, `remove` and `replace` while clients append. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { runCli } from '../testing/cli-process.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { NodeProcess } from '../testing/node-process.ts';

const STREAMS = Array.from({ length: 8 }, (_, i) => `stream-${i}`);
/** Of appends that may have been done, or were not: leaders change in these tests. */
const PASSING = /^(QUORUMFAILED|TRYAGAIN|INSUFFICIENTREPLICAS)/;

const connect = ({ port }: NodeProcess): Redis =>
  new Redis({ host: '127.0.0.1', port, retryStrategy: null });

/** Appends to every stream through one node, one event after the other. */
class Load implements AsyncDisposable {
  /** Payloads of acknowledged events, by stream. */
  readonly acknowledged = new Map(STREAMS.map((stream) => [stream, [] as string[]]));
  readonly #client: Redis;
  readonly #running: Promise<void>;
  #isStopping = false;

  constructor(node: NodeProcess) {
    this.#client = connect(node);
    this.#running = Promise.all(STREAMS.map((stream) => this.#run(stream))).then(() => undefined);
  }

  get count(): number {
    return [...this.acknowledged.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async more(count: number): Promise<void> {
    const goal = this.count + count;
    while (this.count < goal) await Promise.race([delay(20), this.#failed()]);
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await this.#running.catch(() => undefined);
    this.#client.disconnect();
  }

  /** Never resolves. */
  async #failed(): Promise<never> {
    await this.#running;
    throw new Error('the load has ended');
  }

  async #run(stream: string): Promise<void> {
    for (let i = 0; !this.#isStopping; i += 1) {
      try {
        await this.#client.call('EAPPEND', stream, 'E', 'PAYLOAD', `${stream}/${i}`);
        this.acknowledged.get(stream)?.push(`${stream}/${i}`);
      } catch (error) {
        if (!PASSING.test((error as Error).message)) throw error;
      }
    }
  }
}

/** Everything that was acknowledged is there through each of the nodes, in its order. */
async function check(load: Load, nodes: readonly NodeProcess[]): Promise<void> {
  for (const node of nodes) {
    const client = connect(node);
    try {
      for (const [stream, payloads] of load.acknowledged) {
        const seen = (await scan(client, stream)).filter((payload) => payloads.includes(payload));
        assert.deepEqual(seen, payloads, `${stream} through port ${node.port}`);
      }
    } finally {
      client.disconnect();
    }
  }
}

async function scan(client: Redis, stream: string): Promise<string[]> {
  const payloads: string[] = [];
  for (;;) {
    const page = await client.call('ESCAN', stream, String(payloads.length), '+');
    const text = JSON.stringify(page);
    const found = [...text.matchAll(/"(stream-\d+\/\d+)"/g)].map(([, payload]) => payload ?? '');
    if (found.length === 0) return payloads;
    payloads.push(...found);
  }
}

/** Resolves when a node says something of itself: it may wait to be taken in. */
async function awake(address: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://${address}/v1/status`).catch(() => null);
    if (answer?.ok === true) return;
    await delay(50);
  }
}

async function change(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['cluster', ...words], 0);
  assert.equal(code, 0, `${words.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

describe('members', { timeout: 180_000 }, () => {
  it('with an empty disk take the place of one whose disk is lost', async () => {
    await using cluster = await ClusterProcesses.start(3);
    const [address = ''] = cluster.addresses;
    await using load = new Load(cluster.node(0));
    await load.more(200);
    cluster.node(1).kill();
    await cluster.node(1).exited;
    await rm(cluster.directory(1), { recursive: true });
    const restarted = cluster.restart(1);
    await awake(cluster.addresses[1] ?? '');
    const said = await change('replace', '1', '--address', address);
    assert.match(said, /^done: 3 members by version 3; member \S+ has left and may be stopped\n$/);
    await restarted;
    await load.more(200);
    await load.stop();
    await check(
      load,
      cluster.indices.map((index) => cluster.node(index)),
    );
    const { buckets } = await cluster.status(1);
    assert.equal(buckets.length, 4);
    const refused = await runCli(['cluster', 'replace', '1', '--address', address], 0);
    assert.match(refused.stderr, /is in a cluster already: a new member starts with an empty disk/);
  });

  it('are added and removed', async () => {
    await using cluster = await ClusterProcesses.start(3);
    await using spare = await ClusterProcesses.prepare(1);
    const [address = ''] = spare.addresses;
    const peers = [...cluster.addresses, address].join(',');
    let fourth: NodeProcess | null = null;
    const started = NodeProcess.start({
      directory: spare.directory(0),
      flags: ['--node-index', '3', '--node-count', '4', '--set', `network.peers=${peers}`],
      onSpawn: (node) => (fourth = node),
    });
    try {
      await using load = new Load(cluster.node(2));
      await awake(address);
      const stays = ['--address', cluster.addresses[2] ?? ''];
      assert.match(await change('add', address, ...stays), /^done: 4 members by version 2\n$/);
      const joined = await started;
      await load.more(100);
      assert.match(await change('remove', '0', ...stays), /^done: 3 members by version 4; member /);
      assert.equal(
        await cluster
          .node(0)
          .stop()
          .then(({ code }) => code),
        0,
      );
      await load.more(100);
      await load.stop();
      await check(load, [cluster.node(1), cluster.node(2), joined]);
    } finally {
      await (fourth as NodeProcess | null)?.[Symbol.asyncDispose]();
    }
  });

  it('are removed while another one drains and a third is killed', async () => {
    await using cluster = await ClusterProcesses.start(4);
    await using load = new Load(cluster.node(3));
    await load.more(100);
    const stays = ['--address', cluster.addresses[3] ?? ''];
    const draining = runCli(['cluster', 'drain', '--address', cluster.addresses[0] ?? ''], 0);
    const removing = change('remove', '1', ...stays);
    await load.more(20);
    cluster.node(2).kill();
    await cluster.node(2).exited;
    await load.more(100);
    await cluster.restart(2);
    assert.match(await removing, /^done: 3 members by version 3; member /);
    assert.equal((await draining).code, 0);
    await cluster.node(1).stop();
    await load.more(100);
    await load.stop();
    await check(
      load,
      [0, 2, 3].map((index) => cluster.node(index)),
    );
  });
});
