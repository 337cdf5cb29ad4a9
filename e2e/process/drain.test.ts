/** A node that is drained before it is stopped costs its clients no error, and hardly a moment. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { clusterPaths, type DrainStatus, type NodeStatus } from '../../common/cluster-contract.ts';
import { runCli } from '../testing/cli-process.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';

const CLIENTS = 16;

/** Clients of all nodes but one append as fast as they are answered; an error ends the test. */
class Load implements AsyncDisposable {
  /** The longest time for which one append was not answered, since it was last set. */
  slowestMs = 0;
  count = 0;
  readonly #clients: Redis[];
  readonly #running: Promise<void>[];
  #isStopping = false;

  constructor(cluster: ClusterProcesses, indices: readonly number[]) {
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => {
      const { port } = cluster.node(indices[i % indices.length] ?? 0);
      return new Redis({ host: '127.0.0.1', port, retryStrategy: null, maxRetriesPerRequest: 0 });
    });
    this.#running = this.#clients.map((client, i) => this.#run(client, `stream-${i}`));
  }

  async acknowledged(count: number): Promise<void> {
    const goal = this.count + count;
    while (this.count < goal) {
      await Promise.race([delay(5), Promise.all(this.#running)]);
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled(this.#running);
    for (const client of this.#clients) client.disconnect();
  }

  async #run(client: Redis, stream: string): Promise<void> {
    for (let version = 0; !this.#isStopping; version += 1) {
      const beganMs = performance.now();
      const expected = version === 0 ? 'EMPTY' : String(version - 1);
      await client.call('EAPPEND', stream, 'E', 'EXPECTED_VERSION', expected);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - beganMs);
      this.count += 1;
    }
  }
}

const leads = ({ buckets }: NodeStatus): number =>
  buckets.filter(({ role }) => role === 'leader').length;

async function drain(cluster: ClusterProcesses, index: number): Promise<DrainStatus> {
  const url = `http://${cluster.addresses[index] ?? ''}${clusterPaths.drain}`;
  const answer = await fetch(url, { method: 'POST' });
  assert.equal(answer.status, 200);
  return (await answer.json()) as DrainStatus;
}

/** Asks until it is safe to stop: a new leader does not lead at once. */
async function drainWhole(cluster: ClusterProcesses, index: number): Promise<DrainStatus> {
  for (;;) {
    const status = await drain(cluster, index);
    if (status.isSafeToStop) return status;
    await delay(20);
  }
}

async function endDrain(cluster: ClusterProcesses, index: number): Promise<void> {
  const url = `http://${cluster.addresses[index] ?? ''}${clusterPaths.drain}`;
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 204);
}

async function metricsOf(cluster: ClusterProcesses, index: number): Promise<string> {
  const { adminPort } = cluster.node(index);
  return (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
}

/** Resolves when they match: a node hears of a new leader with its next message, and counts it at its next tick. */
async function metricsWith(
  cluster: ClusterProcesses,
  index: number,
  pattern: RegExp,
): Promise<string> {
  for (;;) {
    const metrics = await metricsOf(cluster, index);
    if (pattern.test(metrics)) return metrics;
    await delay(20);
  }
}

/** A node that leads something. */
async function leaderOf(cluster: ClusterProcesses): Promise<number> {
  for (;;) {
    const statuses = await Promise.all(cluster.indices.map((index) => cluster.status(index)));
    const found = statuses.findIndex((status) => leads(status) > 0);
    if (found >= 0) return found;
    await delay(20);
  }
}

describe('a node that is drained', { timeout: 60_000 }, () => {
  it('leads nothing, and can be stopped under load without an error', async (t) => {
    await using cluster = await ClusterProcesses.start(3);
    const leader = await leaderOf(cluster);
    const others = cluster.indices.filter((index) => index !== leader);
    await using load = new Load(cluster, others);
    await load.acknowledged(500);
    const usualMs = load.slowestMs;
    load.slowestMs = 0;

    const status = await drainWhole(cluster, leader);
    assert.deepEqual([status.leading, status.blocked], [[], []]);
    const told = await cluster.status(leader);
    assert.deepEqual([told.state, leads(told), told.member], ['draining', 0, status.member]);
    const metrics = await metricsWith(cluster, leader, /^sierradb_leader_changes_total [1-9]/m);
    assert.match(metrics, /^sierradb_draining 1$/m);
    assert.match(metrics, /^sierradb_replicas\{role="leader"\} 0$/m);
    assert.match(metrics, /^sierradb_replicas\{role="follower"\} 4$/m);
    assert.match(metrics, /^sierradb_leader_changes_total [1-9]/m);
    await load.acknowledged(500);
    const drainMs = load.slowestMs;
    load.slowestMs = 0;

    assert.equal((await cluster.node(leader).stop()).code, 0);
    await load.acknowledged(500);
    await load.stop();
    const figures = [usualMs, drainMs, load.slowestMs].map((ms) => `${Math.round(ms)} ms`);
    t.diagnostic(`slowest append before, at the drain, at the stop: ${figures.join(', ')}`);
  });

  it('is told by the command line, counts on nobody who drains, and may be kept', async () => {
    await using cluster = await ClusterProcesses.start(3);
    const leader = await leaderOf(cluster);
    const address = cluster.addresses[leader] ?? '';
    const ended = await runCli(['cluster', 'drain', '--address', address], 0);
    assert.deepEqual([ended.code, ended.stdout.split('\n')[0]], [0, 'safe to stop']);
    const table = await runCli(['cluster', 'status', '--address', address], 0);
    assert.match(table.stdout, / {2}draining {2}0 of 4 {2}/);

    const second = (leader + 1) % 3;
    const refused = await runCli(
      ['cluster', 'drain', '--json', '--wait', '3', '--address', cluster.addresses[second] ?? ''],
      0,
    );
    assert.equal(refused.code, 1);
    const status = JSON.parse(refused.stdout) as DrainStatus;
    assert.deepEqual([status.isSafeToStop, status.leading], [false, []]);
    assert.equal(status.blocked.length, 4);
    assert.equal(status.blocked[0]?.reason, '1 of the others are up to date, a majority is 2');

    await endDrain(cluster, leader);
    await endDrain(cluster, leader);
    assert.equal((await cluster.status(leader)).state, 'serving');
    await drainWhole(cluster, second);
    const kept = await runCli(
      ['cluster', 'drain', '--cancel', '--address', cluster.addresses[second] ?? ''],
      0,
    );
    assert.deepEqual([kept.code, kept.stdout], [0, 'it may lead again\n']);
    assert.equal((await cluster.status(second)).state, 'serving');
  });
});
