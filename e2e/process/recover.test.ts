/** A majority is lost: the directory of the third node is made a cluster of one, and goes on with all that it had. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { runCli } from '../testing/cli-process.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { NodeProcess, runProgram } from '../testing/node-process.ts';

const SURVIVOR = 2;
const STREAMS = Array.from({ length: 24 }, (_, i) => `stream-${i}`);

/** One event to every stream. */
async function append({ port }: NodeProcess): Promise<void> {
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: null });
  try {
    await Promise.all(STREAMS.map((stream) => client.call('EAPPEND', stream, 'E')));
  } finally {
    client.disconnect();
  }
}

async function versions({ port }: Pick<NodeProcess, 'port'>): Promise<unknown[]> {
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: null });
  try {
    return await Promise.all(STREAMS.map((stream) => client.call('ESVER', stream)));
  } finally {
    client.disconnect();
  }
}

const allAre = (version: number): number[] => STREAMS.map(() => version);

/** Whether the survivor has every frame that leaders have. */
async function hasAll(cluster: ClusterProcesses): Promise<boolean> {
  const { member } = await cluster.status(SURVIVOR);
  const statuses = await Promise.all(cluster.indices.map((index) => cluster.status(index)));
  const led = statuses.flatMap(({ member: leader, buckets }) =>
    buckets.flatMap(({ role, lag }) =>
      role === 'leader' ? [leader === member ? 0 : lag[member]] : [],
    ),
  );
  return led.length === 4 && led.every((behind) => behind === 0);
}

/** Two disks of three are gone, and the third node was killed. */
async function loseMajority(cluster: ClusterProcesses): Promise<void> {
  for (const index of cluster.indices) await append(cluster.node(index));
  // What is asked here is what a survivor keeps; what never came to it is lost in truth.
  while (!(await hasAll(cluster))) await delay(50);
  for (const index of cluster.indices) cluster.node(index).kill();
  await Promise.all(cluster.indices.map((index) => cluster.node(index).exited));
  for (const index of cluster.indices.filter((each) => each !== SURVIVOR)) {
    await rm(cluster.directory(index), { recursive: true });
  }
}

describe('a lost majority', { timeout: 120_000 }, () => {
  it('is survived by what one disk has, when somebody says so', async () => {
    await using cluster = await ClusterProcesses.start(3);
    const { cluster: before } = await cluster.status(SURVIVOR);
    await loseMajority(cluster);
    const directory = cluster.directory(SURVIVOR);
    const command = ['cluster', 'recover', '--unsafe', directory];

    const asked = await runProgram(command);
    assert.equal(asked.code, 0, asked.stderr);
    assert.match(asked.stdout, /nothing was changed; .* --yes" does it\n$/);
    const unnamed = await runProgram(['cluster', 'recover', directory, '--yes']);
    assert.match(unnamed.stdout, /nothing was changed/);

    const done = await runProgram([...command, '--yes']);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /WARNING: events that were acknowledged by the lost members/);
    assert.match(done.stdout, /start it: sierradb --dir \S+ --node-index 0 --node-count 1\n/);
    const again = await runProgram([...command, '--yes']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /is of a cluster of one: it needs nobody else\n$/);

    const flags = ['--node-index', '0', '--node-count', '1'];
    for (const version of [2, 3]) {
      await using node = await NodeProcess.start({ directory, flags });
      assert.deepEqual(await versions(node), allAre(version));
      await append(node);
      assert.deepEqual(await versions(node), allAre(version + 1));
      await node.stop();
    }

    await rejoin(cluster, before);
    await grow(cluster);
  });
});

/** The survivor is node 0 now; nodes 1 and 2 have empty disks. */
async function grow(cluster: ClusterProcesses): Promise<void> {
  const directories = [SURVIVOR, 1, 0].map((index) => cluster.directory(index));
  const nodes: NodeProcess[] = [];
  const starting = directories.map((directory, index) =>
    NodeProcess.start({
      ...{ directory, flags: cluster.flags(index) },
      onSpawn: (node) => nodes.push(node),
    }),
  );
  try {
    const [first] = await Promise.all(starting.slice(0, 1));
    assert.ok(first !== undefined);
    const [address = '', ...others] = cluster.addresses;
    for (const other of others) {
      while ((await fetch(`http://${other}/v1/status`).catch(() => null)) === null) await delay(50);
      const words = ['cluster', 'add', other, '--address', address];
      const { code, stderr } = await runCli(words, first.port);
      assert.equal(code, 0, stderr);
    }
    await Promise.all(starting);
    await append(first);
    first.kill();
    const { buckets } = await cluster.status(1);
    assert.ok(buckets.length === 4 && buckets.every(({ voters }) => voters.length === 3));
    for (const { port } of nodes.filter((node) => node !== first)) {
      assert.deepEqual(await versions({ port }), allAre(5));
    }
  } finally {
    for (const node of nodes) await node[Symbol.asyncDispose]();
  }
}

/** With the others' addresses given, fresh disks there change nothing: the survivor is a cluster already, and another one. */
async function rejoin(cluster: ClusterProcesses, before: string | null): Promise<void> {
  const directory = cluster.directory(SURVIVOR);
  await using node = await NodeProcess.start({ directory, flags: cluster.flags(0) });
  assert.deepEqual(await versions(node), allAre(4));
  const { cluster: after, members, buckets } = await cluster.status(0);
  assert.notEqual(after, before);
  assert.equal(members?.length, 1);
  assert.ok(buckets.every(({ role }) => role === 'leader'));
}
