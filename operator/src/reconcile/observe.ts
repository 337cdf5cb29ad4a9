/**
 * One look at a cluster: what the API server has of it, read live and not from a cache, and what its nodes say. A look that is
 * not whole is none: an error of the API server ends it, so that nothing is concluded from what is missing. A node that does not
 * answer is part of what is seen.
 */
import { digestOf } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { bytesOfQuantity } from '../api/quantity.ts';
import type { SettledSpec, SierraCluster } from '../api/sierra-cluster.ts';
import {
  kubeNodes,
  persistentVolumeClaims,
  pods as podType,
  statefulSets as statefulSetType,
  storageClasses,
} from '../kube/resources.ts';
import type {
  Observed,
  ObservedClaim,
  ObservedNode,
  ObservedPod,
  ObservedStatefulSet,
} from '../plan/types.ts';
import { annotations, type NodePlace, nthPlace, placeAt, selectorOf } from '../resources/names.ts';
import type { ReconcileContext } from './context.ts';
import {
  type ClaimObject,
  isReady,
  type KubeNodeObject,
  type PodObject,
  type StatefulSetObject,
  type StorageClassObject,
  troubleOf,
  unreadySince,
} from './objects.ts';

export interface Look {
  readonly cluster: SierraCluster;
  readonly spec: SettledSpec;
  /** Of the cluster's members; null: it has not been made yet. */
  readonly secret: string | null;
  /** Hash of the template that pods are to have. */
  readonly revision: string;
}

/** What was seen, and the claims as they are. */
export interface Seen {
  readonly observed: Observed;
  readonly claims: readonly ClaimObject[];
}

export async function observe(context: ReconcileContext, look: Look): Promise<Seen> {
  const { cluster, spec, secret } = look;
  const { name, namespace = 'default', generation = 0 } = cluster.metadata;
  const own = { name, namespace };
  const options = { namespace, labelSelector: selectorOf(own) };
  const [pods, claims, sets] = await Promise.all([
    context.kube.list<PodObject>(podType, options),
    context.kube.list<ClaimObject>(persistentVolumeClaims, options),
    context.kube.list<StatefulSetObject>(statefulSetType, options),
  ]);
  const placeOf = (index: number): NodePlace => placeAt(own, spec.zones, index);
  const observedPods = await Promise.all(
    pods.flatMap((pod) => {
      const index = ordinalOf(pod.metadata.name);
      if (index === null || placeOf(index).pod !== pod.metadata.name) return [];
      return [observePod(context, pod, placeOf(index))];
    }),
  );
  const observedClaims = await Promise.all(
    claims.flatMap((claim) => {
      const index = ordinalOf(claim.metadata.name);
      if (index === null || placeOf(index).claim !== claim.metadata.name) return [];
      return [observeClaim(context, claim, placeOf(index), spec)];
    }),
  );
  const record = cluster.status?.assignment ?? null;
  const digest = record === null ? null : digestOf(record);
  const indexes = new Set([
    ...observedPods.map(({ place }) => place.index),
    ...(record?.members ?? []).map(({ index }) => index),
    ...Array.from({ length: spec.nodes }, (_, n) => nthPlace(own, spec.zones, n).index),
  ]);
  const nodes = await Promise.all(
    [...indexes]
      .sort((a, b) => a - b)
      .map((index) => observeNode(context, placeOf(index), digest, secret)),
  );
  const observed: Observed = {
    ...own,
    generation,
    now: context.now(),
    isBeingDeleted: cluster.metadata.deletionTimestamp !== undefined,
    spec,
    newClusterId: context.newId(),
    assignment: record,
    rollout: cluster.status?.rollout ?? null,
    revision: look.revision,
    storageBytes: bytesOf(spec.storageSize),
    statefulSets: sets.filter(isAlive).map(observeStatefulSet),
    pods: observedPods,
    claims: observedClaims,
    nodes,
  };
  return { observed, claims };
}

/** What cannot be read is refused elsewhere. */
const bytesOf = (quantity: string): number => bytesOfQuantity(quantity) ?? 0;

const isAlive = ({ metadata }: StatefulSetObject): boolean =>
  metadata.deletionTimestamp === undefined;

/** `orders-z1-100` and `data-orders-z1-100` → 100. */
function ordinalOf(name: string): number | null {
  const [, digits] = /-(\d+)$/.exec(name) ?? [];
  return digits === undefined ? null : Number(digits);
}

async function observePod(
  { kube, now }: ReconcileContext,
  pod: PodObject,
  place: NodePlace,
): Promise<ObservedPod> {
  const { metadata, spec } = pod;
  const ready = isReady(pod);
  const host = spec?.nodeName;
  // Of a pod that is well the host is, too.
  const node =
    ready || host === undefined ? null : await kube.get<KubeNodeObject>(kubeNodes, { name: host });
  const since = unreadySince(pod);
  return {
    place,
    uid: metadata.uid ?? '',
    ...(since !== null && { unreadyMs: Math.max(0, now() - since) }),
    revision: metadata.annotations?.[annotations.revision] ?? '',
    image: spec?.containers?.[0]?.image ?? '',
    isReady: ready,
    isTerminating: metadata.deletionTimestamp !== undefined,
    ageMs: Math.max(0, now() - Date.parse(metadata.creationTimestamp ?? '')) || 0,
    trouble: troubleOf(pod),
    isHostReady: ready || host === undefined || (node !== null && isReady(node)),
  };
}

async function observeClaim(
  { kube }: ReconcileContext,
  claim: ClaimObject,
  place: NodePlace,
  spec: SettledSpec,
): Promise<ObservedClaim> {
  const { metadata, spec: asked, status } = claim;
  const requested = asked?.resources?.requests?.storage ?? '0';
  const actual = status?.capacity?.storage ?? requested;
  const requestedBytes = bytesOf(requested);
  const mayGrow = bytesOf(spec.storageSize) > requestedBytes && asked?.storageClassName;
  const type = mayGrow
    ? await kube.get<StorageClassObject>(storageClasses, { name: asked.storageClassName ?? '' })
    : null;
  return {
    ...{ place, uid: metadata.uid ?? '', requestedBytes, actualBytes: bytesOf(actual) },
    isTerminating: metadata.deletionTimestamp !== undefined,
    canExpand: type?.allowVolumeExpansion === true,
  };
}

function observeStatefulSet({ metadata, spec }: StatefulSetObject): ObservedStatefulSet {
  const [claim] = spec?.volumeClaimTemplates ?? [];
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    replicas: spec?.replicas ?? 1,
    revision: spec?.template?.metadata?.annotations?.[annotations.revision] ?? '',
    storageBytes: bytesOf(claim?.spec?.resources?.requests?.storage ?? '0'),
  };
}

async function observeNode(
  { nodes }: ReconcileContext,
  place: NodePlace,
  digest: string | null,
  secret: string | null,
): Promise<ObservedNode> {
  if (secret === null) return { place, status: null, assignment: null };
  try {
    const status = await nodes.status(place.address, secret);
    const assignment = follows(status, digest)
      ? null
      : await nodes.assignment(place.address, secret);
    return { place, status, assignment };
  } catch {
    return { place, status: null, assignment: null };
  }
}

/** Whether a node has nothing that the record, of this digest, does not have. */
const follows = ({ assignment }: NodeStatus, digest: string | null): boolean =>
  assignment === null || assignment.digest === digest;
