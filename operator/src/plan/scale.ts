/**
 * How many pods the StatefulSets have, and which claims are over. Values only.
 *
 * Invariants
 * - There are pods for all wanted places and for every member of the record, whatever else is true. While there is no record, there
 *   are never fewer than before, and one for every claim: nobody knows who is a member.
 * - A claim is deleted by its UID, only where the spec says so, and never one that a pod has, that a member has, or that a pod is
 *   about to be made for.
 * - Neither pods nor claims go before a majority of the members follows the record that has struck theirs out.
 * - A wanted place whose last disk belonged to a member that has left gets its pod when that claim is gone.
 */
import { statefulSetNames, ZONE_ORDINALS } from '../resources/names.ts';
import { majority } from './bucket-health.ts';
import { type ClusterView, latest } from './cluster-view.ts';
import type { Action, ObservedClaim } from './types.ts';

/** Pods of each StatefulSet, by its name: for all of them, whether they are there or not. */
export function replicasNeeded(view: ClusterView): ReadonlyMap<string, number> {
  const { name, spec, statefulSets } = view.observed;
  const sets = statefulSetNames(name, spec.zones);
  const needed = new Map(sets.map((set) => [set, 0]));
  const need = (index: number): void => {
    const { statefulSet } = view.placeAt(index);
    const count = (index % (spec.zones.length === 0 ? Infinity : ZONE_ORDINALS)) + 1;
    needed.set(statefulSet, Math.max(needed.get(statefulSet) ?? 0, count));
  };
  const held = new Set<string>();
  for (const { index, statefulSet } of view.wanted) {
    // Pods come and go at the end only: those behind it wait, too.
    if (isLeftOver(view, index)) held.add(statefulSet);
    else if (!held.has(statefulSet)) need(index);
  }
  for (const index of memberIndexes(view)) need(index);
  if (view.record === null) {
    // Whose disks these are, only their nodes can tell.
    for (const { place } of [...view.observed.pods, ...view.observed.claims]) need(place.index);
    for (const set of statefulSets) {
      needed.set(set.name, Math.max(needed.get(set.name) ?? 0, set.replicas));
    }
  }
  return needed;
}

/** More pods, or fewer. */
export function scaleActions(view: ClusterView, direction: 'up' | 'down'): Action[] {
  if (direction === 'down' && !isHeld(view)) return [];
  const current = new Map(view.observed.statefulSets.map((set) => [set.name, set.replicas]));
  return [...replicasNeeded(view)].flatMap(([statefulSet, replicas]): Action[] => {
    const has = current.get(statefulSet);
    const isWrong =
      direction === 'up' ? replicas > (has ?? 0) : has !== undefined && replicas < has;
    return isWrong ? [{ kind: 'scale', statefulSet, replicas }] : [];
  });
}

/** Claims of places that have neither member nor pod. */
export function claimActions(view: ClusterView): Action[] {
  const { claims, spec } = view.observed;
  if (!isHeld(view) || spec.whenScaled !== 'Delete') return [];
  return claims
    .filter((claim) => !claim.isTerminating && isUnused(view, claim))
    .map(({ uid, place: { claim, pod } }): Action => {
      const reason = `${pod} has left, and spec.storage.retention.whenScaled is Delete`;
      return { kind: 'delete claim', claim, uid, reason };
    });
}

/** A majority of the members follows the record: lost, it can be made again without whoever has left. */
function isHeld(view: ClusterView): boolean {
  if (view.record === null) return false;
  const members = latest(view.record.members);
  return members.filter(({ id }) => view.isCurrent(id)).length >= majority(members.length);
}

function isUnused(view: ClusterView, { place: { index } }: ObservedClaim): boolean {
  return view.pod(index) === undefined && !view.hasMemberAt(index) && !isCovered(view, index);
}

/** The StatefulSet has a pod there, or is about to make one. */
function isCovered(view: ClusterView, index: number): boolean {
  const { statefulSet } = view.placeAt(index);
  const set = view.observed.statefulSets.find(({ name }) => name === statefulSet);
  // It is made again with as many pods as there are to be.
  if (set === undefined) return true;
  const first = view.observed.spec.zones.length === 0 ? 0 : index - (index % ZONE_ORDINALS);
  return index - first < set.replicas;
}

/** What is at a place is to go before a member can come: a disk that belonged to somebody else. */
function isLeftOver(view: ClusterView, index: number): boolean {
  const { record, observed } = view;
  if (record === null || observed.spec.whenScaled !== 'Delete') return false;
  if (view.hasMemberAt(index)) return false;
  const status = view.statusAt(index);
  if (status !== null) return record.removed.includes(status.member);
  return (
    view.claim(index) !== undefined && view.pod(index) === undefined && !isCovered(view, index)
  );
}

/** Where members are; while the record is lost, those of whatever nodes follow. */
function memberIndexes(view: ClusterView): number[] {
  const known =
    view.record === null
      ? view.observed.nodes.flatMap(({ assignment }) => assignment ?? [])
      : [view.record];
  return known.flatMap(({ members }) => members.map(({ index }) => index));
}
