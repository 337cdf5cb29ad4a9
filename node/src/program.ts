/**
 * The node's part of the program: reads settings from the command line, then runs a node until a signal or a failed disk ends
 * it. Exit code 0 after a clean stop, 1 after a mistake or a failure, with one sentence that says which.
 */
import { setFlagsFromString } from 'node:v8';

import pino, { type Logger } from 'pino';
import { nearest } from '../../common/nearest.ts';
import { clientCommands } from './client-commands.ts';
import {
  formatAddress,
  formatEffective,
  formatProblems,
  loadConfig,
  usage,
  type CommandLine,
  type Compiled,
  type NodeConfig,
} from './config.ts';
import type { RunningNode } from './server.ts';
import { setHeapGrowth } from './heap-growth.ts';
import { StartError } from './start-error.ts';
import { version } from './version.ts';

const nodeCommands = ['start', 'config', 'verify', 'repair', 'help'];

/** A terminal's Ctrl-C reaches the whole process group and wrappers pass it on: a repeat this soon is the same request. */
const REPEAT_MS = 500;

/** `given` are the arguments behind the program's name. Leaves the exit code with the process. */
export async function nodeProgram(given: readonly string[]): Promise<void> {
  const { line, compiled } = loadConfig(given, process.env);
  const [command = 'start', ...operands] = line.positionals;
  if (line.help || command === 'help') print(usage());
  else if (line.version) print(`sierradb ${version}\n`);
  else if (compiled.ok) await run(command, operands, line, compiled);
  else fail(formatProblems(compiled.problems));
}

async function run(
  command: string,
  operands: readonly string[],
  line: CommandLine,
  { config, effective, warnings }: Extract<Compiled, { ok: true }>,
): Promise<void> {
  switch (command) {
    case 'start':
      if (operands.length === 0) await start(config, warnings);
      else fail(`start takes flags only, not ${operands.join(' ')}`);
      break;
    case 'config':
      print(formatEffective(effective));
      break;
    case 'verify':
    case 'repair':
      await inspect(command, operands, line);
      break;
    case 'cluster':
      await recover(operands, line);
      break;
    default:
      fail(`unknown command ${command}; ${hint(command)}`);
  }
}

async function inspect(
  command: 'verify' | 'repair',
  operands: readonly string[],
  { json, yes }: CommandLine,
): Promise<void> {
  const [directory, ...more] = operands;
  if (directory === undefined || more.length > 0) {
    fail(`usage: sierradb ${command} DIR`);
    return;
  }
  const { maintain } = await import('./maintenance.ts');
  process.exitCode = await maintain(command, directory, { json, yes });
}

/** What `main.ts` leaves of `cluster` to the node. */
async function recover(
  [verb, directory, ...more]: readonly string[],
  line: CommandLine,
): Promise<void> {
  if (verb !== 'recover' || directory === undefined || more.length > 0) {
    fail('usage: sierradb cluster recover --unsafe DIR [--yes] [--lose-missing] [--json]');
    return;
  }
  const { json, yes, unsafe, 'lose-missing': loseMissing } = line;
  const { recoverSurvivor } = await import('./maintenance.ts');
  process.exitCode = await recoverSurvivor(directory, { json, apply: yes && unsafe, loseMissing });
}

function hint(command: string): string {
  // npm takes flags for its own unless they stand behind `--`, and leaves their values as words.
  if (process.env['npm_lifecycle_event'] === 'start') {
    return 'with npm, flags stand behind --: npm start -- --dir DIR';
  }
  if (clientCommands.includes(command)) return `its flags stand behind it: sierradb ${command} …`;
  const near = nearest(command, [...nodeCommands, ...clientCommands]);
  return near === null ? 'sierradb --help names them' : `did you mean ${near}?`;
}

function print(text: string): void {
  process.stdout.write(text);
}

function fail(sentence: string): void {
  process.stderr.write(sentence.endsWith('\n') ? sentence : `${sentence}\n`);
  process.exitCode = 1;
}

async function start(config: NodeConfig, warnings: readonly string[]): Promise<void> {
  // libuv reads it when its pool is first used. Nothing has used it yet, and what might is only loaded behind this line.
  process.env['UV_THREADPOOL_SIZE'] ??= String(config.poolThreads);
  setHeapGrowth('narrow');
  // A burst of appends in flight outlives a small young generation. V8 would take them for long-lived and put the objects of
  // every later append into the old one: measured, a third more CPU per append, for good.
  setFlagsFromString('--no-allocation-site-pretenuring');
  // A young generation is collected by this thread alone. Helpers make a pause shorter where cores are free; where they are not
  // they wait for each other, measured with three nodes on two cores: 37 instead of 28 µs of CPU for an append.
  setFlagsFromString('--no-parallel-scavenge');
  const { startNode } = await import('./server.ts');
  const { nodeParts } = await import('./parts.ts');
  const log = makeLog(config.logLevel);
  for (const warning of warnings) log.warn(warning);
  process.on('uncaughtExceptionMonitor', (error) => {
    log.fatal({ err: error }, 'a mistake of ours ends the node; it recovers at its next start');
  });
  const running = stopOnSignal(log);
  try {
    const onFatal = (error: Error): void => endAfterFailure(log, error);
    running.node = await startNode(config, { version, log, parts: nodeParts, onFatal });
    showBanner(running.node, config);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    log.fatal(error.message);
    log.debug({ err: error.cause }, 'where it came from');
    fail(`sierradb: ${error.message}`);
    process.exit(1);
  }
}

function makeLog(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}

/** Ends the process at a signal: in order when there is a node, at once at the second signal. */
function stopOnSignal(log: Logger): { node: RunningNode | null } {
  const running: { node: RunningNode | null } = { node: null };
  let firstMs: number | null = null;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstMs !== null) {
      if (performance.now() - firstMs > REPEAT_MS) process.exit(1);
      return;
    }
    firstMs = performance.now();
    log.info({ signal }, 'stopping');
    void stopNode(log, running.node);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return running;
}

/** A node that is still starting has promised nothing to anyone, and its recovery may be interrupted anywhere. */
async function stopNode(log: Logger, node: RunningNode | null): Promise<void> {
  try {
    await node?.close();
    log.info('stopped');
    process.exit(0);
  } catch (error) {
    log.fatal({ err: error }, 'failed while stopping');
    process.exit(1);
  }
}

function endAfterFailure(log: Logger, error: Error): void {
  // That the directory is not what it was is a whole sentence.
  if (error instanceof StartError) log.fatal(error.message);
  else {
    log.fatal(
      { err: error },
      'a write or sync failed; the node stops, and recovers at its next start',
    );
  }
  // The replies that tell clients so are on their way; a moment later nothing of value is left to wait for.
  setTimeout(() => process.exit(1), 100);
}

/** A line for people; logs are for programs. */
function showBanner(node: RunningNode, { directory }: NodeConfig): void {
  if (!process.stdout.isTTY) return;
  const address = formatAddress(node.clientAddress);
  process.stdout.write(`SierraDB ${version} listens on ${address}, data in ${directory}\n`);
}
