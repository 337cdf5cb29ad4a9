/** Why a condition is as it is, in one word for programs. The lists are closed: what is not in them is never reported. */
import type { Condition, ConditionType } from '../api/sierra-cluster.ts';
import type { RefusalReason } from '../api/validation.ts';

export const reasons = {
  /** Also one of the reasons of refusals. */
  SpecAccepted: ['Accepted', 'FewBuckets'],
  Available: ['AllBucketsLed', 'BucketsWithoutLeader', 'NodesSilent', 'NotFormed'],
  Progressing: [
    'Settled',
    'Paused',
    'SpecRefused',
    'RolloutStopped',
    'Forming',
    'ScalingDown',
    'MovingBuckets',
    'Updating',
    'GrowingVolumes',
    'Working',
  ],
  Degraded: [
    'AllCopiesHealthy',
    'MemberLost',
    'ReplicaDamaged',
    'ClaimInTrouble',
    'PodInTrouble',
    'PodBeingReplaced',
    'TooFewCopies',
    'NodesSilent',
    'NotFormed',
  ],
  UpToDate: [
    'AllPodsCurrent',
    'PodsMissing',
    'PodsOutdated',
    'ManualUpdate',
    'RolloutStopped',
    'Paused',
    'SpecRefused',
  ],
  Ready: ['Ready', 'SpecRefused', 'NotAvailable', 'Progressing', 'NotUpToDate', 'NotKnown'],
  Paused: ['Paused', 'NotPaused'],
} as const;

export type ReasonOf<T extends ConditionType> =
  (typeof reasons)[T][number] | (T extends 'SpecAccepted' ? RefusalReason : never);

/** A condition without what depends on the time. */
export interface Finding<T extends ConditionType = ConditionType> {
  readonly type: T;
  readonly status: Condition['status'];
  readonly reason: ReasonOf<T>;
  /** What is so, and what to do about it. */
  readonly message: string;
}
