/**
 * The record against what nodes follow: a cluster begins, the record is raised to what a node has, or made again where it was lost;
 * then nodes that are behind are sent it. Values only.
 *
 * Invariants
 * - A cluster begins only where all wanted nodes answer with fresh disks, and nobody is seen whose disk is not fresh.
 * - Where a node is ahead of the record, nothing is planned before the record says the same.
 * - A lost record is made again from the newest assignment that is found, when a majority of its holders has answered: what
 *   was carried out reached one of them. An epoch goes on counting versions: stays are told apart by the version that began them.
 * - A node whose disk no record names is sent nothing.
 */
import {
  type Assignment,
  digestOf,
  FEATURE_LEVEL,
  isNewer,
  type Member,
} from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { isIdle, withoutIdle } from '../../../common/assignment-changes.ts';
import { firstPlacement } from '../../../common/placement.ts';
import type { NodePlace } from '../resources/names.ts';
import { majority } from './bucket-health.ts';
import { type ClusterView, isFresh, latest } from './cluster-view.ts';
import { act, last, listed, nothing, type Step, wait, warning } from './step.ts';
import type { Action, PlanEvent } from './types.ts';

/** What the record is to be before anything else is planned. */
export function recordStep(view: ClusterView): Step {
  const { record } = view;
  if (record === null) return lostRecord(view) ?? forming(view);
  return (
    foreign(view, record) ?? aheadOfRecord(view, record) ?? besideRecord(view, record) ?? nothing
  );
}

/** Nodes that do not follow the record yet are sent it. */
export function sendSteps(view: ClusterView): Action[] {
  const { record } = view;
  if (record === null) return [];
  return record.members.flatMap(({ id, index }): Action[] => {
    const status = view.statuses.get(id);
    if (status?.index !== index || view.isCurrent(id)) return [];
    if (status.cluster !== null && status.cluster !== record.clusterId) return [];
    const replaces = status.assignment?.version ?? 0;
    return [{ kind: 'send', place: view.placeAt(index), replaces, assignment: record }];
  });
}

function forming(view: ClusterView): Step {
  const { spec, newClusterId } = view.observed;
  const waits = (reason: string): Step => last(wait('form the cluster', null, reason));
  const silent = hiddenPlaces(view);
  if (silent.length > 0) return waits(silenceOf(view, silent));
  const doomed = view.wanted.filter(({ index }) => view.claim(index)?.isTerminating === true);
  if (doomed.length > 0) {
    return waits(`${listed(doomed.map(({ claim }) => claim))} is being deleted`);
  }
  const statuses = view.wanted.map(({ index }) => view.statusAt(index) as NodeStatus);
  const fault = countsFault(view, statuses);
  if (fault !== null) return waits(fault);
  if (new Set(statuses.map(({ member }) => member)).size < statuses.length) {
    return waits('two nodes have the same disk; delete the claim and the pod of one of them');
  }
  const members = view.wanted.map(({ index, address }, at): Member => {
    return { id: statuses[at]?.member ?? '', index, address };
  });
  const assignment = firstOf(view, newClusterId, members);
  const reason = `${String(members.length)} nodes with fresh disks form cluster ${newClusterId}`;
  return last(
    act([{ kind: 'record', assignment, reason }], {
      ...{ action: 'form the cluster', target: null, waitsFor: null },
    }),
    {
      type: 'Normal',
      reason: 'ClusterFormed',
      message: `${reason}, ${String(spec.bucketCount)} buckets`,
    },
  );
}

/** Indexes of nodes that have to answer before a cluster may form: first of those that are wanted, then of whatever else is there. */
function hiddenPlaces(view: ClusterView): number[] {
  const { pods, claims } = view.observed;
  const known = [
    view.wanted,
    pods.filter(({ trouble }) => trouble?.startsWith('Unschedulable') !== true).map(placeOf),
    // A disk that nobody has looked at may be that of an earlier member.
    claims.filter(({ isTerminating }) => !isTerminating).map(placeOf),
  ];
  const silent = known.map((places) =>
    places.map(({ index }) => index).filter((index) => view.statusAt(index) === null),
  );
  return silent.find((indexes) => indexes.length > 0) ?? [];
}

const placeOf = ({ place }: { readonly place: NodePlace }): NodePlace => place;

function firstOf(view: ClusterView, clusterId: string, members: readonly Member[]): Assignment {
  const { bucketCount, partitionCount, factor } = view.observed.spec;
  const zoned = members.map(({ id, index }) => ({ id, zone: view.placeAt(index).zone }));
  const buckets = firstPlacement(bucketCount, zoned, {
    ...{ factor: Math.min(factor, members.length), version: 1 },
  });
  return {
    ...{ clusterId, epoch: 1, version: 1, featureLevel: FEATURE_LEVEL },
    ...{ bucketCount, partitionCount, members, buckets, removed: [] },
  };
}

/** A node would refuse an assignment of other counts. */
export function countsFault(view: ClusterView, statuses: readonly NodeStatus[]): string | null {
  const { bucketCount, partitionCount } = view.observed.spec;
  const other = statuses.find(
    (status) => status.bucketCount !== bucketCount || status.partitionCount !== partitionCount,
  );
  if (other === undefined) return null;
  const { pod } = view.placeAt(other.index);
  return `${pod} has ${String(other.bucketCount)} buckets and ${String(other.partitionCount)} partitions, not ${String(bucketCount)} and ${String(partitionCount)}`;
}

/** Null: nobody follows anything, so that nothing can have been lost. */
function lostRecord(view: ClusterView): Step | null {
  const action = 'make the lost record again';
  const followed = followedBy(view);
  const belonging = [...view.statuses.values()].filter((status) => !isFresh(status));
  if (belonging.length === 0) return null;
  const clusters = new Set(belonging.map(({ cluster }) => cluster));
  if (clusters.size > 1) {
    const pods = listed(belonging.map(({ index }) => view.placeAt(index).pod));
    return last(wait(action, null, `the disks of ${pods} belong to different clusters`));
  }
  const [newest] = followed;
  if (newest === undefined) return last(wait(action, null, 'no node tells what it follows'));
  // Whoever is to hold nothing may have left since, and know of nothing.
  const asked = latest(newest.members).filter(({ id }) => !isIdle(newest, id));
  const members = asked.filter(({ id }) => view.statuses.has(id));
  const need = majority(asked.length);
  if (members.length < need) {
    const silent = asked.filter(({ id }) => !view.statuses.has(id));
    const pods = listed(silent.map(({ index }) => view.placeAt(index).pod));
    const have = `${String(members.length)} of ${String(asked.length)} members answer`;
    return last(wait(action, null, `${have}, ${String(need)} are needed; ${pods} do not`));
  }
  if (newest.version === 1) {
    // Groups begin with version 1 only: one that has not begun needs it as it is.
    const reason = 'the record was lost; the first version is all that nodes follow, and goes on';
    const next = { action, target: null, waitsFor: null };
    const again = act([{ kind: 'record', assignment: newest, reason }], next);
    return last(again, warning('RecordRebuilt', reason));
  }
  // A newer one of an older epoch must not count as the one that follows.
  const version = Math.max(...followed.map((each) => each.version)) + 1;
  const assignment = { ...newest, epoch: newest.epoch + 1, version };
  const reason = `the record was lost; what ${String(members.length)} members follow goes on as version ${String(version)}`;
  return last(
    act([{ kind: 'record', assignment, reason }], { action, target: null, waitsFor: null }),
    warning('RecordRebuilt', reason),
  );
}

/** What nodes follow, newest first. */
function followedBy(view: ClusterView): Assignment[] {
  return view.observed.nodes
    .flatMap(({ assignment }) => assignment ?? [])
    .sort((a, b) => (isNewer(a, b) ? -1 : 1));
}

/** A record that was restored to where it does not belong: members follow another cluster, and nothing of it is planned. */
function foreign(view: ClusterView, { clusterId, members }: Assignment): Step | null {
  const others = members.filter(({ id }) => {
    const cluster = view.statuses.get(id)?.cluster ?? null;
    return cluster !== null && cluster !== clusterId;
  });
  if (others.length === 0) return null;
  const pods = listed(others.map(({ index }) => view.placeAt(index).pod));
  const remedy = 'remove status.assignment for it to be made again from them';
  return last(
    wait('nothing', pods, `they are of another cluster than the record, ${clusterId}; ${remedy}`),
  );
}

function aheadOfRecord(view: ClusterView, record: Assignment): Step | null {
  const own = followedBy(view).filter(
    ({ clusterId, bucketCount, partitionCount }) =>
      clusterId === record.clusterId &&
      bucketCount === record.bucketCount &&
      partitionCount === record.partitionCount,
  );
  const [newest] = own;
  if (newest === undefined || !isNewer(newest, record)) return null;
  const version = `version ${String(newest.version)} of epoch ${String(newest.epoch)}`;
  const reason = `a node follows ${version}, which is newer than the record`;
  return last(
    act([{ kind: 'record', assignment: newest, reason }], {
      ...{ action: 'raise the record', target: null, waitsFor: null },
    }),
    warning('RecordRaised', reason),
  );
}

/** Somebody follows what the record is not: a version that all know to be newer ends it. */
function besideRecord(view: ClusterView, record: Assignment): Step | null {
  const { members, clusterId, epoch, version } = record;
  const named = new Set(members.map(({ id }) => id));
  const digest = digestOf(record);
  const beside = view.observed.nodes.filter(({ status, assignment }) => {
    if (status === null || assignment === null || !named.has(status.member)) return false;
    if (assignment.clusterId !== clusterId) return false;
    // One of an earlier epoch would refuse a version that is not higher than its own.
    if (assignment.epoch < epoch) return assignment.version >= version;
    return assignment.version === version && digestOf(assignment) !== digest;
  });
  if (beside.length === 0) return null;
  const next = Math.max(version, ...beside.map(({ assignment }) => assignment?.version ?? 0)) + 1;
  const pods = listed(beside.map((node) => node.place.pod));
  const reason = `${pods} follow another version ${String(version)} than the record; version ${String(next)} ends it`;
  const event: PlanEvent = warning('AssignmentConflict', reason);
  return last(
    act([{ kind: 'record', assignment: withoutCondemned(view, record, next), reason }], {
      ...{ action: 'raise the record', target: null, waitsFor: null },
    }),
    event,
  );
}

function withoutCondemned(view: ClusterView, record: Assignment, version: number): Assignment {
  let next = record;
  for (const id of view.condemned) {
    const isMember = next.members.some((member) => member.id === id);
    if (isMember && isIdle(next, id)) next = withoutIdle(next, id);
  }
  return { ...next, version };
}

function silenceOf(view: ClusterView, indexes: readonly number[]): string {
  const told = indexes.map((index) => {
    const pod = view.pod(index);
    const { pod: name } = view.placeAt(index);
    if (pod === undefined) return `${name} (no pod yet)`;
    return pod.trouble === null ? name : `${name} (${pod.trouble})`;
  });
  return `${listed(told)} ${told.length === 1 ? 'does' : 'do'} not answer yet`;
}
