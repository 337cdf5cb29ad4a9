import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { replicaIdOf } from '../../../common/assignment.ts';
import { clusterStatistics, LeaderTally } from '../cluster/cluster-statistics.ts';
import { openAdmin } from './admin.ts';
import { NodeMetrics } from './metrics.ts';
import { CLUSTER, type TestMember, TestMembers } from './testing/members.ts';

const BUCKETS = [0, 1];
const KIB = 1024;
const small = { bucketCount: 2, partitionCount: 8, segmentBytes: 128 * KIB };

/** The names and values of samples, as a scrape gets them. */
async function scrape(metrics: NodeMetrics): Promise<Map<string, number>> {
  await using admin = await openAdmin(
    { host: '127.0.0.1', port: 0 },
    { state: () => 'serving', registry: metrics.registry },
  );
  const answer = await fetch(`http://127.0.0.1:${String(admin.port)}/metrics`);
  const lines = (await answer.text()).split('\n').filter((line) => !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [name = '', value = ''] = line.split(' ');
      return [name, Number(value)];
    }),
  );
}

/** Metrics of a member, and the tally that its ticks would feed. */
function metricsOf(members: TestMembers, name: string): { metrics: NodeMetrics; look(): void } {
  const tally = new LeaderTally();
  const metrics = new NodeMetrics('0.0.0');
  const member = (): TestMember => members.members.get(name) ?? assert.fail();
  const byReplica = new Map(
    BUCKETS.flatMap((bucket) =>
      members.names.map((each) => {
        const replica = replicaIdOf(CLUSTER, bucket, { member: each, since: 1 });
        return [replica.toString('hex'), each] as const;
      }),
    ),
  );
  metrics.cluster.watch(() =>
    clusterStatistics({
      ...{ groups: member().store.groups(), tally, copies: member().network.copies },
      healing: member().network.healing,
      digests: { comparisons: 2, mismatches: 1, differing: 1, comparedAtMs: 1000 },
      ...{ memberOf: (_, replica) => byReplica.get(replica) ?? null, isDraining: false },
    }),
  );
  const look = (): void => {
    for (const group of member().store.groups()) tally.look(group);
  };
  return { metrics, look };
}

describe('metrics of replica groups', () => {
  it('have no values on a node without peers', async () => {
    const samples = await scrape(new NodeMetrics('0.0.0'));
    const names = [...samples.keys()].filter((name) =>
      /^sierradb_(replica|leader|uncommitted|catch_up|heal|draining|elections)/.test(name),
    );
    assert.deepEqual(names, []);
  });

  it('say who leads, who is behind, and what is copied; buckets are no labels', async () => {
    const members = await TestMembers.open({ count: 3, ...small });
    const payload = Buffer.alloc(2 * KIB, 'x');
    const leads = (): boolean => BUCKETS.every((bucket) => members.leader(bucket) !== undefined);
    const append = async (count: number): Promise<void> => {
      const client = async (key: Buffer): Promise<void> => {
        for (let i = 0; i < count / 16; i += 1) await members.append(key, payload);
      };
      await Promise.all(Array.from({ length: 16 }, (_, i) => client(Buffer.alloc(16, i))));
    };
    try {
      await members.until(leads);
      const bench = members.names.map((name) => metricsOf(members, name));
      for (const { look } of bench) look();
      await append(32);
      let all: Map<string, number>[] = [];
      const sum = (name: string): number =>
        all.reduce((total, each) => total + (each.get(name) ?? assert.fail(name)), 0);
      do {
        all = await Promise.all(bench.map(({ metrics }) => scrape(metrics)));
        // An election may be under way.
      } while (sum('sierradb_replicas{role="leader"}') !== 2);
      assert.equal(sum('sierradb_replicas{role="follower"}'), 4);
      assert.equal(sum('sierradb_leaderless_buckets'), 0);
      assert.equal(sum('sierradb_elections_won_total'), 2);
      assert.equal(sum('sierradb_leader_changes_total'), 0);
      assert.equal(sum('sierradb_draining'), 0);
      assert.equal(sum('sierradb_healed_segments_total'), 0);
      assert.equal(sum('sierradb_healing_failures_total'), 0);
      for (const each of all) {
        assert(![...each.keys()].some((name) => name.includes('bucket="')));
      }

      // One is away: those that lead see how far it is behind.
      await members.stop('m1');
      await members.until(leads);
      await append(3200);
      bench[0]?.look();
      bench[2]?.look();
      const ofLeaders = await Promise.all(
        [0, 2].map((i) => scrape(bench[i]?.metrics ?? assert.fail())),
      );
      const lags = ofLeaders.map((each) => each.get('sierradb_replication_lag_entries_max') ?? 0);
      assert(Math.max(...lags) > 100, String(lags));
      const named = 'sierradb_replication_lag_entries{member="m1"}';
      assert.equal(Math.max(...ofLeaders.map((each) => each.get(named) ?? 0)), Math.max(...lags));

      await members.start('m1');
      const { copies } = members.members.get('m1')?.network ?? assert.fail();
      await members.until(() => copies.bytes > 0 && copies.active === 0);
      const back = await scrape(bench[1]?.metrics ?? assert.fail());
      assert.equal(back.get('sierradb_catch_up_bytes_total'), copies.bytes);
      assert.equal(back.get('sierradb_catch_up_failures_total'), copies.failures);
      assert.equal(back.get('sierradb_catch_up_replicas'), 0);
    } finally {
      await members.close();
    }
  });
});
