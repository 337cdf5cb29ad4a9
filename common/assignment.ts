/**
 * The assignment: which members hold which bucket (architecture section 7). The decision of the operator, or of node 0 when
 * nodes form a cluster by hand; nodes persist it and pass a newer one on to each other.
 *
 * Everything about a replica follows from it: names of groups and replicas are derived, so that nobody has to be asked for
 * them, and a stay that has ended can never be taken for the one that followed it.
 */
import { createHash } from 'node:crypto';

import { canonicalJson } from './canonical-json.ts';

/** A member: a node with its disk. */
export interface Member {
  /** UUID, drawn when the disk was first used. */
  readonly id: string;
  /** Its place among the nodes, from 0. */
  readonly index: number;
  /** `host:port` for other members. */
  readonly address: string;
}

/** One stay of a member in a bucket's group. */
export interface Replica {
  /** Member id. */
  readonly member: string;
  /** Version of the assignment that began it. */
  readonly since: number;
}

export interface BucketAssignment {
  readonly replicas: readonly Replica[];
  /** Member id of who should lead when it is healthy. */
  readonly preferred: string;
  /**
   * Of a bucket that is older than its cluster, the id of the cluster that made its group: the group's id goes on being derived
   * from it. Stays as long as the bucket does.
   */
  readonly origin?: string;
}

export interface Assignment {
  /** UUID. */
  readonly clusterId: string;
  /** Raised when a survivor was made the cluster by force, or a lost record was rebuilt. */
  readonly epoch: number;
  /** From 1; a change raises it by one. */
  readonly version: number;
  /** The formats and messages that every member may use. */
  readonly featureLevel: number;
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly members: readonly Member[];
  /** By bucket. */
  readonly buckets: readonly BucketAssignment[];
  /** Member ids that never serve again. */
  readonly removed: readonly string[];
}

export const FEATURE_LEVEL = 1;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** 16 bytes, the same on every member: it stands in the headers of segments. */
export const groupIdOf = (clusterId: string, bucket: number): Buffer =>
  sha256(`${clusterId}/${String(bucket)}`).subarray(0, 16);

/** The id of the group that a bucket has by an assignment. */
export const assignedGroupId = ({ clusterId, buckets }: Assignment, bucket: number): Buffer =>
  groupIdOf(buckets[bucket]?.origin ?? clusterId, bucket);

/** 8 bytes, in messages and journals. */
export function replicaIdOf(clusterId: string, bucket: number, { member, since }: Replica): Buffer {
  const id = sha256(`${clusterId}/${String(bucket)}/${member}/${String(since)}`).subarray(0, 8);
  // All zeros stand for nobody.
  if (id.every((byte) => byte === 0)) id[0] = 1;
  return id;
}

/** Whether `a` is newer than `b`. */
export const isNewer = (a: Assignment, b: Assignment): boolean =>
  a.epoch !== b.epoch ? a.epoch > b.epoch : a.version > b.version;

/** Two assignments of one version must have the same one: hexadecimal SHA-256 of the value with its keys in order. */
export const digestOf = (assignment: Assignment): string =>
  sha256(canonicalJson(assignment)).toString('hex');

/** The first assignment of a cluster: replicas and leaders go round the members. `factor` is at most their number. */
export function firstAssignment(
  clusterId: string,
  counts: {
    readonly bucketCount: number;
    readonly partitionCount: number;
    readonly factor: number;
  },
  members: readonly Member[],
): Assignment {
  const { bucketCount, partitionCount, factor } = counts;
  const buckets = Array.from({ length: bucketCount }, (_, bucket) => {
    const replicas = Array.from({ length: factor }, (__, i) => {
      const member = members[(bucket + i) % members.length] as Member;
      return { member: member.id, since: 1 };
    });
    return { replicas, preferred: (replicas[0] as Replica).member };
  });
  return {
    ...{ clusterId, epoch: 1, version: 1, featureLevel: FEATURE_LEVEL },
    ...{ bucketCount, partitionCount, members, buckets, removed: [] },
  };
}
