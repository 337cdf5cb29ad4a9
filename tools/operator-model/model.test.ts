/** The planner against a whole world, by seed; see `run.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { seeds, underSeed } from '../../common/testing/seeds.ts';
import { movesOf, run } from './run.ts';

const TRACE_LINES = 40;

/** Run again with a trace when it fails. */
function traced(seed: number): number {
  try {
    return run(seed).records;
  } catch (error) {
    const lines: string[] = [];
    try {
      run(seed, (line) => lines.push(line()));
    } catch {
      // The same.
    }
    const shown = lines.slice(-TRACE_LINES).join('\n');
    throw new Error(`${(error as Error).message}\n${shown}`, { cause: error });
  }
}

test('whatever is wanted and goes wrong, a cluster becomes what it is to be', async () => {
  let records = 0;
  for (const seed of seeds(150)) {
    await underSeed('tools/operator-model/model.test.ts', seed, async (each) => {
      records += traced(each);
    });
  }
  assert(records > 0, 'clusters are formed');
});

test('a cluster that grows or shrinks undisturbed moves no more than it has to', async () => {
  let moved = 0;
  for (const seed of seeds(30, 10)) {
    await underSeed('tools/operator-model/model.test.ts', seed, async (each) => {
      const { begun, needed } = movesOf(each);
      assert.equal(begun, needed);
      moved += begun;
    });
  }
  assert(moved > 0, 'something is moved');
});
