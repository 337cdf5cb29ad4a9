/** A random walk of a group: every interleaving of messages, losses, repeats, crashes, slow disks and changes, by seed. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { seeds, underSeed } from '../../../../common/testing/seeds.ts';
import { RaftCluster } from './testing/raft-cluster.ts';
import type { Configuration, ReplicaId } from './types.ts';

const FILE = 'node/src/replication/raft/walk.test.ts';
const STEPS = 1500;

const NAMES: readonly ReplicaId[] = ['a', 'b', 'c', 'd', 'e', 'f'];

function walk(seed: number): RaftCluster {
  const size = 1 + (seed % 5);
  const cluster = new RaftCluster(NAMES.slice(0, size), seed);
  for (const id of NAMES.slice(size)) cluster.add(id);
  const { random } = cluster;
  let reads = 0;
  const any = (): ReplicaId => NAMES[random.below(NAMES.length)] as ReplicaId;
  const faults = random.below(4);
  for (let i = 0; i < STEPS; i += 1) {
    const dice = random.below(100);
    if (dice < 45 && cluster.network.length > 0) {
      // Mostly in order, sometimes any.
      const n =
        random.below(faults + 1) === 0 ? 0 : random.below(Math.min(8, cluster.network.length));
      if (random.below(20) < faults) cluster.network.splice(n, 1);
      else cluster.deliver(n, random.below(30) < faults);
    } else if (dice < 60) cluster.sync(any());
    else if (dice < 76) cluster.tick(any());
    else if (dice < 86) for (const { id } of cluster.leaders()) cluster.propose(id);
    else if (dice < 90) cluster.read(any(), (reads += 1));
    else if (dice < 92) for (const { id } of cluster.leaders()) cluster.transfer(id, any());
    else if (dice < 94)
      for (const { id } of cluster.leaders()) cluster.change(id, randomConfiguration(cluster));
    else if (dice < 95) cluster.copy();
    else if (dice < 96) for (const { id } of cluster.leaders()) cluster.forget(id);
    else if (faults > 0) {
      const id = any();
      if (cluster.get(id).isUp) cluster.crash(id);
      else cluster.restart(id);
    }
    if (cluster.network.length > 200) cluster.network.splice(0, 100);
  }
  return cluster;
}

function randomConfiguration({ random }: RaftCluster): Configuration {
  const order = [...NAMES].sort(() => random.below(3) - 1);
  const count = 1 + random.below(4);
  const voters = order.slice(0, count);
  return { voters, outgoing: [], learners: order.slice(count, count + random.below(2)) };
}

/** All is well again: the group must find a leader, and everyone in it the same log. */
function heal(cluster: RaftCluster): void {
  for (const { id, isUp } of cluster.replicas.values()) if (!isUp) cluster.restart(id);
  cluster.settle();
  const before = cluster.committedIndex;
  for (let i = 0; i < 2000; i += 1) {
    for (const id of NAMES) cluster.tick(id);
    cluster.settle();
    for (const { id } of cluster.leaders()) cluster.propose(id);
    cluster.settle();
    if (cluster.committedIndex > before + 2) break;
  }
  assert(cluster.committedIndex > before, 'the healed group commits');
}

test('what the paper promises holds on random walks', async (t) => {
  let committed = 0;
  let walks = 0;
  for (const seed of seeds(60)) {
    await t.test(`seed ${String(seed)}`, () =>
      underSeed(FILE, seed, () => {
        const cluster = walk(seed);
        heal(cluster);
        committed += cluster.committedIndex;
        walks += 1;
        return Promise.resolve();
      }),
    );
  }
  assert(committed > 10 * walks, 'walks get somewhere');
});

/** `a` leads, and has asked that its segments be copied to `c`: what `c` lacks it has no longer in memory. */
function copying(): RaftCluster {
  const cluster = new RaftCluster(['a', 'b', 'c'], 1);
  cluster.campaign('a');
  cluster.settle();
  cluster.crash('c');
  cluster.drop('a>c');
  for (let i = 0; i < 20; i += 1) cluster.propose('a');
  cluster.settle();
  cluster.forget('a');
  cluster.restart('c');
  untilAsked(cluster);
  return cluster;
}

/** Until `a` has asked for a copy, for `beats` heartbeats at most. */
function untilAsked(cluster: RaftCluster, beats: number = 50): void {
  for (let i = 0; i < beats && cluster.copies.length === 0; i += 1) {
    for (let n = 0; n < 2; n += 1) cluster.tick('a');
    while (cluster.network.length > 0) cluster.deliver(0);
  }
}

test('a copy of which nothing is heard is asked for again', () => {
  const cluster = copying();
  // The request is lost, or its answer.
  assert.equal(cluster.copies.splice(0).length, 1);
  untilAsked(cluster);
  cluster.settle();
  assert.equal(cluster.get('c').core.commit, cluster.get('a').core.commit);
});

test('a copy from a later leader says nothing of what this one has not committed', () => {
  const cluster = copying();
  const [copy] = cluster.copies.splice(0);
  assert.equal(copy?.to, 'c');
  const { core, log } = cluster.get('a');
  const { commit } = core;
  // It is replaced without a word to it, and c has copied what its successor has committed.
  cluster.propose('a');
  core.step({ kind: 'copied', to: 'c', index: log.lastIndex + 10 });
  cluster.propose('a');
  cluster.sync('a');
  assert.equal(core.commit, commit);
});

test('a copy that fails is asked for again after a while, not at once', () => {
  const cluster = copying();
  const { commit } = cluster.get('a').core;
  const isAsked = (): boolean => cluster.copies.length > 0;
  for (const index of [null, 0]) {
    cluster.copies.splice(0);
    cluster.copied('a', 'c', index);
    assert(!isAsked(), `it has got to ${String(index)}`);
    untilAsked(cluster, 10);
    assert(isAsked());
  }
  cluster.settle();
  assert.equal(cluster.get('c').core.commit, commit);
});
