/**
 * `npm run bench`: this node and, if it is installed, redis-server, under the same load on the same disk. How to read
 * what it prints: README.md beside this file.
 */
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

import { Bench } from './bench.ts';
import { LoadProcess } from './load/load-process.ts';
import { type BenchOptions, parseOptions, usage } from './options.ts';
import { formatTable, judge } from './report.ts';
import { age } from './scenarios/age.ts';
import { appends, buckets, disk } from './scenarios/appends.ts';
import { memory, space } from './scenarios/footprint.ts';
import { catchUp, pushCounter } from './scenarios/history.ts';
import { idle, idleMemory } from './scenarios/idle.ts';
import { catchUpSegments } from './scenarios/missed-data.ts';
import { failover, handover } from './scenarios/leader-loss.ts';
import { fanOut, live } from './scenarios/live.ts';
import { gets, scans } from './scenarios/reads.ts';
import { clusterBuckets, clusterIdle, replicated } from './scenarios/replicated.ts';
import { stalled } from './scenarios/stalled.ts';
import { recovery, start } from './scenarios/start-up.ts';
import { transactions } from './scenarios/transactions.ts';
import { killServers, redisVersion } from './servers.ts';

const scenarios: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  appends,
  disk,
  buckets,
  transactions,
  scans,
  gets,
  age,
  recovery,
  start,
  space,
  memory,
  'push-counter': pushCounter,
  'catch-up': catchUp,
  live,
  'fan-out': fanOut,
  idle,
  'idle-memory': idleMemory,
  stalled,
  replicated,
  'cluster-idle': clusterIdle,
  'cluster-buckets': clusterBuckets,
  failover,
  handover,
  'catch-up-segments': catchUpSegments,
};

function readOptions(): BenchOptions {
  try {
    const options = parseOptions(process.argv.slice(2));
    const unknown = options.only?.find((name) => !(name in scenarios));
    if (unknown !== undefined) throw new Error(`there is no scenario '${unknown}'`);
    return options;
  } catch (error) {
    const names = Object.keys(scenarios).join(', ');
    process.stderr.write(`${(error as Error).message}\n\n${usage}scenarios: ${names}\n`);
    process.exit(2);
  }
}

/** Runs the scenarios one after the other; answers the sentences of those that failed. */
async function runAll(bench: Bench): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (bench.options.only?.includes(name) === false) continue;
    bench.progress(name);
    const startedAt = performance.now();
    try {
      await scenario(bench);
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
      bench.progress(`  failed: ${(error as Error).message}`);
    }
    bench.progress(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }
  return failures;
}

function writeJson(bench: Bench, file: string, failures: readonly string[]): void {
  const rows = bench.rows.map((row) => ({ ...row, met: judge(row) }));
  const { options, runs } = bench;
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version };
  writeFileSync(file, JSON.stringify({ options, machine, rows, failures, runs }, null, 1));
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody else's files are in it.
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  const redis = redisVersion();
  // A folder of its own, so that a second benchmark beside this one spoils its figures but not its data.
  mkdirSync(options.directory, { recursive: true });
  const folder = mkdtempSync(join(options.directory, 'run-'));
  process.once('exit', () => {
    killServers();
    rmSync(folder, { recursive: true, force: true });
    removeIfEmpty(options.directory);
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => process.exit(130));
  await using load = new LoadProcess();
  const bench = new Bench(options, folder, load, redis !== null);
  const failures = await runAll(bench);
  const { rounds, seconds } = options.sizes;
  process.stdout.write(
    `\nour node on Node.js ${process.version} against redis-server ${redis ?? '(not installed)'}, ` +
      `${String(cpus().length)} cores, ${String(rounds)} interleaved rounds of ${String(seconds)} s: median [min..max]\n\n` +
      `${formatTable(bench.rows)}\n`,
  );
  for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
  if (options.jsonFile !== null) writeJson(bench, options.jsonFile, failures);
  return failures.length === 0 ? 0 : 1;
}

process.exitCode = await main();
