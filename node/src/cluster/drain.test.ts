import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Drain, DRAIN_MS } from './drain.ts';
import { MemoryCluster, type TestMember } from './testing/memory-cluster.ts';
import { append, appendThroughAll, draft, streamOfBucket, turn } from './testing/routed-events.ts';

const BUCKETS = [0, 1, 2, 3];

interface Draining {
  readonly drain: Drain;
  /** What was told of its state. */
  readonly told: boolean[];
  nowMs: number;
}

function drainOf(member: TestMember, isWilling: Drain['isOn'] = true): Draining {
  const told: boolean[] = [];
  const draining: Draining = {
    drain: new Drain({
      groups: () => member.store.groups(),
      isWilling: () => isWilling,
      changed: () => void told.push(draining.drain.isOn),
      now: () => performance.now() + draining.nowMs,
    }),
    told,
    nowMs: 0,
  };
  return draining;
}

const ledBy = (member: TestMember): number[] =>
  BUCKETS.filter((bucket) => member.store.group(bucket)?.core.role === 'leader');

/** The member that leads a bucket, and one of the others. */
function sides(cluster: MemoryCluster, bucket: number): [TestMember, TestMember] {
  const leader = cluster.leader(bucket);
  const other = cluster.members.find((member) => member !== leader);
  assert(leader !== null && other !== undefined);
  return [leader, other];
}

describe('a member that drains', () => {
  it('gives away everything that it leads, and nobody loses an append', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const end = appendThroughAll(cluster);
    for (const member of cluster.members) {
      const { drain, told } = drainOf(member);
      await drain.begin();
      assert.deepEqual([ledBy(member), told], [[], [true]]);
      await drain.begin();
      drain.end();
      drain.end();
      assert.deepEqual(told, [true, false]);
      await cluster.led();
    }
    for (const count of await end()) assert(count > 0);
  });

  it('gives away again what came back', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const [leader, member] = sides(cluster, 0);
    const { drain } = drainOf(member);
    await drain.begin();
    const own = member.store.group(0);
    const there = leader.store.group(0);
    assert(own !== undefined && there !== undefined);
    const leads = (): boolean => own.core.role === 'leader';
    while (!leads()) {
      const leading = cluster.leader(0)?.store.group(0);
      if (leading !== undefined && !leading.core.isHandingOver) leading.transfer(own.replicaId);
      await turn();
    }
    while (leads()) {
      drain.look();
      await turn();
    }
    drain.end();
  });

  it('does not stand where another one would be elected', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const [leader, member] = sides(cluster, 0);
    const { drain } = drainOf(member);
    await drain.begin();
    const own = member.store.group(0);
    assert(own !== undefined);
    const last = cluster.leader(0) ?? leader;
    last.isCutOff = true;
    while (cluster.leader(0) === null) {
      assert.equal(own.core.role, 'follower');
      await turn();
    }
    assert.notEqual(cluster.leader(0), member);
    drain.end();
  });

  it('leads where nobody else can', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const [, member] = sides(cluster, 0);
    const { drain } = drainOf(member);
    await drain.begin();
    const last = cluster.leader(0);
    const third = cluster.members.find((each) => each !== member && each !== last);
    assert(last !== null && third !== undefined);
    // One that lacks what was acknowledged is not elected.
    third.isCutOff = true;
    await append(last.router, draft(streamOfBucket(last.router, 0)));
    third.isCutOff = false;
    last.isCutOff = true;
    while (cluster.leader(0) === null) await turn();
    assert.equal(cluster.leader(0), member);
    drain.end();
  });

  it('keeps what nobody is willing to take', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const [leader] = sides(cluster, 0);
    const { drain } = drainOf(leader, false);
    const before = ledBy(leader);
    await drain.begin();
    assert.deepEqual(ledBy(leader), before);
    await append(leader.router, draft('a'));
  });

  it('is one no more when nobody asks again', async () => {
    await using cluster = await MemoryCluster.open();
    const draining = drainOf(cluster.member(0));
    const { drain, told } = draining;
    await drain.begin();
    draining.nowMs = DRAIN_MS - 60_000;
    drain.look();
    assert(drain.endsInMs > 0 && drain.endsInMs <= 60_000);
    await drain.begin();
    draining.nowMs += DRAIN_MS - 60_000;
    drain.look();
    assert(drain.isOn);
    draining.nowMs += 60_000;
    drain.look();
    assert.deepEqual([drain.isOn, drain.endsInMs, told], [false, 0, [true, false]]);
    for (const { core } of cluster.member(0).store.groups()) assert(!core.isReluctant);
  });
});
