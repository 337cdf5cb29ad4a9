/**
 * The suites are tested: each fault of `tools/planted-faults/faults.ts` is planted in turn, and its suite must fail. Without
 * a fault it must pass, or its failing would prove nothing.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import test from 'node:test';

import { type PlantedFault, plantedFaults } from '../tools/planted-faults/faults.ts';

const LIMIT_MS = 180_000;

type Outcome = 'passed' | 'failed' | 'not planted' | 'too slow';

/** Runs a suite until its end or its first failure. */
async function run(
  { suite, tests, seed, seeds }: Pick<PlantedFault, 'suite' | 'tests' | 'seed' | 'seeds'>,
  fault: string | null,
): Promise<[Outcome, string]> {
  const { SEED: _seed, SEEDS: _seeds, NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
  const child = spawn(
    process.execPath,
    [
      ...(fault === null ? [] : ['--import', './tools/planted-faults/plant.ts']),
      '--test-reporter=tap',
      ...(tests === undefined ? [] : [`--test-name-pattern=${tests}`]),
      suite,
    ],
    {
      cwd: new URL('..', import.meta.url),
      env: {
        ...inherited,
        ...(fault === null ? {} : { PLANTED_FAULT: fault }),
        ...(seed === undefined ? {} : { SEED: String(seed) }),
        ...(seeds === undefined ? {} : { SEEDS: String(seeds) }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  let stopped: Outcome | null = null;
  const end = (how: Outcome): void => {
    stopped = how;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => {
    end('too slow');
  }, LIMIT_MS);
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    if (/^\s*not ok /m.test(output)) end('failed');
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  const byItself = code === 0 ? 'passed' : code === 99 ? 'not planted' : 'failed';
  return [(stopped as Outcome | null) ?? byItself, output];
}

test('without a fault the suites pass', { concurrency: 2 }, async (t) => {
  const suites = new Set(plantedFaults.map(({ suite }) => suite));
  await Promise.all(
    [...suites].map((suite) =>
      t.test(suite, async () => {
        const [outcome, output] = await run({ suite }, null);
        assert.equal(outcome, 'passed', output);
      }),
    ),
  );
});

test('each planted fault makes its suite fail', { concurrency: 2 }, async (t) => {
  assert(plantedFaults.length >= 12);
  await Promise.all(
    plantedFaults.map((fault) =>
      t.test(fault.name, async () => {
        const [outcome, output] = await run(fault, fault.name);
        assert.equal(
          outcome,
          'failed',
          `${fault.suite} does not notice it\n${output.slice(-2000)}`,
        );
      }),
    ),
  );
});
