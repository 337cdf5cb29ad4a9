/** What a member measures of its replica groups; `http/cluster-metrics.ts` shows it. */
import type { LogCopies } from '../replication/log-copies.ts';
import type { SegmentHealing } from '../replication/segment-healing.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import type { SegmentDigests } from '../replication/segment-digests.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import { followersOf, roleOf } from './replica-status.ts';

export interface ClusterStatistics {
  /** Replicas here by role; one that stops counts nowhere. */
  readonly replicas: Readonly<Record<'leader' | 'follower' | 'candidate' | 'learner', number>>;
  /** Buckets held here of which no leader is known here. */
  readonly leaderless: number;
  /** Since the start. */
  readonly electionsWon: number;
  readonly leaderChanges: number;
  /** Entries in the logs of leaders here that are not committed yet. */
  readonly uncommitted: number;
  /** By member id: what the one of its replicas that lacks most lacks of a log that is led here, entries. */
  readonly lag: ReadonlyMap<string, number>;
  /** Replicas that copy segments or wait for their turn; bytes and failures since the start. */
  readonly catchUp: {
    readonly replicas: number;
    readonly bytes: number;
    readonly failures: number;
  };
  /** Damaged segments replaced by another replica's, and attempts that failed, since the start. */
  readonly healing: { readonly segments: number; readonly failures: number };
  /** Comparisons of sealed segments with leaders' since the start, when the latest was (ms since 1970), and what differs. */
  readonly digests: DigestStatistics;
  readonly isDraining: boolean;
}

export type DigestStatistics = Pick<
  SegmentDigests,
  'comparisons' | 'mismatches' | 'differing' | 'comparedAtMs'
>;

/** Counts elections and leaders as this member hears of them. */
export class LeaderTally {
  electionsWon = 0;
  leaderChanges = 0;
  /** By bucket: the latest leader and its term. */
  readonly #known = new Map<number, { readonly leader: ReplicaId; readonly term: number }>();
  /** By bucket: what its group had heard of leaders when it was looked at last. */
  readonly #seen: number[] = [];

  /** To be called at every tick: a leadership that is shorter is nobody's news. */
  look({ core, log, replicaId, leaderNews }: RaftGroup): void {
    if (this.#seen[log.bucket] === leaderNews) return;
    this.#seen[log.bucket] = leaderNews;
    const { leader, term } = core;
    if (leader === null) return;
    const known = this.#known.get(log.bucket);
    if (known?.leader === leader && known.term === term) return;
    this.#known.set(log.bucket, { leader, term });
    if (leader === replicaId) this.electionsWon += 1;
    if (known !== undefined && known.leader !== leader) this.leaderChanges += 1;
  }
}

export interface StatisticsSource {
  readonly groups: Iterable<RaftGroup>;
  readonly tally: LeaderTally;
  readonly copies: Pick<LogCopies, 'active' | 'bytes' | 'failures'>;
  readonly healing: Pick<SegmentHealing, 'segments' | 'failures'>;
  readonly digests: DigestStatistics;
  readonly memberOf: (bucket: number, replica: ReplicaId) => string | null;
  readonly isDraining: boolean;
}

export function clusterStatistics(source: StatisticsSource): ClusterStatistics {
  const { groups, tally, copies, memberOf, isDraining } = source;
  const replicas = { leader: 0, follower: 0, candidate: 0, learner: 0 };
  const lag = new Map<string, number>();
  let [leaderless, uncommitted] = [0, 0];
  for (const group of groups) {
    const { core, log } = group;
    const role = roleOf(group);
    if (role !== 'starting' && role !== 'stopped') replicas[role] += 1;
    if (core.leader === null) leaderless += 1;
    if (core.role === 'leader') uncommitted += log.endIndex - core.commit;
    for (const [id, { match }] of followersOf(group)) {
      const member = memberOf(log.bucket, id);
      if (member !== null) lag.set(member, Math.max(lag.get(member) ?? 0, log.endIndex - match));
    }
  }
  const { electionsWon, leaderChanges } = tally;
  const healing = { segments: source.healing.segments, failures: source.healing.failures };
  const catchUp = { replicas: copies.active, bytes: copies.bytes, failures: copies.failures };
  return {
    ...{ replicas, leaderless, electionsWon, leaderChanges, uncommitted, lag, catchUp },
    ...{ healing, digests: source.digests, isDraining },
  };
}
