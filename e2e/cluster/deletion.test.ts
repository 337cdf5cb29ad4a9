/** What stays of a cluster that was deleted, as its resource says. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { until } from './testing/kubernetes.ts';
import { scenario } from './testing/scenario.ts';
import type { World } from './testing/world.ts';

const GONE_MS = 120_000;

/** Deletes the resource; resolves when none of its pods is left. */
async function deleteCluster(world: World): Promise<void> {
  await world.kubectl('delete', 'sdb', world.name);
  await until('all pods are gone', GONE_MS, async () => (await world.pods()).length === 0);
}

const claims = async (world: World): Promise<string[]> =>
  (await world.kubectl('get', 'pvc', '-o', 'name')).split('\n').filter((line) => line !== '');

describe(`deletion, seed ${seed}`, () => {
  scenario('keeps volumes, and a new resource has everything again', {}, async (world, t) => {
    const random = seededRandom(seed);
    await using load = await world.startLoad(random);
    await load.acknowledged(300);
    const history = await load.stop();
    const before = await world.resource();
    await deleteCluster(world);
    assert.equal((await claims(world)).length, 3, 'claims are retained');
    await world.apply();
    await world.untilNodes(3);
    const after = await world.resource();
    const ids = [before, after].map(({ status }) => status?.assignment?.clusterId);
    assert.equal(ids[0], ids[1], 'it is the same cluster');
    await using more = await world.startLoad(random);
    await more.acknowledged(100);
    t.diagnostic(more.describe());
    await world.settle(more, history);
  });

  scenario(
    'takes the volumes with it where it is told to',
    { spec: { storage: { size: '1Gi', retention: { whenDeleted: 'Delete' } } } },
    async (world) => {
      await deleteCluster(world);
      await until('no claim is left', GONE_MS, async () => (await claims(world)).length === 0);
    },
  );
});
