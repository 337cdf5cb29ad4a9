/**
 * A rolling update: pods that were made from another template are replaced, one at a time over the whole cluster. Values only.
 *
 * Invariants
 * - Which pod goes is in the status before it is deleted, by UID.
 * - A pod that is well goes when nothing moves, all other pods are ready, its buckets have everything elsewhere, and it has handed
 *   over what it led. Buckets with one or two copies cannot do without it: those stand still while it is replaced.
 * - A broken one goes first, unless a bucket would lose its majority by it.
 * - After two pods that did not become ready in time, this revision replaces nothing more. Another one, the former too, goes on,
 *   and begins with the broken ones.
 * - A pod on a host that is gone is left alone: nothing is ever forced.
 */
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import type { PlanStatus, RolloutStatus } from '../api/sierra-cluster.ts';
import { type BucketHealth, hasMajority, names } from './bucket-health.ts';
import { type ClusterView, isFresh } from './cluster-view.ts';
import { act, listed, nothing, type Step, wait, warning } from './step.ts';
import type { Action, ObservedPod } from './types.ts';

const FAILURES_MAX = 2;
/** Before a pod that is not ready counts as broken: it may be about to be. */
const PATIENCE_MS = 60_000;
/** Before a cluster of which nothing is heard counts as down: its nodes may be well and out of reach. */
const DOWN_MS = 600_000;
const ACTION = 'replace a pod';

/**
 * `isSettled`: no move is under way, and nobody is behind the record. While there is no record, only what does not run and what is
 * fresh is replaced.
 */
export function rolloutStep(view: ClusterView, isSettled: boolean): Step {
  const { observed } = view;
  const rollout = currentRollout(view);
  const outdated = outdatedPods(view);
  if (observed.spec.updates === 'Manual') return manual(view, outdated);
  const flight = flightOf(view, rollout);
  if (flight.kind === 'failed') return failed(rollout, flight.pod, flight.reason);
  if (flight.kind === 'landed') return noted({ ...rollout, pod: null, since: null });
  const still = rollout.failed.filter((name) => isPodNeeded(view, name) && !isReadyPod(view, name));
  if (still.length < rollout.failed.length) return noted({ ...rollout, failed: still });
  if (flight.kind === 'chosen') return deleteChosen(view, rollout, flight.pod, isSettled);
  if (outdated.length === 0) return finish(view, rollout, flight);
  if (rollout.failed.length >= FAILURES_MAX) return wait(ACTION, null, stoppedText(rollout));
  return nextPod(view, rollout, flight, isSettled);
}

/** Of a node that is drained so that it can be replaced: its drain goes on. */
export function isDrainedFor(view: ClusterView, step: Step, index: number): boolean {
  const { pod } = view.placeAt(index);
  const rollout = view.observed.rollout;
  return step.next?.target === pod || rollout?.pod === pod;
}

const fresh = (revision: string): RolloutStatus => ({
  ...{ revision, pod: null, since: null, failed: [] },
});

/** What was noted of another revision counts for nothing. */
function currentRollout({ observed: { rollout, revision } }: ClusterView): RolloutStatus {
  return rollout?.revision === revision ? rollout : fresh(revision);
}

function outdatedPods(view: ClusterView): ObservedPod[] {
  const { pods, revision } = view.observed;
  return pods.filter(
    (pod) => pod.revision !== revision && !pod.isTerminating && isPodNeeded(view, pod.place.pod),
  );
}

type Flight =
  | { readonly kind: 'none' }
  /** Noted, and not deleted yet. */
  | { readonly kind: 'chosen'; readonly pod: ObservedPod }
  | { readonly kind: 'landed' }
  | {
      readonly kind: 'under way';
      readonly pod: string;
      readonly reason: string;
      readonly hasStarted: boolean;
    }
  | { readonly kind: 'failed'; readonly pod: string; readonly reason: string };

function flightOf(view: ClusterView, { pod: name, since }: RolloutStatus): Flight {
  if (name === null) return { kind: 'none' };
  const { observed } = view;
  const pod = observed.pods.find(({ place }) => place.pod === name);
  if (pod !== undefined && pod.revision !== observed.revision && !pod.isTerminating) {
    return { kind: 'chosen', pod };
  }
  const reason = unreadiness(view, name, pod);
  if (reason === null) return { kind: 'landed' };
  const elapsedMs = observed.now - Date.parse(since ?? '');
  if (!(elapsedMs <= observed.spec.progressDeadlineSeconds * 1000)) {
    return { kind: 'failed', pod: name, reason };
  }
  const hasStarted =
    pod !== undefined && !pod.isTerminating && view.statusAt(pod.place.index) !== null;
  return { kind: 'under way', pod: name, reason, hasStarted };
}

/** Why a pod that was replaced does not count yet; null: it does. */
function unreadiness(view: ClusterView, name: string, pod: ObservedPod | undefined): string | null {
  if (pod === undefined) return isPodNeeded(view, name) ? 'it is being made' : null;
  if (pod.isTerminating) return 'it is stopping';
  // Nobody is ready before there is a cluster.
  if (view.record === null && view.statusAt(pod.place.index) !== null) return null;
  if (!pod.isReady) return pod.trouble ?? 'it is not ready yet';
  const status = view.statusAt(pod.place.index);
  if (status === null) return 'it does not answer';
  if (status.state !== 'serving' && status.state !== 'draining') return `it is ${status.state}`;
  const late = view.health.find((health) =>
    health.leader === null
      ? health.sets.some((set) => set.includes(status.member))
      : names(health, status.member) && !health.upToDate.has(status.member),
  );
  return late === undefined ? null : `bucket ${String(late.bucket)} catches up`;
}

/** A pod that was to be replaced when its place was given up does not come back. */
function isPodNeeded(view: ClusterView, name: string): boolean {
  // Nobody knows who is a member.
  if (view.record === null) return true;
  if (view.wanted.some(({ pod }) => pod === name)) return true;
  return view.record.members.some(({ index }) => view.placeAt(index).pod === name);
}

function isReadyPod({ observed }: ClusterView, name: string): boolean {
  const pod = observed.pods.find(({ place }) => place.pod === name);
  return pod === undefined ? false : pod.isReady && !pod.isTerminating;
}

const noted = (rollout: RolloutStatus | null, next: PlanStatus | null = null): Step =>
  act([{ kind: 'rollout', rollout }], next);

function manual(view: ClusterView, outdated: readonly ObservedPod[]): Step {
  if (view.observed.rollout !== null) return noted(null);
  if (outdated.length === 0) return nothing;
  return wait(
    ACTION,
    podsOf(outdated),
    'spec.updates.strategy is Manual: delete the pods yourself',
  );
}

function failed(rollout: RolloutStatus, pod: string, reason: string): Step {
  const names = [...rollout.failed.filter((name) => name !== pod), pod];
  const next = { ...rollout, pod: null, since: null, failed: names };
  const message = `${pod} did not become ready in time: ${reason}`;
  return {
    ...noted(next, { action: ACTION, target: null, waitsFor: stoppedText(next) }),
    events: [warning('PodFailed', message)],
  };
}

const stoppedText = ({ failed: pods }: RolloutStatus): string =>
  `${listed(pods)} did not become ready; set the spec back to its former value, or mend it`;

function finish(view: ClusterView, rollout: RolloutStatus, flight: Flight): Step {
  if (flight.kind === 'under way') return wait(ACTION, flight.pod, flight.reason);
  if (rollout.failed.length > 0) return wait(ACTION, null, stoppedText(rollout));
  return view.observed.rollout === null ? nothing : noted(null);
}

/** It was well to go when it was chosen; it has to be now. */
function deleteChosen(
  view: ClusterView,
  rollout: RolloutStatus,
  pod: ObservedPod,
  isSettled: boolean,
): Step {
  const { place, uid } = pod;
  const set = view.observed.statefulSets.find(({ name }) => name === place.statefulSet);
  if (set?.revision !== view.observed.revision) {
    return wait(ACTION, place.pod, `StatefulSet ${place.statefulSet} has the former template`);
  }
  const objection = objectionTo(view, pod, isSettled);
  if (objection !== null) return noted({ ...rollout, pod: null, since: null });
  const reason = `its template is ${pod.revision}, and is to be ${view.observed.revision}`;
  return act([{ kind: 'delete pod', pod: place.pod, uid, reason }], {
    ...{ action: ACTION, target: place.pod, waitsFor: null },
  });
}

function nextPod(
  view: ClusterView,
  rollout: RolloutStatus,
  flight: Flight,
  isSettled: boolean,
): Step {
  const outdated = outdatedPods(view);
  // One that starts holds up nobody who does not even run: a cluster may need more than one to be ready.
  const isFree = flight.kind === 'none' || (flight.kind === 'under way' && flight.hasStarted);
  const broken = outdated.find((pod) => isExpendable(view, pod));
  if (isFree && broken !== undefined) return choose(view, rollout, broken);
  if (flight.kind === 'under way') return wait(ACTION, flight.pod, flight.reason);
  const [first, ...others] = outdated
    .filter(({ isHostReady, place }) => isHostReady && view.isWanted(place.index))
    .sort(byLeaders(view));
  if (first === undefined) return wait(ACTION, null, leftText(outdated));
  if (rollout.failed.length > 0) return wait(ACTION, null, stoppedText(rollout));
  const general = objectionToAll(view, first, isSettled);
  if (general !== null) return wait(ACTION, null, general);
  const objection = objectionToHealthy(view, first);
  const isDraining = view.statusAt(first.place.index)?.state === 'draining';
  // One that has begun to hand over is waited for until its drain ends by itself.
  if (objection !== null && isDraining) return wait(ACTION, first.place.pod, objection);
  const able =
    objection === null ? first : others.find((pod) => objectionToHealthy(view, pod) === null);
  if (able === undefined) return wait(ACTION, null, objection ?? '');
  const { place } = able;
  const reason = undrained(view, able);
  if (reason === null) return choose(view, rollout, able);
  const drain: Action[] = able === first && isDraining ? [] : [{ kind: 'drain', place }];
  return act(drain, { action: ACTION, target: place.pod, waitsFor: reason });
}

function choose({ observed }: ClusterView, rollout: RolloutStatus, { place }: ObservedPod): Step {
  const since = new Date(observed.now).toISOString();
  return noted(
    { ...rollout, pod: place.pod, since },
    { action: ACTION, target: place.pod, waitsFor: null },
  );
}

/** Why a pod must not go now; null: it may. */
function objectionTo(view: ClusterView, pod: ObservedPod, isSettled: boolean): string | null {
  if (isExpendable(view, pod)) return null;
  return (
    objectionToAll(view, pod, isSettled) ?? objectionToHealthy(view, pod) ?? undrained(view, pod)
  );
}

/** It does not work, and no bucket has its majority by it, or is about to have it again. */
function isExpendable(view: ClusterView, pod: ObservedPod): boolean {
  if (pod.isReady || !pod.isHostReady) return false;
  const { index } = pod.place;
  const status = view.statusAt(index);
  if (status === null && pod.trouble !== null) return true;
  if (status !== null && isFresh(status)) return true;
  const unreadyMs = unreadyMsOf(pod);
  if (view.record === null || isDown(view)) return status === null && unreadyMs >= DOWN_MS;
  if (status === null && unreadyMs < PATIENCE_MS) return false;
  const ids = new Set(view.membersAt(index).map(({ id }) => id));
  return view.health.every((health) => {
    if (![...ids].some((id) => names(health, id))) return true;
    if (health.leader !== null && hasMajority(health)) return hasMajority(health, ids);
    // One that is silent may be what others have their majority by, and whoever could lead may be about to.
    const isHidden = couldLead(health) || (status === null && !isSmall(health));
    const patienceMs = isHidden ? DOWN_MS : PATIENCE_MS;
    if (unreadyMs < patienceMs) return false;
    if (hasMajority(health)) return hasMajority(health, ids);
    return health.sets.flat().every((id) => ids.has(id) || !isComing(view, id));
  });
}

/** One of the sets that are known to count, or to have counted, has a majority. */
const couldLead = ({ sets, upToDate }: BucketHealth): boolean =>
  sets.some((set) => hasMajority({ sets: [set], upToDate }));

/** A bucket may have its majority again by it, in a moment: it is silent, and nobody knows why. */
function isComing(view: ClusterView, id: string): boolean {
  if (view.statuses.has(id)) return false;
  const pod = view.podOf(id);
  return pod === undefined || (pod.isHostReady && pod.trouble === null);
}

/** Not ready, and not only for a moment. */
const isBroken = (pod: ObservedPod): boolean =>
  !pod.isReady && (pod.trouble !== null || unreadyMsOf(pod) >= PATIENCE_MS);

/** Of a pod of which nobody says since when it is not ready: it never was. */
const unreadyMsOf = ({ unreadyMs, ageMs }: ObservedPod): number => unreadyMs ?? ageMs;

/** Nobody answers, and no pod has been ready for long. */
const isDown = ({ statuses, observed }: ClusterView): boolean =>
  statuses.size === 0 && observed.pods.every((pod) => !pod.isReady && unreadyMsOf(pod) >= DOWN_MS);

/** Whatever holds for every pod that is well. */
function objectionToAll(view: ClusterView, pod: ObservedPod, isSettled: boolean): string | null {
  if (!isSettled) return 'buckets are being moved';
  const { observed } = view;
  const down = observed.pods.filter(
    (other) =>
      other.uid !== pod.uid &&
      isPodNeeded(view, other.place.pod) &&
      (!other.isReady || other.isTerminating) &&
      // Broken ones would be replaced, too, if that did not cost more.
      (other.revision === observed.revision || other.isTerminating || !isBroken(other)) &&
      other.isHostReady,
  );
  const missing = [...view.wanted, ...(view.record?.members ?? [])].filter(
    ({ index }) => view.pod(index) === undefined,
  );
  const names = new Set([
    ...down.map(({ place }) => place.pod),
    ...missing.map(({ index }) => view.placeAt(index).pod),
  ]);
  return names.size === 0 ? null : `${listed([...names])} not ready`;
}

function objectionToHealthy(view: ClusterView, { place }: ObservedPod): string | null {
  const status = view.statusAt(place.index);
  if (status === null) return `${place.pod} does not answer`;
  const away = new Set([status.member]);
  for (const health of view.health) {
    if (!names(health, status.member)) continue;
    const bucket = `bucket ${String(health.bucket)}`;
    if (health.leader === null) return `nobody leads ${bucket}`;
    const others = health.sets.flat().filter((id) => id !== status.member);
    if (isSmall(health) && view.isDoomed(status.member)) {
      return `the claim of ${place.pod} is being deleted, and ${bucket} lives by it`;
    }
    const late = others.find((id) => !health.upToDate.has(id) && !isExcused(view, id));
    if (late !== undefined) return `${view.nameOf(late)} lacks a part of ${bucket}`;
    if (isSmall(health)) {
      if (others.some((id) => !health.upToDate.has(id))) return `${bucket} has no other copy`;
    } else if (!hasMajority(health, away)) {
      return `${bucket} would have no majority without ${place.pod}`;
    }
  }
  return null;
}

/** With one or two copies there is no majority without one of them. */
const isSmall = ({ sets }: BucketHealth): boolean => sets.every((set) => set.length <= 2);

/** Its pod is broken or out of reach, and cannot be waited for. */
function isExcused(view: ClusterView, id: string): boolean {
  const pod = view.podOf(id);
  if (pod === undefined) return false;
  if (!pod.isHostReady) return true;
  return isBroken(pod) && pod.revision !== view.observed.revision;
}

/** Why it has not handed over yet; null: it leads nothing that others can lead. */
function undrained(view: ClusterView, { place }: ObservedPod): string | null {
  const status = view.statusAt(place.index);
  if (status?.state !== 'draining') return 'it is to hand over what it leads';
  const held = status.buckets.filter(
    ({ role, bucket }) => role === 'leader' && hasHeir(view.health[bucket], status),
  );
  return held.length === 0 ? null : `it leads ${String(held.length)} buckets still`;
}

function hasHeir(health: BucketHealth | undefined, { member }: NodeStatus): boolean {
  return health?.sets.some((set) => set.some((id) => id !== member)) ?? true;
}

/** Fewest leaders first; one that has begun to hand over before all others. */
function byLeaders(view: ClusterView): (a: ObservedPod, b: ObservedPod) => number {
  const isWilling = ({ place }: ObservedPod): number =>
    Number(view.statusAt(place.index)?.state !== 'draining');
  return (a, b) =>
    isWilling(a) - isWilling(b) ||
    leadersOf(view, a) - leadersOf(view, b) ||
    a.place.index - b.place.index;
}

function leftText(outdated: readonly ObservedPod[]): string {
  const lost = outdated.filter(({ isHostReady }) => !isHostReady);
  return lost.length > 0 ? `the hosts of ${podsOf(lost)} are gone` : `${podsOf(outdated)} leaves`;
}

const podsOf = (pods: readonly ObservedPod[]): string => listed(pods.map(({ place }) => place.pod));

const leadersOf = (view: ClusterView, { place }: ObservedPod): number =>
  view.statusAt(place.index)?.buckets.filter(({ role }) => role === 'leader').length ?? 0;
