/** The words between the parts of a member: who it knows, what it answers to others, how a command reaches a leader. */
import type { Assignment, Member } from '../../../common/assignment.ts';
import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
} from '../../../common/cluster-contract.ts';
import type { EventStore, EventVisitor } from '../engine/types.ts';
import type { ReplicatedLog } from '../replication/replicated-log.ts';
import type { Configuration, ReplicaId } from '../replication/raft/types.ts';
import type { PeerRequests, Sender } from '../replication/peer-requests.ts';
import type { SegmentListing } from '../replication/segment-serving.ts';
import type { Majority } from './majority-watch.ts';

export { PeerError } from '../replication/peer-requests.ts';
export type { PeerOutcome, PeerRequests, Sender } from '../replication/peer-requests.ts';
export type { SegmentListing } from '../replication/segment-serving.ts';

/** Refused by a rule of the cluster; answered with 409 and the reason. */
export class ClusterRefusal extends Error {
  override readonly name = 'ClusterRefusal';
}

/** A sender's disk is a copy, or an older state of it; answered with 410. It must rejoin as a new member. */
export class RolledBackRefusal extends ClusterRefusal {
  static readonly status = 410;
}

/**
 * A member that the assignment here does not name, and none that has left: it may have come since. It can be looked at, and bring a
 * newer assignment, as whoever knows the secret can.
 */
export class UnknownMemberRefusal extends ClusterRefusal {}

/** What a member answers to other members; `http/cluster-server.ts` calls it. Each may throw {@link ClusterRefusal}. */
export interface MemberService {
  /** Checks a sender before anything else: cluster, counts, a disk that was not rolled back. */
  admit(sender: Sender): void;
  status(): NodeStatus;
  /** What it follows; null while its disk is fresh. */
  currentAssignment(): Assignment | null;
  /** Resolves when it is durable here. */
  putAssignment(update: AssignmentUpdate): Promise<void>;
  /** Hands over what it leads; may be repeated. */
  drain(): Promise<DrainStatus>;
  endDrain(): void;
  /** Messages of Raft groups, see `replication/message-format.ts`. */
  receive(batch: Buffer): void;
  /** Runs forwarded commands of a bucket, see `cluster/forwarding.ts`; never forwards again. */
  runCommands(bucket: number, body: Buffer): Promise<Buffer>;
  segments(bucket: number): readonly SegmentListing[];
  /** Bytes `from` to `to` (exclusive) of a segment, committed frames only; they may be put into `into`, which has room for them. */
  readSegment(
    bucket: number,
    segment: number,
    from: number,
    to: number,
    into?: Buffer,
  ): Promise<Buffer>;
  /** Whether clients append: copies of segments leave them most of the time. */
  isBusy(): boolean;
}

/** What the router asks of the cluster. */
export interface ClusterView {
  readonly assignment: Assignment;
  /** This member. */
  readonly self: Member;
  /** Member id of the bucket's leader as far as this member knows, or null. */
  leaderOf(bucket: number): string | null;
  /** Where this member led the bucket until a majority fell silent, and nobody has led it since: who was heard of. */
  lostMajority?(bucket: number): Majority | null;
  /** Resolves when the bucket's leader may have changed, or after `signal`. */
  leaderChange(bucket: number, signal: AbortSignal): Promise<void>;
  readonly peers: PeerRequests;
}

/** The group of a bucket, as the router sees it. */
export interface ReplicaGroup extends Pick<ReplicatedLog, 'state' | 'readBarrier'> {
  readonly replicaId: ReplicaId;
  readonly core: { readonly isHandingOver: boolean; readonly configuration: Configuration };
}

/** A store with replicas of some of the buckets, as the router sees it. */
export interface ReplicaStore extends EventStore {
  /** Undefined where this member has no replica of the bucket. */
  group(bucket: number): ReplicaGroup | undefined;
  /** Called when the replica of a bucket has left; put in by who has feeds of it. */
  onRemoved: (bucket: number) => void;
  /** Shows the oldest event with this id in one bucket; false where that has none. */
  readEventIn(bucket: number, eventId: Uint8Array, visit: EventVisitor): boolean | Promise<boolean>;
}
