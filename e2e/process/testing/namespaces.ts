/**
 * A network namespace for each node, joined by a bridge: what one node sends another can be lost, in one direction or both, and
 * a node's link can be made slow and short of room. Needs root, `ip` and `tc`.
 *
 * A packet is lost by being addressed to a network card that nobody has: the neighbour entry of the receiver is wrong at the
 * sender. Nobody is told, as on a broken cable, and it needs no packet filter in the kernel. Tests themselves and clients
 * are at the bridge and reach all nodes always.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import type { Place } from '../../testing/cluster-processes.ts';

const run = promisify(execFile);

/** Of those for tests of networks (RFC 2544), so that nothing real is hidden; two runs beside each other have their own. */
const NETWORK = `198.18.${process.pid % 256}`;
const NOBODY = '02:00:00:00:ff:ff';
const DEVICE = 'eth0';

export class Namespaces implements AsyncDisposable {
  readonly #name: string;
  readonly #count: number;

  /** Why there can be none here, or null. */
  static async missing(): Promise<string | null> {
    if (process.getuid?.() !== 0) return 'network namespaces need root';
    const probe = `sierradb-probe-${process.pid}`;
    try {
      await run('ip', ['netns', 'add', probe]);
      const pair = ['type', 'veth', 'peer', 'name', `${DEVICE}-peer`];
      await run('ip', ['-n', probe, 'link', 'add', DEVICE, ...pair]);
      await run('tc', ['-n', probe, ...slowLink(DEVICE)]);
      return null;
    } catch (error) {
      return `network namespaces do not work here: ${(error as Error).message}`;
    } finally {
      await run('ip', ['netns', 'del', probe]).catch(() => undefined);
    }
  }

  static async create(count: number): Promise<Namespaces> {
    const namespaces = new Namespaces(count);
    try {
      await namespaces.#build();
    } catch (error) {
      await namespaces[Symbol.asyncDispose]();
      throw error;
    }
    return namespaces;
  }

  private constructor(count: number) {
    this.#name = `sdb${process.pid}`;
    this.#count = count;
  }

  get places(): Place[] {
    return this.#indices.map((index) => ({
      host: host(index),
      prefix: ['ip', 'netns', 'exec', this.#namespace(index)],
    }));
  }

  /** What `from` sends `to` is lost from now on. */
  async cut(from: number, to: number): Promise<void> {
    await this.#neighbour(from, to, NOBODY);
  }

  /** It arrives again. */
  async mend(from: number, to: number): Promise<void> {
    await this.#neighbour(from, to, hardware(to));
  }

  async mendAll(): Promise<void> {
    for (const [from, to] of this.#pairs()) await this.mend(from, to);
  }

  /** What a node sends waits in a short queue, and is lost where that is full. */
  async slow(index: number): Promise<void> {
    await run('tc', ['-n', this.#namespace(index), ...slowLink(DEVICE)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const index of this.#indices) {
      // With its namespace alone it would go some time later, and its name is used again.
      await run('ip', ['link', 'del', this.#outside(index)]).catch(() => undefined);
      await run('ip', ['netns', 'del', this.#namespace(index)]).catch(() => undefined);
    }
    await run('ip', ['link', 'del', this.#name]).catch(() => undefined);
  }

  get #indices(): number[] {
    return Array.from({ length: this.#count }, (_, index) => index);
  }

  #namespace(index: number): string {
    return `${this.#name}-${index}`;
  }

  #outside(index: number): string {
    return `${this.#name}v${index}`;
  }

  #pairs(): [number, number][] {
    return this.#indices.flatMap((from) =>
      this.#indices.filter((to) => to !== from).map((to): [number, number] => [from, to]),
    );
  }

  async #build(): Promise<void> {
    await run('ip', ['link', 'add', this.#name, 'type', 'bridge']);
    await run('ip', ['addr', 'add', `${NETWORK}.254/24`, 'dev', this.#name]);
    await run('ip', ['link', 'set', this.#name, 'up']);
    for (const index of this.#indices) await this.#join(index);
    await this.mendAll();
  }

  async #join(index: number): Promise<void> {
    const namespace = this.#namespace(index);
    const outside = this.#outside(index);
    const inside = ['peer', 'name', DEVICE, 'address', hardware(index), 'netns', namespace];
    await run('ip', ['netns', 'add', namespace]);
    await run('ip', ['link', 'add', outside, 'type', 'veth', ...inside]);
    await run('ip', ['link', 'set', outside, 'master', this.#name, 'up']);
    await run('ip', ['-n', namespace, 'addr', 'add', `${host(index)}/24`, 'dev', DEVICE]);
    await run('ip', ['-n', namespace, 'link', 'set', DEVICE, 'up']);
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
  }

  async #neighbour(from: number, to: number, address: string): Promise<void> {
    const entry = [host(to), 'lladdr', address, 'dev', DEVICE, 'nud', 'permanent'];
    await run('ip', ['-n', this.#namespace(from), 'neigh', 'replace', ...entry]);
  }
}

const host = (index: number): string => `${NETWORK}.${index + 1}`;
const hardware = (index: number): string => `02:00:00:00:00:0${index + 1}`;

/** 4 Mbit/s, and room for 24 kB: up to 48 ms of delay, and loss beyond. */
function slowLink(device: string): string[] {
  const shape = ['tbf', 'rate', '4mbit', 'burst', '4kb', 'limit', '24kb'];
  return ['qdisc', 'replace', 'dev', device, 'root', ...shape];
}
