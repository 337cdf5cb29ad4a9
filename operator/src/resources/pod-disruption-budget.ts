import type { KubeObject } from '../kube/types.ts';
import { childNames, clusterLabels } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

/** One pod of the whole cluster at a time: a bucket with three copies survives the loss of one. */
export const podDisruptionBudgetOf = (owner: Owner): KubeObject & { spec: object } => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: childMeta(owner, childNames.podDisruptionBudget(owner.name)),
  spec: { maxUnavailable: 1, selector: { matchLabels: clusterLabels(owner) } },
});
