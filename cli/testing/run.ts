/** Runs a command against a fake client and collects what it says. */
import { PassThrough, Writable } from 'node:stream';

import type { Client, ClientOptions } from '../../client/index.ts';
import { commands, runCommand, type World } from '../run-command.ts';
import { FakeClient } from './fake-client.ts';

export interface RunOptions {
  readonly fake?: FakeClient;
  readonly input?: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly output?: Writable;
  readonly connect?: (address: string, options: ClientOptions) => Promise<Client>;
}

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartedRun {
  readonly ended: Promise<Run>;
  /** As Ctrl-C. */
  readonly interrupt: () => void;
  readonly stdout: () => string;
}

export function collector(): { readonly stream: Writable; readonly text: () => string } {
  const pieces: Buffer[] = [];
  const stream = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      pieces.push(piece);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(pieces).toString('utf8') };
}

export function start(words: readonly string[], options: RunOptions = {}): StartedRun {
  const [name, ...given] = words;
  const command = commands.find((each) => each.name === name);
  if (command === undefined) throw new Error(`no command ${name ?? ''}`);
  const { fake = new FakeClient(), environment = {} } = options;
  const [output, errors] = [collector(), collector()];
  let interrupt: (code: number) => void = () => undefined;
  const world: World = {
    input: () => inputOf(options.input ?? ''),
    output: options.output ?? output.stream,
    errors: errors.stream,
    environment,
    terminal: { isTerminal: false, hasColours: false },
    connect: options.connect ?? ((): Promise<Client> => Promise.resolve(fake.client)),
    interrupts: (callback) => (interrupt = callback),
  };
  const ended = runCommand(command, given, world).then((code) => ({
    code,
    stdout: output.text(),
    stderr: errors.text(),
  }));
  return { ended, interrupt: () => interrupt(130), stdout: output.text };
}

export const run = (words: readonly string[], options: RunOptions = {}): Promise<Run> =>
  start(words, options).ended;

function inputOf(input: NonNullable<RunOptions['input']>): AsyncIterable<Uint8Array> {
  if (typeof input !== 'string' && !(input instanceof Uint8Array)) return input;
  const stream = new PassThrough();
  stream.end(input);
  return stream;
}
