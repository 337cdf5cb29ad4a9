/**
 * Nodes of a cluster as processes on this machine, each on a directory of its own; all is removed at the end.
 *
 * ```ts
 * await using cluster = await ClusterProcesses.start(3);
 * cluster.node(0).port; cluster.node(1).kill(); await cluster.restart(1);
 * ```
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { clusterPaths, type NodeStatus } from '../../common/cluster-contract.ts';
import { NodeProcess } from './node-process.ts';

export class ClusterProcesses implements AsyncDisposable {
  readonly count: number;
  /** `host:port` by index. */
  readonly addresses: readonly string[];
  readonly #root: string;
  readonly #flags: readonly string[];
  readonly #nodes: (NodeProcess | undefined)[] = [];

  /** Resolves when all nodes listen. */
  static async start(count: number, flags: readonly string[] = []): Promise<ClusterProcesses> {
    const cluster = await ClusterProcesses.prepare(count, flags);
    try {
      await cluster.startAll();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Nothing runs yet. */
  static async prepare(count: number, flags: readonly string[] = []): Promise<ClusterProcesses> {
    const ports = await freePorts(count);
    return new ClusterProcesses(ports, await mkdtemp(join(tmpdir(), 'sierradb-cluster-')), flags);
  }

  private constructor(ports: readonly number[], root: string, flags: readonly string[]) {
    this.count = ports.length;
    this.addresses = ports.map((port) => `127.0.0.1:${port}`);
    this.#root = root;
    this.#flags = flags;
  }

  get indices(): number[] {
    return Array.from({ length: this.count }, (_, index) => index);
  }

  directory(index: number): string {
    return join(this.#root, `data${index}`);
  }

  /** Of a node, behind its directory and client address. */
  flags(index: number): string[] {
    return [
      ...['--node-index', String(index), '--node-count', String(this.count)],
      ...['--set', `network.peers=${this.addresses.join(',')}`],
      ...this.#flags,
    ];
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
    return NodeProcess.start({
      directory: this.directory(index),
      flags: this.flags(index),
      onSpawn: (node) => (this.#nodes[index] = node),
    });
  }

  async status(index: number): Promise<NodeStatus> {
    const answer = await fetch(`http://${this.addresses[index] ?? ''}${clusterPaths.status}`);
    return (await answer.json()) as NodeStatus;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map(async (node) => node?.[Symbol.asyncDispose]()));
    await rm(this.#root, { recursive: true, force: true });
  }
}

/** Ports that nobody has now; somebody may take one before it is used. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  for (const server of servers) if (!server.listening) await once(server, 'listening');
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) await once(server.close(), 'close');
  return ports;
}
