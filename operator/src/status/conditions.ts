/** Findings become conditions: generation and time are added. Pure. */
import type { Condition } from '../api/sierra-cluster.ts';
import type { Finding } from './reasons.ts';

/** The time of a condition changes with its status only. `now`: milliseconds since 1970. */
export function conditionOf(
  { type, status, reason, message }: Finding,
  previous: readonly Condition[],
  { generation, now }: { readonly generation: number; readonly now: number },
): Condition {
  const former = previous.find((condition) => condition.type === type);
  const lastTransitionTime = former?.status === status ? former.lastTransitionTime : timeText(now);
  return { type, status, reason, message, observedGeneration: generation, lastTransitionTime };
}

/** Kubernetes keeps seconds. */
const timeText = (now: number): string => new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
