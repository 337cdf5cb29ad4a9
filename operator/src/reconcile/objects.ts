/** The parts of Kubernetes' objects that are read here. The objects themselves stay as the server sent them. */
import type { KubeObject } from '../kube/types.ts';

export interface PodCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface PodObject extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly { readonly name: string; readonly image?: string }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly conditions?: readonly PodCondition[];
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly restartCount?: number;
      readonly state?: {
        readonly waiting?: { readonly reason?: string; readonly message?: string };
      };
    }[];
  };
}

export interface ClaimObject extends KubeObject {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
  readonly status?: { readonly capacity?: { readonly storage?: string } };
}

export interface StatefulSetObject extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly metadata?: KubeObject['metadata'] };
    readonly volumeClaimTemplates?: readonly ClaimObject[];
  };
}

export interface SecretObject extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface StorageClassObject extends KubeObject {
  readonly allowVolumeExpansion?: boolean;
}

export interface KubeNodeObject extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

const conditionOf = (
  { status }: Pick<PodObject | KubeNodeObject, 'status'>,
  type: string,
): PodCondition | undefined => status?.conditions?.find((condition) => condition.type === type);

export const isReady = (object: Pick<PodObject | KubeNodeObject, 'status'>): boolean =>
  conditionOf(object, 'Ready')?.status === 'True';

/** Since when a pod is not ready, milliseconds since 1970; null: it is, or nobody says since when. */
export function unreadySince(pod: PodObject): number | null {
  const ready = conditionOf(pod, 'Ready');
  if (ready === undefined || ready.status === 'True') return null;
  const since = Date.parse(ready.lastTransitionTime ?? '');
  return Number.isNaN(since) ? null : since;
}

/** Why a pod does not run, in words; null: nothing is wrong with it as far as Kubernetes says. */
export function troubleOf(pod: PodObject): string | null {
  const { status } = pod;
  for (const { state } of status?.containerStatuses ?? []) {
    const { reason = '', message = '' } = state?.waiting ?? {};
    // What every pod goes through while it is made.
    if (reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing') continue;
    return message === '' ? reason : `${reason}: ${message}`;
  }
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False') {
    return `${scheduled.reason ?? 'Unschedulable'}: ${scheduled.message ?? ''}`;
  }
  if (status?.phase === 'Failed') return status.reason ?? 'Failed';
  return null;
}
