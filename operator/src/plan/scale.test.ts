import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Assignment } from '../../../common/assignment.ts';
import { place } from '../../../common/placement.ts';
import { planOf } from './index.ts';
import {
  at,
  claimAt,
  memberId,
  nodeAt,
  observedOf,
  placeOf,
  recordOf,
  specOf,
  statusOf,
} from './testing/observed.ts';
import type { Action, Observed } from './types.ts';

const four = specOf({ nodes: 4 });
const three = specOf({ nodes: 3 });

/** Four members; the last one holds nothing any more. */
function emptied(changes: Partial<Observed> = {}): Observed {
  const base = recordOf(four);
  const buckets = place(
    base,
    [0, 1, 2].map((index) => ({ id: memberId(index), zone: null })),
    { factor: 3, version: 2, rebalance: true },
  );
  const assignment: Assignment = { ...base, version: 2, buckets };
  const { nodes } = observedOf({ nodes: 4 });
  return observedOf(
    { nodes: 3 },
    {
      assignment,
      nodes: nodes.map(({ place: own }) => nodeAt(own, statusOf(assignment, own.index))),
      ...changes,
    },
    four,
  );
}

/** Three members, and what is left of a fourth. */
function struck(changes: Partial<Observed> = {}): Observed {
  const { pods, claims, statefulSets } = observedOf({ nodes: 4 });
  const assignment = { ...recordOf(three), removed: [memberId(3)] };
  const gone = { ...statusOf(recordOf(four), 3), buckets: [] };
  return observedOf(
    { nodes: 3 },
    {
      ...{ assignment, pods, claims, statefulSets },
      nodes: [
        ...[0, 1, 2].map((index) => nodeAt(placeOf(index), statusOf(assignment, index))),
        nodeAt(placeOf(3), gone),
      ],
      ...changes,
    },
  );
}

const without = <T extends { readonly place: { readonly index: number } }>(
  list: readonly T[],
  index: number,
) => list.filter((each) => each.place.index !== index);

const record = (actions: readonly Action[]): Assignment | undefined =>
  actions.flatMap((each) => (each.kind === 'record' ? [each.assignment] : []))[0];

describe('a member that leaves', () => {
  it('is struck out when the leaders say that nothing counts on it', () => {
    const next = record(planOf(emptied()).actions);
    assert.equal(next?.version, 3);
    assert.equal(next.members.length, 3);
    assert.deepEqual(next.removed, [memberId(3)]);
  });

  it('stays while it has a replica left', () => {
    const base = emptied();
    const held = statusOf(recordOf(four), 3).buckets.slice(0, 1);
    const status = { ...base.nodes[3]!.status!, buckets: held };
    const plan = planOf({ ...base, nodes: at(base.nodes, 3, { status }) });
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /1 replicas left/);
  });

  it('stays while one group names it, or has no leader', () => {
    const base = emptied();
    const named = base.nodes.map(({ place: own, status }) =>
      nodeAt(own, {
        ...status!,
        buckets: status!.buckets.map((replica) =>
          replica.bucket === 1 ? { ...replica, learners: [memberId(3)] } : replica,
        ),
      }),
    );
    const counting = planOf({ ...base, nodes: named });
    assert.deepEqual(counting.actions, []);
    const leaderless = base.nodes.map(({ place: own, status }) =>
      nodeAt(own, {
        ...status!,
        buckets: status!.buckets.map((replica) =>
          replica.bucket === 1 ? { ...replica, role: 'candidate' as const } : replica,
        ),
      }),
    );
    assert.deepEqual(planOf({ ...base, nodes: leaderless }).actions, []);
  });

  it('is struck out though it does not answer: what leaders say is committed', () => {
    const base = emptied();
    const plan = planOf({ ...base, nodes: at(base.nodes, 3, { status: null }) });
    assert.equal(record(plan.actions)?.members.length, 3);
  });

  it('leaves before those in front of it in its StatefulSet', () => {
    const base = emptied();
    const five = recordOf(specOf({ nodes: 5 }));
    const last = five.members[4]!;
    const waiting: Assignment = {
      ...base.assignment!,
      members: [...base.assignment!.members, last],
    };
    const nodes = [0, 1, 2, 3].map((index) => nodeAt(placeOf(index), statusOf(waiting, index)));
    const held = { ...statusOf(waiting, 4), buckets: statusOf(five, 4).buckets };
    const plan = planOf({
      ...base,
      assignment: waiting,
      nodes: [...nodes, nodeAt(placeOf(4), held)],
    });
    assert.equal(record(plan.actions), undefined);
  });

  it('takes its pod with it, then its claim', () => {
    const plan = planOf(struck());
    assert.deepEqual(plan.actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 3 }]);
    const smaller = observedOf({ nodes: 3 }).statefulSets;
    const stopping = planOf(struck({ statefulSets: smaller }));
    assert.deepEqual(stopping.actions, []);
    const { pods, nodes } = struck();
    const gone = struck({
      statefulSets: smaller,
      pods: without(pods, 3),
      nodes: without(nodes, 3),
    });
    const [removal, ...rest] = planOf(gone).actions;
    assert.deepEqual(rest, []);
    assert(removal?.kind === 'delete claim');
    assert.deepEqual([removal.claim, removal.uid], ['data-orders-3', 'claim-orders-3']);
    const kept = planOf({ ...gone, spec: { ...gone.spec, whenScaled: 'Retain' } });
    assert.deepEqual(kept.actions, []);
  });

  it('keeps pod and claim until a majority of the others follows the record without it', () => {
    const behind = struck().nodes.map((node) => {
      const { epoch, digest } = node.status!.assignment!;
      const assignment = { epoch, version: 0, digest };
      const isLast = node.place.index === 0 || node.place.index === 3;
      return isLast ? node : nodeAt(node.place, { ...node.status!, assignment });
    });
    const { actions } = planOf(struck({ nodes: behind }));
    assert.deepEqual(
      actions.map(({ kind }) => kind),
      ['send', 'send'],
    );
  });

  it('is struck out again where a record that was lost had done so', () => {
    const base = emptied();
    const { members, removed } = base.assignment!;
    const known: Assignment = {
      ...base.assignment!,
      members: members.slice(0, 3),
      removed: [...removed, memberId(3)],
    };
    const nodes = at(base.nodes, 0, { status: statusOf(known, 0), assignment: known });
    const next = record(planOf({ ...base, spec: four, nodes }).actions);
    assert.equal(next?.version, 3);
    assert.deepEqual(next.removed, [memberId(3)]);
  });

  it('comes back with a fresh disk when its place is wanted again', () => {
    const wanted = (observed: Observed): Action[] => [
      ...planOf({ ...observed, spec: { ...observed.spec, nodes: 4 } }).actions,
    ];
    assert.deepEqual(wanted(struck()), [{ kind: 'scale', statefulSet: 'orders', replicas: 3 }]);
    const { pods, nodes, claims } = struck();
    const gone = struck({
      statefulSets: observedOf({ nodes: 3 }).statefulSets,
      ...{ pods: without(pods, 3), nodes: without(nodes, 3) },
    });
    assert.deepEqual(
      wanted(gone).map(({ kind }) => kind),
      ['delete claim'],
    );
    assert.deepEqual(wanted({ ...gone, claims: at(claims, 3, { isTerminating: true }) }), []);
    assert.deepEqual(wanted({ ...gone, claims: without(claims, 3) }), [
      { kind: 'scale', statefulSet: 'orders', replicas: 4 },
    ]);
  });
});

describe('pods and claims', () => {
  it('are never fewer because something is missing', () => {
    const { pods, nodes } = observedOf();
    const seen = observedOf({}, { pods: without(pods, 2), nodes: at(nodes, 2, { status: null }) });
    assert.deepEqual(planOf(seen).actions, []);
  });

  it('are never fewer than the members of the record', () => {
    const observed = observedOf({ nodes: 3 }, {}, four);
    assert.equal(
      planOf(observed).actions.some(({ kind }) => kind === 'scale'),
      false,
    );
  });

  it('stay as they are while there is no record', () => {
    const { pods, claims, statefulSets } = observedOf({ nodes: 5 });
    const { actions } = planOf(
      observedOf({ nodes: 3 }, { assignment: null, nodes: [], pods, claims, statefulSets }),
    );
    assert.deepEqual(actions, []);
  });

  it('are counted by zone', () => {
    const zones = ['a', 'b'];
    const three = specOf({ nodes: 3, zones });
    const { actions } = planOf(observedOf({ nodes: 6, zones }, {}, three));
    assert.deepEqual(actions, [
      { kind: 'scale', statefulSet: 'orders-z0', replicas: 3 },
      { kind: 'scale', statefulSet: 'orders-z1', replicas: 3 },
    ]);
  });

  it('are kept where a member of the record has them though the pod is gone', () => {
    const { pods, statefulSets } = observedOf({ nodes: 4 });
    const small = statefulSets.map((set) => ({ ...set, replicas: 3 }));
    const { actions } = planOf(
      observedOf({ nodes: 4 }, { pods: without(pods, 3), statefulSets: small }),
    );
    assert.deepEqual(actions, [{ kind: 'scale', statefulSet: 'orders', replicas: 4 }]);
    assert.equal(claimAt(placeOf(3)).place.claim, 'data-orders-3');
  });
});
