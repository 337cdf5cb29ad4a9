import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../../common/assignment.ts';
import { planOf } from './index.ts';
import {
  at,
  CLUSTER,
  freshStatus,
  memberId,
  nodeAt,
  observedOf,
  placeOf,
  placesOf,
  claimAt,
  podAt,
  recordOf,
  specOf,
  statusOf,
} from './testing/observed.ts';
import type { Action, Observed, ObservedNode } from './types.ts';

const spec = specOf();
const record = recordOf(spec);
const kinds = (actions: readonly Action[]): string[] => actions.map(({ kind }) => kind);
const fresh = (): ObservedNode[] =>
  placesOf(spec).map((place) => nodeAt(place, freshStatus(spec, place.index)));
const unformed = (changes: Partial<Observed> = {}): Observed =>
  observedOf({}, { assignment: null, nodes: fresh(), ...changes });

describe('the record', () => {
  it('begins when all wanted nodes answer with fresh disks', () => {
    const { actions } = planOf(unformed());
    assert.deepEqual(kinds(actions), ['record']);
    const [first] = actions;
    assert(first?.kind === 'record');
    assert.equal(first.assignment.clusterId, CLUSTER);
    assert.deepEqual([first.assignment.epoch, first.assignment.version], [1, 1]);
    assert.deepEqual(first.assignment.members, record.members);
    for (const { replicas } of first.assignment.buckets) assert.equal(replicas.length, 3);
  });

  it('does not begin while one of them is silent, and says which and why', () => {
    const nodes = at(fresh(), 1, { status: null });
    const pods = placesOf(spec).map((place) =>
      podAt(place, place.index === 1 ? { isReady: false, trouble: 'ImagePullBackOff: no' } : {}),
    );
    const { actions, next } = planOf(unformed({ nodes, pods }));
    assert.deepEqual(actions, []);
    assert.match(next?.waitsFor ?? '', /orders-1 \(ImagePullBackOff: no\) does not answer/);
  });

  it('does not begin beside a node that is not wanted and keeps silent', () => {
    const hidden = placeOf(3);
    const { actions } = planOf(
      unformed({ pods: [...placesOf(spec), hidden].map((place) => podAt(place)) }),
    );
    // Its StatefulSet would take the pod away.
    assert.deepEqual(actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 4 }]);
  });

  it('does not begin before the disks of an earlier cluster were looked at', () => {
    const claims = [...placesOf(spec), placeOf(3), placeOf(4)].map((place) => claimAt(place));
    const { actions, next } = planOf(unformed({ claims }));
    assert.deepEqual(actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 5 }]);
    assert(next !== null);
  });

  it('does not begin with two copies of one disk', () => {
    const nodes = at(fresh(), 1, { status: freshStatus(spec, 1, memberId(0)) });
    const { actions, next } = planOf(unformed({ nodes }));
    assert.deepEqual(actions, []);
    assert.match(next?.waitsFor ?? '', /same disk/);
  });

  it('is sent to whom it names, and to nobody else', () => {
    const nodes = [
      ...at(observedOf().nodes, 0, { status: freshStatus(spec, 0) }),
      nodeAt(placeOf(3), freshStatus(spec, 3)),
    ];
    const sends = planOf(observedOf({}, { nodes })).actions.filter(({ kind }) => kind === 'send');
    assert.deepEqual(sends, [{ kind: 'send', place: placeOf(0), replaces: 0, assignment: record }]);
  });

  it('is sent with the version that the node has', () => {
    const newer = { ...record, version: 4 };
    const { actions } = planOf(observedOf({}, { assignment: newer }));
    const sends = actions.flatMap((each) => (each.kind === 'send' ? [each] : []));
    assert.deepEqual(
      sends.map(({ replaces, assignment }) => [replaces, assignment.version]),
      [
        [1, 4],
        [1, 4],
        [1, 4],
      ],
    );
  });

  it('is raised to what a node follows, before anything else', () => {
    const newer = { ...record, version: 7 };
    const nodes = at(observedOf().nodes, 2, { status: statusOf(newer, 2), assignment: newer });
    const { actions, events } = planOf(observedOf({ nodes: 5 }, { nodes }, spec));
    assert.deepEqual(kinds(actions), ['scale', 'record']);
    assert.deepEqual(actions[1]?.kind === 'record' && actions[1].assignment, newer);
    assert.equal(events[0]?.reason, 'RecordRaised');
  });

  it('is not acted upon where its members are of another cluster', () => {
    const other = { ...record, clusterId: memberId(77) };
    const { actions, next } = planOf(observedOf({ nodes: 5 }, { assignment: other }, spec));
    assert.deepEqual(kinds(actions), ['scale']);
    assert.match(next?.waitsFor ?? '', /remove status.assignment/);
  });

  it('goes on in a new epoch where it was lost and a majority answers', () => {
    const last = { ...record, version: 9 };
    const nodes = observedOf().nodes.map(({ place }) =>
      place.index === 0
        ? nodeAt(place, null)
        : { place, status: statusOf(last, place.index), assignment: last },
    );
    const { actions } = planOf(observedOf({}, { assignment: null, nodes }));
    assert.deepEqual(kinds(actions), ['record']);
    assert.deepEqual(actions[0]?.kind === 'record' && actions[0].assignment, {
      ...record,
      ...{ epoch: 2, version: 10 },
    });
  });

  it('is made again as it is where nothing but the first version is followed', () => {
    const nodes = fresh().map((node) =>
      node.place.index === 0 ? { ...node, status: statusOf(record, 0), assignment: record } : node,
    );
    const { actions } = planOf(unformed({ nodes }));
    assert.deepEqual(kinds(actions), ['record']);
    assert.deepEqual(actions[0]?.kind === 'record' && actions[0].assignment, record);
  });

  it('stays lost while only a minority answers, and names the others; their pods are made', () => {
    const five = specOf({ nodes: 5 });
    const last = recordOf(five);
    const nodes = placesOf(spec).map((place) =>
      place.index === 2
        ? nodeAt(place, null)
        : { place, status: statusOf(last, place.index), assignment: last },
    );
    const { actions, next } = planOf(observedOf({ nodes: 3 }, { assignment: null, nodes }));
    assert.deepEqual(actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 5 }]);
    assert.match(next?.waitsFor ?? '', /2 of 5 members answer, 3 are needed; orders-2, orders-3/);
  });

  it('is ended by a next version where a node follows another one of its version', () => {
    const other = { ...record, removed: [memberId(99)] };
    assert.notEqual(digestOf(other), digestOf(record));
    const nodes = at(observedOf().nodes, 1, { status: statusOf(other, 1), assignment: other });
    const { actions, events } = planOf(observedOf({}, { nodes }));
    assert.deepEqual(kinds(actions), ['record']);
    assert.deepEqual(actions[0]?.kind === 'record' && actions[0].assignment.version, 2);
    assert.equal(events[0]?.reason, 'AssignmentConflict');
  });
});
