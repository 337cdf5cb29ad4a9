/** The words of the Raft core: what goes in, what comes out. Plain values; who sends, writes and applies is the loop. */

import type { Random } from '../../../../common/random.ts';

/** Names one stay of a member in a group: 16 hexadecimal digits. */
export type ReplicaId = string;

/**
 * Who belongs to the group. While `outgoing` is not empty the configuration is joint: elections and commits need a majority
 * of `voters` and a majority of `outgoing` (Ongaro, "Consensus: Bridging Theory and Practice", 4.3). Learners take the log
 * and count for nothing.
 */
export interface Configuration {
  readonly voters: readonly ReplicaId[];
  readonly outgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
}

/** A configuration and the index of its entry. */
export interface PlacedConfiguration {
  readonly index: number;
  readonly configuration: Configuration;
}

/** An entry of the log as the core sees it. */
export interface Entry {
  readonly index: number;
  readonly term: number;
  /** The configuration that it holds, or null for anything else. */
  readonly configuration: Configuration | null;
}

interface Envelope {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
}

/** Asks for a vote; `preVote` asks whether one would be given, in the term that `term` names, and changes nothing. */
export interface VoteRequest extends Envelope {
  readonly kind: 'preVote' | 'vote';
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The leader has asked for this election: having heard of it lately is no reason to refuse. */
  readonly isTransfer: boolean;
}

export interface VoteReply extends Envelope {
  readonly kind: 'preVoteReply' | 'voteReply';
  readonly granted: boolean;
}

/** Entries behind `previousIndex`; none for a probe. */
export interface Append extends Envelope {
  readonly kind: 'append';
  readonly previousIndex: number;
  readonly previousTerm: number;
  /** On its way out: only first and last matter, and the transport adds the bytes. */
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** Follower and leader agree up to `index`, durably. */
export interface AppendReply extends Envelope {
  readonly kind: 'appendReply';
  readonly index: number;
}

/**
 * The entry `rejectedIndex` is missing or another one. The follower's log may agree with the leader's at `hintIndex`, where
 * its own term is `hintTerm`, or earlier, and certainly does up to `commit`.
 */
export interface AppendReject extends Envelope {
  readonly kind: 'appendReject';
  readonly rejectedIndex: number;
  readonly hintIndex: number;
  readonly hintTerm: number;
  readonly commit: number;
}

/**
 * `commit` is at most what the follower has acknowledged to this leader. `round` counts this leader's heartbeats: a reply to it confirms the reads that were
 * waiting when it was sent.
 */
export interface Heartbeat extends Envelope {
  readonly kind: 'heartbeat';
  readonly commit: number;
  readonly round: number;
}

export interface HeartbeatReply extends Envelope {
  readonly kind: 'heartbeatReply';
  readonly round: number;
}

/** The leader hands over: campaign now. */
export interface TimeoutNow extends Envelope {
  readonly kind: 'timeoutNow';
}

export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendReply
  | AppendReject
  | Heartbeat
  | HeartbeatReply
  | TimeoutNow;

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

export interface Vote {
  readonly term: number;
  readonly votedFor: ReplicaId | null;
}

/** What the loop must do. In the order given, but `send`s may be delayed, lost and repeated. */
export type Effect =
  /** Make it durable, then tell {@link Input} `voteDurable`. Messages that depend on it are held back until then. */
  | { readonly kind: 'persistVote'; readonly vote: Vote }
  /**
   * Entries behind `after` are not the leader's: forget them, and append these. When durable, tell `durable`. The entries
   * are those of the message that is being stepped.
   */
  | {
      readonly kind: 'append';
      readonly truncateAfter: number | null;
      readonly entries: readonly Entry[];
    }
  | { readonly kind: 'send'; readonly message: Message }
  /** Entries up to `index` are committed. */
  | { readonly kind: 'commit'; readonly index: number }
  | {
      readonly kind: 'role';
      readonly role: Role;
      readonly term: number;
      readonly leader: ReplicaId | null;
    }
  /** Append an entry with this configuration, then tell `appended`. Leaders only. */
  | { readonly kind: 'configure'; readonly configuration: Configuration }
  /** Append the first entry of this leader's term, then tell `appended`. */
  | { readonly kind: 'appendFirst' }
  /** The read is linearizable once everything up to `index` is applied; null: not the leader, or not any more. */
  | { readonly kind: 'read'; readonly id: number; readonly index: number | null }
  /** The follower lacks entries that are only in segments: copy those up to the commit index, then tell `copied`. */
  | { readonly kind: 'copy'; readonly to: ReplicaId; readonly from: number };

export type Input =
  /** One unit of time has passed. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: Message }
  /** The vote last asked to be persisted, or an earlier one, is durable. */
  | { readonly kind: 'voteDurable'; readonly vote: Vote }
  /** The log of this replica is durable up to `index`, which has not been truncated since. */
  | { readonly kind: 'durable'; readonly index: number }
  /** The leader's loop has appended entries of the present term, up to the log's present end; those with configurations. */
  | { readonly kind: 'appended'; readonly configurations: readonly PlacedConfiguration[] }
  /** Asks for a moment at which this leader was still the leader. */
  | { readonly kind: 'read'; readonly id: number }
  /** Campaign without waiting for a timeout: a group of one, or a start. */
  | { readonly kind: 'campaign' }
  | { readonly kind: 'transfer'; readonly to: ReplicaId }
  /** Change to this configuration; refused (see `RaftCore.changeFault`) while another change is under way. */
  | { readonly kind: 'change'; readonly configuration: Configuration }
  /** The copy to a follower has ended: it has everything up to `index`; null: it failed. */
  | { readonly kind: 'copied'; readonly to: ReplicaId; readonly index: number | null }
  /**
   * The loop has copied entries that are committed, up to `index`, from another replica's segments into this log: own ones
   * behind `truncateAfter` were not the same and are forgotten; the configurations are those among what was added, `term`
   * is the last one's. A replica that leads has nothing to add.
   */
  | {
      readonly kind: 'copiedHere';
      readonly index: number;
      readonly term: number;
      readonly truncateAfter: number | null;
      readonly configurations: readonly PlacedConfiguration[];
    }
  /** The replica's log is damaged, or whole again. Damaged, it neither votes, campaigns nor acknowledges. */
  | { readonly kind: 'damaged'; readonly isDamaged: boolean };

/** The log as far as the core needs it; the loop keeps it. */
export interface RaftLog {
  readonly lastIndex: number;
  /** Entries are about to come that were promised a place: a leader hands over behind them. Absent: none. */
  readonly isAwaited?: boolean;
  /** Term of the entry, 0 for index 0; null where that is not in memory any more. Such entries are committed. */
  term(index: number): number | null;
  /** The last index that fits one message which begins with entry `from`. At least `from`, at most {@link lastIndex}. */
  batchEnd(from: number): number;
}

/** What a replica knows when it starts: durable, all of it. */
export interface RaftStart {
  readonly log: RaftLog;
  readonly vote: Vote;
  /** Durable lower bound of the commit index. */
  readonly commit: number;
  /** Configurations in the log from the last committed one on, in order of their index. */
  readonly configurations: readonly PlacedConfiguration[];
}

export interface RaftOptions {
  readonly id: ReplicaId;
  /** A follower that has heard nothing for this many ticks, up to twice as many by chance, campaigns. */
  readonly electionTicks: number;
  /** A leader is heard of every so many ticks. */
  readonly heartbeatTicks: number;
  readonly random: Random;
}
