/**
 * What the planner sees and what it asks for. Observed values are of one look; whatever follows is carried out against what is
 * there by then: by resource version, by UID, by the version that an assignment replaces.
 */
import type { Assignment } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import type { PlanStatus, RolloutStatus, SettledSpec } from '../api/sierra-cluster.ts';
import type { Refusal } from '../api/validation.ts';
import type { NodePlace } from '../resources/names.ts';

export interface ObservedPod {
  readonly place: NodePlace;
  readonly uid: string;
  /** Hash of the template that it was made from. */
  readonly revision: string;
  readonly image: string;
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  /** Milliseconds since it was made. */
  readonly ageMs: number;
  /** Milliseconds since it was ready last; absent: it is ready, or never was. */
  readonly unreadyMs?: number;
  /** Why it does not run, in words: `ImagePullBackOff: …`, `Unschedulable: …`, `CrashLoopBackOff`, or null. */
  readonly trouble: string | null;
  /** Kubernetes' node that it is bound to is there and ready. False: it is not, or is gone. */
  readonly isHostReady: boolean;
}

export interface ObservedClaim {
  readonly place: NodePlace;
  readonly uid: string;
  /** Bytes asked for, and of the volume. */
  readonly requestedBytes: number;
  readonly actualBytes: number;
  readonly isTerminating: boolean;
  readonly canExpand: boolean;
}

/** What a node says of itself. */
export interface ObservedNode {
  readonly place: NodePlace;
  /** Null: it does not answer. */
  readonly status: NodeStatus | null;
  /** What it follows, where that is not what {@link NodeStatus} would have if it followed the record. */
  readonly assignment: Assignment | null;
}

export interface ObservedStatefulSet {
  readonly name: string;
  readonly uid: string;
  readonly replicas: number;
  /** Hash of the pod template that it has now. */
  readonly revision: string;
  readonly storageBytes: number;
}

export interface Observed {
  readonly name: string;
  readonly namespace: string;
  readonly generation: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly isBeingDeleted: boolean;
  readonly spec: SettledSpec;
  /** UUID that this look has drawn: of a cluster that is formed now. */
  readonly newClusterId: string;
  /** The record. */
  readonly assignment: Assignment | null;
  readonly rollout: RolloutStatus | null;
  /** Hash of the template that pods are to have. */
  readonly revision: string;
  readonly storageBytes: number;
  readonly statefulSets: readonly ObservedStatefulSet[];
  readonly pods: readonly ObservedPod[];
  readonly claims: readonly ObservedClaim[];
  /** Of every place that there is a pod for, or a member in the record. */
  readonly nodes: readonly ObservedNode[];
}

export type Action =
  /** StatefulSets are to have pods up to there: by name. */
  | { readonly kind: 'scale'; readonly statefulSet: string; readonly replicas: number }
  /** Compare-and-set of the record; nothing is sent before. */
  | { readonly kind: 'record'; readonly assignment: Assignment; readonly reason: string }
  | {
      readonly kind: 'send';
      readonly place: NodePlace;
      /** Version that the node follows; 0: none. */
      readonly replaces: number;
      readonly assignment: Assignment;
    }
  | { readonly kind: 'drain'; readonly place: NodePlace }
  | { readonly kind: 'end drain'; readonly place: NodePlace }
  | {
      readonly kind: 'delete pod';
      readonly pod: string;
      readonly uid: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'delete claim';
      readonly claim: string;
      readonly uid: string;
      readonly reason: string;
    }
  | { readonly kind: 'grow claim'; readonly claim: string; readonly bytes: number }
  /** So that it is made again with other volume claim templates; its pods stay. */
  | { readonly kind: 'orphan statefulSet'; readonly name: string; readonly uid: string }
  | { readonly kind: 'rollout'; readonly rollout: RolloutStatus | null };

export interface PlanEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** What is to be done now, in this order; the next look decides what comes then. Converged: no actions. */
export interface Plan {
  readonly actions: readonly Action[];
  /** What is under way, for `status.plan`; null: nothing is left to do. */
  readonly next: PlanStatus | null;
  readonly events: readonly PlanEvent[];
  /** When to look again though nothing was seen to change; milliseconds. */
  readonly lookAgainMs: number;
  /** Why the spec is not acted upon at all; absent or empty: it is. */
  readonly refusals?: readonly Refusal[];
}
