/** Disks that are wiped, or put back as they were: neither may ever serve as what it was, and nothing is lost by it. */
import assert from 'node:assert/strict';
import { cp, readdir, rm } from 'node:fs/promises';
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { runCli } from '../testing/cli-process.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import type { NodeProcess } from '../testing/node-process.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle, until } from './testing/settle.ts';

const REFUSED = /is not what it was: .*was copied or rolled back: .*"sierradb cluster replace"/;

/** Starts a node that is to be refused: before it serves, or, where nobody answered by then, as soon as somebody does. */
async function startRefused(cluster: ClusterProcesses, index: number): Promise<void> {
  const started = await cluster.restart(index).catch((error: unknown) => error as Error);
  if (started instanceof Error) assert.match(started.message, REFUSED);
  else await endsRefused(started);
}

async function endsRefused({ exited, log }: NodeProcess): Promise<void> {
  assert.equal((await exited).code, 1);
  // What it has written may come after its end is known.
  await until(() => Promise.resolve(log.some(({ msg }) => REFUSED.test(msg))));
}

/** An empty disk in the place of a node's. */
async function replace(cluster: ClusterProcesses, index: number): Promise<void> {
  await rm(cluster.directory(index), { recursive: true });
  const starting = cluster.restart(index);
  await until(async () => {
    const status = await cluster.status(index).catch(() => null);
    return status?.state === 'forming';
  });
  const through = cluster.addresses[(index + 1) % cluster.count] ?? '';
  const { code, stdout, stderr } = await runCli(
    ['cluster', 'replace', String(index), '--address', through],
    0,
  );
  assert.equal(code, 0, `${stdout}${stderr}`);
  await starting;
}

/** Puts a node's directory back as it was copied to `copy`. */
async function rollBack(cluster: ClusterProcesses, index: number, copy: string): Promise<void> {
  await rm(cluster.directory(index), { recursive: true });
  await cp(copy, cluster.directory(index), { recursive: true });
}

/** Of a node's directory, made while the node is stopped. */
async function copyAtRest(cluster: ClusterProcesses, index: number): Promise<string> {
  assert.equal((await cluster.node(index).stop()).code, 0);
  const copy = `${cluster.directory(index)}-copy`;
  await cp(cluster.directory(index), copy, { recursive: true });
  await cluster.restart(index);
  return copy;
}

describe(`lost disks, seed ${seed}`, () => {
  it('that are wiped are replaced', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, random);
    for (const index of [random.below(3), 0]) {
      await load.acknowledged(200);
      cluster.node(index).kill();
      await cluster.node(index).exited;
      await load.acknowledged(100);
      await replace(cluster, index);
    }
    await load.acknowledged(200);
    const history = await load.stop();
    t.diagnostic(load.describe());
    await settle(cluster, history);
  });

  it('that are put back as they were are refused, however often', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, random);
    const victim = random.below(3);
    await load.acknowledged(100);
    const copy = await copyAtRest(cluster, victim);
    await load.acknowledged(100);
    cluster.node(victim).kill();
    await cluster.node(victim).exited;
    await rollBack(cluster, victim, copy);
    // As many starts as it had before, and more: none of them counts.
    for (let start = 0; start < 3; start += 1) await startRefused(cluster, victim);
    await load.acknowledged(100);
    await replace(cluster, victim);
    await load.acknowledged(100);
    const history = await load.stop();
    t.diagnostic(load.describe());
    await settle(cluster, history);
  });

  it('that are put back while all are down are refused by those who remember', limits, async () => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, random);
    const victim = random.below(3);
    const others = cluster.indices.filter((index) => index !== victim);
    await load.acknowledged(100);
    const copy = await copyAtRest(cluster, victim);
    await load.acknowledged(200);
    const history = await load.stop();
    for (const index of cluster.indices) cluster.node(index).kill();
    await Promise.all(cluster.indices.map((index) => cluster.node(index).exited));
    await rollBack(cluster, victim, copy);
    // Nobody who knows better is there: it starts, and waits for them.
    await cluster.restart(victim);
    await Promise.all(others.map((index) => cluster.restart(index)));
    await endsRefused(cluster.node(victim));
    assert.ok((await readdir(cluster.directory(others[0] ?? 0))).includes('starts.json'));
    await replace(cluster, victim);
    await settle(cluster, history);
  });
});
