/**
 * Whole clusters in one process, by seed: `npm run simulate -- --seeds 100 --from 1`. A seed that fails prints why, the end of
 * its trace, and the command that repeats it; `--trace` prints all of it, every message included.
 */
import { parseArgs } from 'node:util';

import { simulate, SimulationFailure } from './simulate/simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    from: { type: 'string' },
    trace: { type: 'boolean', default: false },
    /** Go on after a seed that fails. */
    all: { type: 'boolean', default: false },
    /** No seed is begun after that. */
    seconds: { type: 'string', default: 'Infinity' },
  },
});
const seeds = Number(values.seeds);
const from = Number(values.from ?? Math.floor(Math.random() * 2 ** 31));
if (!(seeds > 0) || !(from >= 0)) {
  process.stderr.write(
    'usage: npm run simulate -- [--seeds N] [--from SEED] [--trace] [--all] [--seconds N]\n',
  );
  process.exit(1);
}

const endMs = performance.now() + 1000 * Number(values.seconds);
const TRACE_LINES = 80;
const totals = new Map<string, number>();
const started = performance.now();
let simulatedMs = 0;
let failed = 0;
let begun = 0;

for (let seed = from; seed < from + seeds; seed += 1) {
  if (performance.now() > endMs) break;
  begun += 1;
  try {
    const report = await simulate(seed, { tracesMessages: values.trace });
    if (values.trace) process.stdout.write(`${report.trace.join('\n')}\n`);
    simulatedMs += report.simulatedMs;
    for (const [name, value] of Object.entries(report)) {
      if (typeof value === 'number') totals.set(name, (totals.get(name) ?? 0) + value);
    }
    for (const [name, count] of Object.entries(report.faults)) {
      totals.set(`(${name})`, (totals.get(`(${name})`) ?? 0) + count);
    }
  } catch (error) {
    failed += 1;
    if (!(error instanceof SimulationFailure)) throw error;
    const lines = values.trace ? error.trace : error.trace.slice(-TRACE_LINES);
    process.stdout.write(`${lines.join('\n')}\n`);
    const { cause } = error;
    process.stderr.write(
      `${error.message}\n${cause instanceof Error ? String(cause.stack) : ''}\n`,
    );
    if (!values.all) break;
  }
}

const seconds = (performance.now() - started) / 1000;
totals.delete('seed');
totals.delete('simulatedMs');
const counts = [...totals].map(([name, value]) => `${name} ${String(value)}`).join(', ');
process.stdout.write(
  `${String(begun)} seeds from ${String(from)}: ${String(failed)} failed, ${(simulatedMs / 1000).toFixed(0)} simulated seconds ` +
    `in ${seconds.toFixed(1)} s; ${counts}\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
