/** What tests read of rendered objects, and the clusters that they are rendered from. */
import assert from 'node:assert/strict';

import {
  type SettledSpec,
  settledSpec,
  type SierraCluster,
  type SierraClusterSpec,
} from '../../api/sierra-cluster.ts';
import type { KubeObject, ObjectMeta } from '../../kube/types.ts';
import { childrenOf, type ChildrenState, type Owner, ownerOf } from '../index.ts';

export const cluster: Pick<SierraCluster, 'metadata'> = {
  metadata: { name: 'orders', namespace: 'shop', uid: '7c7e5c5e-0000-4000-8000-000000000001' },
};
export const owner: Owner = ownerOf(cluster);

export const settle = (spec: SierraClusterSpec): SettledSpec =>
  settledSpec(spec, { image: 'sierradb:1.2.3' });

export const render = (spec: SierraClusterSpec, state: Partial<ChildrenState> = {}): KubeObject[] =>
  childrenOf(owner, settle(spec), {
    ...{ replicas: new Map([['orders', 3]]), podMonitors: false },
    ...state,
  }).map(({ object }) => object);

type Fields = Readonly<Record<string, unknown>>;

export interface RenderedPod {
  readonly metadata: Required<Pick<ObjectMeta, 'labels' | 'annotations'>>;
  readonly spec: Fields & {
    readonly serviceAccountName?: string;
    readonly securityContext: Fields;
    readonly affinity: Fields;
    readonly topologySpreadConstraints?: readonly Fields[];
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly volumes: readonly {
      readonly name: string;
      readonly configMap?: { readonly name: string };
      readonly secret?: { readonly secretName: string };
    }[];
    readonly containers: readonly {
      readonly securityContext: Fields;
      readonly ports: readonly Fields[];
      readonly volumeMounts: readonly { readonly name: string }[];
      readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
    }[];
  };
}

export interface RenderedStatefulSet extends KubeObject {
  readonly spec: Fields & {
    readonly replicas: number;
    readonly serviceName: string;
    readonly ordinals: { readonly start: number };
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: RenderedPod;
    readonly volumeClaimTemplates: readonly {
      readonly metadata: ObjectMeta;
      readonly spec: { readonly resources: { readonly requests: { readonly storage: string } } };
    }[];
  };
}

interface Kinds {
  readonly StatefulSet: RenderedStatefulSet;
  readonly ConfigMap: KubeObject & { readonly data: Readonly<Record<string, string>> };
  readonly Secret: KubeObject & { readonly data: Readonly<Record<string, string>> };
  readonly NetworkPolicy: KubeObject;
  readonly Service: KubeObject;
  readonly ServiceAccount: KubeObject;
}

/** The only one of its kind, or the one with the name. */
export function find<K extends keyof Kinds>(
  objects: readonly KubeObject[],
  kind: K,
  name?: string,
): Kinds[K] {
  const found = objects.filter(
    ({ kind: its, metadata }) => its === kind && (name === undefined || metadata.name === name),
  );
  assert.equal(found.length, 1, `${kind} ${name ?? ''}`);
  return found[0] as Kinds[K];
}

export const statefulSetsIn = (objects: readonly KubeObject[]): RenderedStatefulSet[] =>
  objects.filter(({ kind }) => kind === 'StatefulSet') as RenderedStatefulSet[];

/** A resource that says all that one can say. */
export const everything: SierraClusterSpec = {
  image: 'registry.example/sierradb:2',
  imagePullPolicy: 'Always',
  nodes: 5,
  zones: ['eu-1a', 'eu-1b'],
  buckets: { count: 64, partitions: 1024 },
  storage: { size: '20Gi', storageClassName: 'fast', retention: { whenDeleted: 'Delete' } },
  config: {
    'log.level': 'debug',
    'cache.capacity_bytes': '1GiB',
    'append.strict_versioning': true,
  },
  disruption: { terminationGracePeriodSeconds: 120 },
  service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
  pod: {
    resources: { requests: { cpu: '2', memory: '4Gi' }, limits: { memory: '4Gi' } },
    affinity: { nodeAffinity: {} },
    tolerations: [{ key: 'storage', operator: 'Exists' }],
    nodeSelector: { disk: 'ssd' },
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' },
    ],
    priorityClassName: 'high',
    imagePullSecrets: [{ name: 'registry' }],
    labels: { team: 'checkout' },
    annotations: { note: 'x' },
  },
  overrides: {
    statefulSet: {
      spec: { template: { spec: { hostAliases: [{ ip: '10.0.0.1', hostnames: ['a'] }] } } },
    },
  },
};
export const zoned: Partial<ChildrenState> = {
  replicas: new Map([
    ['orders-z0', 3],
    ['orders-z1', 2],
  ]),
  secret: '00ff',
  podMonitors: true,
};
