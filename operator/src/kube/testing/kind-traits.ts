/** What a real API server does to objects of a kind, as far as an operator notices. */
import * as known from '../resources.ts';
import type { ResourceType } from '../types.ts';
import { isRecord, isSame, type Json, type JsonObject } from './field-sets.ts';

export interface KindTraits {
  /** Its status is written through `…/status` only. */
  readonly hasStatus?: boolean;
  /** `metadata.generation` counts the changes of what is neither metadata nor status. */
  readonly hasGeneration?: boolean;
  /** PUT without `resourceVersion` overwrites whatever is there. */
  readonly isOverwritable?: boolean;
  /** Sets defaults, before a new object or a changed one is stored. */
  readonly prepare?: (object: JsonObject) => void;
  /** Why the change is not allowed, or null. */
  readonly check?: (object: JsonObject, old: JsonObject | null) => string | null;
}

const statefulSetMayChange = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
  'revisionHistoryLimit',
];

function checkStatefulSet(object: JsonObject, old: JsonObject | null): string | null {
  if (old === null) return null;
  const fixed = (from: Json | undefined): JsonObject =>
    Object.fromEntries(
      Object.entries(isRecord(from) ? from : {}).filter(
        ([name]) => !statefulSetMayChange.includes(name),
      ),
    );
  return isSame(fixed(object['spec']), fixed(old['spec']))
    ? null
    : `spec: Forbidden: updates to statefulset spec for fields other than ${statefulSetMayChange.join(', ')} are forbidden`;
}

function startPending(pod: JsonObject): void {
  const status = isRecord(pod['status']) ? pod['status'] : {};
  pod['status'] = { phase: 'Pending', ...status };
}

export const knownKinds: readonly (readonly [ResourceType, KindTraits])[] = [
  [known.pods, { hasStatus: true, isOverwritable: true, prepare: startPending }],
  [known.services, { hasStatus: true, isOverwritable: true }],
  [known.configMaps, { isOverwritable: true }],
  [known.secrets, { isOverwritable: true }],
  [known.serviceAccounts, { isOverwritable: true }],
  [known.persistentVolumeClaims, { hasStatus: true, isOverwritable: true }],
  [known.kubeNodes, { hasStatus: true, isOverwritable: true }],
  [known.statefulSets, { hasStatus: true, hasGeneration: true, check: checkStatefulSet }],
  [known.podDisruptionBudgets, { hasStatus: true, hasGeneration: true }],
  [known.networkPolicies, { hasGeneration: true }],
  [known.storageClasses, { isOverwritable: true }],
  [known.leases, {}],
  [known.events, {}],
  [known.sierraClusters, { hasStatus: true, hasGeneration: true }],
];
