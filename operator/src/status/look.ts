/** What all conditions are derived from: the look, arranged once. */
import type { Member } from '../../../common/assignment.ts';
import type { Refusal } from '../api/validation.ts';
import { ClusterView } from '../plan/cluster-view.ts';
import type { Observed, ObservedPod, Plan } from '../plan/types.ts';
import { type BucketState, bucketState } from './bucket-state.ts';

export interface StatusLook {
  readonly observed: Observed;
  readonly plan: Plan;
  readonly view: ClusterView;
  readonly refusals: readonly Refusal[];
  /** By bucket of the record. */
  readonly buckets: readonly BucketState[];
  /** Places that are wanted or that a member has, in order. */
  readonly needed: readonly number[];
  /** Pods there, in the same order. */
  readonly pods: readonly ObservedPod[];
}

export function lookOf(observed: Observed, plan: Plan): StatusLook {
  const view = new ClusterView(observed);
  const members: readonly Member[] = view.record?.members ?? [];
  const indexes = [...view.wanted, ...members].map(({ index }) => index);
  const needed = [...new Set(indexes)].sort((a, b) => a - b);
  return {
    ...{ observed, plan, view, needed, refusals: plan.refusals ?? [] },
    buckets: view.health.map((health) => bucketState(view, health)),
    pods: needed.flatMap((index) => view.pod(index) ?? []),
  };
}

/** Pods say that they are ready, but no node answers the operator: nothing is known of them. */
export const isAllSilent = ({ view, pods }: StatusLook): boolean =>
  view.statuses.size === 0 && pods.some(({ isReady, isHostReady }) => isReady || !isHostReady);
