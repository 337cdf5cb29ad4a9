import type { KubeObject } from '../kube/types.ts';
import {
  ADMIN_PORT,
  childNames,
  CLIENT_PORT,
  CLUSTER_PORT,
  clusterLabels,
  labels,
} from './names.ts';
import { childMeta, type Owner } from './owner.ts';

/** Pods with this in {@link labels.name} may speak with members, wherever they run: the operator has a namespace of its own. */
export const OPERATOR_NAME = 'sierradb-operator';

const tcp = (port: number): { readonly protocol: 'TCP'; readonly port: number } => ({
  ...{ protocol: 'TCP', port },
});

/** The cluster port is for members and the operator; clients and whoever collects metrics come from anywhere. */
export const networkPolicyOf = (owner: Owner): KubeObject & { spec: object } => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: childMeta(owner, childNames.networkPolicy(owner.name)),
  spec: {
    podSelector: { matchLabels: clusterLabels(owner) },
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [
          { podSelector: { matchLabels: clusterLabels(owner) } },
          {
            namespaceSelector: {},
            podSelector: { matchLabels: { [labels.name]: OPERATOR_NAME } },
          },
        ],
        ports: [tcp(CLUSTER_PORT)],
      },
      { ports: [tcp(CLIENT_PORT), tcp(ADMIN_PORT)] },
    ],
  },
});
