/**
 * Carries out what was planned, one after the other, each against what is there by then. The first that fails ends it: the next
 * look decides anew. A record is written before anybody hears of it, so that whatever a node follows can be found in it.
 */
import { quantityOfBytes } from '../api/quantity.ts';
import type { SierraCluster } from '../api/sierra-cluster.ts';
import { persistentVolumeClaims, pods, sierraClusters, statefulSets } from '../kube/resources.ts';
import { KubeError } from '../kube/types.ts';
import { NodeError } from '../nodes/types.ts';
import type { Action, Observed, PlanEvent } from '../plan/types.ts';
import type { NodePlace } from '../resources/names.ts';
import type { ReconcileContext } from './context.ts';

export interface Applying {
  readonly context: ReconcileContext;
  /** The cluster as the last write has left it. */
  readonly written: (cluster: SierraCluster) => void;
  readonly namespace: string;
  readonly secret: string;
  readonly observed: Observed;
}

/** Rejects with what the API server has refused. */
export async function applyActions(
  applying: Applying,
  cluster: SierraCluster,
  actions: readonly Action[],
): Promise<void> {
  let current = cluster;
  for (const action of actions) {
    applying.context.log.info(factsOf(cluster, action), `action: ${action.kind}`);
    current = await apply(applying, current, action);
    applying.written(current);
  }
}

async function apply(
  applying: Applying,
  cluster: SierraCluster,
  action: Action,
): Promise<SierraCluster> {
  const { context, namespace, secret } = applying;
  const { kube, nodes } = context;
  switch (action.kind) {
    case 'record': {
      tell(applying, cluster, 'Normal', 'AssignmentChanged', action.reason);
      return writeStatus(context, cluster, { assignment: action.assignment });
    }
    case 'rollout':
      return writeStatus(context, cluster, { rollout: action.rollout ?? undefined });
    case 'send': {
      const { replaces, assignment, place } = action;
      await unhindered(applying, place, () =>
        nodes.putAssignment(place.address, secret, { replaces, assignment }),
      );
      return cluster;
    }
    case 'drain':
      await unhindered(applying, action.place, () => nodes.drain(action.place.address, secret));
      return cluster;
    case 'end drain':
      await unhindered(applying, action.place, () => nodes.endDrain(action.place.address, secret));
      return cluster;
    // Children are kept before, with the pods that were planned.
    case 'scale':
      return cluster;
    case 'delete pod':
      await deletePod(applying, cluster, action);
      return cluster;
    case 'delete claim': {
      const { claim: name, uid, reason } = action;
      await kube.delete(persistentVolumeClaims, { namespace, name }, { uid });
      tell(applying, cluster, 'Normal', 'VolumeDeleted', `${name}: ${reason}`);
      return cluster;
    }
    case 'grow claim':
      await growClaim(applying, cluster, action);
      return cluster;
    case 'orphan statefulSet': {
      const { name, uid } = action;
      await kube.delete(statefulSets, { namespace, name }, { uid, propagation: 'Orphan' });
      return cluster;
    }
  }
}

/**
 * One that serves is evicted, so that the disruption budget sees it together with what others evict; where it does not allow it now,
 * the next look asks again. One that is broken is in nobody's budget.
 */
async function deletePod(
  applying: Applying,
  cluster: SierraCluster,
  { pod: name, uid, reason }: Extract<Action, { kind: 'delete pod' }>,
): Promise<void> {
  const { context, namespace, observed } = applying;
  const isServing = observed.pods.some((pod) => pod.uid === uid && pod.isReady);
  if (isServing && observed.spec.podDisruptionBudget) {
    if (!(await context.kube.evict({ namespace, name }, { uid }))) {
      context.log.info({ pod: name }, 'the disruption budget does not allow it now');
      return;
    }
  } else await context.kube.delete(pods, { namespace, name }, { uid });
  tell(applying, cluster, 'Normal', 'PodReplaced', `${name}: ${reason}`);
}

/** A quota or a storage class may forbid it: that keeps nothing else from being done. */
async function growClaim(
  applying: Applying,
  cluster: SierraCluster,
  { claim: name, bytes }: Extract<Action, { kind: 'grow claim' }>,
): Promise<void> {
  const { context, namespace } = applying;
  const storage = quantityOfBytes(bytes);
  const spec = { resources: { requests: { storage } } };
  try {
    await context.kube.patch(persistentVolumeClaims, { namespace, name }, { spec });
  } catch (error) {
    if (!(error instanceof KubeError) || error.code < 400 || error.code >= 500) throw error;
    tell(applying, cluster, 'Warning', 'VolumeNotGrown', `${name}: ${error.message}`);
    return;
  }
  tell(applying, cluster, 'Normal', 'VolumeGrows', `${name} to ${storage}`);
}

/** A node that cannot be reached now keeps nobody else from anything: the next look asks it again. */
async function unhindered(
  { context }: Applying,
  { pod }: NodePlace,
  ask: () => Promise<unknown>,
): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    context.log.warn({ pod, reason: error.message }, 'a node does not do what it is asked');
  }
}

/** Compare-and-set: somebody who has written meanwhile makes it fail. */
export async function writeStatus(
  { kube }: ReconcileContext,
  cluster: SierraCluster,
  changes: { readonly [K in keyof NonNullable<SierraCluster['status']>]?: unknown },
): Promise<SierraCluster> {
  const status = { ...cluster.status, ...changes } as NonNullable<SierraCluster['status']>;
  return kube.replaceStatus<SierraCluster>(sierraClusters, { ...cluster, status });
}

function tell(
  { context }: Applying,
  cluster: SierraCluster,
  type: PlanEvent['type'],
  reason: string,
  message: string,
): void {
  context.emit(cluster, { type, reason, message });
}

/** For the log: an assignment is only named. */
function factsOf({ metadata }: SierraCluster, action: Action): object {
  const { name, namespace } = metadata;
  const { kind, ...rest } = action;
  const facts =
    kind === 'record' || kind === 'send'
      ? { ...rest, assignment: action.assignment.version }
      : rest;
  return { cluster: `${namespace ?? ''}/${name}`, ...facts };
}
