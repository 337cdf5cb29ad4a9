/** A cluster that is well, as the planner sees it; tests change what they are about. */
import {
  type Assignment,
  digestOf,
  type Replica,
  replicaIdOf,
} from '../../../../common/assignment.ts';
import type { NodeStatus, ReplicaStatus } from '../../../../common/cluster-contract.ts';
import { firstPlacement } from '../../../../common/placement.ts';
import { type SettledSpec, settledSpec, type SierraClusterSpec } from '../../api/sierra-cluster.ts';
import { type NodePlace, nthPlace, placeAt, statefulSetNames } from '../../resources/names.ts';
import type { Observed, ObservedClaim, ObservedNode, ObservedPod } from '../types.ts';

export const CLUSTER = '11111111-0000-4000-8000-000000000000';
export const GIB: number = 2 ** 30;
export const NOW: number = Date.parse('2030-01-01T00:00:00Z');
const own = { name: 'orders', namespace: 'shop' };

export const memberId = (index: number): string =>
  `aaaaaaaa-0000-4000-8000-${String(index).padStart(12, '0')}`;

export function specOf(spec: SierraClusterSpec = {}): SettledSpec {
  const buckets = { count: 4, partitions: 8 };
  return settledSpec({ buckets, ...spec }, { image: 'sierradb:1' });
}

export const placesOf = (spec: SettledSpec): NodePlace[] =>
  Array.from({ length: spec.nodes }, (_, n) => nthPlace(own, spec.zones, n));

/** Of the wanted nodes, in version 1. */
export function recordOf(spec: SettledSpec): Assignment {
  const { bucketCount, partitionCount, factor } = spec;
  const places = placesOf(spec);
  const members = places.map(({ index, address }) => ({ id: memberId(index), index, address }));
  const zoned = places.map(({ index, zone }) => ({ id: memberId(index), zone }));
  return {
    ...{ clusterId: CLUSTER, epoch: 1, version: 1, featureLevel: 1, bucketCount, partitionCount },
    ...{ members, removed: [] },
    buckets: firstPlacement(bucketCount, zoned, { factor, version: 1 }),
  };
}

/** A node that follows `assignment`, in a cluster where all of it is in force; nodes at indexes `away` are silent. */
export function statusOf(
  assignment: Assignment,
  index: number,
  away: readonly number[] = [],
): NodeStatus {
  const silent = away.map(memberId);
  const member = memberId(index);
  const { clusterId, epoch, version, bucketCount, partitionCount, members } = assignment;
  const isUp = (id: string): boolean => !silent.includes(id);
  const buckets = heldReplicas(assignment, member, { isUp, isWilling: isUp });
  return {
    ...{ member, index, cluster: clusterId, version: '1', boot: 1, state: 'serving', members },
    ...{ bucketCount, partitionCount, buckets },
    assignment: { epoch, version, digest: digestOf(assignment) },
  };
}

/** What a member says of its replicas, where the assignment is in force. `isWilling`: whether a member would lead. */
export function heldReplicas(
  { clusterId, buckets }: Assignment,
  member: string,
  { isUp, isWilling }: Readonly<Record<'isUp' | 'isWilling', (id: string) => boolean>>,
): ReplicaStatus[] {
  return buckets.flatMap(({ replicas, preferred }, bucket): ReplicaStatus[] => {
    const held = replicas.find((each) => each.member === member);
    if (held === undefined) return [];
    const nameOf = (replica: Replica): string =>
      replicaIdOf(clusterId, bucket, replica).toString('hex');
    const voters = replicas.map((each) => each.member);
    const others = voters.filter((id) => id !== member);
    const leader = isWilling(preferred) ? preferred : (voters.find(isWilling) ?? null);
    return [
      {
        ...{ bucket, replica: nameOf(held), term: 3 },
        role: leader === member ? 'leader' : 'follower',
        ...{ leader, commit: 10, applied: 10, last: 10, voters, learners: [] },
        ...{ health: 'ok', committed: { index: 1, replicas: replicas.map(nameOf) } },
        lag: leader === member ? Object.fromEntries(others.map((id) => [id, 0])) : {},
        ...(leader === member && {
          progress: Object.fromEntries(
            others.map((id) => [id, isUp(id) ? 'stream' : 'probe'] as const),
          ),
        }),
      },
    ];
  });
}

/** A node with a fresh disk. */
export function freshStatus(spec: SettledSpec, index: number, id?: string): NodeStatus {
  return {
    ...{ member: id ?? memberId(index), index, cluster: null, version: '1', boot: 1 },
    ...{ state: 'forming', assignment: null, buckets: [] },
    ...{ bucketCount: spec.bucketCount, partitionCount: spec.partitionCount },
  };
}

export function podAt(place: NodePlace, changes: Partial<ObservedPod> = {}): ObservedPod {
  return {
    ...{ place, uid: `pod-${place.pod}`, revision: 'r1', image: 'sierradb:1', isReady: true },
    ...{ isTerminating: false, ageMs: 3_600_000, trouble: null, isHostReady: true },
    ...changes,
  };
}

export function claimAt(place: NodePlace, changes: Partial<ObservedClaim> = {}): ObservedClaim {
  return {
    ...{ place, uid: `claim-${place.pod}`, requestedBytes: 10 * GIB, actualBytes: 10 * GIB },
    ...{ isTerminating: false, canExpand: true },
    ...changes,
  };
}

export function nodeAt(place: NodePlace, status: NodeStatus | null): ObservedNode {
  return { place, status, assignment: null };
}

/** All members of an assignment; those at `away` do not answer. */
export function nodesOf(assignment: Assignment, away: readonly number[] = []): ObservedNode[] {
  return assignment.members.map(({ index }) =>
    nodeAt(
      placeAt(own, [], index),
      away.includes(index) ? null : statusOf(assignment, index, away),
    ),
  );
}

/** `spec` as in the resource; pods, claims and nodes of `running` nodes (default: as many as are wanted) that follow the record. */
export function observedOf(
  given: SierraClusterSpec = {},
  changes: Partial<Observed> = {},
  running: SettledSpec = specOf(given),
): Observed {
  const spec = specOf(given);
  const places = placesOf(running);
  const record = recordOf(running);
  return {
    ...own,
    ...{ generation: 1, now: NOW, isBeingDeleted: false, spec, newClusterId: CLUSTER },
    ...{ assignment: record, rollout: null, revision: 'r1', storageBytes: 10 * GIB },
    statefulSets: statefulSetNames(own.name, spec.zones).map((name) => ({
      ...{ name, uid: `set-${name}`, revision: 'r1', storageBytes: 10 * GIB },
      replicas: places.filter(({ statefulSet }) => statefulSet === name).length,
    })),
    pods: places.map((place) => podAt(place)),
    claims: places.map((place) => claimAt(place)),
    nodes: places.map((place) => nodeAt(place, statusOf(record, place.index))),
    ...changes,
  };
}

export const placeOf = (index: number, zones: readonly string[] = []): NodePlace =>
  placeAt(own, zones, index);

/** With something changed of the pod, the claim or the node at a place. */
export function at<T extends { readonly place: NodePlace }>(
  list: readonly T[],
  index: number,
  changes: Partial<T>,
): T[] {
  return list.map((each) => (each.place.index === index ? { ...each, ...changes } : each));
}
