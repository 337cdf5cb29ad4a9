import type { Phase } from '../api/sierra-cluster.ts';
import type { StatusLook } from './look.ts';
import { isScalingDown } from './progressing.ts';
import type { Finding } from './reasons.ts';

export interface PhaseParts {
  readonly available: Finding<'Available'>;
  readonly degraded: Finding<'Degraded'>;
  readonly upToDate: Finding<'UpToDate'>;
  readonly ready: Finding<'Ready'>;
}

/** One word for people: what asks for a person comes before what goes on by itself. */
export function phaseOf(look: StatusLook, parts: PhaseParts): Phase {
  const { observed, view, refusals, buckets, pods } = look;
  if (observed.isBeingDeleted) return 'Deleting';
  if (refusals.length > 0) return 'Refused';
  if (observed.spec.paused) return 'Paused';
  if (view.record === null) return pods.length === 0 ? 'Pending' : 'Forming';
  if (parts.available.status !== 'True' || isTroubled(parts.degraded)) return 'Degraded';
  if (isScalingDown(look)) return 'ScalingDown';
  if (buckets.some(({ isMoving }) => isMoving)) return 'Rebalancing';
  if (parts.ready.status === 'True') return 'Ready';
  return parts.upToDate.reason === 'PodsMissing' || parts.upToDate.status === 'True'
    ? 'Rebalancing'
    : 'Updating';
}

/** A pod that is away because it is replaced is no trouble; copies of which nothing is known are. */
const isTroubled = ({ status, reason }: Finding<'Degraded'>): boolean =>
  status !== 'False' && reason !== 'PodBeingReplaced';
