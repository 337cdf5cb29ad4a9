/** From an empty cluster to the first acknowledged append, as README.md tells it. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { installOperator, uninstallOperator } from './testing/operator.ts';
import { scenario } from './testing/scenario.ts';

const FIRST_APPEND_MS = 60_000;

describe(`the first minute, seed ${seed}`, () => {
  scenario('ends with an append through the Service', { isApplied: false }, async (world, t) => {
    await uninstallOperator(world.kubernetes);
    await installOperator(world.kubernetes);
    const beganMs = performance.now();
    await world.apply();
    await world.firstAppend(FIRST_APPEND_MS);
    t.diagnostic(`first append after ${Math.round(performance.now() - beganMs)} ms`);
    await world.untilReady();
    t.diagnostic(`ready after ${Math.round(performance.now() - beganMs)} ms`);
    const [head = '', line = ''] = (await world.kubectl('get', 'sdb')).split('\n');
    assert.match(head, /^NAME +NODES +PHASE +READY +LEADERLESS +AGE/);
    assert.match(line, /^orders +3\/3 +Ready +True +0 +/);
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    t.diagnostic(load.describe());
    await world.settle(load);
  });
});
