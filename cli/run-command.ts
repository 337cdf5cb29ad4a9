/** Runs one command from its words to its exit code. */
import type { Writable } from 'node:stream';

import { type Client, type ClientOptions, InvalidArgumentError } from '../client/index.ts';
import { addressOf, shownAddress } from './address.ts';
import type { Action, Command, Session, Terminal } from './command.ts';
import { append } from './commands/append.ts';
import { cluster } from './commands/cluster.ts';
import { info } from './commands/info.ts';
import { read } from './commands/read.ts';
import { subscribe } from './commands/subscribe.ts';
import { exitCode } from './exit-code.ts';
import { flagsOf, helpText } from './help.ts';
import { type Line, parseLine } from './line.ts';
import { Output } from './output.ts';
import { Reporter } from './reporter.ts';
import { statusNotes } from './status-notes.ts';
import { UsageError } from './usage-error.ts';

export const commands: readonly Command[] = [append, read, subscribe, info, cluster];

/** What a command meets: the process, or a test. */
export interface World {
  readonly input: () => AsyncIterable<Uint8Array>;
  readonly output: Writable;
  readonly errors: Writable;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly terminal: Terminal;
  readonly connect: (address: string, options: ClientOptions) => Promise<Client>;
  /** Calls back with an exit code when the command is to end. */
  readonly interrupts: (callback: (code: number) => void) => void;
}

/** Resolves with the exit code when everything is written. */
export async function runCommand(
  command: Command,
  given: readonly string[],
  world: World,
): Promise<number> {
  const reporter = new Reporter(world.errors);
  const output = new Output(world.output);
  const where = `sierradb ${command.name}`;
  let code: number;
  try {
    const line = parseLine(given, flagsOf(command));
    reporter.isJson = line.has('json');
    reporter.isQuiet = line.has('quiet');
    if (line.has('help')) code = await help(command, output);
    else code = await act(command, line, { world, reporter, output });
  } catch (error) {
    code = reporter.failure(error, where);
    if (error instanceof UsageError) reporter.note(`${where} --help says more`);
  }
  await output.flush();
  if (output.error === null) return code;
  reporter.note(`${where}: cannot write: ${output.error.message}`);
  return exitCode.file;
}

async function help(command: Command, output: Output): Promise<number> {
  await output.line(helpText(command).trimEnd());
  return exitCode.done;
}

interface Surroundings {
  readonly world: World;
  readonly reporter: Reporter;
  readonly output: Output;
}

async function act(
  command: Command,
  line: Line,
  { world, reporter, output }: Surroundings,
): Promise<number> {
  const action: Action = command.prepare(line);
  if (command.isForMembers === true)
    return action(sessionOf(noClient, '', { world, reporter, output }));
  const address = addressOf(line.text('address') ?? world.environment['SIERRADB_ADDRESS']);
  const timeoutMs = (line.number('timeout', 1) ?? 30) * 1000;
  reporter.address = shownAddress(address);
  let isOpen = true;
  const status = statusNotes((sentence) => reporter.note(sentence), command.isLive === true);
  const client = await connect(world, address, {
    timeoutMs,
    connectTimeoutMs: Math.min(5000, timeoutMs),
    onStatus: (change) => {
      if (isOpen) status(change);
    },
  });
  const interrupt = new AbortController();
  if (command.isLive === true) world.interrupts((code) => interrupt.abort(code));
  interrupt.signal.addEventListener('abort', () => (isOpen = false));
  try {
    const surroundings = { world, reporter, output };
    return await action(sessionOf(() => client, reporter.address, surroundings, interrupt.signal));
  } finally {
    isOpen = false;
    await client.close();
  }
}

function sessionOf(
  client: () => Client,
  address: string,
  { world, reporter, output }: Surroundings,
  signal: AbortSignal = new AbortController().signal,
): Session {
  return {
    get client() {
      return client();
    },
    address,
    output,
    input: { [Symbol.asyncIterator]: () => world.input()[Symbol.asyncIterator]() },
    isJson: reporter.isJson,
    terminal: world.terminal,
    signal,
    note: (sentence) => reporter.note(sentence),
    failure: (error, place) => reporter.failure(error, place),
  };
}

function noClient(): never {
  throw new Error('a command for members has no client');
}

async function connect(world: World, address: string, options: ClientOptions): Promise<Client> {
  try {
    return await world.connect(address, options);
  } catch (error) {
    // The only argument that is looked at here is the address.
    if (error instanceof InvalidArgumentError) throw new UsageError(`--address: ${error.message}`);
    throw error;
  }
}
