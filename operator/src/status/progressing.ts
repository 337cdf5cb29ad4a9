import { listed } from '../plan/step.ts';
import type { StatusLook } from './look.ts';
import type { Finding, ReasonOf } from './reasons.ts';
import { bucketsText, clipped, ended, sentence, steady } from './text.ts';
import { isRolloutStopped } from './up-to-date.ts';

const type = 'Progressing';

/** True: something is left to do, or buckets are on their way. What waits for a person to change something does not progress. */
export function progressing(look: StatusLook): Finding<'Progressing'> {
  const { plan, refusals, observed, buckets } = look;
  if (refusals.length > 0) {
    return still('SpecRefused', 'Nothing is done before the spec is accepted.');
  }
  if (observed.spec.paused) return still('Paused', 'Nothing is done while spec.paused is true.');
  const isMoving = buckets.some((bucket) => bucket.isMoving);
  if (plan.next === null && !isMoving) return still('Settled', 'Nothing is left to do.');
  if (isRolloutStopped(look) && !isMoving && plan.actions.length === 0) {
    const pods = listed(observed.rollout?.failed ?? []);
    const message = `The update has stopped: ${pods} did not become ready in time. Set the spec back to its former value, or mend it.`;
    return still('RolloutStopped', message);
  }
  return { type, status: 'True', reason: reasonOf(look), message: messageOf(look) };
}

const still = (reason: ReasonOf<'Progressing'>, message: string): Finding<'Progressing'> => ({
  ...{ type, status: 'False', reason, message },
});

function reasonOf(look: StatusLook): ReasonOf<'Progressing'> {
  const { view, observed, buckets } = look;
  if (view.record === null) return 'Forming';
  if (isScalingDown(look)) return 'ScalingDown';
  if (buckets.some(({ isMoving }) => isMoving)) return 'MovingBuckets';
  if (look.pods.some(({ revision }) => revision !== observed.revision)) return 'Updating';
  return isGrowing(look) ? 'GrowingVolumes' : 'Working';
}

/** Somebody has a place that is not wanted any more. */
export const isScalingDown = ({ view }: StatusLook): boolean =>
  view.record?.members.some(({ index }) => !view.isWanted(index)) === true;

function isGrowing({ view, observed: { claims, storageBytes } }: StatusLook): boolean {
  return claims.some(
    ({ place, requestedBytes, actualBytes }) =>
      view.isWanted(place.index) && (requestedBytes < storageBytes || actualBytes < requestedBytes),
  );
}

function messageOf({ plan: { next }, buckets }: StatusLook): string {
  if (next === null) {
    const moving = buckets.filter(({ isMoving }) => isMoving).map(({ bucket }) => bucket);
    return clipped(`${sentence(bucketsText(moving))} on the way to other nodes.`);
  }
  const { action, target, waitsFor } = next;
  const what = `${sentence(action)}${target === null ? '' : ` (${target})`}`;
  return clipped(steady(ended(waitsFor === null ? what : `${what} waits: ${waitsFor}`)));
}
