/**
 * What the operator reports of a cluster: conditions, a word for people, members, counts. Pure.
 *
 * ```ts
 * const status = statusOf(observed, plan, cluster.status);
 * if (!sameStatus(status, cluster.status)) await write(status);
 * ```
 *
 * Promises
 * - The same look has the same status: no time of now, no number that changes with every append, lists in order. What has not
 *   changed is not written.
 * - Of what is not known no condition says False.
 * - Reasons are of closed lists (`reasons.ts`); messages say what is so and what to do, in at most 1 KiB.
 * - The record and the rollout are those that were seen.
 */
import { canonicalJson } from '../../../common/canonical-json.ts';
import type { PlanStatus, SierraClusterStatus } from '../api/sierra-cluster.ts';
import type { Observed, Plan } from '../plan/types.ts';
import { selectorOf } from '../resources/names.ts';
import { available } from './available.ts';
import { conditionOf } from './conditions.ts';
import { degraded } from './degraded.ts';
import { lookOf } from './look.ts';
import { membersOf } from './members.ts';
import { paused } from './paused.ts';
import { phaseOf } from './phase.ts';
import { progressing } from './progressing.ts';
import { ready } from './ready.ts';
import { bucketsOf, imageOf, nodesOf, storageOf } from './sizes.ts';
import { specAccepted } from './spec-accepted.ts';
import { clipped, steady } from './text.ts';
import { upToDate } from './up-to-date.ts';

export { reasons, type ReasonOf } from './reasons.ts';

export function statusOf(
  observed: Observed,
  plan: Plan,
  previous: SierraClusterStatus | undefined,
): SierraClusterStatus {
  const look = lookOf(observed, plan);
  const parts = {
    specAccepted: specAccepted(look),
    available: available(look),
    progressing: progressing(look),
    upToDate: upToDate(look),
  };
  const readiness = ready(parts);
  const trouble = degraded(look);
  const findings = [
    ...[parts.specAccepted, parts.available, parts.progressing, trouble, readiness],
    ...[parts.upToDate, paused(look)],
  ];
  const storage = storageOf(look);
  return {
    observedGeneration: observed.generation,
    phase: phaseOf(look, { ...parts, degraded: trouble, ready: readiness }),
    nodes: nodesOf(look),
    replicas: observed.pods.length,
    selector: selectorOf(observed),
    image: imageOf(look),
    ...(observed.assignment !== null && { assignment: observed.assignment }),
    buckets: bucketsOf(look),
    members: membersOf(look),
    ...(plan.next !== null && { plan: planStatus(plan.next) }),
    ...(observed.rollout !== null && { rollout: observed.rollout }),
    ...(storage !== null && { storage }),
    conditions: findings.map((finding) =>
      conditionOf(finding, previous?.conditions ?? [], observed),
    ),
  };
}

/** Whether there is nothing to write: whatever the order of keys; what is undefined is not there. */
export const sameStatus = (
  a: SierraClusterStatus | undefined,
  b: SierraClusterStatus | undefined,
): boolean => canonicalJson(a ?? null) === canonicalJson(b ?? null);

const planStatus = ({ action, target, waitsFor }: PlanStatus): PlanStatus => ({
  ...{ action: clipped(action), target: target === null ? null : clipped(target) },
  waitsFor: waitsFor === null ? null : clipped(steady(waitsFor)),
});
