/** The kinds that the operator reads and writes. */
import type { ResourceType } from './types.ts';

const core = (plural: string, kind: string): ResourceType => ({
  group: '',
  version: 'v1',
  plural,
  kind,
});

export const pods: ResourceType = core('pods', 'Pod');
export const services: ResourceType = core('services', 'Service');
export const configMaps: ResourceType = core('configmaps', 'ConfigMap');
export const secrets: ResourceType = core('secrets', 'Secret');
export const serviceAccounts: ResourceType = core('serviceaccounts', 'ServiceAccount');
export const persistentVolumeClaims: ResourceType = core(
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const kubeNodes: ResourceType = { ...core('nodes', 'Node'), isClusterScoped: true };
export const statefulSets: ResourceType = {
  group: 'apps',
  version: 'v1',
  plural: 'statefulsets',
  kind: 'StatefulSet',
};
export const podDisruptionBudgets: ResourceType = {
  ...{
    group: 'policy',
    version: 'v1',
    plural: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
  },
};
export const networkPolicies: ResourceType = {
  ...{
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'networkpolicies',
    kind: 'NetworkPolicy',
  },
};
export const storageClasses: ResourceType = {
  ...{ group: 'storage.k8s.io', version: 'v1', plural: 'storageclasses', kind: 'StorageClass' },
  isClusterScoped: true,
};
export const leases: ResourceType = {
  ...{ group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease' },
};
export const events: ResourceType = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
};
export const podMonitors: ResourceType = {
  ...{ group: 'monitoring.coreos.com', version: 'v1', plural: 'podmonitors', kind: 'PodMonitor' },
};
export const sierraClusters: ResourceType = {
  ...{ group: 'sierradb.io', version: 'v1alpha1', plural: 'sierraclusters', kind: 'SierraCluster' },
};
