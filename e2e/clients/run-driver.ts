/** Runs a driver against a node of its own and collects what it reports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { NodeProcess } from '../testing/node-process.ts';
import { checks, type Check, type Identity, type Line, type Outcome } from './checks.ts';
import type { Driver } from './toolchains.ts';

/** A driver that does not end by then has lost a reply or a push. */
const LIMIT_MS = 90_000;

export interface Run extends Identity {
  readonly outcomes: Readonly<Record<Check, Outcome>>;
}

export async function runDriver(driver: Driver, variant: string): Promise<Run> {
  await using node = await NodeProcess.start();
  const [program, ...args] = driver.command;
  const child = spawn(program, [...args, String(node.port), variant], {
    env: { ...process.env, ...driver.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  const end = `the driver ended with ${signal ?? `exit code ${status}`}: ${Buffer.concat(stderr).toString().slice(-2000)}`;
  return summary(Buffer.concat(stdout).toString(), status === 0 ? undefined : end);
}

/** `trouble` is what ended the driver before its time: the first check that it has not reported failed with it. */
function summary(output: string, trouble: string | undefined): Run {
  const lines = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
  const identity = lines.find((line) => 'version' in line);
  if (identity === undefined) throw new Error(trouble ?? `the driver reported nothing: ${output}`);
  const reported = lines.filter((line) => 'check' in line);
  const outcomes = checks.map((check): [Check, Outcome] => {
    const line = reported.find((other) => other.check === check);
    if (line === undefined) {
      return [check, { outcome: 'failed', message: trouble ?? 'the driver left it out' }];
    }
    const { check: _, ...outcome } = line;
    return [check, outcome];
  });
  return { ...identity, outcomes: Object.fromEntries(outcomes) as Record<Check, Outcome> };
}
