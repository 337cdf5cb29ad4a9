import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { NodeStatus, ReplicaStatus } from '../common/cluster-contract.ts';
import { isSettled } from './cluster.ts';

const replica = (changes: Partial<ReplicaStatus>): ReplicaStatus => ({
  ...{ bucket: 0, replica: 'r', role: 'follower', term: 1, leader: 'a', health: 'ok' },
  ...{ commit: 9, applied: 9, last: 9, voters: ['a', 'b'], learners: [], lag: {} },
  ...changes,
});

const node = (...buckets: ReplicaStatus[]): NodeStatus => ({
  ...{ member: 'm', index: 0, cluster: 'c', version: '1', boot: 1, state: 'serving' },
  ...{ assignment: null, bucketCount: 1, partitionCount: 1, buckets },
});

const leader = (changes: Partial<ReplicaStatus> = {}): NodeStatus =>
  node(replica({ role: 'leader', lag: { b: 0 }, ...changes }));

test('a cluster has settled when all replicas have what their leader has', () => {
  assert.equal(isSettled([leader(), node(replica({}))], 0), true);
});

test('a cluster has not settled without a leader, behind one, or before what it has is committed', () => {
  assert.equal(isSettled([node(replica({})), node(replica({}))], 0), false);
  assert.equal(isSettled([leader({ lag: { b: 1 } }), node(replica({}))], 0), false);
  assert.equal(isSettled([leader(), node(replica({ applied: 8 }))], 0), false);
  assert.equal(isSettled([leader({ commit: 8 }), node(replica({}))], 0), false);
});

test('while clients append, a replica may lack a little', () => {
  const busy = [leader({ lag: { b: 5 }, commit: 7 }), node(replica({ applied: 4 }))];
  assert.equal(isSettled(busy, 5), true);
  assert.equal(isSettled(busy, 4), false);
});
