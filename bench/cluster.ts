/**
 * Nodes of ours that form a cluster on this machine, each on a fresh directory of its own.
 *
 * ```ts
 * await using cluster = await Cluster.start(bench, 'factor 3');
 * await cluster.contender().fill(…);
 * await cluster.node(0).stop('SIGKILL');
 * await cluster.restart(0);
 * await cluster.settled();
 * ```
 */
import { setTimeout as delay } from 'node:timers/promises';

import { clusterPaths, type NodeStatus } from '../common/cluster-contract.ts';
import { type Bench, Contender } from './bench.ts';
import { freePort, type Server, type Settings } from './servers.ts';

const NODES = 3;
const SETTLE_MS_MAX = 180_000;
const LOOK_MS = 20;

export class Cluster implements AsyncDisposable {
  readonly name: string;
  readonly #bench: Bench;
  /** Of the nodes for each other, by index. */
  readonly #addresses: readonly string[];
  readonly #directories: readonly string[];
  readonly #settings: Settings;
  readonly #nodes: Server[] = [];

  /** Resolves when every bucket has a leader and every replica has what its leader has. */
  static async start(bench: Bench, name: string, settings: Settings = {}): Promise<Cluster> {
    const ports = await Promise.all(Array.from({ length: NODES }, freePort));
    const addresses = ports.map((port) => `127.0.0.1:${String(port)}`);
    const cluster = new Cluster(bench, name, addresses, settings);
    try {
      await Promise.all(addresses.map((_, index) => cluster.restart(index)));
      await cluster.settled();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  private constructor(
    bench: Bench,
    name: string,
    addresses: readonly string[],
    settings: Settings,
  ) {
    this.name = name;
    this.#bench = bench;
    this.#addresses = addresses;
    this.#settings = settings;
    this.#directories = addresses.map((_, i) => bench.freshPath(`node${String(i)}`));
  }

  get indices(): number[] {
    return this.#addresses.map((_, index) => index);
  }

  get nodes(): readonly Server[] {
    return this.#nodes;
  }

  node(index: number): Server {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`node ${String(index)} was never started`);
    return node;
  }

  /** For load on the nodes of these indices, all by default; it dies with the cluster, and not before. */
  contender(indices: readonly number[] = this.indices): Contender {
    const [first = 0, ...others] = indices;
    const rest = others.map((index) => this.node(index));
    return new Contender(this.#bench, this.name, this.node(first), ...rest);
  }

  /** Resolves when the node answers. */
  async restart(index: number): Promise<Server> {
    const node = await this.#bench.startNode(this.#directories[index] ?? '', {
      ...this.#settings,
      'node.index': index,
      'node.count': this.#addresses.length,
      'network.peers': this.#addresses.join(','),
    });
    this.#nodes[index] = node;
    return node;
  }

  async status(index: number): Promise<NodeStatus> {
    const answer = await fetch(`http://${this.#addresses[index] ?? ''}${clusterPaths.status}`);
    return (await answer.json()) as NodeStatus;
  }

  async statuses(indices: readonly number[] = this.indices): Promise<NodeStatus[]> {
    return Promise.all(indices.map((index) => this.status(index)));
  }

  /** Index of the node that leads most buckets, and these. */
  async busiestLeader(): Promise<{ readonly index: number; readonly buckets: readonly number[] }> {
    const led = (await this.statuses()).map(({ buckets }, index) => ({
      index,
      buckets: buckets.filter(({ role }) => role === 'leader').map(({ bucket }) => bucket),
    }));
    const [most] = led.sort((a, b) => b.buckets.length - a.buckets.length);
    if (most === undefined || most.buckets.length === 0) throw new Error('nobody leads');
    return most;
  }

  /** Waits until every bucket has a leader, and no replica lacks more than `lagMax` entries. */
  async settled(lagMax = 0): Promise<void> {
    const deadline = performance.now() + SETTLE_MS_MAX;
    while (!isSettled(await this.statuses(), lagMax)) {
      if (performance.now() > deadline) throw new Error(`${this.name} does not settle`);
      await delay(LOOK_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
  }
}

/** Whether all of that holds, and nobody expects more. */
export function isSettled(statuses: readonly NodeStatus[], lagMax: number): boolean {
  const bucketCount = statuses[0]?.bucketCount ?? 0;
  const replicas = statuses.flatMap(({ buckets }) => buckets);
  const leaders = replicas.filter(({ role }) => role === 'leader');
  if (new Set(leaders.map(({ bucket }) => bucket)).size !== bucketCount) return false;
  return leaders.every(({ bucket, commit, last, lag }) => {
    if (Object.values(lag).some((entries) => entries > lagMax)) return false;
    if (lagMax > 0) return true;
    const copies = replicas.filter((replica) => replica.bucket === bucket);
    return commit === last && copies.every(({ applied }) => applied === last);
  });
}
