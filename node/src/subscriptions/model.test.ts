/** Random subscriptions against the real store: exactly the expected events, by seed. See `testing/subscription-run.ts`. */
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';
import type { StoreOptions } from '../engine/index.ts';
import { withoutTimers } from '../engine/testing/without-timers.ts';
import { type SubscriptionPlan, SubscriptionRun } from './testing/subscription-run.ts';

const FILE = 'node/src/subscriptions/model.test.ts';
const KIB = 1024;

function optionsFor(pick: <T>(...values: T[]) => T): StoreOptions {
  const segmentBytes = pick(8, 8, 20, 64, 200) * KIB;
  return {
    bucketCount: pick(1, 2, 4),
    partitionCount: pick(4, 8, 32),
    segmentBytes,
    journalFileBytes: pick(64, 256) * KIB,
    journalFilesMax: 4,
    appendMaxBytes: 6 * KIB,
    strictVersioning: false,
    inFlightBytesMax: 64 * 1024 * KIB,
    cacheBytes: pick(128, 1024) * KIB,
    headsMax: pick(1, 16, 1000),
    filterBytes: pick(0, 64 * KIB),
    diskReserveBytes: 0,
    scrubBytesPerSecond: 0,
  };
}

function planFor(seed: number): SubscriptionPlan {
  const random = seededRandom(seed ^ 0x1f83d9ab);
  const pick = <T>(...values: T[]): T => values[random.below(values.length)]!;
  return {
    seed,
    options: optionsFor(pick),
    commands: { largePercent: pick(0, 5, 30), smallBytes: pick(40, 400, 1500) },
    crowd: pick(1, 1, 1, 1, 12),
    history: pick(0, 20, 100, 300),
    steps: pick(80, 150, 250),
  };
}

test('every subscription shows exactly what the model expects', async (t) => {
  for (const seed of seeds(30)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, () => withoutTimers(() => new SubscriptionRun(planFor(seed)).run())),
    );
  }
});
