/** The node program as a process of its own, on a fresh data directory and free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const program = path.resolve(import.meta.dirname, '../../node/src/main.ts');

export interface NodeProcessOptions {
  /** Data directory; a temporary one, removed afterwards, if absent. */
  readonly directory?: string;
  readonly flags?: readonly string[];
}

/** Resolves with the port of the line that says where the node listens; rejects if the program ends first. */
async function listeningPort(child: ChildProcess): Promise<number> {
  const output: string[] = [];
  if (child.stdout === null) throw new Error('standard output is a pipe');
  for await (const line of createInterface({ input: child.stdout })) {
    output.push(line);
    if (!line.startsWith('{')) continue;
    const { msg, client } = JSON.parse(line) as { msg?: string; client?: string };
    if (msg === 'listening' && client !== undefined) return Number(client.split(':').at(-1));
  }
  throw new Error(`the node ended before it listened:\n${output.join('\n')}`);
}

export class NodeProcess {
  readonly port: number;
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #ownsDirectory: boolean;

  static async start({ directory, flags = [] }: NodeProcessOptions = {}): Promise<NodeProcess> {
    const place = directory ?? (await mkdtemp(path.join(tmpdir(), 'sierradb-e2e-')));
    const child = spawn(
      process.execPath,
      [
        program,
        ...['--dir', place, '--client-address', '127.0.0.1:0', '--admin-address', '127.0.0.1:0'],
        ...flags,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      const port = await listeningPort(child);
      child.stdout.resume();
      return new NodeProcess(child, port, place, directory === undefined);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  private constructor(
    child: ChildProcess,
    port: number,
    directory: string,
    ownsDirectory: boolean,
  ) {
    this.#child = child;
    this.port = port;
    this.directory = directory;
    this.#ownsDirectory = ownsDirectory;
  }

  /** Sends the signal and resolves with the exit code when the program has ended; null if the signal killed it. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill(signal);
      await ended;
    }
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#ownsDirectory) await rm(this.directory, { recursive: true, force: true });
  }
}
