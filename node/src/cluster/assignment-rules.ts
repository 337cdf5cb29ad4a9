/** What a member makes of an assignment that it is sent. Pure. */
import { type Assignment, digestOf, FEATURE_LEVEL, isNewer } from '../../../common/assignment.ts';
import type { AssignmentUpdate } from '../../../common/cluster-contract.ts';
import { ClusterRefusal } from './types.ts';

/** Who is asked to take it. */
export interface Taker {
  /** Member id. */
  readonly member: string;
  readonly index: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  /** What it has, null while its disk is fresh. */
  readonly assignment: Assignment | null;
}

/** True: persist and follow it; false: it is the one that is there already. Throws {@link ClusterRefusal} with the reason. */
export function takesAssignment(taker: Taker, { replaces, assignment }: AssignmentUpdate): boolean {
  const { assignment: current } = taker;
  if (current === null) {
    if (replaces !== 0) refuse(`it replaces version ${replaces}, but this disk is fresh`);
    checkPlace(taker, assignment);
    return true;
  }
  if (assignment.clusterId !== current.clusterId) {
    refuse(
      `this node belongs to cluster ${current.clusterId} and never to ${assignment.clusterId}`,
    );
  }
  if (assignment.epoch === current.epoch && assignment.version === current.version) {
    if (digestOf(assignment) === digestOf(current)) return false;
    refuse(`there is another assignment of version ${current.version}: ${digestOf(current)}`);
  }
  if (!isNewer(assignment, current)) refuse(`version ${current.version} is newer`);
  // Stays are told apart by the versions that began them.
  if (assignment.version <= current.version) {
    refuse(`version ${current.version} is in force, and an epoch goes on counting`);
  }
  if (replaces !== current.version) {
    refuse(`it replaces version ${replaces}, but version ${current.version} is in force`);
  }
  checkPlace(taker, assignment);
  checkOrigins(current, assignment);
  checkMoves(current, assignment);
  return true;
}

function checkPlace(taker: Taker, assignment: Assignment): void {
  const { bucketCount, partitionCount, members, featureLevel } = assignment;
  // Once persisted, it would keep this program from starting.
  if (featureLevel > FEATURE_LEVEL) {
    refuse(`it is of feature level ${featureLevel}, this program knows ${FEATURE_LEVEL}`);
  }
  if (bucketCount !== taker.bucketCount || partitionCount !== taker.partitionCount) {
    refuse(
      `it has ${bucketCount} buckets and ${partitionCount} partitions, this node ${taker.bucketCount} and ${taker.partitionCount}`,
    );
  }
  const own = members.find(({ id }) => id === taker.member);
  if (own === undefined) {
    refuse(`it does not name member ${taker.member}, node ${taker.index}, whose disk this is`);
  }
  if (own.index !== taker.index) {
    refuse(`it has member ${own.id} as node ${own.index}, but this is node ${taker.index}`);
  }
}

/** A group's id stands in its segments: another one would make replicas that differ. */
function checkOrigins(current: Assignment, { buckets }: Assignment): void {
  const changed = current.buckets.findIndex(({ origin }, at) => buckets[at]?.origin !== origin);
  if (changed !== -1) refuse(`the origin of bucket ${changed} never changes`);
}

/** Who holds a bucket may change; the members' leaders carry it out (`moves.ts`). */
function checkMoves(current: Assignment, { buckets, members, removed, version }: Assignment): void {
  const back = members.find(({ id }) => current.removed.includes(id));
  if (back !== undefined) refuse(`member ${back.id} was removed and never serves again`);
  const both = members.find(({ id }) => removed.includes(id));
  if (both !== undefined) refuse(`member ${both.id} cannot be a member and removed`);
  for (const [bucket, { replicas, preferred }] of buckets.entries()) {
    const holders = new Set(replicas.map(({ member }) => member));
    if (holders.size < replicas.length) refuse(`a member holds bucket ${bucket} twice`);
    if (!holders.has(preferred)) refuse(`member ${preferred} cannot lead bucket ${bucket}`);
    const early = replicas.find(({ since }) => since > version);
    if (early !== undefined) {
      refuse(
        `a replica of bucket ${bucket} begins with version ${early.since}, this is ${version}`,
      );
    }
  }
}

function refuse(reason: string): never {
  throw new ClusterRefusal(reason);
}
