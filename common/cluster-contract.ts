/**
 * What members say to each other over HTTP (architecture section 7): paths, headers and JSON bodies. The operator and
 * `sierradb cluster` use the same.
 */
import type { Assignment, Member } from './assignment.ts';

export const clusterPaths = {
  status: '/v1/status',
  assignment: '/v1/assignment',
  drain: '/v1/drain',
  /** Upgraded to frames both ways: `node/src/replication/stream-format.ts`. */
  stream: '/v1/stream',
  segments: (bucket: number): string => `/v1/buckets/${String(bucket)}/segments`,
  segment: (bucket: number, segment: number): string =>
    `/v1/buckets/${String(bucket)}/segments/${String(segment)}`,
} as const;

/** Sent with every request between members; what does not fit is refused with 409 and a reason. */
export const clusterHeaders = {
  /** UUID of the cluster, or absent while forming. */
  cluster: 'x-sierradb-cluster',
  /** Member id of the sender. */
  member: 'x-sierradb-member',
  /** Starts of the sender's disk so far: a lower one than before is a copied or rolled-back disk; refused with 410. */
  boot: 'x-sierradb-boot',
  /** Ids of its last starts, oldest first, with blanks between: another one than before is the same. */
  starts: 'x-sierradb-starts',
  /** `<bucket count>/<partition count>`. */
  counts: 'x-sierradb-counts',
  /** `1` while the sender drains: it is handed nothing to lead. */
  draining: 'x-sierradb-draining',
  /** `1` in an answer with a piece of a segment: whoever sends it has clients to serve. */
  busy: 'x-sierradb-busy',
  /** Of a stream: what goes over it. */
  lane: 'x-sierradb-lane',
} as const;

/** What a stream is upgraded to. */
export const STREAM_PROTOCOL = 'sierradb-stream/1';

/**
 * Streams of one member to another one: votes and heartbeats; entries and what answers them; forwarded appends; forwarded
 * reads. None of them ever stands before another one.
 */
export const streamLanes = ['control', 'data', 'appends', 'reads'] as const;
export type StreamLane = (typeof streamLanes)[number];

/** How a leader brings a follower's log to its own: finds where they agree, sends entries, has segments copied. */
export type FollowerProgress = 'probe' | 'stream' | 'copy';

/** How far a leader is with a change of replicas. */
export interface MoveProgress {
  readonly stage: 'adding' | 'catching up' | 'handing over' | 'changing' | 'dropping';
  /** What is waited for, in words; null while a step is taken. */
  readonly waitsFor: string | null;
}

export interface ReplicaStatus {
  readonly bucket: number;
  readonly replica: string;
  readonly role: 'starting' | 'follower' | 'candidate' | 'leader' | 'learner' | 'stopped';
  readonly term: number;
  /** Member id of the leader, as far as this replica knows. */
  readonly leader: string | null;
  readonly commit: number;
  readonly applied: number;
  readonly last: number;
  /** Member ids in the configuration in force. */
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  /** While voters change: both sets decide. */
  readonly joint?: { readonly incoming: readonly string[]; readonly outgoing: readonly string[] };
  readonly health: 'ok' | 'quarantined';
  /** A leader's view of its followers: entries that they lack, by member id. */
  readonly lag: Readonly<Record<string, number>>;
  /** The last configuration that is committed here: index of its entry, ids of all replicas in it. */
  readonly committed?: { readonly index: number; readonly replicas: readonly string[] };
  /** What a leader does so that those hold the bucket whom the assignment names; absent where they do. */
  readonly move?: MoveProgress;
  /** By member id, where this replica leads. */
  readonly progress?: Readonly<Record<string, FollowerProgress>>;
}

export interface NodeStatus {
  readonly member: string;
  readonly index: number;
  /** UUID of the cluster, null while the disk is fresh. */
  readonly cluster: string | null;
  readonly version: string;
  readonly boot: number;
  readonly state: 'forming' | 'recovering' | 'serving' | 'draining' | 'stopping' | 'failed';
  readonly assignment: {
    readonly epoch: number;
    readonly version: number;
    readonly digest: string;
  } | null;
  /** Of the assignment; absent while it forms. */
  readonly members?: readonly Member[];
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly buckets: readonly ReplicaStatus[];
}

/**
 * `POST /v1/drain`: the member hands over everything that it leads, and leads nothing while it can be helped. Answered when all is
 * handed over, or after two seconds; may be repeated. Ends with `DELETE /v1/drain`, five minutes after it was last asked for, or
 * with the process.
 */
export interface DrainStatus {
  readonly member: string;
  /** Until it ends by itself, milliseconds. */
  readonly endsInMs: number;
  /** Buckets that it still leads. */
  readonly leading: readonly number[];
  /** Buckets held here that the others could not serve without this member, and why. */
  readonly blocked: readonly { readonly bucket: number; readonly reason: string }[];
  /** It leads nothing, and in every bucket that it holds the others are a majority that is up to date. */
  readonly isSafeToStop: boolean;
}

/** `PUT /v1/assignment`; `GET` answers what is in force, 404 where the node is in no cluster yet. */
export interface AssignmentUpdate {
  /** The version that this one replaces; 0: forms the cluster. */
  readonly replaces: number;
  readonly assignment: Assignment;
}
