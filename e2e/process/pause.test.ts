/**
 * A leader that stands still for longer than an election takes (SIGSTOP), and goes on: it must not answer from what it
 * was, and what it had under way is done once or not at all.
 */
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { leaderOf, settle, until } from './testing/settle.ts';

const PAUSES = 3;
const BUCKETS = 4;

describe(`a leader that is stopped for a while, seed ${seed}`, () => {
  it('is replaced, and takes nothing back when it goes on', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, random, { clients: 9 });
    for (let round = 0; round < PAUSES; round += 1) {
      await load.acknowledged(50 + random.below(100));
      const bucket = random.below(BUCKETS);
      const victim = await leaderOf(cluster, bucket);
      if (victim === null) continue;
      const node = cluster.node(victim);
      const readAll = await load.prepareReads(victim);
      let reads: Promise<void>;
      node.kill('SIGSTOP');
      try {
        await until(async () => (await leaderOf(cluster, bucket, victim)) !== null);
        await load.acknowledged(50 + random.below(100));
        // They wait at its door, and are the first thing that it sees of a world in which others lead.
        reads = readAll();
      } finally {
        node.kill('SIGCONT');
      }
      await reads;
    }
    await load.acknowledged(100);
    const history = await load.stop();
    t.diagnostic(load.describe());
    await settle(cluster, history);
  });
});
