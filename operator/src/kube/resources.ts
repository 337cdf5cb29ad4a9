/** The kinds that the operator reads and writes. */
import type { ResourceType } from './types.ts';

/** `group` is empty for the core. */
const resource = (group: string, version: string, plural: string, kind: string): ResourceType => ({
  group,
  version,
  plural,
  kind,
});

const clusterScoped = (type: ResourceType): ResourceType => ({ ...type, isClusterScoped: true });

export const pods: ResourceType = resource('', 'v1', 'pods', 'Pod');
export const services: ResourceType = resource('', 'v1', 'services', 'Service');
export const configMaps: ResourceType = resource('', 'v1', 'configmaps', 'ConfigMap');
export const secrets: ResourceType = resource('', 'v1', 'secrets', 'Secret');
export const serviceAccounts: ResourceType = resource(
  '',
  'v1',
  'serviceaccounts',
  'ServiceAccount',
);
export const persistentVolumeClaims: ResourceType = resource(
  '',
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const kubeNodes: ResourceType = clusterScoped(resource('', 'v1', 'nodes', 'Node'));
export const statefulSets: ResourceType = resource('apps', 'v1', 'statefulsets', 'StatefulSet');
export const podDisruptionBudgets: ResourceType = resource(
  'policy',
  'v1',
  'poddisruptionbudgets',
  'PodDisruptionBudget',
);
export const networkPolicies: ResourceType = resource(
  'networking.k8s.io',
  'v1',
  'networkpolicies',
  'NetworkPolicy',
);
export const storageClasses: ResourceType = clusterScoped(
  resource('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass'),
);
export const leases: ResourceType = resource('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const events: ResourceType = resource('events.k8s.io', 'v1', 'events', 'Event');
export const podMonitors: ResourceType = resource(
  'monitoring.coreos.com',
  'v1',
  'podmonitors',
  'PodMonitor',
);
export const sierraClusters: ResourceType = resource(
  'sierradb.io',
  'v1alpha1',
  'sierraclusters',
  'SierraCluster',
);
