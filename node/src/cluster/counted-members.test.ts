import assert from 'node:assert/strict';
import test from 'node:test';

import type { NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';
import { doubtful, requireUncounted } from './counted-members.ts';

type Replica = Pick<ReplicaStatus, 'role' | 'term' | 'voters'> & Partial<ReplicaStatus>;

const statusOf = (...buckets: Replica[]): NodeStatus =>
  ({ buckets: buckets.map((given) => ({ bucket: 3, learners: [], ...given })) }) as never;

const leaving = new Set(['m']);
const stale = statusOf({ role: 'follower', term: 4, voters: ['a', 'm', 'b'] });
const replicas = doubtful(stale, leaving);

test('what its own replica knows nobody of who leaves is not in doubt', () => {
  const well = statusOf({ role: 'leader', term: 4, voters: ['a', 'b'] });
  assert.deepEqual(doubtful(well, leaving), []);
  const learning = statusOf({ role: 'leader', term: 4, voters: ['a', 'b'], learners: ['m'] });
  assert.equal(doubtful(learning, leaving).length, 1);
  assert.equal(replicas.length, 1);
});

test('a leader that does without them is believed, not the replica that was away', () => {
  const leader = statusOf({ role: 'leader', term: 6, voters: ['b', 'c'] });
  requireUncounted(replicas, [stale, leader], leaving);
});

test('a leader that counts on one of them forbids it', () => {
  const leader = statusOf({ role: 'leader', term: 4, voters: ['a', 'm', 'b'] });
  assert.throws(() => requireUncounted(replicas, [stale, leader], leaving), {
    name: 'ClusterRefusal',
    message: 'bucket 3: member m still holds it; move it first',
  });
});

test('the leader of the last term is believed', () => {
  const cutOff = statusOf({ role: 'leader', term: 5, voters: ['b', 'c'] });
  const leader = statusOf({ role: 'leader', term: 6, voters: ['m', 'c'] });
  for (const statuses of [
    [stale, cutOff, leader],
    [leader, cutOff, stale],
  ]) {
    assert.throws(() => requireUncounted(replicas, statuses, leaving), /still holds it/);
  }
});

test('where nobody leads, nobody is forgotten', () => {
  const other = statusOf({ role: 'leader', term: 9, voters: ['b'], bucket: 4 });
  const candidate = statusOf({ role: 'candidate', term: 9, voters: ['b'] });
  assert.throws(() => requireUncounted(replicas, [stale, other, candidate], leaving), {
    message: 'bucket 3: member m may still hold it, and nobody leads it',
  });
});
