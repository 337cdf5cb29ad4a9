/** The TypeScript examples, as processes against a running node. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { json, SierraClient } from '../client/index.ts';
import { NodeProcess } from './testing/node-process.ts';

const root = join(import.meta.dirname, '..');
const preload = join(import.meta.dirname, 'testing', 'from-sources.ts');

/** An example under way. */
class Example implements AsyncDisposable {
  readonly lines: Interface;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  #stderr = '';

  constructor(name: string, ...operands: readonly string[]) {
    const given = ['--import', preload, join(root, 'examples', name), ...operands];
    const child = spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    this.lines = createInterface({ input: child.stdout });
    this.#child = child;
    this.#exited = once(child, 'exit');
  }

  /** Everything it prints until its end, which must be a good one. */
  async finished(): Promise<string[]> {
    const printed: string[] = [];
    for await (const line of this.lines) printed.push(line);
    const [code] = await this.#exited;
    assert.equal(code, 0, this.#stderr);
    return printed;
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

describe('examples', () => {
  let node: NodeProcess;
  let url = '';
  let directory = '';

  before(async () => {
    node = await NodeProcess.start();
    url = `sierradb://127.0.0.1:${node.port}`;
    directory = await mkdtemp(join(tmpdir(), 'sierradb-examples-'));
  });
  after(async () => {
    await node[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  it('an aggregate: no change is lost or made twice', async () => {
    await using example = new Example('aggregate.ts', url);
    const [refused, result] = await example.finished();
    assert.equal(refused, 'only 40 left');
    assert.match(result ?? '', /^account-\S+ version 3 balance 40$/);
  });

  it('a projection: live, and it goes on where it stopped', async () => {
    await using client = await SierraClient.connect(url);
    const move = async (name: string, amount: number): Promise<void> => {
      await client.append('account-1', { name, payload: json({ amount }) });
    };
    /** Starts it, does something when it has shown a balance, and stops it when it has shown another. */
    const run = async (
      from: number,
      meanwhile: () => Promise<void>,
      to: number,
    ): Promise<string[]> => {
      await using projection = new Example('projection.ts', url, directory);
      const seen: string[] = [];
      projection.lines.on('line', (line) => {
        if (!line.startsWith('account-1 ')) return;
        seen.push(line);
        if (line === `account-1 ${from}`) void meanwhile();
        if (line === `account-1 ${to}`) projection.interrupt();
      });
      await projection.finished();
      return seen;
    };
    await move('Deposited', 100);
    assert.deepEqual(await run(100, () => move('Withdrawn', 30), 70), [
      'account-1 100',
      'account-1 70',
    ]);
    await move('Deposited', 5);
    assert.deepEqual(await run(75, () => move('Withdrawn', 1), 74), [
      'account-1 75',
      'account-1 74',
    ]);
  });
});
