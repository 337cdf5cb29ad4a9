/** Programs that are run to their end, with a limit to their time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface CommandOptions {
  /** Standard input. */
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** After that it is killed; default 60,000. */
  readonly timeoutMs?: number;
}

/** It ended otherwise than with 0. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly stderr: string;

  constructor(line: string, end: string, stderr: string) {
    super(`${line}\n${end}: ${stderr.trim()}`);
    this.stderr = stderr;
  }
}

const TIMEOUT_MS = 60_000;
const LINE_LENGTH_MAX = 300;

/** Resolves with standard output. Rejects with {@link CommandError}. */
export async function run(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { input = '', environment = {}, timeoutMs = TIMEOUT_MS } = options;
  const child = spawn(program, args, {
    env: { ...process.env, ...environment },
    signal: AbortSignal.timeout(timeoutMs),
    killSignal: 'SIGKILL',
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  // A program that ends before it has read all says so by its exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const line = [program, ...args].join(' ').slice(0, LINE_LENGTH_MAX);
  const stderr = (): string => Buffer.concat(errors).toString();
  const [code, signal] = (await once(child, 'close').catch((error: unknown) => {
    const took = (error as Error).name === 'AbortError' ? `not done in ${timeoutMs} ms` : '';
    throw new CommandError(line, took || (error as Error).message, stderr());
  })) as [number | null, string | null];
  if (code !== 0) throw new CommandError(line, `exit ${code ?? signal ?? ''}`, stderr());
  return Buffer.concat(output).toString();
}
