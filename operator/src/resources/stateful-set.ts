/**
 * The StatefulSets, one for all nodes or one for each zone. They make pods and claims and nothing else: what is replaced when, the
 * planner decides.
 */
import type { SettledSpec } from '../api/sierra-cluster.ts';
import { bytesOfQuantity, quantityOfBytes } from '../api/quantity.ts';
import type { KubeObject } from '../kube/types.ts';
import { hashOf } from './hash.ts';
import { mergePatch } from './merge-patch.ts';
import {
  annotations,
  childNames,
  clusterLabels,
  statefulSetNames,
  ZONE_ORDINALS,
} from './names.ts';
import { childMeta, type Owner } from './owner.ts';
import { podSelector, type PodTemplate, podTemplate } from './pod-template.ts';

export interface StatefulSetObject extends KubeObject {
  readonly spec: {
    readonly replicas: number;
    readonly template: PodTemplate;
    readonly [field: string]: unknown;
  };
}

/** What only the cluster as it is can tell. */
export interface StatefulSetState {
  readonly replicas: number;
  /** Of the claim template that is there: it cannot be changed, only made again; null: there is none. */
  readonly storageBytes: number | null;
}

export const statefulSetsOf = (
  owner: Owner,
  spec: SettledSpec,
  stateOf: (name: string) => StatefulSetState,
): StatefulSetObject[] =>
  statefulSetNames(owner.name, spec.zones).map((name, at) => {
    const zone = spec.zones[at] ?? null;
    return statefulSetOf(owner, spec, { name, at, zone, ...stateOf(name) });
  });

/**
 * Hash of the pod template as it is rendered, overrides included. The same for the StatefulSets of all zones, which differ by
 * their zone and by nothing else; it says nothing of how many pods there are, nor of their claims.
 */
export function revisionOf(owner: Owner, spec: SettledSpec): string {
  const place = { name: owner.name, at: 0, zone: null, replicas: 0, storageBytes: null };
  return hashOf(patched(plain(owner, spec, place), spec).spec.template);
}

interface Place extends StatefulSetState {
  readonly name: string;
  /** Of the zone in the list. */
  readonly at: number;
  readonly zone: string | null;
}

function statefulSetOf(owner: Owner, spec: SettledSpec, place: Place): StatefulSetObject {
  const object = patched(plain(owner, spec, place), spec);
  const { metadata, spec: podSpec } = object.spec.template;
  const revision = { [annotations.revision]: revisionOf(owner, spec) };
  const template = {
    metadata: { ...metadata, annotations: { ...metadata.annotations, ...revision } },
    spec: podSpec,
  };
  return { ...object, spec: { ...object.spec, template } };
}

function plain(owner: Owner, spec: SettledSpec, place: Place): StatefulSetObject {
  const { name, at, zone, replicas } = place;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: childMeta(owner, name),
    spec: {
      replicas,
      serviceName: childNames.headlessService(owner.name),
      selector: { matchLabels: podSelector(owner, zone) },
      ordinals: { start: at * ZONE_ORDINALS },
      // Pods start together, and only the operator replaces them.
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      // Claims are the operator's: scaled down, it knows that nothing is left in one; and a StatefulSet that somebody deletes is made again.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      template: podTemplate(owner, spec, zone),
      volumeClaimTemplates: [claimTemplate(owner, spec, place)],
    },
  };
}

function claimTemplate(owner: Owner, spec: SettledSpec, { storageBytes }: Place): object {
  const { storageSize, storageClassName } = spec;
  const isAsked = storageBytes === null || storageBytes === bytesOfQuantity(storageSize);
  const storage = isAsked ? storageSize : quantityOfBytes(storageBytes);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', labels: clusterLabels(owner) },
    spec: {
      accessModes: ['ReadWriteOnce'],
      ...(storageClassName !== null && { storageClassName }),
      resources: { requests: { storage } },
    },
  };
}

/** Fields by which the operator finds and keeps its objects are its own, whatever an override says. */
function patched(object: StatefulSetObject, spec: SettledSpec): StatefulSetObject {
  if (spec.statefulSetOverride === null) return object;
  const merged = mergePatch(object, spec.statefulSetOverride) as Partial<StatefulSetObject>;
  const template = (merged.spec?.template ?? {}) as Partial<PodTemplate>;
  const { template: ownTemplate, ...ownSpec } = object.spec;
  return {
    ...merged,
    ...{ apiVersion: object.apiVersion, kind: object.kind },
    metadata: {
      ...merged.metadata,
      ...object.metadata,
      labels: { ...merged.metadata?.labels, ...object.metadata.labels },
    },
    spec: {
      ...merged.spec,
      ...ownSpec,
      template: {
        ...template,
        metadata: {
          labels: { ...template.metadata?.labels, ...ownTemplate.metadata.labels },
          annotations: { ...template.metadata?.annotations, ...ownTemplate.metadata.annotations },
        },
        spec: template.spec ?? ownTemplate.spec,
      },
    },
  };
}
