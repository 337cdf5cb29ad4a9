/**
 * What is to be done now, from what was seen. Pure: no clock, no randomness, no memory.
 *
 * ```ts
 * const { actions, next, events, lookAgainMs } = planOf(observed);
 * ```
 *
 * Promises
 * - The same look has the same plan; carrying it out and looking again ends in a plan without actions, when faults end.
 * - A crash between any two actions leaves nothing that the next look does not see.
 * - At most one thing at a time that interrupts: there is one arbiter, in this order: the record, who holds what, who is struck out,
 *   how many pods, which pod is replaced.
 * - What is only seen to be missing changes no desired size.
 *
 * The caller carries out actions in their order, as far as they succeed, and keeps StatefulSets as `scale` and `orphan statefulSet`
 * say; `send` to one node may fail without harm to what follows.
 */
import type { PlanStatus } from '../api/sierra-cluster.ts';
import { ClusterView } from './cluster-view.ts';
import { membershipStep } from './membership.ts';
import { recordStep, sendSteps } from './record.ts';
import { isDrainedFor, rolloutStep } from './rollout.ts';
import { claimActions, replicasNeeded, scaleActions } from './scale.ts';
import { nothing, type Step } from './step.ts';
import { storageStep } from './storage.ts';
import { strikeStep } from './strike.ts';
import type { Action, Observed, Plan, PlanEvent } from './types.ts';
import { unwell } from './unwell.ts';

export type * from './types.ts';

/** After a write of the record: the next look follows from it. */
const AT_ONCE_MS = 100;
/** While nodes are waited for: they tell nobody what happens among them. */
const WAITING_MS = 1000;
/** Also when nothing was seen to change. */
export const CONVERGED_MS = 15_000;

export function planOf(observed: Observed): Plan {
  if (observed.isBeingDeleted) return idle(null);
  if (observed.spec.paused) {
    return idle({ action: 'nothing', target: null, waitsFor: 'spec.paused is true' });
  }
  const view = new ClusterView(observed);
  const actions = scaleActions(view, 'up');
  const scaling = actions.length > 0 ? scalingOf(actions, 'make pods') : null;
  const record = recordStep(view);
  if (record.isLast) {
    const mending = mendingOf(view, record);
    return planned(
      [...actions, ...mending.actions],
      record,
      mending.next ?? scaling,
      mending.events,
    );
  }
  const sends = sendSteps(view);
  const storage = storageStep(view);
  actions.push(...storage.actions);
  const membership = membershipStep(view);
  if (membership.isLast) return planned(actions, membership, scaling);
  const strike = strikeStep(view);
  if (strike.isLast) return planned(actions, strike, scaling);
  const fewer = scaleActions(view, 'down');
  actions.push(...fewer, ...claimActions(view));
  const moves = movesOf(view);
  const isSettled = sends.length === 0 && view.health.every((each) => each.isSettled);
  const rollout = rolloutStep(view, isSettled);
  const steps = [membership, strike, rollout, storage];
  const next =
    scaling ??
    membership.next ??
    moves ??
    strike.next ??
    (fewer.length > 0 ? scalingOf(fewer, 'remove pods') : null);
  actions.push(...rollout.actions, ...endDrains(view, rollout), ...sends);
  const busy = next ?? rollout.next ?? storage.next ?? sending(sends) ?? leaderlessOf(view);
  return {
    ...{ actions, events: steps.flatMap(({ events }) => events) },
    next: next ?? rollout.next ?? storage.next ?? sending(sends) ?? unwell(view) ?? busy,
    lookAgainMs: paceOf(actions, busy),
  };
}

/** Pods of each StatefulSet, by its name, as a cluster needs them now: for one that is made, or made again. */
export const replicasOf = (observed: Observed): ReadonlyMap<string, number> =>
  replicasNeeded(new ClusterView(observed));

const idle = (next: PlanStatus | null): Plan => ({
  ...{ actions: [], next, events: [], lookAgainMs: CONVERGED_MS },
});

/** A cluster that cannot begin, or be found again, because its pods do not start, needs other pods. */
function mendingOf(view: ClusterView, record: Step): Step {
  if (view.record !== null || record.actions.length > 0) return nothing;
  return rolloutStep(view, false);
}

/** A step that ends the look, behind what stands above it. */
function planned(
  before: readonly Action[],
  step: Step,
  other: PlanStatus | null,
  events: readonly PlanEvent[] = [],
): Plan {
  const actions = [...before, ...step.actions];
  const next = step.next ?? other;
  return { actions, next, events: [...events, ...step.events], lookAgainMs: paceOf(actions, next) };
}

function paceOf(actions: readonly Action[], next: PlanStatus | null): number {
  if (actions.some(({ kind }) => kind === 'record' || kind === 'rollout')) return AT_ONCE_MS;
  return actions.length > 0 || next !== null ? WAITING_MS : CONVERGED_MS;
}

function scalingOf(actions: readonly Action[], action: string): PlanStatus {
  const sets = actions.flatMap((each) => (each.kind === 'scale' ? [each.statefulSet] : []));
  return { action, target: sets.join(', '), waitsFor: null };
}

function sending(sends: readonly Action[]): PlanStatus | null {
  const pods = sends.flatMap((each) => (each.kind === 'send' ? [each.place.pod] : []));
  if (pods.length === 0) return null;
  return { action: 'send the assignment', target: pods.join(', '), waitsFor: null };
}

/** Buckets that are led, and are not as the record has them. */
function movesOf(view: ClusterView): PlanStatus | null {
  const moving = view.health.filter(({ isSettled, leader }) => !isSettled && leader !== null);
  const first = moving.find(({ waitsFor }) => waitsFor !== null) ?? moving[0];
  if (first === undefined) return null;
  const waitsFor =
    first.waitsFor === null ? null : `bucket ${String(first.bucket)}: ${first.waitsFor}`;
  return { action: 'move buckets', target: `${String(moving.length)} buckets`, waitsFor };
}

function leaderlessOf(view: ClusterView): PlanStatus | null {
  const leaderless = view.health.filter(({ leader }) => leader === null);
  if (leaderless.length === 0) return null;
  const target = `${String(leaderless.length)} buckets`;
  return { action: 'wait for leaders', target, waitsFor: 'the nodes elect them' };
}

/** A drain that nobody waits for any more. A pod that stops hands over by itself. */
function endDrains(view: ClusterView, rollout: Step): Action[] {
  return view.observed.nodes.flatMap(({ place }): Action[] => {
    const { index } = place;
    if (view.statusAt(index)?.state !== 'draining') return [];
    if (view.pod(index)?.isTerminating !== false) return [];
    return isDrainedFor(view, rollout, index) ? [] : [{ kind: 'end drain', place }];
  });
}
