import { listed } from '../plan/step.ts';
import type { StatusLook } from './look.ts';
import type { Finding, ReasonOf } from './reasons.ts';
import { clipped, verb } from './text.ts';

/** True: all pods are there and were made from the template as it is now. */
export function upToDate(look: StatusLook): Finding<'UpToDate'> {
  const { observed, view, needed, pods } = look;
  const outdated = pods.filter(({ revision }) => revision !== observed.revision);
  if (outdated.length > 0) {
    const names = listed(outdated.map(({ place }) => place.pod));
    const count = `${outdated.length} of ${pods.length} pods`;
    const text = `${count} ${verb(outdated.length, 'is', 'are')} of an earlier template: ${names}`;
    const { reason, remedy } = whyOutdated(look);
    return finding('False', reason, `${text}. ${remedy}`);
  }
  const missing = needed.filter((index) => view.pod(index)?.isTerminating !== false);
  if (missing.length > 0) {
    const names = listed(missing.map((index) => view.placeAt(index).pod));
    return finding(
      'False',
      'PodsMissing',
      `${names} ${verb(missing.length, 'is', 'are')} being made.`,
    );
  }
  if (isRolloutStopped(look)) {
    const { reason, remedy } = whyOutdated(look);
    return finding('False', reason, remedy);
  }
  return finding('True', 'AllPodsCurrent', 'All pods are of the latest template.');
}

const finding = (
  status: Finding['status'],
  reason: ReasonOf<'UpToDate'>,
  message: string,
): Finding<'UpToDate'> => ({ type: 'UpToDate', status, reason, message: clipped(message) });

/** Pods of this revision did not become ready: it replaces nothing more. */
export const isRolloutStopped = ({ observed: { rollout, revision } }: StatusLook): boolean =>
  rollout !== null && rollout.revision === revision && rollout.failed.length > 0;

interface Why {
  readonly reason: ReasonOf<'UpToDate'>;
  readonly remedy: string;
}

function whyOutdated(look: StatusLook): Why {
  const { observed, refusals } = look;
  if (refusals.length > 0) {
    return { reason: 'SpecRefused', remedy: 'Nothing is replaced before the spec is accepted.' };
  }
  if (observed.spec.paused) {
    return { reason: 'Paused', remedy: 'Nothing is replaced while spec.paused is true.' };
  }
  if (observed.spec.updates === 'Manual') {
    const remedy = 'spec.updates.strategy is Manual: delete these pods one by one.';
    return { reason: 'ManualUpdate', remedy };
  }
  if (isRolloutStopped(look)) {
    const failed = listed(observed.rollout?.failed ?? []);
    const remedy = `${failed} did not become ready in time, so that the update stops. Set the spec back to its former value, or mend it.`;
    return { reason: 'RolloutStopped', remedy };
  }
  return { reason: 'PodsOutdated', remedy: 'They are replaced one at a time.' };
}
