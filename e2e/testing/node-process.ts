/**
 * The program as a process of its own, on a directory that is removed at the end.
 *
 * ```ts
 * await using node = await NodeProcess.start({ flags: ['--set', 'bucket.count=2'] });
 * node.port; node.kill(); await node.exited;
 * ```
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The program, from its sources. */
export const main: string = join(import.meta.dirname, '..', '..', 'node', 'src', 'main.ts');

export interface StartOptions {
  /** Further flags, behind the addresses and the directory. */
  readonly flags?: readonly string[];
  /** Used again and left alone at the end; without it a new one is made and removed. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Where clients connect; loopback by default. */
  readonly host?: string;
  /** Program and first arguments; the sources by default. */
  readonly command?: readonly string[];
  /** Shown the process before it listens. */
  readonly onSpawn?: (node: NodeProcess) => void;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What the program logs; pino's lines. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

/** Runs the program to its end. */
export async function runProgram(
  flags: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, [main, ...flags], { env: cleanEnvironment(environment) });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout: stdout(), stderr: stderr() };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** Without settings of the machine that the tests run on. */
function cleanEnvironment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('SIERRA') && name !== 'UV_THREADPOOL_SIZE',
  );
  return { ...Object.fromEntries(kept), ...more };
}

export class NodeProcess implements AsyncDisposable {
  readonly directory: string;
  readonly pid: number;
  readonly host: string;
  /** Resolves when the process is gone. */
  readonly exited: Promise<Exit>;
  readonly log: LogLine[] = [];
  port = 0;
  adminPort = 0;
  readonly #child: ChildProcess;
  readonly #isOwnDirectory: boolean;
  #stderr = '';

  /** Resolves when it listens; rejects with what it wrote when it ends before. */
  static async start(options: StartOptions = {}): Promise<NodeProcess> {
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'sierradb-')));
    const node = new NodeProcess(directory, options);
    options.onSpawn?.(node);
    try {
      await node.#listening();
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
    return node;
  }

  private constructor(directory: string, options: StartOptions) {
    const [program = process.execPath, ...first] = options.command ?? [process.execPath, main];
    const { flags = [], environment = {}, host = '127.0.0.1' } = options;
    const addresses = ['--client-address', `${host}:0`, '--admin-address', '127.0.0.1:0'];
    this.host = host;
    this.directory = directory;
    this.#isOwnDirectory = options.directory === undefined;
    this.#child = spawn(program, [...first, '--dir', directory, ...addresses, ...flags], {
      env: cleanEnvironment(environment),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = this.#child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        resolve({ code, signal });
      });
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  /** Ends it at once, as a crash would. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop and waits until it has. */
  stop(): Promise<Exit> {
    this.kill('SIGTERM');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.exited;
    if (this.#isOwnDirectory) await rm(this.directory, { recursive: true, force: true });
  }

  async #listening(): Promise<void> {
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the process has no standard output');
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
    createInterface({ input: stdout }).on('line', (text) => {
      const line = JSON.parse(text) as LogLine;
      this.log.push(line);
      if (line.msg === 'listening') resolve(line);
    });
    void this.exited.then((exit) => {
      reject(new Error(`the node ended with ${JSON.stringify(exit)}: ${this.#stderr}`));
    });
    const line = await promise;
    this.port = portOf(line['client']);
    this.adminPort = portOf(line['admin']);
  }
}

function portOf(address: unknown): number {
  return Number(/:(\d+)$/.exec(String(address))?.[1]);
}
