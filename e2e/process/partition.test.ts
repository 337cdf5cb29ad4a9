/**
 * Members that cannot reach each other, in one direction or both, while clients reach all of them; and links that are slow and
 * lose packets. Nodes run in network namespaces, and the tests are skipped where there can be none.
 */
import { describe, it, type TestContext } from 'node:test';

import { type Random, seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { Namespaces } from './testing/namespaces.ts';
import { settle } from './testing/settle.ts';

const missing = await Namespaces.missing();
const options = missing === null ? {} : { skip: missing };
const ROUNDS = 3;

interface Network {
  readonly count: number;
  readonly namespaces: Namespaces;
  readonly random: Random;
}

type Fault = (network: Network, load: Load) => Promise<void>;

/** A cluster under load, with faults again and again; after each the network is whole. */
async function withFaults(t: TestContext, count: number, fault: Fault): Promise<void> {
  const random = seededRandom(seed);
  await using namespaces = await Namespaces.create(count);
  await using cluster = await ClusterProcesses.start(count, flags, namespaces.places);
  await using load = new Load(cluster, random, { clients: 9 });
  for (let round = 0; round < ROUNDS; round += 1) {
    await load.acknowledged(50);
    await fault({ count, namespaces, random }, load);
    await namespaces.mendAll();
  }
  await load.acknowledged(100);
  const history = await load.stop();
  t.diagnostic(load.describe());
  await settle(cluster, history);
}

const others = (index: number, count: number): number[] =>
  Array.from({ length: count }, (_, other) => other).filter((other) => other !== index);

describe(`a network that loses what is sent, seed ${seed}`, options, () => {
  it('a member that is cut off from the others', limits, async (t) => {
    await withFaults(t, 3, async ({ count, namespaces, random }, load) => {
      const alone = random.below(count);
      for (const other of others(alone, count)) {
        await namespaces.cut(alone, other);
        await namespaces.cut(other, alone);
      }
      await load.acknowledged(100 + random.below(100));
    });
  });

  it('a member that hears and is not heard, or the other way round', limits, async (t) => {
    await withFaults(t, 3, async ({ count, namespaces, random }, load) => {
      const one = random.below(count);
      const isHeard = random.below(2) === 0;
      for (const other of others(one, count)) {
        await (isHeard ? namespaces.cut(other, one) : namespaces.cut(one, other));
      }
      await load.acknowledged(100 + random.below(100));
    });
  });

  it(
    'two members that do not reach each other, and a third that reaches both',
    limits,
    async (t) => {
      await withFaults(t, 3, async ({ count, namespaces, random }, load) => {
        const between = random.below(count);
        const [one, two] = others(between, count) as [number, number];
        await namespaces.cut(one, two);
        if (random.below(2) === 0) await namespaces.cut(two, one);
        await load.acknowledged(100 + random.below(100));
      });
    },
  );

  it('links that are slow and lose packets, and some that fail for a moment', limits, async (t) => {
    let isFirst = true;
    await withFaults(t, 3, async ({ count, namespaces, random }, load) => {
      if (isFirst) for (let index = 0; index < count; index += 1) await namespaces.slow(index);
      isFirst = false;
      for (let moment = 0; moment < 5; moment += 1) {
        const [from, to] = [random.below(count), random.below(count)];
        if (from !== to) await namespaces.cut(from, to);
        await load.acknowledged(10);
        if (from !== to) await namespaces.mend(from, to);
        await load.acknowledged(10);
      }
    });
  });
});
