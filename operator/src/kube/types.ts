/**
 * The API server as the operator needs it: raw JSON, server-side apply, compare-and-set, watches. Nothing here knows a type of
 * object beyond its metadata: what the server sends is kept as it is, unknown fields too.
 */

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** Where objects of a kind live: `{ group: 'apps', version: 'v1', plural: 'statefulsets' }`; group `''` for core. */
export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  /** Absent: namespaced. */
  readonly isClusterScoped?: boolean;
}

export interface ObjectName {
  readonly namespace?: string;
  readonly name: string;
}

export interface ListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface DeleteOptions {
  /** Refused with `Conflict` when the object is another one by now. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: 'Foreground' | 'Background' | 'Orphan';
  readonly gracePeriodSeconds?: number;
}

/** An answer other than 2xx, or none at all. */
export class KubeError extends Error {
  override readonly name: string = 'KubeError';
  /** HTTP status; 0: the server did not answer. */
  readonly code: number;
  /** `reason` of the Status object: `NotFound`, `Conflict`, `AlreadyExists`, `Invalid`, `Expired`, …; empty where there is none. */
  readonly reason: string;
  /** Milliseconds that the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    facts: { code: number; reason?: string; retryAfterMs?: number | null },
  ) {
    super(message);
    this.code = facts.code;
    this.reason = facts.reason ?? '';
    this.retryAfterMs = facts.retryAfterMs ?? null;
  }
}

/** All methods reject with {@link KubeError}. Writes reject before they are sent where this operator is not the leader any more. */
export interface KubeApi {
  /** Null where there is none. */
  get<T extends KubeObject>(type: ResourceType, name: ObjectName): Promise<T | null>;
  /** Paged, without `managedFields`. */
  list<T extends KubeObject>(type: ResourceType, options?: ListOptions): Promise<T[]>;
  create<T extends KubeObject>(type: ResourceType, object: T): Promise<T>;
  /** Server-side apply of the whole intent, forced, as field manager `sierradb-operator`. Answers the object as it is now. */
  apply<T extends KubeObject>(type: ResourceType, object: KubeObject): Promise<T>;
  /** PUT of `…/status` with the object's `resourceVersion`: compare-and-set. */
  replaceStatus<T extends KubeObject>(type: ResourceType, object: T): Promise<T>;
  /** JSON merge patch. */
  patch<T extends KubeObject>(type: ResourceType, name: ObjectName, patch: object): Promise<T>;
  /** False where there was none. */
  delete(type: ResourceType, name: ObjectName, options?: DeleteOptions): Promise<boolean>;
  /** `POST …/pods/x/eviction`: false where a disruption budget forbids it now. */
  evict(name: ObjectName, options?: DeleteOptions): Promise<boolean>;
  /** Whether the server has such a resource. */
  serves(type: ResourceType): Promise<boolean>;
}
