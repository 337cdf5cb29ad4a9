/** What the loop works with. */
import type { PlanEvent } from '../plan/types.ts';
import type { KubeApi, KubeObject, ObjectName } from '../kube/types.ts';
import type { NodesApi } from '../nodes/types.ts';

export interface OperatorLog {
  info(facts: object, sentence: string): void;
  warn(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}

export interface ReconcileContext {
  readonly kube: KubeApi;
  readonly nodes: NodesApi;
  readonly log: OperatorLog;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A random UUID. */
  readonly newId: () => string;
  /** Hexadecimal, 32 random bytes. */
  readonly newSecret: () => string;
  /** Image of storage pods where a cluster names none. */
  readonly defaultImage: string;
  /** A phase that was reported; null: the cluster is gone. */
  readonly reported: (cluster: ObjectName, phase: string | null) => void;
  readonly emit: (regarding: KubeObject, event: PlanEvent) => void;
}
