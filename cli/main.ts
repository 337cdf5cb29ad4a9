/**
 * The commands for people: `sierradb append|read|subscribe|info` against a running node. This file is the process's side: its
 * streams, signals and exit code. `run-command.ts` runs a command, each command is a file in `commands/`.
 */
import { SierraClient } from '../client/index.ts';
import { assert } from '../common/assert.ts';
import { signalCode } from './exit-code.ts';
import { commands, runCommand } from './run-command.ts';

/** A terminal's Ctrl-C reaches the whole process group and wrappers pass it on: a repeat this soon is the same request. */
const REPEAT_MS = 500;

/** Leaves the exit code with the process, which ends when everything is written. */
export async function clientProgram(name: string, given: readonly string[]): Promise<void> {
  const command = commands.find((each) => each.name === name);
  assert(command !== undefined, `no command ${name}`);
  const { stdin, stdout, stderr, env } = process;
  // Whoever closes standard error wants to hear nothing.
  stderr.on('error', () => undefined);
  process.exitCode = await runCommand(command, given, {
    input: () => stdin,
    output: stdout,
    errors: stderr,
    environment: env,
    terminal: {
      isTerminal: stdout.isTTY,
      hasColours: stdout.isTTY && stdout.hasColors(),
    },
    connect: (address, options) => SierraClient.connect(address, options),
    interrupts: onSignals,
  });
}

/** Calls back with the exit code when a signal comes; a second one ends the process at once. */
function onSignals(callback: (code: number) => void): void {
  let firstMs: number | null = null;
  for (const [signal, code] of Object.entries(signalCode)) {
    process.on(signal, () => {
      if (firstMs !== null && performance.now() - firstMs > REPEAT_MS) process.exit(code);
      firstMs ??= performance.now();
      callback(code);
    });
  }
}
