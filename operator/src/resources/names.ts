/** Names of everything that belongs to a cluster, derived in one place. */

export const CLIENT_PORT = 9090;
export const CLUSTER_PORT = 9190;
export const ADMIN_PORT = 9290;

/** Ordinals of one zone's StatefulSet begin with this times the zone's place in `spec.zones`, so that no two pods share one. */
export const ZONE_ORDINALS = 100;

export const labels = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  managedBy: 'app.kubernetes.io/managed-by',
  component: 'app.kubernetes.io/component',
  cluster: 'sierradb.io/cluster',
  /** Of the pods of a zone's StatefulSet: no two StatefulSets select the same pods. */
  zone: 'sierradb.io/zone',
} as const;

export const annotations = {
  /** On pod templates and pods: hash of the template as it was rendered. */
  revision: 'sierradb.io/revision',
  /** On children: hash of what was applied, so that what is there already is not applied again. */
  applied: 'sierradb.io/applied',
  /** On pod templates: hash of the configuration file, which pods read when they start. */
  config: 'sierradb.io/config',
} as const;

/** A storage node by the place of its pod. */
export interface NodePlace {
  /** Ordinal of the pod, unique over all StatefulSets: the member's index. */
  readonly index: number;
  readonly pod: string;
  readonly statefulSet: string;
  readonly claim: string;
  /** `host:port` for members and operator. */
  readonly address: string;
  readonly zone: string | null;
}

export interface ClusterName {
  readonly name: string;
  readonly namespace: string;
}

/** Of every object of a cluster; pods and claims too. They never change: selectors are immutable. */
export const clusterLabels = ({ name }: Pick<ClusterName, 'name'>): Record<string, string> => ({
  [labels.name]: 'sierradb',
  [labels.instance]: name,
  [labels.managedBy]: 'sierradb-operator',
  [labels.cluster]: name,
});

export const selectorOf = ({ name }: Pick<ClusterName, 'name'>): string =>
  `${labels.cluster}=${name}`;

export const childNames = {
  clientService: (cluster: string): string => cluster,
  headlessService: (cluster: string): string => `${cluster}-nodes`,
  config: (cluster: string): string => `${cluster}-config`,
  secret: (cluster: string): string => `${cluster}-cluster`,
  serviceAccount: (cluster: string): string => cluster,
  networkPolicy: (cluster: string): string => cluster,
  podDisruptionBudget: (cluster: string): string => cluster,
  podMonitor: (cluster: string): string => cluster,
};

/** Key of the secret. */
export const SECRET_KEY = 'secret';

/** By zone, or one for all. */
export const statefulSetNames = (cluster: string, zones: readonly string[]): string[] =>
  zones.length === 0 ? [cluster] : zones.map((_, at) => `${cluster}-z${String(at)}`);

/** Where the n-th node (from 0) of a cluster is: nodes go round the zones. */
export function nthPlace(cluster: ClusterName, zones: readonly string[], n: number): NodePlace {
  if (zones.length === 0) return placeAt(cluster, zones, n);
  const zone = n % zones.length;
  return placeAt(cluster, zones, zone * ZONE_ORDINALS + Math.floor(n / zones.length));
}

/** The place with an index; the index of a place is the ordinal of its pod. */
export function placeAt(
  { name, namespace }: ClusterName,
  zones: readonly string[],
  index: number,
): NodePlace {
  const at = zones.length === 0 ? 0 : Math.floor(index / ZONE_ORDINALS);
  const statefulSet = statefulSetNames(name, zones)[at] ?? `${name}-z${String(at)}`;
  const pod = `${statefulSet}-${String(index)}`;
  return {
    ...{ index, pod, statefulSet, claim: `data-${pod}` },
    address: `${pod}.${childNames.headlessService(name)}.${namespace}.svc:${String(CLUSTER_PORT)}`,
    zone: zones[at] ?? null,
  };
}
