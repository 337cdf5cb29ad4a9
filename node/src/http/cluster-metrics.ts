import { Counter, Gauge, type Registry } from 'prom-client';

import type { ClusterStatistics } from '../cluster/cluster-statistics.ts';

type Read = (statistics: ClusterStatistics) => number;

const gauges: Readonly<Record<string, [help: string, read: Read]>> = {
  leaderless_buckets: ['Buckets held here of which no leader is known here.', (s) => s.leaderless],
  uncommitted_entries: [
    'Entries of buckets led here that a majority does not have yet.',
    (s) => s.uncommitted,
  ],
  replication_lag_entries_max: [
    'Entries that the follower which is furthest behind lacks of a bucket led here.',
    (s) => Math.max(0, ...s.lag.values()),
  ],
  catch_up_replicas: [
    'Replicas here that copy segments, or wait for their turn.',
    (s) => s.catchUp.replicas,
  ],
  segment_digest_differing: [
    'Sealed segments here that hold other events than their leader’s. Never anything but 0 unless a disk or a program fails.',
    (s) => s.digests.differing,
  ],
  segment_digest_last_comparison_timestamp_seconds: [
    'When sealed segments here were last compared with a leader’s, seconds since 1970; 0: never since the start.',
    (s) => (s.digests.comparedAtMs ?? 0) / 1000,
  ],
  draining: ['1 while this node is drained.', (s) => Number(s.isDraining)],
};

const counters: Readonly<Record<string, [help: string, read: Read]>> = {
  elections_won_total: ['Elections that replicas here have won.', (s) => s.electionsWon],
  leader_changes_total: [
    'Times at which a bucket held here got another leader, as heard of here.',
    (s) => s.leaderChanges,
  ],
  catch_up_bytes_total: [
    'Bytes of frames copied from segments of other nodes.',
    (s) => s.catchUp.bytes,
  ],
  catch_up_failures_total: ['Copies of segments that failed.', (s) => s.catchUp.failures],
  healed_segments_total: [
    'Damaged segments that were replaced by those of other nodes.',
    (s) => s.healing.segments,
  ],
  segment_digest_comparisons_total: [
    'Buckets whose sealed segments were compared with their leader’s.',
    (s) => s.digests.comparisons,
  ],
  segment_digest_mismatches_total: [
    'Sealed segments that were found to differ from their leader’s.',
    (s) => s.digests.mismatches,
  ],
  healing_failures_total: ['Attempts at that which failed.', (s) => s.healing.failures],
};

/**
 * Replica groups, all buckets together: read when someone looks. A node without peers has no values. Labels are roles and
 * members, never buckets.
 */
export class ClusterMetrics {
  #source: (() => ClusterStatistics) | null = null;

  constructor(registry: Registry) {
    const read = (): ClusterStatistics | null => this.#source?.() ?? null;
    this.#registerLabelled(registry, read);
    for (const [name, [help, valueOf]] of Object.entries(gauges)) {
      new Gauge({
        ...{ name: `sierradb_${name}`, help, registers: [registry] },
        collect() {
          const statistics = read();
          if (statistics === null) this.remove();
          else this.set(valueOf(statistics));
        },
      });
    }
    for (const [name, [help, valueOf]] of Object.entries(counters)) {
      new Counter({
        ...{ name: `sierradb_${name}`, help, registers: [registry] },
        collect() {
          const statistics = read();
          this.reset();
          if (statistics === null) this.remove();
          else this.inc(valueOf(statistics));
        },
      });
    }
  }

  /** From here on the values are these. */
  watch(source: () => ClusterStatistics): void {
    this.#source = source;
  }

  #registerLabelled(registry: Registry, read: () => ClusterStatistics | null): void {
    new Gauge({
      name: 'sierradb_replicas',
      help: 'Replicas held here by what they do.',
      labelNames: ['role'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [role, count] of Object.entries(read()?.replicas ?? {})) {
          this.set({ role }, count);
        }
      },
    });
    new Gauge({
      name: 'sierradb_replication_lag_entries',
      help: 'Entries that the replica of a member which is furthest behind lacks of a bucket led here.',
      labelNames: ['member'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [member, lag] of read()?.lag ?? []) this.set({ member }, lag);
      },
    });
  }
}
