/** How a driver in TypeScript reports: one JSON line for each check. */
import { checks, type Check, type Identity, type Line, type Outcome } from '../checks.ts';

/** Thrown by a check when the library has no door for it, and what is there was found harmless. */
export class Absent extends Error {}

export type Checks = Readonly<Record<Check, () => Promise<void> | void>>;

function write(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Runs them in order. A check that fails does not keep the later ones from running. */
export async function report(identity: Identity, run: Checks): Promise<void> {
  write(identity);
  for (const check of checks) write({ check, ...(await outcomeOf(run[check])) });
}

async function outcomeOf(check: () => Promise<void> | void): Promise<Outcome> {
  try {
    await check();
    return { outcome: 'passed' };
  } catch (error) {
    if (error instanceof Absent) return { outcome: 'absent', reason: error.message };
    return { outcome: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
