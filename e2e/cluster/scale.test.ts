/** More nodes and fewer, under load. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { until } from './testing/kubernetes.ts';
import { scenario } from './testing/scenario.ts';

const SCALED_MS = 300_000;

describe(`scaling, seed ${seed}`, () => {
  scenario('from three to five, to three, to four', {}, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    for (const nodes of [5, 3, 4]) {
      const beganMs = performance.now();
      await load.acknowledged(100);
      await world.scale(nodes);
      await world.untilNodes(nodes, SCALED_MS);
      const slowest = Math.round(load.slowestMs(beganMs));
      const took = Math.round(performance.now() - beganMs);
      t.diagnostic(`${nodes} nodes after ${took} ms, slowest append ${slowest} ms`);
      const { status } = await world.resource();
      const replicas = (status?.members ?? []).map((member) => member.replicas);
      const spread = Math.max(...replicas) - Math.min(...replicas);
      assert.ok(spread <= 1, `replicas are balanced: ${replicas.join(', ')}`);
      await until('claims of the nodes that are left, and no others', SCALED_MS, async () => {
        const names = await world.kubectl('get', 'pvc', '-o', 'name');
        return names.trim().split('\n').length === nodes;
      });
    }
    await load.acknowledged(100);
    t.diagnostic(load.describe());
    await world.settle(load);
  });
});
