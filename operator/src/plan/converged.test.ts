import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planOf } from './index.ts';
import { at, nodeAt, nodesOf, observedOf, placeOf } from './testing/observed.ts';

describe('a plan', () => {
  it('has nothing to do where all is well', () => {
    for (const spec of [{}, { nodes: 1 }, { nodes: 5, zones: ['a', 'b', 'c'] }]) {
      const { actions, next, events } = planOf(observedOf(spec));
      assert.deepEqual([actions, next, events], [[], null, []]);
    }
  });

  it('is nothing while the cluster is being deleted or paused', () => {
    const changes = { isBeingDeleted: true };
    assert.deepEqual(planOf(observedOf({ nodes: 5 }, changes, observedOf().spec)).actions, []);
    const paused = planOf(observedOf({ nodes: 5, paused: true }, {}, observedOf().spec));
    assert.deepEqual(paused.actions, []);
    assert.match(paused.next?.waitsFor ?? '', /paused/);
  });

  it('forces nothing where a host is gone, and says what a person can do', () => {
    const { pods, assignment } = observedOf();
    const lost = { isReady: false, isHostReady: false, isTerminating: true };
    const { actions, next } = planOf(
      observedOf({}, { pods: at(pods, 1, lost), nodes: nodesOf(assignment!, [1]) }),
    );
    assert.deepEqual(actions, []);
    assert.match(next?.waitsFor ?? '', /delete its Node object or force the deletion of orders-1/);
  });

  it('ends a drain that nobody waits for, but not that of a pod that stops', () => {
    const { pods, nodes } = observedOf();
    const draining = at(nodes, 1, {
      status: { ...nodes[1]!.status!, state: 'draining' },
    });
    const { actions } = planOf(observedOf({}, { nodes: draining }));
    assert.deepEqual(actions, [{ kind: 'end drain', place: placeOf(1) }]);
    const stopping = at(pods, 1, { isTerminating: true });
    assert.deepEqual(planOf(observedOf({}, { nodes: draining, pods: stopping })).actions, []);
  });

  it('makes a StatefulSet that is missing as large as it has to be', () => {
    const { actions } = planOf(observedOf({ nodes: 3 }, { statefulSets: [] }));
    assert.deepEqual(actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 3 }]);
  });

  it('tells of a pod that does not answer though nothing is to be done', () => {
    const { nodes } = observedOf();
    const { actions, next } = planOf(
      observedOf({ replication: { factor: 1 } }, { nodes: at(nodes, 2, nodeAt(placeOf(2), null)) }),
    );
    assert.deepEqual(actions, []);
    assert.notEqual(next, null);
  });
});
