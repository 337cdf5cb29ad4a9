/**
 * Who is to hold which bucket from now on: all that has changed is one next version of the record. Members come, go, and take the
 * place of those whose disks are lost; the leaders of the buckets carry it out. Values only.
 *
 * Invariants
 * - Who is wanted follows from the spec alone: a member that does not answer keeps what it has.
 * - Nobody is given a replica who does not answer, or who is a member and does not follow the record.
 * - A bucket is only changed where its leader and a majority are well, and where a majority of those to come is.
 * - A member's disk is lost when the node at its address has another one.
 */
import {
  type Assignment,
  type BucketAssignment,
  type Member,
  type Replica,
  replicaIdOf,
} from '../../../common/assignment.ts';
import { isIdle, withReplacement } from '../../../common/assignment-changes.ts';
import { type PlacementMember, place } from '../../../common/placement.ts';
import type { NodePlace } from '../resources/names.ts';
import { hasMajority, majority } from './bucket-health.ts';
import { type ClusterView, isFresh } from './cluster-view.ts';
import { countsFault } from './record.ts';
import { scaleActions } from './scale.ts';
import { act, last, listed, nothing, type Step, wait } from './step.ts';

/** Nodes of pods that were made together join together: otherwise buckets would be moved more than once. */
const JOIN_PATIENCE_MS = 60_000;

const ACTION = 'place the buckets';

export function membershipStep(view: ClusterView): Step {
  const { record } = view;
  if (record === null) return nothing;
  const joiners: Member[] = [];
  const faults: string[] = [];
  for (const at of view.wanted) {
    const joining = joinerAt(view, record, at);
    if (joining === null) continue;
    if (typeof joining === 'string') faults.push(joining);
    else joiners.push(joining);
  }
  const [fault] = faults;
  const next = nextAssignment(view, record, joiners);
  if (isSame(record, next)) {
    return fault === undefined ? nothing : wait('join', null, fault);
  }
  const late = begins(next, record) ? lateJoiners(view) : [];
  if (late.length > 0) return wait(ACTION, null, `${listed(late)} will join as well`);
  const objection = objectionTo(view, record, next) ?? unbegun(view, record);
  if (objection !== null) return wait(ACTION, null, objection);
  const reason = reasonOf(view, record, next);
  return last(
    act([{ kind: 'record', assignment: next, reason }], {
      ...{ action: ACTION, target: null, waitsFor: null },
    }),
  );
}

/** A node that is to become a member; in words, why one cannot; null: there is nobody to join. */
function joinerAt(
  view: ClusterView,
  record: Assignment,
  { index, pod, claim, address }: NodePlace,
): Member | string | null {
  const status = view.statusAt(index);
  if (status === null || record.members.some(({ id }) => id === status.member)) return null;
  const hasLeft = record.removed.includes(status.member);
  if (hasLeft || !isFresh(status)) {
    const isOwn = status.cluster === record.clusterId;
    const whose = isOwn ? 'this cluster that the record does not name' : 'another cluster';
    const disk = hasLeft ? 'the disk of a member that has left' : `a disk of ${whose}`;
    const remedy = `delete claim ${claim} and pod ${pod} for a fresh one`;
    return `${pod} has ${disk}; ${hasLeft ? remedy : `if it is not needed, ${remedy}`}`;
  }
  // It is about to go, or its disk is.
  if (view.pod(index)?.isTerminating !== false || view.claim(index)?.isTerminating === true) {
    return null;
  }
  if ([...view.observed.nodes].filter((n) => n.status?.member === status.member).length > 1) {
    return `${pod} has a copy of another node's disk; delete claim ${claim} and pod ${pod}`;
  }
  return countsFault(view, [status]) ?? { id: status.member, index, address };
}

/** Whether anybody comes, or is to get a copy. */
function begins({ version, members, buckets }: Assignment, known: Assignment): boolean {
  if (members.length > known.members.length) return true;
  return buckets.some(({ replicas }) => replicas.some(({ since }) => since === version));
}

/** Pods of nodes that will join, too, and will answer soon: those that are young, or about to be made. */
function lateJoiners(view: ClusterView): string[] {
  const joining = view.wanted.filter(({ index }) => !view.hasMemberAt(index));
  const isYoung = ({ index }: NodePlace): boolean =>
    (view.pod(index)?.ageMs ?? Infinity) < JOIN_PATIENCE_MS;
  const areMade = joining.some(isYoung) || scaleActions(view, 'up').length > 0;
  return joining
    .filter((at) => {
      const pod = view.pod(at.index);
      if (pod === undefined) return areMade;
      return pod.trouble === null && isYoung(at) && view.statusAt(at.index) === null;
    })
    .map(({ pod }) => pod);
}

function nextAssignment(
  view: ClusterView,
  record: Assignment,
  joiners: readonly Member[],
): Assignment {
  const { factor, rebalance } = view.observed.spec;
  let next: Assignment = { ...record, version: record.version + 1, buckets: renewed(view, record) };
  for (const joiner of joiners) next = withJoiner(next, joiner, record.version);
  const targets = targetsOf(view, next, joiners);
  if (targets.length === 0) return next;
  const copies = Math.max(...record.buckets.map(({ replicas }) => replicas.length));
  const buckets = place(next, targets, {
    // Fewer copies than before until there are members for as many as are asked for would only come and go.
    factor: targets.length < factor ? Math.min(copies, targets.length) : factor,
    version: next.version,
    rebalance: rebalance === 'Auto',
  });
  return { ...next, buckets: buckets.map((each, bucket) => withStay(view, record, bucket, each)) };
}

/**
 * The only holder of a bucket cannot be replaced by another stay of itself: nobody else has what it would copy. Where it was taken
 * away and given back, and holds the bucket alone by now, it goes on with the stay that it has.
 */
function withStay(
  view: ClusterView,
  record: Assignment,
  bucket: number,
  given: BucketAssignment,
): BucketAssignment {
  const [replica, ...others] = given.replicas;
  const health = view.health[bucket];
  if (replica === undefined || others.length > 0 || health === undefined) return given;
  const [replicaId, ...rest] = health.committed;
  const isAlone = health.sets.length === 1 && health.learners.length === 0 && rest.length === 0;
  if (!isAlone || health.leader !== replica.member || replicaId === undefined) return given;
  // A leader that follows something else may be about to leave.
  const asked = record.buckets[bucket]?.replicas ?? [];
  const isAsked = asked.length === 1 && asked[0]?.member === replica.member;
  if (!isAsked || !view.isCurrent(replica.member)) return given;
  for (let since = record.version; since > 0; since -= 1) {
    const stay = { member: replica.member, since };
    if (replicaIdOf(record.clusterId, bucket, stay).toString('hex') === replicaId) {
      return { ...given, replicas: [stay] };
    }
  }
  return given;
}

/**
 * Stays that have ended though the record names them, as one that was lost meanwhile did not: a member that follows the record has no
 * such replica, and never makes it again. They begin anew.
 */
function renewed(view: ClusterView, { version, buckets }: Assignment): BucketAssignment[] {
  return buckets.map((bucket, at) => {
    const health = view.health[at];
    // A leader misses it: it is not only about to be made.
    if (health === undefined || health.leader === null || health.waitsFor === null) return bucket;
    const hasEnded = ({ member, since }: Replica): boolean =>
      since < version &&
      view.isCurrent(member) &&
      !health.sets.some((set) => set.includes(member)) &&
      view.statuses.get(member)?.buckets.every((replica) => replica.bucket !== at) === true;
    if (!bucket.replicas.some(hasEnded)) return bucket;
    const replicas = bucket.replicas.map((replica) =>
      hasEnded(replica) ? { ...replica, since: version + 1 } : replica,
    );
    return { ...bucket, replicas };
  });
}

/** All that changes at one time has the same version. */
function withJoiner(next: Assignment, joiner: Member, version: number): Assignment {
  const holders = next.members.filter(
    ({ id, index }) => index === joiner.index && !isIdle(next, id),
  );
  if (holders.length === 0) return { ...next, members: [...next.members, joiner] };
  return withReplacement({ ...next, version }, joiner);
}

/** Members that are to hold something: at wanted places, of two at one place the later one. */
function targetsOf(
  view: ClusterView,
  { members }: Assignment,
  joiners: readonly Member[],
): PlacementMember[] {
  const { condemned } = view;
  return view.wanted.flatMap(({ index, zone }) => {
    const joiner = joiners.find((each) => each.index === index);
    const own = joiner ?? members.filter((member) => member.index === index).at(-1);
    return own === undefined || condemned.has(own.id) ? [] : [{ id: own.id, zone }];
  });
}

function isSame(a: Assignment, b: Assignment): boolean {
  return (
    a.members.length === b.members.length &&
    a.buckets.every((bucket, at) => isSameBucket(bucket, b.buckets[at] as BucketAssignment))
  );
}

function isSameBucket(a: BucketAssignment, b: BucketAssignment): boolean {
  return a.preferred === b.preferred && hasSameReplicas(a, b);
}

function hasSameReplicas(a: BucketAssignment, b: BucketAssignment): boolean {
  if (a.replicas.length !== b.replicas.length) return false;
  return a.replicas.every(({ member, since }) =>
    b.replicas.some((other) => other.member === member && other.since === since),
  );
}

/** Groups begin with version 1 only: whoever is to begin one has to be sent that. */
function unbegun(view: ClusterView, { version }: Assignment): string | null {
  const bucket = version > 1 ? -1 : view.health.findIndex(({ leader }) => leader === null);
  return bucket === -1 ? null : `bucket ${String(bucket)} has had no leader yet`;
}

/** Why it is not the time for it, in words; null: it is. */
function objectionTo(view: ClusterView, record: Assignment, next: Assignment): string | null {
  const known = new Set(record.members.map(({ id }) => id));
  const isAble = (id: string): boolean =>
    !known.has(id) || (view.isCurrent(id) && !view.isDoomed(id));
  for (const [bucket, after] of next.buckets.entries()) {
    const before = record.buckets[bucket] as BucketAssignment;
    if (hasSameReplicas(before, after)) continue;
    const begun = after.replicas.filter(({ since }) => since === next.version);
    const unable = begun.find(({ member }) => !isAble(member));
    if (unable !== undefined) return unableText(view, unable.member);
    const health = view.health[bucket];
    if (health === undefined || health.leader === null || !hasMajority(health)) {
      return `a majority of bucket ${String(bucket)} is not well`;
    }
    const well = after.replicas.filter(
      ({ member, since }) =>
        since === next.version || (health.upToDate.has(member) && !view.isDoomed(member)),
    );
    if (well.length < majority(after.replicas.length)) {
      return `too few of the copies of bucket ${String(bucket)} that would stay are well`;
    }
  }
  return null;
}

function unableText(view: ClusterView, id: string): string {
  const name = view.nameOf(id);
  return view.isDoomed(id)
    ? `the claim of ${name} is being deleted`
    : `${name} does not follow the record`;
}

function reasonOf(view: ClusterView, record: Assignment, next: Assignment): string {
  const known = new Set(record.members.map(({ id }) => id));
  const came = next.members.filter(({ id }) => !known.has(id));
  const [lost, joined] = [
    came.filter(({ index }) => view.hasMemberAt(index)),
    came.filter(({ index }) => !view.hasMemberAt(index)),
  ];
  const went = record.members.filter(({ id }) => !isIdle(record, id) && isIdle(next, id));
  const left = went.filter(({ index }) => !view.isWanted(index));
  const begun = next.buckets
    .flatMap(({ replicas }) => replicas)
    .filter(({ since }) => since === next.version).length;
  const pods = (members: readonly Member[]): string =>
    listed(members.map(({ index }) => view.placeAt(index).pod));
  const parts = [
    ...(joined.length > 0 ? [`${pods(joined)} joins`] : []),
    ...(lost.length > 0 ? [`${pods(lost)} has another disk`] : []),
    ...(left.length > 0 ? [`${pods(left)} leaves`] : []),
    `${String(begun)} replicas move`,
  ];
  return parts.join(', ');
}
