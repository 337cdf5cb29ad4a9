/** kill -9 of one node after the other under load: nothing that was acknowledged is lost, and what clients see is one order. */
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle } from './testing/settle.ts';

const KILLS = Number(process.env['KILLS'] ?? 3);

describe(`kill -9 of members, seed ${seed}`, () => {
  for (const count of [3, 5]) {
    it(`loses nothing of ${count} nodes`, limits, async (t) => {
      const random = seededRandom(seed);
      await using cluster = await ClusterProcesses.start(count, flags);
      await using load = new Load(cluster, random);
      for (let kill = 0; kill < KILLS; kill += 1) {
        await load.acknowledged(50 + random.below(200));
        const victim = random.below(count);
        cluster.node(victim).kill();
        await cluster.node(victim).exited;
        await load.acknowledged(50 + random.below(200));
        await cluster.restart(victim);
      }
      await load.acknowledged(100);
      const history = await load.stop();
      t.diagnostic(load.describe());
      await settle(cluster, history);
    });
  }
});
