/** Whole clusters, by seed; see `simulation.ts`. `npm run simulate` runs as many as one likes. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { seeds } from '../../common/testing/seeds.ts';
import { simulate, type SimulationReport, SimulationFailure } from './simulation.ts';

const TRACE_LINES = 60;

async function run(seed: number): Promise<SimulationReport> {
  try {
    return await simulate(seed);
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    throw new Error(`${error.trace.slice(-TRACE_LINES).join('\n')}\n${error.message}`, {
      cause: error,
    });
  }
}

test('a cluster loses nothing, whatever goes wrong', async (t) => {
  let done = 0;
  for (const seed of seeds(20)) {
    await t.test(`seed ${String(seed)}`, async () => {
      const report = await run(seed);
      done += report.done;
    });
  }
  assert(done > 0, 'clients are served');
});

test('a seed gives the same run again', async () => {
  const [first, second] = [await run(3), await run(3)];
  assert.deepEqual(first, second);
});
