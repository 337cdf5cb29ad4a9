/**
 * Whom the claims belong to. With `whenDeleted: Delete` they go with their cluster, with `Retain` with nobody. Never with their
 * StatefulSet: somebody may delete that by hand, and it is made again.
 */
import { KIND } from '../api/sierra-cluster.ts';
import { persistentVolumeClaims } from '../kube/resources.ts';
import type { KubeApi } from '../kube/types.ts';
import { type Owner, ownerReference } from '../resources/index.ts';
import type { ClaimObject } from './objects.ts';

export async function keepClaims(
  kube: KubeApi,
  owner: Owner,
  claims: readonly ClaimObject[],
  whenDeleted: 'Retain' | 'Delete',
): Promise<void> {
  for (const { metadata } of claims) {
    const references = metadata.ownerReferences ?? [];
    const isOwned = references.some(({ uid }) => uid === owner.uid);
    if (isOwned === (whenDeleted === 'Delete') || metadata.deletionTimestamp !== undefined)
      continue;
    const others = references.filter(({ kind }) => kind !== KIND);
    const ownerReferences = whenDeleted === 'Delete' ? [...others, ownerReference(owner)] : others;
    const name = { namespace: owner.namespace, name: metadata.name };
    await kube.patch(persistentVolumeClaims, name, { metadata: { ownerReferences } });
  }
}
