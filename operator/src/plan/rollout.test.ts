import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RolloutStatus } from '../api/sierra-cluster.ts';
import { planOf } from './index.ts';
import {
  at,
  freshStatus,
  memberId,
  nodesOf,
  NOW,
  observedOf,
  placeOf,
  recordOf,
  specOf,
  statusOf,
} from './testing/observed.ts';
import type { Observed, ObservedNode, Plan } from './types.ts';

const since = new Date(NOW).toISOString();
const rolloutOf = (changes: Partial<RolloutStatus> = {}): RolloutStatus => ({
  ...{ revision: 'r2', pod: null, since: null, failed: [] },
  ...changes,
});

/** All pods are of r1, and are to be of r2. */
function outdated(changes: Partial<Observed> = {}, spec: { nodes?: number } = {}): Observed {
  const base = observedOf(spec);
  const statefulSets = base.statefulSets.map((set) => ({ ...set, revision: 'r2' }));
  return { ...base, revision: 'r2', statefulSets, ...changes };
}

/** The node at an index leads nothing and drains; the next voter leads what it led. */
function drained(index: number, nodes: number = 3): ObservedNode[] {
  const record = recordOf(specOf({ nodes }));
  const handed = {
    ...record,
    buckets: record.buckets.map((bucket) =>
      bucket.preferred === memberId(index)
        ? {
            ...bucket,
            preferred: bucket.replicas.find((r) => r.member !== memberId(index))!.member,
          }
        : bucket,
    ),
  };
  return record.members.map((member) => {
    const { assignment } = statusOf(record, member.index);
    const status = { ...statusOf(handed, member.index), assignment };
    const state = member.index === index ? ('draining' as const) : ('serving' as const);
    return { place: placeOf(member.index), status: { ...status, state }, assignment: null };
  });
}

const done = { revision: 'r2' };
const kinds = ({ actions }: Plan): string[] => actions.map(({ kind }) => kind);

describe('a rolling update', () => {
  it('drains a pod, notes it, deletes it, and waits for it', () => {
    const draining = planOf(outdated());
    assert.deepEqual(kinds(draining), ['drain']);
    const [first] = draining.actions;
    assert(first?.kind === 'drain');
    const { index, pod } = first.place;
    assert.deepEqual(kinds(planOf(outdated({ nodes: at(outdated().nodes, index, {}) }))), [
      'drain',
    ]);

    const nodes = drained(index);
    const chosen = planOf(outdated({ nodes }));
    assert.deepEqual(chosen.actions, [{ kind: 'rollout', rollout: rolloutOf({ pod, since }) }]);

    const rollout = rolloutOf({ pod, since });
    const deleting = planOf(outdated({ nodes, rollout }));
    const [removal, ...rest] = deleting.actions;
    assert.deepEqual(rest, []);
    assert(removal?.kind === 'delete pod');
    assert.deepEqual([removal.pod, removal.uid], [pod, `pod-${pod}`]);

    const record = recordOf(specOf());
    const away = nodesOf(record, [index]);
    const { pods } = outdated();
    const missing = pods.filter((each) => each.place.index !== index);
    const waiting = planOf(outdated({ nodes: away, rollout, pods: missing }));
    assert.deepEqual(waiting.actions, []);
    assert.equal(waiting.next?.target, pod);

    const starting = at(pods, index, { revision: 'r2', isReady: false });
    assert.deepEqual(planOf(outdated({ nodes: away, rollout, pods: starting })).actions, []);
    const landed = at(pods, index, { revision: 'r2' });
    assert.deepEqual(planOf(outdated({ rollout, pods: landed })).actions, [
      { kind: 'rollout', rollout: rolloutOf() },
    ]);
  });

  it('takes the pod first that leads least', () => {
    const nodes = drained(1).map((node) => ({
      ...node,
      status: { ...node.status!, state: 'serving' as const },
    }));
    const [first] = planOf(outdated({ nodes })).actions;
    assert.deepEqual(first, { kind: 'drain', place: placeOf(1) });
  });

  it('waits for what a replaced pod has to catch up', () => {
    const behind = nodesOf(recordOf(specOf())).map(({ place, status }) => ({
      ...{ place, assignment: null },
      status: {
        ...status!,
        buckets: status!.buckets.map((replica) =>
          replica.role === 'leader' && replica.lag[memberId(1)] !== undefined
            ? { ...replica, lag: { ...replica.lag, [memberId(1)]: 5000 } }
            : replica,
        ),
      },
    }));
    const rollout = rolloutOf({ pod: 'orders-1', since });
    const pods = at(outdated().pods, 1, { revision: 'r2' });
    const plan = planOf(outdated({ nodes: behind, rollout, pods }));
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /catches up/);
    // Of those that may go, only the one that lacks something: the others have to be what it is not.
    assert.deepEqual(planOf(outdated({ nodes: behind })).actions, [
      { kind: 'drain', place: placeOf(1) },
    ]);
  });

  it('does not begin while buckets move, another pod is down, or a template is the former one', () => {
    const base = outdated();
    const record = { ...base.assignment!, version: 2 };
    assert.equal(kinds(planOf({ ...base, assignment: record })).includes('drain'), false);
    const { pods } = base;
    const current = at(pods, 2, { revision: 'r2', isReady: false });
    assert.deepEqual(planOf({ ...base, pods: current }).actions, []);
    const former = observedOf().statefulSets;
    const rollout = rolloutOf({ pod: 'orders-1', since });
    const plan = planOf({ ...base, nodes: drained(1), rollout, statefulSets: former });
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /former template/);
  });

  it('takes back what it has noted where a bucket would lose its majority by now', () => {
    const nodes = drained(1).map((node) =>
      node.place.index === 2 ? { ...node, status: null } : node,
    );
    const rollout = rolloutOf({ pod: 'orders-1', since });
    const { actions } = planOf(outdated({ nodes, rollout }));
    assert.deepEqual(actions[0], { kind: 'rollout', rollout: rolloutOf() });
    assert.equal(
      actions.some(({ kind }) => kind === 'delete pod'),
      false,
    );
  });

  it('replaces a broken pod first, without a drain', () => {
    const { pods, assignment } = outdated();
    const broken = at(pods, 1, { isReady: false, trouble: 'CrashLoopBackOff' });
    const nodes = nodesOf(assignment!, [1]);
    const rollout = rolloutOf({ pod: 'orders-1', since });
    assert.deepEqual(planOf(outdated({ pods: broken, nodes })).actions, [
      { kind: 'rollout', rollout },
    ]);
    assert.deepEqual(kinds(planOf(outdated({ pods: broken, nodes, rollout }))), ['delete pod']);
  });

  it('keeps a pod that is not ready where a bucket lives by it', () => {
    const { pods, assignment } = outdated();
    const shaky = at(pods, 1, { isReady: false });
    const plan = planOf(outdated({ pods: shaky, nodes: nodesOf(assignment!, [2]) }));
    assert.deepEqual(plan.actions, []);
  });

  it('notes a failure after the deadline, replaces no pod that is well, and goes on when it is ready', () => {
    const late = new Date(NOW - 601_000).toISOString();
    const { pods, assignment } = outdated();
    const trouble = 'ImagePullBackOff: no such image';
    const failing = at(pods, 1, { revision: 'r2', isReady: false, trouble });
    const nodes = nodesOf(assignment!, [1]);
    const plan = planOf(
      outdated({ pods: failing, nodes, rollout: rolloutOf({ pod: 'orders-1', since: late }) }),
    );
    const failed = rolloutOf({ failed: ['orders-1'] });
    assert.deepEqual(plan.actions, [{ kind: 'rollout', rollout: failed }]);
    assert.equal(plan.events[0]?.reason, 'PodFailed');

    const stopped = planOf(outdated({ pods: failing, nodes, rollout: failed }));
    assert.deepEqual(stopped.actions, []);
    assert.match(stopped.next?.waitsFor ?? '', /set the spec back to its former value/);

    const mended = at(pods, 1, { revision: 'r2' });
    assert.deepEqual(planOf(outdated({ pods: mended, rollout: failed })).actions, [
      { kind: 'rollout', rollout: rolloutOf() },
    ]);
  });

  it('replaces nothing more after two failures', () => {
    const { pods, assignment } = outdated({}, { nodes: 5 });
    const trouble = 'CrashLoopBackOff';
    const broken = [1, 2, 3].reduce((list, index) => {
      const revision = index < 3 ? 'r2' : 'r1';
      return at(list, index, { isReady: false, trouble, revision });
    }, pods);
    const rollout = rolloutOf({ failed: ['orders-1', 'orders-2'] });
    const seen = { pods: broken, rollout, nodes: nodesOf(assignment!, [1, 2, 3]) };
    assert.deepEqual(planOf(outdated(seen, { nodes: 5 })).actions, []);
  });

  it('begins with the broken pod when the former value is set back', () => {
    const { pods, assignment } = observedOf();
    const trouble = 'ImagePullBackOff: no such image';
    const broken = at(pods, 1, { revision: 'r2', isReady: false, trouble });
    const rollout = rolloutOf({ failed: ['orders-1'] });
    const plan = planOf(
      observedOf({}, { pods: broken, rollout, nodes: nodesOf(assignment!, [1]) }),
    );
    assert.deepEqual(plan.actions, [
      { kind: 'rollout', rollout: { revision: 'r1', pod: 'orders-1', since, failed: [] } },
    ]);
  });

  it('replaces the only node of a cluster of one', () => {
    const [node] = outdated({}, { nodes: 1 }).nodes;
    assert.deepEqual(kinds(planOf(outdated({}, { nodes: 1 }))), ['drain']);
    const nodes = [{ ...node!, status: { ...node!.status!, state: 'draining' as const } }];
    assert.deepEqual(kinds(planOf(outdated({ nodes }, { nodes: 1 }))), ['rollout']);
    const rollout = rolloutOf({ pod: 'orders-0', since });
    const last = planOf(outdated({ nodes, rollout }, { nodes: 1 }));
    assert.deepEqual(kinds(last), ['delete pod']);
  });

  it('leaves a pod alone whose claim is being deleted, where a bucket has no other copy', () => {
    const base = outdated({}, { nodes: 1 });
    const claims = at(base.claims, 0, { isTerminating: true });
    const plan = planOf({ ...base, claims });
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /claim of orders-0 is being deleted/);
  });

  it('waits for a drain that has begun, though another pod lacks something for a moment', () => {
    const lacking = drained(1).map(({ place, status }) => ({
      ...{ place, assignment: null },
      status: {
        ...status!,
        buckets: status!.buckets.map((replica) =>
          replica.role === 'leader' && replica.lag[memberId(2)] !== undefined
            ? { ...replica, lag: { ...replica.lag, [memberId(2)]: 5000 } }
            : replica,
        ),
      },
    }));
    const plan = planOf(outdated({ nodes: lacking }));
    assert.deepEqual(plan.actions, []);
    assert.equal(plan.next?.target, 'orders-1');
  });

  it('leaves pods to people where updates are Manual', () => {
    const base = outdated();
    const spec = { ...base.spec, updates: 'Manual' as const };
    const plan = planOf({ ...base, spec });
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /Manual/);
    const noted = planOf({ ...base, spec, rollout: rolloutOf() });
    assert.deepEqual(noted.actions, [{ kind: 'rollout', rollout: null }]);
  });

  it('is over when all pods are of the revision', () => {
    const pods = outdated().pods.map((pod) => ({ ...pod, ...done }));
    const plan = planOf(outdated({ pods, rollout: rolloutOf() }));
    assert.deepEqual(plan.actions, [{ kind: 'rollout', rollout: null }]);
    assert.deepEqual(planOf(outdated({ pods })).actions, []);
  });

  it('replaces a fresh node that cannot start, and lets it join', () => {
    const base = outdated();
    const pods = base.pods.map((pod) => ({ ...pod, revision: 'r2', isReady: false }));
    const nodes = base.nodes.map(({ place }) => ({
      ...{ place, assignment: null },
      status: freshStatus(base.spec, place.index),
    }));
    const rollout = rolloutOf({ pod: 'orders-1', since });
    assert.deepEqual(kinds(planOf(outdated({ pods, nodes, rollout, assignment: null }))), [
      'record',
    ]);
  });
});
