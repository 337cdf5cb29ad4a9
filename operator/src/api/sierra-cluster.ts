/**
 * The resource `SierraCluster` (`sierradb.io/v1alpha1`) as the operator sees it. The schema that the API server holds it to is
 * `crds/sierradb.io_sierraclusters.yaml`; a test compares the two.
 */
import type { Assignment } from '../../../common/assignment.ts';
import type { KubeObject } from '../kube/types.ts';

export const GROUP = 'sierradb.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = 'sierradb.io/v1alpha1';
export const KIND = 'SierraCluster';
export const PLURAL = 'sierraclusters';

/** What a person asks for. Fields with a default may be absent in an object that was made by other means than the API server. */
export interface SierraClusterSpec {
  /** Of the storage pods; by default that of the operator's release. */
  readonly image?: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Storage nodes, 1 to 64; default 3. */
  readonly nodes?: number;
  /** Values of `topology.kubernetes.io/zone`; nodes go round them, one StatefulSet each. Immutable once set. */
  readonly zones?: readonly string[];
  /** Immutable. Defaults 32 and 256. */
  readonly buckets?: { readonly count?: number; readonly partitions?: number };
  /** Copies of every event, 1 to 5; default min(nodes, 3). */
  readonly replication?: { readonly factor?: number };
  readonly storage?: StorageSpec;
  /** Settings of the nodes by their dotted names, as in README.md; those that the operator sets are refused. */
  readonly config?: Readonly<Record<string, string | number | boolean>>;
  readonly updates?: {
    /** `Rolling`: the operator replaces pods one at a time. `Manual`: only those that somebody deletes. */
    readonly strategy?: 'Rolling' | 'Manual';
    /** A new pod that is not ready for this long counts as failed; default 600. */
    readonly progressDeadlineSeconds?: number;
  };
  readonly rebalance?: { readonly mode?: 'Auto' | 'Off' };
  readonly disruption?: {
    readonly podDisruptionBudget?: boolean;
    /** Default 60. */
    readonly terminationGracePeriodSeconds?: number;
  };
  readonly service?: {
    readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly networkPolicy?: { readonly enabled?: boolean };
  /** `Auto`: where the API exists. */
  readonly monitoring?: { readonly podMonitor?: 'Auto' | 'Disabled' };
  readonly pod?: PodSpecPart;
  /** Merged over the StatefulSets last: JSON merge patch. */
  readonly overrides?: { readonly statefulSet?: Readonly<Record<string, unknown>> };
  /** Nothing is changed while true; status goes on being written. */
  readonly paused?: boolean;
}

export interface StorageSpec {
  /** A quantity, may only grow; default `10Gi`. */
  readonly size?: string;
  /** Immutable; absent: the default class. */
  readonly storageClassName?: string;
  readonly retention?: {
    /** Default `Retain`. */
    readonly whenDeleted?: 'Retain' | 'Delete';
    /** Default `Delete`. */
    readonly whenScaled?: 'Retain' | 'Delete';
  };
}

export interface PodSpecPart {
  readonly resources?: Readonly<Record<string, unknown>>;
  readonly affinity?: Readonly<Record<string, unknown>>;
  readonly tolerations?: readonly Readonly<Record<string, unknown>>[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly topologySpreadConstraints?: readonly Readonly<Record<string, unknown>>[];
  readonly priorityClassName?: string;
  readonly imagePullSecrets?: readonly { readonly name: string }[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The spec with every default in its place. */
export interface SettledSpec {
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly nodes: number;
  readonly zones: readonly string[];
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly factor: number;
  readonly storageSize: string;
  readonly storageClassName: string | null;
  readonly whenDeleted: 'Retain' | 'Delete';
  readonly whenScaled: 'Retain' | 'Delete';
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly updates: 'Rolling' | 'Manual';
  readonly progressDeadlineSeconds: number;
  readonly rebalance: 'Auto' | 'Off';
  readonly podDisruptionBudget: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly service: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer';
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly networkPolicy: boolean;
  readonly podMonitor: 'Auto' | 'Disabled';
  readonly pod: PodSpecPart;
  readonly statefulSetOverride: Readonly<Record<string, unknown>> | null;
  readonly paused: boolean;
}

export function settledSpec(
  spec: SierraClusterSpec,
  defaults: { readonly image: string },
): SettledSpec {
  const nodes = spec.nodes ?? 3;
  const { buckets = {}, storage = {}, updates = {}, disruption = {}, service = {} } = spec;
  return {
    image: spec.image ?? defaults.image,
    imagePullPolicy: spec.imagePullPolicy ?? 'IfNotPresent',
    nodes,
    zones: spec.zones ?? [],
    bucketCount: buckets.count ?? 32,
    partitionCount: buckets.partitions ?? 256,
    factor: spec.replication?.factor ?? Math.min(nodes, 3),
    storageSize: storage.size ?? '10Gi',
    storageClassName: storage.storageClassName ?? null,
    whenDeleted: storage.retention?.whenDeleted ?? 'Retain',
    whenScaled: storage.retention?.whenScaled ?? 'Delete',
    config: spec.config ?? {},
    updates: updates.strategy ?? 'Rolling',
    progressDeadlineSeconds: updates.progressDeadlineSeconds ?? 600,
    rebalance: spec.rebalance?.mode ?? 'Auto',
    podDisruptionBudget: disruption.podDisruptionBudget ?? true,
    terminationGracePeriodSeconds: disruption.terminationGracePeriodSeconds ?? 60,
    service: { type: service.type ?? 'ClusterIP', annotations: service.annotations ?? {} },
    networkPolicy: spec.networkPolicy?.enabled ?? true,
    podMonitor: spec.monitoring?.podMonitor ?? 'Auto',
    pod: spec.pod ?? {},
    statefulSetOverride: spec.overrides?.statefulSet ?? null,
    paused: spec.paused ?? false,
  };
}

export type Phase =
  | 'Pending'
  | 'Forming'
  | 'Ready'
  | 'Rebalancing'
  | 'Updating'
  | 'ScalingDown'
  | 'Degraded'
  | 'Paused'
  | 'Refused'
  | 'Deleting';

/** What the operator reports, and the record of ownership. */
export interface SierraClusterStatus {
  readonly observedGeneration?: number;
  /** Derived from the conditions, for people. */
  readonly phase?: Phase;
  readonly nodes?: {
    readonly desired: number;
    readonly ready: number;
    /** Pods of the latest revision. */
    readonly updated: number;
    /** `ready/desired`, for the column. */
    readonly summary: string;
  };
  /** Of the scale subresource. */
  readonly replicas?: number;
  readonly selector?: string;
  /** Image that all pods run, and the one that they are to run. */
  readonly image?: { readonly current: string | null; readonly target: string };
  /** The record: which members hold which bucket. Written by compare-and-set before any node hears of it. */
  readonly assignment?: Assignment;
  readonly buckets?: {
    readonly total: number;
    readonly leaderless: number;
    readonly underReplicated: number;
    readonly moving: number;
  };
  readonly members?: readonly MemberStatus[];
  readonly plan?: PlanStatus;
  /** Of the rolling update under way, or of the last one that was stopped. */
  readonly rollout?: RolloutStatus;
  readonly storage?: { readonly requested: string; readonly actual: string };
  readonly conditions?: readonly Condition[];
}

export interface MemberStatus {
  readonly id: string;
  readonly index: number;
  readonly pod: string;
  readonly zone: string | null;
  /** `Leaving`: it is to hold nothing any more; `Lost`: its disk is another one, or it does not answer. */
  readonly state: 'Active' | 'Joining' | 'Leaving' | 'Lost';
  readonly ready: boolean;
  readonly leaders: number;
  readonly replicas: number;
}

/** The next action, and why it waits. */
export interface PlanStatus {
  readonly action: string;
  readonly target: string | null;
  /** Null while it is being carried out. */
  readonly waitsFor: string | null;
}

export interface RolloutStatus {
  /** Of the pod template. */
  readonly revision: string;
  /** The pod that was replaced last and is not ready yet, with the time when that began (RFC 3339). */
  readonly pod: string | null;
  readonly since: string | null;
  /** Pods that did not become ready in time, by name. After two nothing more is replaced by this revision. */
  readonly failed: readonly string[];
}

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  /** At most 1 KiB. */
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339; changes with the status only. */
  readonly lastTransitionTime: string;
}

export const conditionTypes = [
  'SpecAccepted',
  'Available',
  'Progressing',
  'Degraded',
  'Ready',
  'UpToDate',
  'Paused',
] as const;
export type ConditionType = (typeof conditionTypes)[number];

export interface SierraCluster extends KubeObject {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: typeof KIND;
  readonly spec: SierraClusterSpec;
  readonly status?: SierraClusterStatus;
}
