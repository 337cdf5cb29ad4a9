/** What every child has from the cluster that owns it. */
import { API_VERSION, KIND, type SierraCluster } from '../api/sierra-cluster.ts';
import type { ObjectMeta, OwnerReference } from '../kube/types.ts';
import { clusterLabels, type ClusterName } from './names.ts';

/** The cluster as its children need it. */
export interface Owner extends ClusterName {
  readonly uid: string;
}

export const ownerOf = ({ metadata }: Pick<SierraCluster, 'metadata'>): Owner => ({
  name: metadata.name,
  namespace: metadata.namespace ?? 'default',
  uid: metadata.uid ?? '',
});

export type ChildMeta = ObjectMeta & {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** Whoever has it goes when the cluster goes. */
export const ownerReference = ({ name, uid }: Owner): OwnerReference => ({
  ...{ apiVersion: API_VERSION, kind: KIND, name, uid },
});

/** Of what is the cluster's alone. */
export const controllerReference = (owner: Owner): OwnerReference => ({
  ...ownerReference(owner),
  ...{ controller: true, blockOwnerDeletion: true },
});

/** Children go with their cluster: the garbage collector deletes them. */
export const childMeta = (owner: Owner, name: string): ChildMeta => ({
  name,
  namespace: owner.namespace,
  labels: clusterLabels(owner),
  ownerReferences: [controllerReference(owner)],
});
