/** What one concern of the planner has to say. Values only. */
import type { PlanStatus } from '../api/sierra-cluster.ts';
import type { Action, PlanEvent } from './types.ts';

export interface Step {
  readonly actions: readonly Action[];
  /** What is under way, or null. */
  readonly next: PlanStatus | null;
  readonly events: readonly PlanEvent[];
  /** Nothing that comes after it is to be planned on what was seen. */
  readonly isLast: boolean;
}

export const nothing: Step = { actions: [], next: null, events: [], isLast: false };

export const act = (actions: readonly Action[], next: PlanStatus | null = null): Step => ({
  ...{ actions, next, events: [], isLast: false },
});

/** Nothing is done by this concern before something else has changed. */
export const wait = (action: string, target: string | null, waitsFor: string): Step => ({
  ...{ actions: [], next: { action, target, waitsFor }, events: [], isLast: false },
});

export const last = (step: Step, ...events: readonly PlanEvent[]): Step => ({
  ...step,
  events: [...step.events, ...events],
  isLast: true,
});

export const warning = (reason: string, message: string): PlanEvent => ({
  ...{ type: 'Warning', reason, message },
});

/** `a, b and c`, no more than a few of them. */
export function listed(names: readonly string[], max: number = 4): string {
  const shown = names.slice(0, max);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(', ')} and ${String(rest)} more`;
  if (shown.length < 2) return shown.join('');
  return `${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`;
}
