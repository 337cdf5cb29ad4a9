/** Nothing that was answered is lost, whenever the process dies or the power goes. See `testing/crash-runner.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import type { OperationKind } from '../storage/testing/disk-fault.ts';
import {
  type Crash,
  type CrashPlan,
  type Life,
  runCrashes,
  tinyStore,
} from './testing/crash-runner.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';

const FILE = 'node/src/engine/crash.test.ts';
const powerCut: Crash = { unsynced: 'drawn' };

const crashes: readonly Crash[] = ['process', powerCut, { unsynced: 'lost' }, { unsynced: 'kept' }];

/** What of the segments comes late: the journal goes round before they have what it holds. */
const lags: readonly (readonly OperationKind[])[] = [['create', 'write', 'sync'], ['sync']];

/** A random life: short or long, ended anywhere from the first operation of opening on. */
function drawPlan(seed: number): CrashPlan {
  const random = seededRandom(seed ^ 0x2c1b3c6d);
  const pick = <T>(...values: T[]): T => values[random.below(values.length)]!;
  const lag = pick(null, null, ...lags);
  const lives: Life[] = [];
  for (let i = 1 + random.below(5); i > 0; i -= 1) {
    const early = lag === null && random.below(3) === 0;
    lives.push({
      commands: lag !== null || random.below(3) === 0 ? random.below(120) : random.below(30),
      crashAfter: random.below(5) === 0 ? null : 1 + random.below(early ? 25 : 150),
      closes: random.below(2) === 0,
      crash: pick(...crashes),
    });
  }
  return {
    seed,
    lives,
    largePercent: lag === null ? pick(0, 15, 30) : 50,
    options: {
      ...tinyStore,
      bucketCount: pick(1, 2, 2, 3),
      segmentBytes: pick(8, 8, 20, 64) * 1024,
      headsMax: pick(1, 4, 100),
      filterBytes: pick(0, 100_000),
    },
    onDisk: (disk) => {
      if (lag !== null) disk.delayNext({ operation: lag, path: /\.log$/, times: 1000 }, 60);
    },
  };
}

test('random crashes', async (t) => {
  for (const seed of seeds(100)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, async () => {
        await runCrashes(drawPlan(seed));
      }),
    );
  }
});

test('a crash at every operation of a small workload, twice in a row', async (t) => {
  const step = process.env['SEEDS'] === undefined ? 7 : 1;
  for (const [name, crash] of [
    ['process', 'process'],
    ['power', powerCut],
  ] as const) {
    await t.test(`${name} crash`, async () => {
      for (let count = 1 + (step >> 1); ; count += step) {
        const life: Life = { commands: 25, crashAfter: count, closes: true, crash };
        const again: Life = { ...life, commands: 5, crashAfter: 1 + (count % 20) };
        const plan: CrashPlan = { seed: 4711, lives: [life, again], largePercent: 30 };
        const { ends } = await runCrashes(plan).catch((error: unknown) => {
          throw new Error(`crash after ${count} operations: ${(error as Error).message}`, {
            cause: error,
          });
        });
        if (ends[0] === 'done') break;
        assert(count < 5000, 'the workload ends');
      }
    });
  }
});
