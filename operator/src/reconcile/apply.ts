/**
 * Carries out what was planned, one after the other, each against what is there by then. The first that fails ends it: the next
 * look decides anew. A record is written before anybody hears of it, so that whatever a node follows can be found in it.
 */
import type { SierraCluster } from '../api/sierra-cluster.ts';
import { persistentVolumeClaims, pods, sierraClusters, statefulSets } from '../kube/resources.ts';
import { NodeError } from '../nodes/types.ts';
import type { Action, PlanEvent } from '../plan/types.ts';
import type { ReconcileContext } from './context.ts';

export interface Applying {
  readonly context: ReconcileContext;
  readonly namespace: string;
  readonly secret: string;
}

/** Answers the cluster as it is when all is done. Rejects with `KubeError` or `NodeError`. */
export async function applyActions(
  applying: Applying,
  cluster: SierraCluster,
  actions: readonly Action[],
): Promise<SierraCluster> {
  let current = cluster;
  for (const action of actions) {
    applying.context.log.info(factsOf(cluster, action), `action: ${action.kind}`);
    current = await apply(applying, current, action);
  }
  return current;
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
    case 'send':
      await send(applying, action);
      return cluster;
    case 'drain':
      await nodes.drain(action.place.address, secret);
      return cluster;
    case 'end drain':
      await nodes.endDrain(action.place.address, secret);
      return cluster;
    // Children are kept before, with the pods that were planned.
    case 'scale':
      return cluster;
    case 'delete pod': {
      const { pod: name, uid, reason } = action;
      await kube.delete(pods, { namespace, name }, { uid });
      tell(applying, cluster, 'Normal', 'PodReplaced', `${name}: ${reason}`);
      return cluster;
    }
    case 'delete claim': {
      const { claim: name, uid, reason } = action;
      await kube.delete(persistentVolumeClaims, { namespace, name }, { uid });
      tell(applying, cluster, 'Normal', 'VolumeDeleted', `${name}: ${reason}`);
      return cluster;
    }
    case 'grow claim': {
      const { claim: name, bytes } = action;
      const requests = { storage: String(bytes) };
      await kube.patch(
        persistentVolumeClaims,
        { namespace, name },
        { spec: { resources: { requests } } },
      );
      tell(applying, cluster, 'Normal', 'VolumeGrows', `${name} to ${String(bytes)} bytes`);
      return cluster;
    }
    case 'orphan statefulSet': {
      const { name, uid } = action;
      await kube.delete(statefulSets, { namespace, name }, { uid, propagation: 'Orphan' });
      return cluster;
    }
  }
}

/** Members pass assignments on to each other: one that cannot be reached now keeps nobody from anything. */
async function send(
  { context, secret }: Applying,
  { replaces, assignment, place }: Extract<Action, { kind: 'send' }>,
): Promise<void> {
  try {
    await context.nodes.putAssignment(place.address, secret, { replaces, assignment });
  } catch (error) {
    if (!(error instanceof NodeError)) throw error;
    const facts = { pod: place.pod, version: assignment.version, reason: error.message };
    context.log.warn(facts, 'a node does not take the assignment');
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
