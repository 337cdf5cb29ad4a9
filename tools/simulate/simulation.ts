/**
 * One run of a whole cluster in this process, by seed: the shipped core, loop, engine and storage on simulated disks, network
 * and time, under dense faults and clients that check what they are told. Throws a {@link SimulationFailure}.
 */
import assert from 'node:assert/strict';

import { seededRandom } from '../../common/random.ts';
import type { Store } from '../../node/src/engine/index.ts';
import { streamPage, partitionPage } from '../../node/src/engine/testing/observed.ts';
import { type ClientCounts, Clients } from './clients.ts';
import { drawShape, SimulatedCluster } from './cluster.ts';
import { Faults } from './faults.ts';
import { Operator } from './operator.ts';

/** Of faults; a run ends when the cluster has come to rest after that. */
const FAULTS_MS = 10_000;
const SETTLE_MS = 60_000;

export interface SimulationReport extends ClientCounts {
  readonly seed: number;
  readonly simulatedMs: number;
  readonly members: number;
  /** Of the assignment. */
  readonly changes: number;
  readonly events: number;
  readonly messages: number;
  readonly copies: number;
  readonly lives: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly trace: readonly string[];
}

export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure';
  readonly seed: number;
  readonly trace: readonly string[];

  constructor(seed: number, atMs: number, trace: readonly string[], cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `seed ${String(seed)}, after ${atMs.toFixed(0)} simulated ms: ${reason}\n` +
        `To repeat: npm run simulate -- --seeds 1 --from ${String(seed)} --trace`,
      { cause },
    );
    this.seed = seed;
    this.trace = trace;
  }
}

export interface SimulationOptions {
  /** Every message is in the trace. */
  readonly tracesMessages?: boolean;
}

export async function simulate(
  seed: number,
  options: SimulationOptions = {},
): Promise<SimulationReport> {
  const shape = drawShape(seededRandom(seed ^ 0x2545f491));
  const cluster = new SimulatedCluster(seed, shape, options.tracesMessages ?? false);
  const clients = new Clients(cluster);
  const operator = new Operator(cluster);
  const faults = new Faults(cluster, operator);
  const rejected = (error: unknown): void => {
    cluster.time.fail(error);
  };
  process.on('unhandledRejection', rejected);
  try {
    await cluster.time.run(() => new Simulation(cluster, clients, faults, operator).run());
  } catch (error) {
    const { lines, time } = cluster;
    throw new SimulationFailure(
      seed,
      time.now,
      [...lines, cluster.describe(), operator.unfinished ?? cluster.unsettled ?? 'settled'],
      error,
    );
  } finally {
    process.off('unhandledRejection', rejected);
  }
  return {
    seed,
    simulatedMs: cluster.time.now,
    members: cluster.members.length,
    changes: operator.changes,
    events: cluster.time.count,
    messages: cluster.network.sent,
    copies: cluster.copies,
    lives: cluster.members.reduce((sum, { lives }) => sum + lives, 0),
    faults: faults.counts,
    trace: cluster.lines,
    ...clients.counts,
  };
}

class Simulation {
  readonly #cluster: SimulatedCluster;
  readonly #clients: Clients;
  readonly #faults: Faults;
  readonly #operator: Operator;

  constructor(cluster: SimulatedCluster, clients: Clients, faults: Faults, operator: Operator) {
    this.#operator = operator;
    this.#cluster = cluster;
    this.#clients = clients;
    this.#faults = faults;
  }

  async run(): Promise<void> {
    const cluster = this.#cluster;
    const clients = this.#clients;
    for (const member of cluster.members) member.start();
    const busy = Promise.all([
      clients.appendUntilTheEnd(20),
      clients.appendUntilTheEnd(40),
      clients.appendUntilTheEnd(60),
      clients.readUntilTheEnd(30),
      clients.readUntilTheEnd(60),
    ]);
    let isQuiet = false;
    const followers = Promise.all(this.#follow(() => isQuiet));
    const operating = this.#operator.run();
    await this.#faults.runFor(FAULTS_MS);
    clients.isEnding = true;
    await this.#within('clients come to an end', busy);
    await this.#within('every bucket takes an append', this.#appendEverywhere());
    await this.#within('all members have the same', this.#settled());
    const lengths = cluster.truth.logs.map((log) => log.length);
    this.#operator.isOver = true;
    await operating;
    isQuiet = true;
    await this.#within('subscriptions deliver everything', followers);
    clients.checkFates();
    for (const { store } of cluster.staying) await this.#readAll(store as Store);
    await this.#within('members close', this.#closeAll());
    cluster.compareSegments(lengths);
  }

  #follow(until: () => boolean): Promise<void>[] {
    const cluster = this.#cluster;
    const targets = [];
    for (let partition = 0; partition < cluster.options.partitionCount; partition += 2) {
      targets.push(this.#clients.follow({ kind: 'partition', partition }, partition, until));
    }
    for (let key = 0; key < cluster.keys.length; key += 3) {
      const partitionKey = cluster.keys[key] as Buffer;
      const streamId = Buffer.from(`stream-${String(key)}-0`);
      const partition = cluster.partitionOf(partitionKey);
      targets.push(
        this.#clients.follow({ kind: 'stream', streamId, partitionKey }, partition, until),
      );
    }
    return targets;
  }

  async #appendEverywhere(): Promise<void> {
    for (let key = 0; key < this.#cluster.keys.length; key += 1) {
      this.#clients.isEnding = false;
      assert.equal(await this.#clients.append(this.#clients.plain(key)), 'done');
    }
    this.#clients.isEnding = true;
  }

  async #settled(): Promise<void> {
    while ((this.#operator.unfinished ?? this.#cluster.unsettled) !== null)
      await this.#cluster.time.sleep(50);
  }

  async #within(what: string, work: Promise<unknown>): Promise<void> {
    let isDone = false;
    this.#cluster.time.after(SETTLE_MS, null, () => {
      if (!isDone) this.#cluster.time.fail(new Error(`not in time: ${what}`));
    });
    await work;
    isDone = true;
  }

  /** Every kind of read agrees with what was committed. */
  async #readAll(store: Store): Promise<void> {
    const { truth, keys } = this.#cluster;
    for (const [partition, events] of truth.partitions) {
      if (store.group(this.#cluster.bucketOf(partition)) === undefined) continue;
      const page = await partitionPage(store, { partition, from: 0, to: Infinity });
      assert.deepEqual(
        page.events.map(({ payload }) => payload),
        events.map(({ payload }) => payload),
        `partition ${String(partition)}`,
      );
    }
    for (const key of keys) {
      const partition = this.#cluster.partitionOf(key);
      if (store.group(this.#cluster.bucketOf(partition)) === undefined) continue;
      const name = `stream-${String(keys.indexOf(key))}-1`;
      const range = { streamId: Buffer.from(name), partitionKey: key, from: 0, to: Infinity };
      const events = truth.streams.get(name) ?? [];
      const page = await streamPage(store, range);
      assert.deepEqual(
        page.events.map(({ payload, version }) => [payload, version]),
        events.map(({ payload, version }) => [payload, version]),
        name,
      );
      const version = await store.streamVersion(range.streamId, key);
      assert.equal(version, events.length === 0 ? null : events.length - 1, `version of ${name}`);
    }
  }

  async #closeAll(): Promise<void> {
    const { members, time } = this.#cluster;
    this.#cluster.onDown = (): void => undefined;
    for (const member of members) member.close();
    while (members.some(({ life }) => life !== null)) await time.sleep(10);
  }
}
