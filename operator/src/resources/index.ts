/**
 * The objects that make a cluster run, as functions of what the resource asks for: the same values give the same objects, so
 * that they are written only when they are to be others.
 *
 * ```ts
 * const owner = ownerOf(cluster);
 * const children = childrenOf(owner, spec, { replicas: new Map([['orders', 3]]), podMonitors: false });
 * for (const { type, object } of children) await kube.apply(type, object);
 * ```
 *
 * Invariants
 * - All belong to the cluster (`ownerReferences`), have its labels, and tell the hash of what was applied.
 * - Selectors, names and service names never change, whatever an override says.
 * - The secret is not among them unless it is given: it is made once.
 */
import type { SettledSpec } from '../api/sierra-cluster.ts';
import {
  configMaps,
  networkPolicies,
  podDisruptionBudgets,
  podMonitors,
  secrets,
  serviceAccounts,
  services,
  statefulSets,
} from '../kube/resources.ts';
import type { KubeObject, ObjectName, ResourceType } from '../kube/types.ts';
import { configMapOf } from './config-map.ts';
import { withAppliedHash } from './hash.ts';
import { childNames } from './names.ts';
import { networkPolicyOf } from './network-policy.ts';
import type { Owner } from './owner.ts';
import { podDisruptionBudgetOf } from './pod-disruption-budget.ts';
import { podMonitorOf } from './pod-monitor.ts';
import { secretOf } from './secret.ts';
import { serviceAccountOf } from './service-account.ts';
import { clientServiceOf, headlessServiceOf } from './services.ts';
import { statefulSetsOf } from './stateful-set.ts';

export { appliedHash } from './hash.ts';
export { controllerReference, type Owner, ownerOf, ownerReference } from './owner.ts';
export { secretOf } from './secret.ts';
export { revisionOf } from './stateful-set.ts';

export interface Child {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** What the resource does not say. */
export interface ChildrenState {
  /** By StatefulSet; 0 where it is not named. */
  readonly replicas: ReadonlyMap<string, number>;
  /** Bytes of the claim templates that are there, by StatefulSet: they cannot be changed. */
  readonly storageBytes?: ReadonlyMap<string, number>;
  /** To have it among the children. */
  readonly secret?: string;
  /** Whether the API server has PodMonitors. */
  readonly podMonitors: boolean;
}

/** In the order in which they are to be applied: nothing is there before what it refers to. */
export function childrenOf(owner: Owner, spec: SettledSpec, state: ChildrenState): Child[] {
  const { secret } = state;
  const sets = statefulSetsOf(owner, spec, (name) => ({
    replicas: state.replicas.get(name) ?? 0,
    storageBytes: state.storageBytes?.get(name) ?? null,
  }));
  const children: readonly (Child | false)[] = [
    { type: serviceAccounts, object: serviceAccountOf(owner) },
    secret !== undefined && { type: secrets, object: secretOf(owner, secret) },
    { type: configMaps, object: configMapOf(owner, spec) },
    { type: services, object: headlessServiceOf(owner) },
    { type: services, object: clientServiceOf(owner, spec) },
    spec.networkPolicy && { type: networkPolicies, object: networkPolicyOf(owner) },
    spec.podDisruptionBudget && {
      ...{ type: podDisruptionBudgets, object: podDisruptionBudgetOf(owner) },
    },
    ...sets.map((object) => ({ type: statefulSets, object })),
    hasPodMonitor(spec, state) && { type: podMonitors, object: podMonitorOf(owner) },
  ];
  return children
    .filter((child) => child !== false)
    .map(({ type, object }) => ({ type, object: withAppliedHash(object) }));
}

/** Children that the resource does not ask for, or not any more: to be deleted where they are there. */
export function unwantedChildren(
  { name, namespace }: Owner,
  spec: SettledSpec,
  state: Pick<ChildrenState, 'podMonitors'>,
): { readonly type: ResourceType; readonly name: ObjectName }[] {
  const candidates = [
    [!spec.networkPolicy, networkPolicies, childNames.networkPolicy],
    [!spec.podDisruptionBudget, podDisruptionBudgets, childNames.podDisruptionBudget],
    [state.podMonitors && !hasPodMonitor(spec, state), podMonitors, childNames.podMonitor],
  ] as const;
  return candidates
    .filter(([isUnwanted]) => isUnwanted)
    .map(([, type, nameOf]) => ({ type, name: { namespace, name: nameOf(name) } }));
}

const hasPodMonitor = (
  spec: SettledSpec,
  { podMonitors: areServed }: Pick<ChildrenState, 'podMonitors'>,
): boolean => areServed && spec.podMonitor === 'Auto';
