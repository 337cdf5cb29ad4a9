import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Assignment } from '../../../common/assignment.ts';
import type { ReplicaStatus } from '../../../common/cluster-contract.ts';
import { planOf } from './index.ts';
import {
  at,
  claimAt,
  freshStatus,
  memberId,
  nodeAt,
  nodesOf,
  observedOf,
  placeOf,
  podAt,
  recordOf,
  specOf,
  statusOf,
} from './testing/observed.ts';
import type { Observed, ObservedPod, Plan } from './types.ts';

const three = specOf({ nodes: 3 });

/** Three members, and fresh nodes at the next places of five. */
function growing(
  late: Partial<ObservedPod> | null = null,
  changes: Partial<Observed> = {},
): Observed {
  const base = observedOf({ nodes: 5 }, {}, three);
  const added = [3, 4];
  return {
    ...base,
    statefulSets: base.statefulSets.map((set) => ({ ...set, replicas: 5 })),
    pods: [
      ...base.pods,
      ...added.map((index) =>
        podAt(placeOf(index), { isReady: false, ...(index === 4 ? late : {}) }),
      ),
    ],
    claims: [...base.claims, ...added.map((index) => claimAt(placeOf(index)))],
    nodes: [
      ...base.nodes,
      ...added.map((index) =>
        nodeAt(placeOf(index), index === 4 && late !== null ? null : freshStatus(three, index)),
      ),
    ],
    ...changes,
  };
}

function recorded({ actions }: Plan): Assignment | null {
  const [first] = actions.flatMap((each) => (each.kind === 'record' ? [each.assignment] : []));
  return first ?? null;
}

const held = ({ buckets }: Assignment, index: number): number =>
  buckets.filter(({ replicas }) => replicas.some(({ member }) => member === memberId(index)))
    .length;

describe('members', () => {
  it('join in one version, and get their share', () => {
    const next = recorded(planOf(growing()));
    assert.equal(next?.version, 2);
    assert.deepEqual(
      next.members.map(({ index }) => index),
      [0, 1, 2, 3, 4],
    );
    assert(held(next, 3) >= 2 && held(next, 4) >= 2);
  });

  it('wait for those who are about to answer, but not for ever', () => {
    const waiting = planOf(growing({ ageMs: 5000 }));
    assert.equal(recorded(waiting), null);
    assert.match(waiting.next?.waitsFor ?? '', /orders-4/);
    const alone = recorded(planOf(growing({ ageMs: 120_000 })));
    assert.deepEqual(
      alone?.members.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    const stuck = recorded(planOf(growing({ ageMs: 5000, trouble: 'Unschedulable: no room' })));
    assert.equal(stuck?.members.length, 4);
  });

  it('join without replicas where rebalancing is off', () => {
    const base = growing();
    const next = recorded(planOf({ ...base, spec: { ...base.spec, rebalance: 'Off' } }));
    assert.equal(next?.members.length, 5);
    assert.deepEqual(next.buckets, base.assignment?.buckets);
  });

  it('leave by being given nothing, and are members until then', () => {
    const five = specOf({ nodes: 5 });
    const next = recorded(planOf(observedOf({ nodes: 3 }, {}, five)));
    assert.equal(next?.members.length, 5);
    assert.deepEqual([held(next, 3), held(next, 4)], [0, 0]);
    const off = observedOf({ nodes: 3, rebalance: { mode: 'Off' } }, {}, five);
    assert.equal(held(recorded(planOf(off))!, 4), 0);
  });

  it('come back with the stays that they have', () => {
    const five = specOf({ nodes: 5 });
    const record = recordOf(five);
    const leaving = recorded(planOf(observedOf({ nodes: 4 }, {}, five)))!;
    const nodes = observedOf({ nodes: 5 }).nodes.map((node) => ({
      ...node,
      status: { ...node.status!, assignment: statusOf(leaving, node.place.index).assignment },
    }));
    const back = recorded(planOf(observedOf({ nodes: 5 }, { assignment: leaving, nodes })))!;
    assert.equal(back.version, 3);
    for (const [bucket, { replicas }] of back.buckets.entries()) {
      for (const { member, since } of replicas) {
        const before = leaving.buckets[bucket]?.replicas.find((each) => each.member === member);
        assert.equal(since, before?.since ?? 3);
      }
    }
    assert(held(back, 4) >= Math.floor((record.bucketCount * 3) / 5));
  });

  it('take the place of those whose disks are lost', () => {
    const nodes = nodesOf(recordOf(three), [1]);
    const changes = { nodes: at(nodes, 1, { status: freshStatus(three, 1, memberId(7)) }) };
    const observed = observedOf({}, changes);
    const next = recorded(planOf(observed));
    assert.equal(next?.version, 2);
    assert.equal(held(next, 1), 0);
    assert.equal(held(next, 7), held(observed.assignment!, 1));
    for (const { replicas } of next.buckets) {
      for (const { member, since } of replicas) {
        assert.equal(since, member === memberId(7) ? 2 : 1);
      }
    }
  });

  it('are not replaced while they are only silent', () => {
    const nodes = nodesOf(recordOf(three), [1]);
    assert.equal(recorded(planOf(observedOf({}, { nodes }))), null);
  });

  it('are given nothing while they do not answer', () => {
    const five = specOf({ nodes: 5 });
    const { nodes } = observedOf({ nodes: 5 });
    const plan = planOf(observedOf({ nodes: 3 }, { nodes: at(nodes, 1, { status: null }) }, five));
    assert.equal(recorded(plan), null);
    assert.notEqual(plan.next?.waitsFor ?? null, null);
  });

  it('do not take from a bucket that has no majority', () => {
    const silent = nodesOf(recordOf(three), [1, 2]);
    const plan = planOf(growing(null, { nodes: [...silent, ...growing().nodes.slice(3)] }));
    assert.equal(recorded(plan), null);
    assert.match(plan.next?.waitsFor ?? '', /majority of bucket 0 is not well/);
  });

  it('do not join with the disk of somebody who has left', () => {
    const base = growing();
    const record = { ...base.assignment!, removed: [memberId(3)] };
    const gone = { ...statusOf(recordOf(specOf({ nodes: 5 })), 3), buckets: [] };
    const stale = { ...base, assignment: record, nodes: at(base.nodes, 3, { status: gone }) };
    const kept = planOf({ ...stale, spec: { ...base.spec, nodes: 4, whenScaled: 'Retain' } });
    assert.equal(recorded(kept), null);
    assert.match(kept.next?.waitsFor ?? '', /delete claim data-orders-3 and pod orders-3/);
  });

  it('begin a stay anew that has ended though the record names it', () => {
    const base = observedOf();
    const record = { ...base.assignment!, version: 4 };
    const leader = record.buckets[0]!.preferred;
    const gone = record.buckets[0]!.replicas.find(({ member }) => member !== leader)!.member;
    const nodes = nodesOf(record).map((node) => {
      const { member, buckets } = node.status!;
      const own = member === gone ? buckets.filter(({ bucket }) => bucket !== 0) : buckets;
      const left = own.map((replica): ReplicaStatus =>
        replica.bucket !== 0
          ? replica
          : {
              ...replica,
              ...{ voters: replica.voters.filter((id) => id !== gone), learners: [gone] },
              ...(replica.role === 'leader' && {
                move: { stage: 'catching up' as const, waitsFor: 'a replica does not answer' },
              }),
            },
      );
      return { ...node, status: { ...node.status!, buckets: left } };
    });
    const next = recorded(planOf(observedOf({}, { assignment: record, nodes })));
    assert.deepEqual(
      next?.buckets[0]?.replicas.map(({ member, since }) => [member === gone, since]),
      record.buckets[0]!.replicas.map(({ member }) => (member === gone ? [true, 5] : [false, 1])),
    );
    assert.deepEqual(next.buckets.slice(1), record.buckets.slice(1));
  });

  it('hold a bucket alone with the stay that they have', () => {
    const one = specOf({ nodes: 1 });
    const base = observedOf({ nodes: 1 });
    const again: Assignment = {
      ...recordOf(one),
      version: 5,
      buckets: recordOf(one).buckets.map((bucket, at) =>
        at === 0 ? { ...bucket, replicas: [{ member: memberId(0), since: 5 }] } : bucket,
      ),
    };
    const status = { ...statusOf(recordOf(one), 0), assignment: statusOf(again, 0).assignment };
    const observed = { ...base, assignment: again, nodes: at(base.nodes, 0, { status }) };
    assert.deepEqual(recorded(planOf(observed))?.buckets, recordOf(one).buckets);
  });

  it('get a third copy when there is a third of them, not before', () => {
    const one = specOf({ nodes: 1 });
    const base = observedOf({ nodes: 3 }, {}, one);
    const grown: Observed = {
      ...base,
      statefulSets: base.statefulSets.map((set) => ({ ...set, replicas: 3 })),
      pods: [...base.pods, podAt(placeOf(1)), podAt(placeOf(2), { trouble: 'Unschedulable: no' })],
      nodes: [...base.nodes, nodeAt(placeOf(1), freshStatus(one, 1)), nodeAt(placeOf(2), null)],
    };
    const next = recorded(planOf(grown));
    assert.equal(next?.members.length, 2);
    for (const { replicas } of next.buckets) assert.equal(replicas.length, 1);
  });
});
