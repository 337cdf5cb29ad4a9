import assert from 'node:assert/strict';
import test from 'node:test';

import type { Assignment } from '../../../common/assignment.ts';
import type { NodeStatus, ReplicaStatus } from '../../../common/cluster-contract.ts';
import {
  type Condition,
  type ConditionType,
  conditionTypes,
  type SierraClusterSpec,
  type SierraClusterStatus,
} from '../api/sierra-cluster.ts';
import type { Refusal } from '../api/validation.ts';
import { planOf } from '../plan/index.ts';
import {
  at,
  claimAt,
  freshStatus,
  memberId,
  nodeAt,
  NOW,
  observedOf,
  placeOf,
  podAt,
  recordOf,
  specOf,
  statusOf as nodeStatus,
} from '../plan/testing/observed.ts';
import type { Observed, Plan } from '../plan/types.ts';
import { reasons, sameStatus, statusOf } from './index.ts';
import { quantityOf } from './sizes.ts';

const quiet: Plan = { actions: [], next: null, events: [], lookAgainMs: 1000 };
const busy: Plan = { ...quiet, next: { action: 'do it', target: 'this', waitsFor: 'that' } };

const conditionIn = (status: SierraClusterStatus, type: ConditionType): Condition =>
  status.conditions!.find((each) => each.type === type)!;

/** `True AllBucketsLed`. */
function told(type: ConditionType, observed: Observed, plan: Plan = quiet): string {
  const { status, reason } = conditionIn(statusOf(observed, plan, undefined), type);
  return `${status} ${reason}`;
}

const messageOf = (type: ConditionType, observed: Observed, plan: Plan = quiet): string =>
  conditionIn(statusOf(observed, plan, undefined), type).message;

const phaseOf = (observed: Observed, plan: Plan = quiet): string =>
  statusOf(observed, plan, undefined).phase!;

/** Nodes that say something else of all their replicas. */
function retold(
  observed: Observed,
  index: number,
  change: (replica: ReplicaStatus) => Partial<ReplicaStatus>,
): Observed {
  const status = observed.nodes.find(({ place }) => place.index === index)!.status!;
  const buckets = status.buckets.map((replica) => ({ ...replica, ...change(replica) }));
  return { ...observed, nodes: at(observed.nodes, index, { status: { ...status, buckets } }) };
}

const silent = (observed: Observed, ...indexes: readonly number[]): Observed => ({
  ...observed,
  nodes: observed.nodes.map((node) =>
    indexes.includes(node.place.index) ? { ...node, status: null } : node,
  ),
});

/** Pods that do not run, and what their leaders and followers notice of it. */
function down(observed: Observed, ...indexes: readonly number[]): Observed {
  const pods = observed.pods.map((pod) =>
    indexes.includes(pod.place.index) ? { ...pod, isReady: false } : pod,
  );
  return { ...silent(observed, ...indexes), pods };
}

/** Nobody knows a leader. */
function seeking(observed: Observed): Observed {
  return observed.nodes.reduce(
    (next, { place, status }) =>
      status === null
        ? next
        : retold(next, place.index, () => ({ role: 'candidate', leader: null, term: 9 })),
    observed,
  );
}

const refusal: Refusal = {
  reason: 'FactorOutOfRange',
  message: 'the factor is too high: lower it',
};

test('a cluster that is well and wants nothing', () => {
  const observed = observedOf();
  const status = statusOf(observed, quiet, undefined);
  assert.equal(status.phase, 'Ready');
  assert.deepEqual(status.nodes, { desired: 3, ready: 3, updated: 3, summary: '3/3' });
  assert.deepEqual(status.image, { current: 'sierradb:1', target: 'sierradb:1' });
  assert.deepEqual(status.buckets, { total: 4, leaderless: 0, underReplicated: 0, moving: 0 });
  assert.deepEqual(status.storage, { requested: '10Gi', actual: '10Gi' });
  assert.deepEqual([status.replicas, status.selector], [3, 'sierradb.io/cluster=orders']);
  assert.equal(status.assignment, observed.assignment);
  assert.deepEqual(
    status.conditions!.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`),
    [
      'SpecAccepted True Accepted',
      'Available True AllBucketsLed',
      'Progressing False Settled',
      'Degraded False AllCopiesHealthy',
      'Ready True Ready',
      'UpToDate True AllPodsCurrent',
      'Paused False NotPaused',
    ],
  );
  assert.deepEqual(
    status.members!.map(({ pod, state, ready, replicas }) => [pod, state, ready, replicas]),
    [
      ['orders-0', 'Active', true, 4],
      ['orders-1', 'Active', true, 4],
      ['orders-2', 'Active', true, 4],
    ],
  );
  assert.equal(
    status.members!.reduce((sum, { leaders }) => sum + leaders, 0),
    4,
  );
  assert(!('plan' in status) && !('rollout' in status));
});

test('times change with the status of a condition only', () => {
  const first = statusOf(observedOf(), quiet, undefined);
  assert(first.conditions!.every(({ lastTransitionTime }) => !lastTransitionTime.includes('.')));
  const later = { now: NOW + 61_000, generation: 2 };
  const second = statusOf(observedOf({}, later), busy, first);
  for (const { type, observedGeneration, lastTransitionTime } of second.conditions!) {
    assert.equal(observedGeneration, 2);
    const hasFlipped = type === 'Progressing' || type === 'Ready';
    const [minute] = hasFlipped ? ['00:01:01'] : ['00:00:00'];
    assert.equal(lastTransitionTime, `2030-01-01T${minute}Z`, type);
  }
});

test('what only goes on being used is not written again', () => {
  const observed = observedOf();
  const first = statusOf(observed, quiet, undefined);
  let later: Observed = { ...observed, now: NOW + 3_600_000 };
  for (const index of [0, 1, 2]) {
    later = retold(later, index, ({ lag }) => ({
      ...{ commit: 5000, applied: 4990, last: 5010, term: 3 },
      lag: Object.fromEntries(Object.keys(lag).map((id) => [id, 17])),
    }));
  }
  later = { ...later, pods: later.pods.map((pod) => ({ ...pod, ageMs: pod.ageMs + 3_600_000 })) };
  assert(sameStatus(first, statusOf(later, quiet, first)));
  assert(!sameStatus(first, statusOf(later, busy, first)));
  assert(!sameStatus(first, undefined));
});

test('the order of keys, and what is undefined, make no difference', () => {
  const a = { phase: 'Ready', replicas: 3 } as const;
  const b = JSON.parse('{"replicas":3,"phase":"Ready"}') as SierraClusterStatus;
  assert(sameStatus(a, b));
  assert(sameStatus({ ...a, plan: undefined } as unknown as SierraClusterStatus, b));
});

test('how far a copy lags is not told in numbers', () => {
  const waitsFor = 'bucket 3: replica ab lacks 4711 entries';
  const plan: Plan = { ...quiet, next: { action: 'move buckets', target: null, waitsFor } };
  const status = statusOf(observedOf(), plan, undefined);
  assert.equal(status.plan?.waitsFor, 'bucket 3: replica ab is not up to date');
  assert(!conditionIn(status, 'Progressing').message.includes('4711'));
});

test('SpecAccepted: refusals, and a warning where buckets are too few', () => {
  const plan: Plan = { ...busy, refusals: [refusal, { ...refusal, message: 'and more' }] };
  const refused = observedOf();
  assert.equal(told('SpecAccepted', refused, plan), 'False FactorOutOfRange');
  assert.equal(
    messageOf('SpecAccepted', refused, plan),
    'the factor is too high: lower it; and more.',
  );
  assert.equal(told('Ready', refused, plan), 'False SpecRefused');
  assert.equal(told('Progressing', refused, plan), 'False SpecRefused');
  assert.equal(told('Available', refused, plan), 'True AllBucketsLed');
  assert.equal(phaseOf(refused, plan), 'Refused');
  const few = observedOf({ nodes: 5, buckets: { count: 4, partitions: 8 } });
  assert.equal(told('SpecAccepted', few), 'True FewBuckets');
  assert.match(messageOf('SpecAccepted', few), /4 buckets for 5 nodes: some nodes lead nothing/);
  const fewer = observedOf({ nodes: 5, buckets: { count: 1, partitions: 8 } });
  assert.match(messageOf('SpecAccepted', fewer), /some nodes hold nothing/);
  assert.equal(told('Ready', few), 'True Ready', 'a warning is no fault');
});

test('Paused', () => {
  const observed = observedOf({ paused: true });
  assert.equal(told('Paused', observed), 'True Paused');
  assert.equal(told('Progressing', observed, busy), 'False Paused');
  assert.equal(told('Available', observed), 'True AllBucketsLed');
  assert.equal(phaseOf(observed), 'Paused');
});

test('a cluster that is not formed yet', () => {
  const spec = specOf();
  const none = observedOf({}, { assignment: null, pods: [], nodes: [], claims: [] });
  assert.equal(told('Available', none), 'False NotFormed');
  assert.equal(told('Degraded', none), 'False NotFormed');
  assert.equal(told('Progressing', none, busy), 'True Forming');
  assert.match(messageOf('Available', none, busy), /not formed yet: that\.$/);
  assert.equal(phaseOf(none), 'Pending');
  assert.deepEqual(statusOf(none, quiet, undefined).buckets?.total, 4);
  const nodes = [0, 1, 2].map((index) => nodeAt(placeOf(index), freshStatus(spec, index)));
  const pods = [0, 1, 2].map((index) => podAt(placeOf(index), { isReady: false }));
  const fresh = observedOf({}, { assignment: null, pods, nodes });
  assert.equal(told('Available', fresh), 'False NotFormed');
  assert.equal(phaseOf(fresh), 'Forming');
  assert.deepEqual(
    statusOf(fresh, quiet, undefined).members!.map(({ state, replicas }) => [state, replicas]),
    [
      ['Joining', 0],
      ['Joining', 0],
      ['Joining', 0],
    ],
  );
});

test('a record that was lost is no cluster that is not formed', () => {
  const lost = observedOf({}, { assignment: null });
  assert.equal(told('Available', lost), 'Unknown NodesSilent');
  const unheard = silent(lost, 0, 1, 2);
  assert.equal(told('Available', unheard), 'Unknown NodesSilent');
  assert.equal(told('Degraded', unheard), 'Unknown NodesSilent');
  assert.equal(told('Ready', unheard), 'Unknown NotKnown');
});

test('nodes that are ready and do not answer are not known to be down', () => {
  const observed = silent(observedOf(), 0, 1, 2);
  assert.equal(told('Available', observed), 'Unknown NodesSilent');
  assert.equal(told('Degraded', observed), 'Unknown NodesSilent');
  assert.equal(told('Ready', observed), 'Unknown NotKnown');
  assert.equal(phaseOf(observed), 'Degraded');
  assert.match(messageOf('Available', observed), /orders-0, orders-1 and orders-2 do not answer/);
  const { leaderless, underReplicated } = statusOf(observed, quiet, undefined).buckets!;
  assert.deepEqual([leaderless, underReplicated], [0, 0]);
});

test('a leader that only its followers hear may lead', () => {
  const observed = silent(observedOf(), 0);
  assert.equal(told('Available', observed), 'Unknown NodesSilent');
  assert.equal(told('Degraded', observed), 'Unknown NodesSilent');
  const one = seeking(observed);
  assert.equal(told('Available', one), 'False BucketsWithoutLeader', 'both others seek one');
});

test('Available: a majority that is down leaves buckets without leader', () => {
  const observed = seeking(down(observedOf(), 1, 2));
  assert.equal(told('Available', observed), 'False BucketsWithoutLeader');
  const message = messageOf('Available', observed);
  assert.match(message, /^Buckets 0, 1, 2 and 3 have no leader\. orders-1 does not answer and/);
  assert.equal(told('Ready', observed), 'False NotAvailable');
  assert.deepEqual(statusOf(observed, quiet, undefined).buckets, {
    ...{ total: 4, leaderless: 4, underReplicated: 4, moving: 0 },
  });
  const election = seeking(observedOf());
  assert.match(messageOf('Available', election), /An election should end that/);
});

/** Everything is led by the others, who know that it is away. */
function replaced(observed: Observed, index: number): Observed {
  const [heir] = [0, 1, 2].filter((each) => each !== index);
  return [0, 1, 2]
    .filter((each) => each !== index)
    .reduce(
      (next, each) =>
        retold(next, each, ({ bucket }) => {
          const { preferred } = observed.assignment!.buckets[bucket]!;
          const leader = preferred === memberId(index) ? memberId(heir!) : preferred;
          const others = [0, 1, 2].filter((i) => memberId(i) !== leader).map(memberId);
          return {
            ...{ leader, role: leader === memberId(each) ? 'leader' : 'follower', term: 4 },
            lag: Object.fromEntries(others.map((id) => [id, id === memberId(index) ? 9000 : 0])),
            progress: Object.fromEntries(
              others.map((id) => [id, id === memberId(index) ? 'probe' : 'stream']),
            ),
          };
        }),
      down(observed, index),
    );
}

test('Degraded: a node that is down, without loss of service', () => {
  const observed = replaced(observedOf(), 2);
  assert.equal(told('Available', observed), 'True AllBucketsLed');
  assert.equal(told('Degraded', observed), 'True TooFewCopies');
  assert.match(messageOf('Degraded', observed), /there should be: orders-2 does not answer\.$/);
  assert.equal(statusOf(observed, quiet, undefined).buckets?.underReplicated, 4);
  assert.equal(statusOf(observed, quiet, undefined).members?.[2]?.state, 'Lost');
  assert.equal(phaseOf(observed), 'Degraded');
});

test('Degraded: a pod that is replaced is expected back', () => {
  const since = '2030-01-01T00:00:00Z';
  const rollout = { revision: 'r1', pod: 'orders-2', since, failed: [] };
  const pods = at(observedOf().pods, 0, { revision: 'r0' });
  const observed = replaced({ ...observedOf(), rollout, pods }, 2);
  assert.equal(told('Degraded', observed, busy), 'True PodBeingReplaced');
  assert.equal(phaseOf(observed, busy), 'Updating');
  assert.equal(statusOf(observed, busy, undefined).members?.[2]?.state, 'Active');
  assert.equal(told('Progressing', observed, busy), 'True Updating');
});

test('Degraded: a pod that cannot run tells why', () => {
  const trouble = 'ImagePullBackOff: no such image';
  const observed = replaced(observedOf(), 1);
  const pods = at(observed.pods, 1, { trouble });
  assert.equal(told('Degraded', { ...observed, pods }), 'True PodInTrouble');
  assert.match(messageOf('Degraded', { ...observed, pods }), /^orders-1 does not run \(ImagePull/);
});

test('Degraded: a host that is gone, with what to do', () => {
  const observed = replaced(observedOf(), 1);
  const pods = at(observed.pods, 1, { isHostReady: false });
  assert.equal(told('Degraded', { ...observed, pods }), 'True MemberLost');
  assert.match(messageOf('Degraded', { ...observed, pods }), /host of orders-1 is gone.*delete/);
});

test('Degraded: another disk, no disk, a claim that is being deleted', () => {
  const observed = replaced(observedOf(), 1);
  const status = freshStatus(specOf(), 1, 'another');
  const other = { ...observed, nodes: at(observed.nodes, 1, { status }) };
  assert.equal(told('Degraded', other), 'True MemberLost');
  assert.match(messageOf('Degraded', other), /^orders-1 has another disk now\./);
  assert.deepEqual(
    statusOf(other, quiet, undefined).members!.map(({ id, state }) => [id, state]),
    [
      [memberId(0), 'Active'],
      [memberId(1), 'Lost'],
      ['another', 'Joining'],
      [memberId(2), 'Active'],
    ],
  );
  const claims = observed.claims.filter(({ place }) => place.index !== 1);
  assert.match(messageOf('Degraded', { ...observed, claims }), /^orders-1 has lost its volume/);
  const going = observedOf();
  const terminating = at(going.claims, 0, { isTerminating: true });
  assert.equal(told('Degraded', { ...going, claims: terminating }), 'True ClaimInTrouble');
});

test('Degraded: a damaged copy', () => {
  const observed = observedOf();
  const { preferred } = observed.assignment!.buckets[2]!;
  const index = [0, 1].find((each) => memberId(each) !== preferred)!;
  const damaged = retold(observed, index, ({ bucket }) =>
    bucket === 2 ? { health: 'quarantined' } : {},
  );
  assert.equal(told('Degraded', damaged), 'True ReplicaDamaged');
  assert.match(
    messageOf('Degraded', damaged),
    new RegExp(`copies of bucket 2 on orders-${String(index)} are damaged`),
  );
  assert.equal(statusOf(damaged, quiet, undefined).buckets?.underReplicated, 1);
});

test('Degraded: a follower that catches up', () => {
  const observed = [0, 1, 2].reduce(
    (next, index) =>
      retold(next, index, ({ bucket, lag }) =>
        bucket === 1 ? { lag: Object.fromEntries(Object.keys(lag).map((id) => [id, 5000])) } : {},
      ),
    observedOf(),
  );
  assert.equal(told('Degraded', observed), 'True TooFewCopies');
  assert.match(messageOf('Degraded', observed), /^Bucket 1 has fewer .* is not up to date/);
});

/** The record asks for what is not in force. */
function moving(given: SierraClusterSpec, running: SierraClusterSpec): Observed {
  const next: Assignment = { ...recordOf(specOf(given)), version: 2 };
  const observed = observedOf(given, {}, specOf(running));
  const follow = (status: NodeStatus): NodeStatus => ({
    ...status,
    assignment: { epoch: 1, version: 2, digest: '' },
  });
  const nodes = observed.nodes.map((node) => ({ ...node, status: follow(node.status!) }));
  return { ...observed, assignment: next, nodes };
}

test('Progressing: buckets move to a node that comes', () => {
  const observed = moving({ nodes: 4 }, { nodes: 3 });
  const joining: NodeStatus = { ...nodeStatus(observed.assignment!, 3), buckets: [] };
  const place = placeOf(3);
  const pods = [...observed.pods, podAt(place)];
  const claims = [...observed.claims, claimAt(place)];
  const nodes = [...observed.nodes, nodeAt(place, joining)];
  const grown = { ...observed, pods, claims, nodes };
  assert.equal(told('Progressing', grown), 'True MovingBuckets');
  assert.equal(told('Ready', grown), 'False Progressing');
  assert.equal(told('Degraded', grown), 'False AllCopiesHealthy', 'nothing is worse than before');
  assert.equal(phaseOf(grown), 'Rebalancing');
  const { members, buckets } = statusOf(grown, quiet, undefined);
  assert.deepEqual([members?.[3]?.state, buckets!.moving > 0], ['Joining', true]);
});

test('Progressing: a node leaves', () => {
  const spec = { nodes: 3 };
  const observed = observedOf(spec, {}, specOf({ nodes: 4 }));
  assert.equal(told('Progressing', observed, busy), 'True ScalingDown');
  assert.equal(phaseOf(observed, busy), 'ScalingDown');
  assert.equal(statusOf(observed, busy, undefined).members?.[3]?.state, 'Leaving');
  assert.equal(statusOf(observed, busy, undefined).nodes?.summary, '4/3');
});

test('Progressing: volumes grow', () => {
  const observed = observedOf({}, { storageBytes: 20 * 2 ** 30 });
  assert.equal(told('Progressing', observed, busy), 'True GrowingVolumes');
  assert.equal(messageOf('Progressing', observed, busy), 'Do it (this) waits: that.');
});

test('UpToDate: pods of an earlier template', () => {
  const pods = at(observedOf().pods, 1, { revision: 'r0', image: 'sierradb:0' });
  const observed = observedOf({}, { pods });
  assert.equal(told('UpToDate', observed, busy), 'False PodsOutdated');
  assert.match(messageOf('UpToDate', observed), /^1 of 3 pods is of an earlier template: orders-1/);
  assert.equal(phaseOf(observed, busy), 'Updating');
  assert.equal(statusOf(observed, busy, undefined).image?.current, null);
  const manual = observedOf({ updates: { strategy: 'Manual' } }, { pods });
  assert.equal(told('UpToDate', manual), 'False ManualUpdate');
  assert.equal(told('Ready', manual), 'False NotUpToDate');
  const paused = observedOf({ paused: true }, { pods });
  assert.equal(told('UpToDate', paused), 'False Paused');
  const missing = observedOf({}, { pods: observedOf().pods.slice(1) });
  assert.equal(told('UpToDate', missing), 'False PodsMissing');
});

test('UpToDate: an update that has stopped waits for a person', () => {
  const rollout = { revision: 'r1', pod: null, since: null, failed: ['orders-1', 'orders-2'] };
  const pods = at(observedOf().pods, 0, { revision: 'r0' });
  const observed = observedOf({}, { pods, rollout });
  assert.equal(told('UpToDate', observed, busy), 'False RolloutStopped');
  assert.equal(told('Progressing', observed, busy), 'False RolloutStopped');
  assert.match(messageOf('UpToDate', observed), /orders-1 and orders-2 did not become ready/);
  assert.equal(told('Ready', observed, busy), 'False NotUpToDate');
});

test('a cluster that is being deleted', () => {
  assert.equal(phaseOf(observedOf({}, { isBeingDeleted: true })), 'Deleting');
});

test('zones are those of the places', () => {
  const { members } = statusOf(observedOf({ nodes: 3, zones: ['a', 'b'] }), quiet, undefined);
  assert.deepEqual(
    members!.map(({ pod, zone }) => [pod, zone]),
    [
      ['orders-z0-0', 'a'],
      ['orders-z0-1', 'a'],
      ['orders-z1-100', 'b'],
    ],
  );
});

test('sizes in the largest unit that is exact', () => {
  const sizes = [0, 1000, 1024, 10 * 2 ** 30, 3 * 2 ** 39, 2 ** 60];
  assert.deepEqual(sizes.map(quantityOf), ['0', '1000', '1Ki', '10Gi', '1536Gi', '1024Pi']);
});

test('whatever is seen: closed reasons, short messages, the same status for the same look', () => {
  const many = Array.from({ length: 40 }, (_, i) => ({ ...refusal, message: `${'ö'.repeat(i)}!` }));
  const looks: [Observed, Plan][] = [
    [observedOf(), planOf(observedOf())],
    [observedOf(), { ...busy, refusals: many }],
    [silent(observedOf(), 0), busy],
    [seeking(down(observedOf(), 0, 1)), busy],
    [observedOf({}, { assignment: null }), busy],
    [observedOf({ nodes: 1 }, { pods: [], claims: [], nodes: [] }), busy],
    [observedOf(), { ...busy, next: { ...busy.next!, waitsFor: 'x'.repeat(5000) } }],
  ];
  for (const [observed, plan] of looks) {
    const status = statusOf(observed, plan, undefined);
    assert.deepEqual(statusOf(observed, plan, status), status);
    assert.deepEqual(
      status.conditions!.map(({ type }) => type),
      conditionTypes,
    );
    for (const { type, reason, message } of status.conditions!) {
      const closed: readonly string[] = [...reasons[type], refusal.reason];
      assert(closed.includes(reason), `${type} ${reason}`);
      assert(Buffer.byteLength(message) <= 1024 && message.length > 0);
      assert(!message.includes('\uFFFD'));
    }
  }
});
