/**
 * The secret that members and operator share. It is made once. Nodes read it when they start: with another one they do not
 * understand each other, so that one that is there is kept, also for a cluster that was deleted and made again.
 */
import type { SierraCluster } from '../api/sierra-cluster.ts';
import { secrets } from '../kube/resources.ts';
import { controllerReference, type Owner, secretOf } from '../resources/index.ts';
import { childNames, SECRET_KEY } from '../resources/names.ts';
import type { ReconcileContext } from './context.ts';
import type { SecretObject } from './objects.ts';

/** Null: there is none, and `isReadOnly` forbids to make one. Rejects where there is one that cannot be used. */
export async function clusterSecret(
  context: ReconcileContext,
  cluster: SierraCluster,
  owner: Owner,
  isReadOnly: boolean,
): Promise<string | null> {
  const { kube } = context;
  const name = { namespace: owner.namespace, name: childNames.secret(owner.name) };
  const known = await kube.get<SecretObject>(secrets, name);
  if (known === null) return isReadOnly ? null : make(context, cluster, owner);
  // It goes with a cluster that was deleted, or somebody deletes it: what is made now would go with it.
  if (known.metadata.deletionTimestamp !== undefined) {
    throw new Error(`secret ${name.name} is being deleted`);
  }
  const text = known.data?.[SECRET_KEY];
  if (text === undefined)
    throw new Error(`secret ${name.name} has no key ${SECRET_KEY}; delete it`);
  const isOwned = known.metadata.ownerReferences?.some(({ uid }) => uid === owner.uid) === true;
  if (!isOwned && !isReadOnly) {
    const ownerReferences = [controllerReference(owner)];
    await kube.patch(secrets, name, { metadata: { ownerReferences } });
  }
  return Buffer.from(text, 'base64').toString('utf8');
}

async function make(
  context: ReconcileContext,
  cluster: SierraCluster,
  owner: Owner,
): Promise<string> {
  const secret = context.newSecret();
  await context.kube.create(secrets, secretOf(owner, secret));
  context.log.info({ namespace: owner.namespace, cluster: owner.name }, 'secret made');
  if (cluster.status?.assignment !== undefined) {
    context.emit(cluster, {
      type: 'Warning',
      reason: 'SecretReplaced',
      message:
        'the secret of the cluster was gone; pods that run know the one before: delete all of them, so that they start with the new one',
    });
  }
  return secret;
}
