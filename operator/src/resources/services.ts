/** How clients find the nodes, and how members and operator do. */
import type { SettledSpec } from '../api/sierra-cluster.ts';
import type { KubeObject } from '../kube/types.ts';
import { ADMIN_PORT, childNames, CLIENT_PORT, CLUSTER_PORT, clusterLabels } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

interface ServicePort {
  readonly name: string;
  readonly port: number;
  /** Name of the container's port. */
  readonly targetPort: string;
  readonly protocol: 'TCP';
}

export interface ServiceObject extends KubeObject {
  readonly spec: {
    readonly type: string;
    readonly clusterIP?: 'None';
    readonly publishNotReadyAddresses?: boolean;
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly ServicePort[];
  };
}

const portOf = (name: string, port: number): ServicePort => ({
  ...{ name, port, targetPort: name, protocol: 'TCP' },
});

/** Gives every pod a name, also one that is not ready: it must be found to become a member, and to catch up. */
export const headlessServiceOf = (owner: Owner): ServiceObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: childMeta(owner, childNames.headlessService(owner.name)),
  spec: {
    type: 'ClusterIP',
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: clusterLabels(owner),
    ports: [
      portOf('resp', CLIENT_PORT),
      portOf('cluster', CLUSTER_PORT),
      portOf('admin', ADMIN_PORT),
    ],
  },
});

/** Any node that is ready serves any command. */
export function clientServiceOf(owner: Owner, { service }: SettledSpec): ServiceObject {
  const metadata = childMeta(owner, childNames.clientService(owner.name));
  const { annotations, type } = service;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: Object.keys(annotations).length === 0 ? metadata : { ...metadata, annotations },
    spec: { type, selector: clusterLabels(owner), ports: [portOf('resp', CLIENT_PORT)] },
  };
}
