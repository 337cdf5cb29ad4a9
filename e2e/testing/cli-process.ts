/**
 * A command of the program as a process of its own.
 *
 * ```ts
 * await using cli = new CliProcess(['subscribe', 's'], node.port);
 * await cli.line(/s@0/); cli.kill('SIGINT'); await cli.exited;
 * ```
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Exit } from './node-process.ts';

const main = join(import.meta.dirname, '..', '..', 'node', 'src', 'main.ts');

export interface Ended extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export class CliProcess implements AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves when the process is gone and its output is read. */
  readonly exited: Promise<Ended>;
  readonly lines: string[] = [];
  readonly notes: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(
    words: readonly string[],
    port: number,
    command: readonly string[] = [process.execPath, main],
  ) {
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('SIERRA'));
    const env = { ...Object.fromEntries(kept), SIERRADB_ADDRESS: `127.0.0.1:${port}` };
    const [program = '', ...first] = command;
    this.child = spawn(program, [...first, ...words], { env });
    this.#collect(this.child.stdout, this.lines);
    this.#collect(this.child.stderr, this.notes);
    const { promise, resolve } = Promise.withResolvers<Ended>();
    this.exited = promise;
    this.child.once('close', (code, signal) => {
      const [stdout, stderr] = [this.lines, this.notes].map((lines) => `${lines.join('\n')}\n`);
      resolve({ code, signal, stdout: stdout ?? '', stderr: stderr ?? '' });
      this.#wake();
    });
  }

  /** Resolves with the first line of standard output that matches; rejects when the process ends without one. */
  line(pattern: RegExp): Promise<string> {
    return this.#find(this.lines, pattern);
  }

  /** The same of standard error. */
  note(pattern: RegExp): Promise<string> {
    return this.#find(this.notes, pattern);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.exited;
  }

  #collect(stream: NodeJS.ReadableStream, lines: string[]): void {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      this.#wake();
    });
  }

  async #find(lines: readonly string[], pattern: RegExp): Promise<string> {
    for (;;) {
      const found = lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        const { stdout, stderr } = await this.exited;
        throw new Error(`no ${String(pattern)} in\n${stdout}${stderr}`);
      }
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** Runs a command to its end. */
export async function runCli(
  words: readonly string[],
  port: number,
  input?: string,
): Promise<Ended> {
  const cli = new CliProcess(words, port);
  cli.child.stdin.on('error', () => undefined);
  cli.child.stdin.end(input);
  return cli.exited;
}
