/** The pods of storage nodes: restricted pod security, probes that mean what they say, everything read-only but the volume. */
import type { SettledSpec } from '../api/sierra-cluster.ts';
import { CONFIG_FOLDER, CONFIG_KEY, DATA_FOLDER, nodeConfig, SECRET_FOLDER } from './config-map.ts';
import { hashOf } from './hash.ts';
import {
  ADMIN_PORT,
  annotations,
  childNames,
  CLIENT_PORT,
  CLUSTER_PORT,
  clusterLabels,
  labels,
  SECRET_KEY,
} from './names.ts';
import type { Owner } from './owner.ts';

/** The user of the image. */
const USER = 1000;
/** Until everybody knows that a pod is going: clients that come meanwhile are served. */
const PRE_STOP_SECONDS = 5;
const HOSTNAME = 'kubernetes.io/hostname';
const ZONE = 'topology.kubernetes.io/zone';
/** A pod without requests is the first to be killed where memory is short. */
const DEFAULT_RESOURCES = { requests: { cpu: '100m', memory: '512Mi' } };

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What the pods of a StatefulSet are found by. Never changes. */
export const podSelector = (owner: Owner, zone: string | null): Record<string, string> => ({
  ...clusterLabels(owner),
  ...(zone !== null && { [labels.zone]: zone }),
});

export function podTemplate(owner: Owner, spec: SettledSpec, zone: string | null): PodTemplate {
  const { pod } = spec;
  return {
    metadata: {
      labels: { ...pod.labels, [labels.component]: 'storage', ...podSelector(owner, zone) },
      annotations: { ...pod.annotations, [annotations.config]: hashOf(nodeConfig(spec)) },
    },
    spec: {
      ...identityOf(owner),
      ...placementOf(owner, spec, zone),
      ...(pod.priorityClassName !== undefined && { priorityClassName: pod.priorityClassName }),
      ...(pod.imagePullSecrets !== undefined && { imagePullSecrets: pod.imagePullSecrets }),
      terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds,
      containers: [containerOf(spec)],
      volumes: volumesOf(owner),
    },
  };
}

function identityOf(owner: Owner): object {
  return {
    serviceAccountName: childNames.serviceAccount(owner.name),
    automountServiceAccountToken: false,
    // A Service named `sierradb` would come with variables that look like settings.
    enableServiceLinks: false,
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: USER, runAsGroup: USER, fsGroup: USER },
      // A large volume whose folder is right already is not walked at every start.
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}

/** Apart from each other where that can be; what the resource says instead replaces it. */
function placementOf(owner: Owner, { pod, zones }: SettledSpec, zone: string | null): object {
  const labelSelector = { matchLabels: clusterLabels(owner) };
  const apart = {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        { weight: 100, podAffinityTerm: { topologyKey: HOSTNAME, labelSelector } },
      ],
    },
  };
  const spread = [
    { maxSkew: 1, topologyKey: ZONE, whenUnsatisfiable: 'ScheduleAnyway', labelSelector },
  ];
  const nodeSelector = { ...pod.nodeSelector, ...(zone !== null && { [ZONE]: zone }) };
  // One without a selector would count no pods.
  const given = pod.topologySpreadConstraints?.map((each) => ({ labelSelector, ...each }));
  const topologySpreadConstraints = given ?? (zones.length > 0 ? undefined : spread);
  return {
    affinity: pod.affinity ?? apart,
    ...(topologySpreadConstraints !== undefined && { topologySpreadConstraints }),
    ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
    ...(pod.tolerations !== undefined && { tolerations: pod.tolerations }),
  };
}

function containerOf({ image, imagePullPolicy, pod, ...spec }: SettledSpec): object {
  const port = (name: string, containerPort: number): object => ({
    ...{ name, containerPort, protocol: 'TCP' },
  });
  return {
    name: 'sierradb',
    ...{ image, imagePullPolicy },
    // As in the Dockerfile: a small young generation, an old one that is not collected all the time.
    command: ['node', '--max-semi-space-size=32', '--initial-old-space-size=128'],
    args: ['/app/bin/sierradb.cjs'],
    env: [
      { name: 'SIERRADB_CONFIG', value: `${CONFIG_FOLDER}/${CONFIG_KEY}` },
      {
        name: 'SIERRADB_NODE_INDEX',
        valueFrom: {
          fieldRef: { fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']" },
        },
      },
      // Large blocks go back to the system when they are freed.
      { name: 'MALLOC_MMAP_THRESHOLD_', value: '131072' },
    ],
    ports: [port('resp', CLIENT_PORT), port('cluster', CLUSTER_PORT), port('admin', ADMIN_PORT)],
    resources: pod.resources ?? DEFAULT_RESOURCES,
    ...probes,
    ...lifecycleOf(spec),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'data', mountPath: DATA_FOLDER },
      { name: 'config', mountPath: CONFIG_FOLDER, readOnly: true },
      { name: 'secret', mountPath: SECRET_FOLDER, readOnly: true },
    ],
  };
}

const get = (path: string): object => ({ httpGet: { path, port: 'admin', scheme: 'HTTP' } });

/** Alive is whoever answers at all: a node that waits for others, recovers or lags is not helped by a restart. */
const probes = {
  startupProbe: { ...get('/livez'), periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 300 },
  livenessProbe: { ...get('/livez'), periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 6 },
  readinessProbe: { ...get('/readyz'), periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3 },
};

/** The hook only waits; the node hands over what it leads when it is told to stop, in what is left of the period. */
function lifecycleOf({
  terminationGracePeriodSeconds: grace,
}: Pick<SettledSpec, 'terminationGracePeriodSeconds'>): object {
  const seconds = Math.min(PRE_STOP_SECONDS, Math.floor(grace / 2));
  return seconds > 0 ? { lifecycle: { preStop: { sleep: { seconds } } } } : {};
}

const volumesOf = ({ name }: Owner): object[] => [
  { name: 'config', configMap: { name: childNames.config(name) } },
  {
    name: 'secret',
    secret: {
      secretName: childNames.secret(name),
      items: [{ key: SECRET_KEY, path: SECRET_KEY }],
      // Owner and group: 0440.
      defaultMode: 0o440,
    },
  },
];
