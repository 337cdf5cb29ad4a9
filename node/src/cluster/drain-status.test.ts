import assert from 'node:assert/strict';
import test from 'node:test';

import type { NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';
import { drainStatus } from './drain-status.ts';

const VOTERS = ['m0', 'm1', 'm2'];

const replica = (changes: Partial<ReplicaStatus> = {}): ReplicaStatus => ({
  ...{ bucket: 0, replica: 'r', role: 'follower', term: 3, leader: 'm1', health: 'ok' },
  ...{ commit: 9, applied: 9, last: 9, voters: VOTERS, learners: [], lag: {} },
  ...changes,
});

const leader = (changes: Partial<ReplicaStatus> = {}): ReplicaStatus =>
  replica({
    role: 'leader',
    lag: { m0: 0, m2: 10 },
    progress: { m0: 'stream', m2: 'stream' },
    ...changes,
  });

const status = (member: string, own: ReplicaStatus, state: NodeStatus['state'] = 'serving') =>
  ({ member, state, buckets: [own] }) as unknown as NodeStatus;

/** Why `m0` must not be stopped. */
function reasons(own: ReplicaStatus, others: readonly NodeStatus[]): string[] {
  const told = drainStatus({ member: 'm0', buckets: [own] }, others, 1);
  assert.equal(told.isSafeToStop, told.leading.length === 0 && told.blocked.length === 0);
  return told.blocked.map(({ reason }) => reason);
}

test('a member may stop where the others lead and are up to date', () => {
  assert.deepEqual(reasons(replica(), [status('m1', leader()), status('m2', replica())]), []);
  const told = drainStatus({ member: 'm0', buckets: [replica()] }, [], 1);
  assert.deepEqual(told.leading, []);
});

test('it may not while it leads', () => {
  const others = [status('m1', replica()), status('m2', replica())];
  const told = drainStatus({ member: 'm0', buckets: [leader()] }, others, 7);
  assert.deepEqual(told, {
    ...{ member: 'm0', endsInMs: 7, leading: [0], blocked: [], isSafeToStop: false },
  });
});

test('a majority of the others must be there, whole, close, and about to stay', () => {
  const lacking = ['1 of the others are up to date, a majority is 2'];
  const first = status('m1', leader());
  const second = status('m2', replica());
  const own = replica();
  assert.deepEqual(reasons(own, [first]), lacking);
  assert.deepEqual(
    reasons(own, [first, status('m2', replica({ health: 'quarantined' }))]),
    lacking,
  );
  for (const state of ['draining', 'stopping', 'recovering'] as const) {
    assert.deepEqual(reasons(own, [first, status('m2', replica(), state)]), lacking);
  }
  const far = status('m1', leader({ lag: { m2: 5000 } }));
  assert.deepEqual(reasons(own, [far, second]), lacking);
  const copying = status('m1', leader({ progress: { m2: 'copy' } }));
  assert.deepEqual(reasons(own, [copying, second]), lacking);
  // Whoever is no voter does not count.
  const two = { voters: ['m0', 'm1'] };
  assert.deepEqual(reasons(own, [status('m1', leader(two)), second]), lacking);
});

test('while voters change, both majorities must be there', () => {
  const joint = { incoming: ['m3', 'm4', 'm5'], outgoing: VOTERS };
  const all = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'];
  const near = Object.fromEntries(all.map((id) => [id, 0]));
  const streams = Object.fromEntries(all.map((id) => [id, 'stream' as const]));
  const first = status('m1', leader({ voters: all, joint, lag: near, progress: streams }));
  const [second, third, fourth] = ['m2', 'm3', 'm4'].map((id) => status(id, replica()));
  assert(second !== undefined && third !== undefined && fourth !== undefined);
  const lacking = ['1 of the others are up to date, a majority is 2'];
  // A majority of all, and none of those to come.
  assert.deepEqual(reasons(replica(), [first, second, third]), lacking);
  assert.deepEqual(reasons(replica(), [first, third, fourth]), lacking);
  assert.deepEqual(reasons(replica(), [first, second, third, fourth]), []);
});

test('who leads is what the latest term says', () => {
  const nobody = ['none of the others leads it'];
  assert.deepEqual(reasons(replica(), [status('m1', replica()), status('m2', replica())]), nobody);
  const stale = status('m1', leader({ term: 2 }));
  assert.deepEqual(reasons(replica(), [stale, status('m2', replica())]), nobody);
  const fresh = status('m2', leader({ term: 4, progress: { m1: 'stream' }, lag: { m1: 0 } }));
  assert.deepEqual(reasons(replica(), [stale, fresh]), []);
});

test('the only copies cannot be missed', () => {
  const own = replica({ voters: ['m0'] });
  assert.deepEqual(reasons(own, [status('m1', replica())]), ['none of the others leads it']);
});
