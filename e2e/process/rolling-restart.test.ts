/**
 * SIGTERM and a new start of each node, one after the other, in every order, under load. A node that is asked to stop hands
 * over first, so clients see no more than a moment without a leader and connections that end.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle } from './testing/settle.ts';

/** Nine restarts in which each of the six orders of three nodes occurs. */
const ORDER: readonly number[] = [0, 1, 2, 0, 1, 0, 2, 1, 0];

describe(`rolling restarts, seed ${seed}`, () => {
  it('lose nothing in any order, and refuse little', limits, async (t) => {
    const random = seededRandom(seed);
    await using cluster = await ClusterProcesses.start(3, flags);
    // Nobody waits until a node that has started is heard of by those that lead: for a moment a leader may miss two.
    const moment = ['TRYAGAIN', 'QUORUMFAILED', 'INSUFFICIENTREPLICAS'] as const;
    const allowed = ['WRONGVER', ...moment] as const;
    await using load = new Load(cluster, random, { allowed });
    for (const index of ORDER) {
      await load.acknowledged(20);
      assert.equal((await cluster.node(index).stop()).code, 0);
      await load.acknowledged(20);
      await cluster.restart(index);
    }
    await load.acknowledged(20);
    const history = await load.stop();
    t.diagnostic(load.describe());
    await settle(cluster, history);
  });
});
