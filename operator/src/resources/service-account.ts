import type { KubeObject } from '../kube/types.ts';
import { childNames } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

/** An account without rights and without a token: nodes never speak with Kubernetes. */
export const serviceAccountOf = (
  owner: Owner,
): KubeObject & { automountServiceAccountToken: false } => ({
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: childMeta(owner, childNames.serviceAccount(owner.name)),
  automountServiceAccountToken: false,
});
