/**
 * Nodes of a cluster as processes on this machine, each on a directory of its own; all is removed at the end.
 *
 * ```ts
 * await using cluster = await ClusterProcesses.start(3);
 * cluster.node(0).port; cluster.node(1).kill(); await cluster.restart(1);
 * ```
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { clusterPaths, type NodeStatus } from '../../common/cluster-contract.ts';
import { freePorts } from './free-ports.ts';
import { main, NodeProcess } from './node-process.ts';

/** Where a node runs, when not simply here. */
export interface Place {
  /** For clients and members; loopback by default. Elsewhere members share a secret. */
  readonly host?: string;
  /** What the node's command is an argument of: `ip netns exec …`. */
  readonly prefix?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Left alone at the end; without it one is made and removed. */
  readonly directory?: string;
}

const LOOPBACK = '127.0.0.1';
const SECRET = 'of these tests';
/** In a place of its own no port is taken. */
const CLUSTER_PORT = 9190;
/** A node that is stopped or cut off says nothing. */
const STATUS_MS = 2000;

export class ClusterProcesses implements AsyncDisposable {
  readonly count: number;
  /** How many form the cluster; those behind them are started to join it. */
  founders: number;
  /** `host:port` by index. */
  readonly addresses: readonly string[];
  readonly #root: string;
  readonly #flags: readonly string[];
  readonly #places: readonly Place[];
  readonly #nodes: (NodeProcess | undefined)[] = [];

  /** Resolves when all nodes listen. */
  static async start(
    count: number,
    flags: readonly string[] = [],
    places: readonly Place[] = [],
  ): Promise<ClusterProcesses> {
    const cluster = await ClusterProcesses.prepare(count, flags, places);
    try {
      await cluster.startAll();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Nothing runs yet. */
  static async prepare(
    count: number,
    flags: readonly string[] = [],
    places: readonly Place[] = [],
  ): Promise<ClusterProcesses> {
    const root = await mkdtemp(join(tmpdir(), 'sierradb-cluster-'));
    await writeFile(join(root, 'secret'), SECRET);
    return new ClusterProcesses(await freePorts(count), root, flags, places);
  }

  private constructor(
    ports: readonly number[],
    root: string,
    flags: readonly string[],
    places: readonly Place[],
  ) {
    this.count = ports.length;
    this.founders = ports.length;
    this.addresses = ports.map((port, index) => {
      const host = places[index]?.host ?? LOOPBACK;
      return host === LOOPBACK ? `${host}:${port}` : `${host}:${CLUSTER_PORT}`;
    });
    this.#root = root;
    this.#flags = flags;
    this.#places = places;
  }

  get indices(): number[] {
    return Array.from({ length: this.count }, (_, index) => index);
  }

  directory(index: number): string {
    return this.#places[index]?.directory ?? join(this.#root, `data${index}`);
  }

  /** Of a node, behind its directory and client address. */
  flags(index: number): string[] {
    const peers = this.addresses.slice(0, index < this.founders ? this.founders : this.count);
    return [
      ...['--node-index', String(index), '--node-count', String(peers.length)],
      ...['--set', `network.peers=${peers.join(',')}`],
      ...(this.#isHere ? [] : ['--set', `network.cluster_secret_file=${this.#secretFile}`]),
      ...this.#flags,
    ];
  }

  get #isHere(): boolean {
    return this.addresses.every((address) => address.startsWith(LOOPBACK));
  }

  get #secretFile(): string {
    return join(this.#root, 'secret');
  }

  node(index: number): NodeProcess {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`node ${index} was never started`);
    return node;
  }

  async startAll(): Promise<void> {
    await Promise.all(this.indices.map((index) => this.restart(index)));
  }

  /** Resolves when the node listens. */
  async restart(index: number): Promise<NodeProcess> {
    const { host = LOOPBACK, prefix, environment } = this.#places[index] ?? {};
    return NodeProcess.start({
      host,
      ...(prefix === undefined ? {} : { command: [...prefix, process.execPath, main] }),
      directory: this.directory(index),
      flags: this.flags(index),
      ...(environment && { environment }),
      onSpawn: (node) => (this.#nodes[index] = node),
    });
  }

  async status(index: number): Promise<NodeStatus> {
    const url = `http://${this.addresses[index] ?? ''}${clusterPaths.status}`;
    const answer = await fetch(url, {
      headers: { authorization: `Bearer ${SECRET}` },
      signal: AbortSignal.timeout(STATUS_MS),
    });
    return (await answer.json()) as NodeStatus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map(async (node) => node?.[Symbol.asyncDispose]()));
    await rm(this.#root, { recursive: true, force: true });
  }
}
