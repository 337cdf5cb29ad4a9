/**
 * Volumes grow: the claims first, one by one, then the StatefulSet is made again with a template of the new size, while its pods
 * stay. Nothing else waits for it: a pod that starts may be what ends the growth of its volume. Values only.
 *
 * Invariants
 * - A size never shrinks.
 * - Where one of the claims cannot grow, none is begun with.
 */
import type { ClusterView } from './cluster-view.ts';
import { act, listed, nothing, type Step, wait } from './step.ts';
import type { ObservedClaim } from './types.ts';

const ACTION = 'grow the volumes';

export function storageStep(view: ClusterView): Step {
  const { claims, storageBytes, statefulSets } = view.observed;
  const own = claims.filter((claim) => !claim.isTerminating && isInUse(view, claim));
  const small = own.filter(({ requestedBytes }) => requestedBytes < storageBytes);
  const fixed = small.filter(({ canExpand }) => !canExpand);
  if (fixed.length > 0) {
    const names = listed(fixed.map(({ place }) => place.claim));
    const remedy = 'set allowVolumeExpansion on it, where its volumes can grow';
    return wait(ACTION, names, `the storage class of ${names} lets no volume grow: ${remedy}`);
  }
  const [first] = small;
  const growing = own.filter(({ requestedBytes, actualBytes }) => actualBytes < requestedBytes);
  const [busy] = growing;
  if (first !== undefined) {
    const { claim } = first.place;
    if (busy !== undefined) return wait(ACTION, claim, `${busy.place.claim} is growing`);
    return act([{ kind: 'grow claim', claim, bytes: storageBytes }], {
      ...{ action: ACTION, target: claim, waitsFor: null },
    });
  }
  const set = statefulSets.find((each) => each.storageBytes < storageBytes);
  if (set !== undefined) {
    return act([{ kind: 'orphan statefulSet', name: set.name, uid: set.uid }], {
      ...{ action: ACTION, target: set.name, waitsFor: null },
    });
  }
  if (busy === undefined) return nothing;
  return wait(ACTION, busy.place.claim, 'the volume is being resized');
}

/** One that is about to be deleted does not grow any more. */
const isInUse = (view: ClusterView, { place: { index } }: ObservedClaim): boolean =>
  view.isWanted(index) || view.hasMemberAt(index);
