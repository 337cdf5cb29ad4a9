/** New pods in the place of old ones, under load: because the resource asks for it, or because somebody drains machines. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { until } from './testing/kubernetes.ts';
import { scenario } from './testing/scenario.ts';
import { isReady } from './testing/world.ts';

const UPDATED_MS = 300_000;
const ANNOTATION = 'example.org/round';

describe(`updates, seed ${seed}`, () => {
  scenario('roll, one pod at a time', {}, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    const before = (await world.pods()).map(({ metadata }) => metadata.uid);
    const beganMs = performance.now();
    await world.change({ pod: { annotations: { [ANNOTATION]: 'two' } } });
    let readyMin = 3;
    await until('all pods are new', UPDATED_MS, async () => {
      const pods = await world.pods();
      readyMin = Math.min(readyMin, pods.filter(isReady).length);
      return pods.every((pod) => pod.metadata.annotations?.[ANNOTATION] === 'two' && isReady(pod));
    });
    assert.ok(readyMin >= 2, 'never more than one pod is away');
    await world.untilReady();
    t.diagnostic(`rolled in ${Math.round(performance.now() - beganMs)} ms`);
    const after = (await world.pods()).map(({ metadata }) => metadata.uid);
    assert.ok(!after.some((uid) => before.includes(uid)), 'every pod was replaced');
    await load.acknowledged(100);
    t.diagnostic(load.describe());
    t.diagnostic(`slowest append of the roll-out ${Math.round(load.slowestMs(beganMs))} ms`);
    await world.settle(load);
  });

  scenario('wait for each drained machine', { breaksMachines: true }, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    const { kubernetes } = world;
    for (const machine of ['node-1', 'node-2', 'node-3']) {
      await load.acknowledged(100);
      const beganMs = performance.now();
      // Others' pods, such as the operator, go elsewhere too.
      const flags = ['--ignore-daemonsets', '--delete-emptydir-data', '--timeout=180s'];
      try {
        await kubernetes.kubectl(['drain', machine, ...flags], { timeoutMs: 200_000 });
        t.diagnostic(`${machine} drained in ${Math.round(performance.now() - beganMs)} ms`);
        await load.acknowledged(100);
      } finally {
        await kubernetes.kubectl(['uncordon', machine]);
      }
      await world.untilNodes(3);
    }
    t.diagnostic(load.describe());
    await world.settle(load);
  });
});
