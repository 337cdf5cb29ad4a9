/** The operator and the API server go, and come back: clients notice nothing, and what was begun is ended. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';

import { isNewer } from '../../common/assignment.ts';
import { seededRandom } from '../../common/random.ts';
import { seed } from '../process/testing/fault-test.ts';
import { READY_MS, until } from './testing/kubernetes.ts';
import { killOperator } from './testing/operator.ts';
import { scenario } from './testing/scenario.ts';

const SCALED_MS = 400_000;
const FROZEN_MS = 120_000;

describe(`the control plane, seed ${seed}`, () => {
  scenario('loses its operator at every turn', { timeoutMs: 900_000 }, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    let kills = 0;
    /** Kills it whenever status tells of another action than before, until `isDone`. */
    const harass = async (what: string, isDone: () => Promise<boolean>): Promise<void> => {
      let seen = '';
      await until(what, SCALED_MS, async () => {
        const { status } = await world.resource();
        const turn = `${status?.phase ?? ''} ${status?.plan?.action ?? ''} ${status?.assignment?.version ?? 0}`;
        if (turn !== seen) {
          seen = turn;
          kills += 1;
          await killOperator(world.kubernetes);
        }
        return isDone();
      });
    };
    const hasNodes = (count: number) => async (): Promise<boolean> => {
      const { metadata, status } = await world.resource();
      const isCurrent = status?.observedGeneration === metadata.generation;
      return isCurrent && status?.phase === 'Ready' && status.members?.length === count;
    };
    await world.scale(4);
    await harass('four nodes', hasNodes(4));
    await world.scale(3);
    await harass('three nodes', hasNodes(3));
    await world.change({ pod: { annotations: { 'example.org/round': 'two' } } });
    await harass('new pods', async () => {
      const pods = await world.pods();
      const areNew = pods.every(
        ({ metadata }) => metadata.annotations?.['example.org/round'] === 'two',
      );
      return areNew && (await hasNodes(3)());
    });
    t.diagnostic(`operator killed ${kills} times`);
    await load.acknowledged(100);
    t.diagnostic(load.describe());
    await world.settle(load);
  });

  scenario(
    'is frozen for two minutes, and a leader dies meanwhile',
    { breaksMachines: true },
    async (world, t) => {
      const { kubox } = world.kubernetes;
      await using load = await world.startLoad(seededRandom(seed));
      await load.acknowledged(200);
      const leader = await world.leader();
      const thawAtMs = performance.now() + FROZEN_MS;
      const thaw = await kubox!.freezeApiServer();
      try {
        await load.acknowledged(200);
        const beganMs = performance.now();
        await kubox!.killPod(leader.metadata.uid);
        await load.acknowledged(200);
        t.diagnostic(
          `slowest append with a dead leader: ${Math.round(load.slowestMs(beganMs))} ms`,
        );
        while (performance.now() < thawAtMs) await load.acknowledged(20);
      } finally {
        thaw();
      }
      await world.untilNodes(3);
      await load.acknowledged(100);
      t.diagnostic(load.describe());
      await world.settle(load);
    },
  );

  scenario('forgets a status, and finds it again at the nodes', {}, async (world, t) => {
    await using load = await world.startLoad(seededRandom(seed));
    await load.acknowledged(200);
    const { status } = await world.resource();
    const before = status?.assignment;
    assert.ok(before !== undefined, 'there is a record');
    const emptied = JSON.stringify([{ op: 'replace', path: '/status', value: {} }]);
    const patch = ['--subresource=status', '--type=json', '-p', emptied];
    await world.kubectl('patch', 'sdb', world.name, ...patch);
    const after = await until('a record again', READY_MS, async () => {
      return (await world.resource()).status?.assignment ?? null;
    });
    assert.equal(after.clusterId, before.clusterId, 'it is the same cluster');
    assert.ok(!isNewer(before, after), 'it is not older');
    await world.untilNodes(3);
    await load.acknowledged(200);
    await world.scale(4);
    await world.untilNodes(4, SCALED_MS);
    t.diagnostic(load.describe());
    await world.settle(load);
  });
});
