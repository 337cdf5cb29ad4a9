/**
 * The Kubernetes that the tests run on: the one of `KUBECONFIG`, or else kubox (a real one on this machine), where its folder
 * is: `KUBOX`, by default `../shared/kubox` beside the checkout. kubox is started when it does not run, and left running.
 *
 * Elsewhere than on kubox the image has to be where the cluster can pull it (`SIERRADB_IMAGE`), Services have to be reachable
 * from here, and tests that break machines are skipped.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { imageFile, kubox as kuboxFolder } from '../images.ts';
import { type CommandOptions, run } from './command.ts';

const NODES = 3;
const START_MS = 180_000;
const FIRST_START_MS = 15 * 60_000;
const POLL_MS = 500;
/** What takes longer does not come, on a machine that is busy with other things too. */
export const READY_MS = 180_000;

const cache =
  process.env['KUBOX_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'kubox');
const kuboxRun = process.env['KUBOX_RUN'] ?? join(process.env['TMPDIR'] ?? tmpdir(), 'kubox');
const kuboxConfig = join(kuboxRun, 'admin.kubeconfig');

/** Why there is none; null where there is one, or one can be started. */
export function whyNoKubernetes(): string | null {
  if (process.env['KUBECONFIG'] !== undefined) return null;
  if (!existsSync(join(kuboxFolder, 'up.sh'))) {
    return `KUBECONFIG is not set, and there is no kubox in ${kuboxFolder}`;
  }
  return process.getuid?.() === 0 ? null : 'KUBECONFIG is not set, and kubox needs root';
}

export class Kubernetes {
  readonly kubeconfig: string;
  /** Null where the cluster is none that these tests may break. */
  readonly kubox: Kubox | null;
  readonly #environment: Readonly<Record<string, string>>;

  /** Resolves when it can be asked. Rejects where {@link whyNoKubernetes} has a reason. */
  static async open(): Promise<Kubernetes> {
    const given = process.env['KUBECONFIG'];
    if (given !== undefined && given !== kuboxConfig) return new Kubernetes(given, null);
    const kubox = new Kubox();
    if (!existsSync(kuboxConfig)) await kubox.up();
    return new Kubernetes(kuboxConfig, kubox);
  }

  private constructor(kubeconfig: string, kubox: Kubox | null) {
    this.kubeconfig = kubeconfig;
    this.kubox = kubox;
    const path = [join(cache, 'bin'), process.env['PATH'] ?? ''].join(delimiter);
    this.#environment = { KUBECONFIG: kubeconfig, PATH: path };
  }

  kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run('kubectl', args, { environment: this.#environment, ...options });
  }

  helm(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return run('helm', args, { environment: this.#environment, ...options });
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl([...args, '-o', 'json'])) as T;
  }

  /** Null where there is none. */
  async find<T>(args: readonly string[]): Promise<T | null> {
    const text = await this.kubectl(['get', ...args, '--ignore-not-found', '-o', 'json']);
    return text.trim() === '' ? null : (JSON.parse(text) as T);
  }

  /** Manifests as objects, or as text of YAML. */
  async apply(manifests: string | readonly object[], namespace?: string): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: manifests };
    const input = typeof manifests === 'string' ? manifests : JSON.stringify(list);
    const where = namespace === undefined ? [] : ['-n', namespace];
    await this.kubectl(['apply', ...where, '-f', '-'], { input });
  }

  /** What `kubectl wait` waits for: `--for=…` and what. Rejects with what it was instead. */
  async wait(args: readonly string[], timeoutMs: number): Promise<void> {
    const limit = `--timeout=${Math.ceil(timeoutMs / 1000)}s`;
    await this.kubectl(['wait', limit, ...args], { timeoutMs: timeoutMs + 5000 });
  }
}

/** Looks until it is something else than null or false. Rejects with what was seen last when the time is over. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  look: () => Promise<T | null | false>,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const [found, error] = await look().then(
      (value) => [value, null] as const,
      (reason: unknown) => [null, reason as Error] as const,
    );
    if (found !== null && found !== false) return found;
    if (performance.now() > end) {
      throw new Error(`not in ${timeoutMs} ms: ${what}`, ...(error ? [{ cause: error }] : []));
    }
    await delay(POLL_MS);
  }
}

/** The machines under the cluster, and its API server, as processes that can be stopped. */
export class Kubox {
  async up(): Promise<void> {
    await this.#script(FIRST_START_MS, 'build.sh');
    await this.#script(START_MS, 'up.sh');
  }

  /** Imports an image's file into every node. */
  async load(file: string): Promise<void> {
    await this.#script(START_MS, 'load-image.sh', file);
  }

  /** A machine that is gone, from one moment to the next. */
  async stopNode(index: number): Promise<void> {
    await this.#script(START_MS, 'node.sh', 'stop', String(index));
  }

  /** A new machine of that name, with the images that were loaded before. */
  async startNode(index: number): Promise<void> {
    await this.#script(START_MS, 'node.sh', 'start', String(index), zoneOf(index));
    if (existsSync(imageFile)) await this.load(imageFile);
  }

  /** Cuts the API server's time; what is returned lets it go on. */
  async freezeApiServer(): Promise<() => void> {
    const text = await readFile(join(kuboxRun, 'pid', 'apiserver'), 'utf8');
    const pid = Number(text.split(' ')[0]);
    assert.ok(pid > 1, `the API server is a process: ${text}`);
    process.kill(pid, 'SIGSTOP');
    return () => process.kill(pid, 'SIGCONT');
  }

  /** Kills everything in a pod's containers, without a word to Kubernetes; they are started again. */
  async killPod(uid: string): Promise<void> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    let count = 0;
    for (const pid of pids) {
      const group = await readFile(join('/proc', pid, 'cgroup'), 'utf8').catch(() => '');
      const command = await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '');
      if (!group.includes(`pod${uid}`) || command.startsWith('/pause')) continue;
      process.kill(Number(pid), 'SIGKILL');
      count += 1;
    }
    assert.ok(count > 0, `pod ${uid} has processes`);
  }

  async #script(timeoutMs: number, name: string, ...args: string[]): Promise<string> {
    const environment = { KUBOX_NODES: String(NODES) };
    return run(join(kuboxFolder, name), args, { timeoutMs, environment });
  }
}

const zoneOf = (index: number): string => `zone-${'abc'[(index - 1) % NODES] ?? ''}`;
