/**
 * One node of a simulated cluster: a disk that outlives its processes, and in the present one the shipped member and store.
 * A disk that is wiped begins another member at the same place.
 */
import assert from 'node:assert/strict';

import type { Clock } from '../../common/clock.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { ClusterNode, type ClusterLog } from '../../node/src/cluster/cluster-node.ts';
import { ClusterRefusal, type Sender } from '../../node/src/cluster/types.ts';
import { openStore, type Store, type StoreOptions } from '../../node/src/engine/index.ts';
import type { PeerNetworkOptions } from '../../node/src/replication/peer-network.ts';
import type { RaftGroup } from '../../node/src/replication/raft-group.ts';
import { OpenError } from '../../node/src/storage/errors.ts';
import type { DiskFault } from '../../node/src/storage/testing/disk-fault.ts';
import type { Unsynced } from '../../node/src/storage/testing/simulated-file.ts';
import { SimulatedFileSystem } from '../../node/src/storage/testing/simulated-file-system.ts';
import { Subscriptions } from '../../node/src/subscriptions/subscriptions.ts';
import { admit } from './peer.ts';
import type { Truth } from './truth.ts';
import { Life, type VirtualTime } from './virtual-time.ts';

export const DIRECTORY = '/data';
const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;
/** Of one operation on a disk that is well. */
const DISK_MS = 0.6;

/** What happens to a disk when its process ends. */
export type Crash = 'process' | { readonly unsynced: Unsynced };

/** What all members share. */
export interface World {
  readonly seed: number;
  readonly time: VirtualTime;
  readonly truth: Truth;
  readonly options: StoreOptions;
  /** Of all nodes that form the cluster, by index. */
  readonly addresses: readonly string[];
  readonly factor: number;
  /** How the process that runs in a member now reaches the others. */
  networkOf(member: SimulatedMember): Pick<PeerNetworkOptions, 'connect' | 'copies'>;
  trace(line: string): void;
}

/** A disk at rest. */
export interface DiskImage {
  readonly disk: SimulatedFileSystem;
  readonly memberId: string;
  /** Starts of processes before. */
  readonly lives: number;
}

export class SimulatedMember {
  readonly number: number;
  disk: SimulatedFileSystem;
  life: Life | null = null;
  node: ClusterNode | null = null;
  /** Null until it is open. */
  store: Store | null = null;
  subscriptions: Subscriptions | null = null;
  /** Of the disk; null before it was first used. */
  memberId: string | null = null;
  /** Added to every operation of the disk. */
  diskDelayMs = 0;
  /** Why what the present process is told by its disk may end it, or null. */
  diskFault: string | null = null;
  /** Why the disk may be refused at a start, or read badly; null: it holds what was written. */
  damage: string | null = null;
  /** The disk was refused: no process starts on it. */
  isRefused = false;
  /** It has left the cluster and is not started again. */
  isRetired = false;
  /** How far the wall clock is off. */
  clockOffsetMs = 0;
  lives = 0;
  isClosing = false;
  /** By bucket: what its segments held when it last closed. */
  readonly closedAt: Map<number, number> = new Map();
  /** Called when a process has ended, however. */
  onDown: () => void = () => undefined;
  readonly #world: World;
  readonly #random: Random;
  readonly #clock: Clock;
  #refusals = new Set<string>();

  constructor(number: number, world: World) {
    this.number = number;
    this.#world = world;
    this.#random = seededRandom(world.seed * 31 + number * 7919);
    const { time } = world;
    this.#clock = {
      now: () => Math.max(0, Math.floor(1_800_000_000_000 + time.now + this.clockOffsetMs)),
      monotonic: () => time.now,
    };
    this.disk = this.#freshDisk(world.seed * 101 + number);
  }

  get address(): string {
    return addressOf(this.number);
  }

  get isUp(): boolean {
    return this.store !== null;
  }

  get isFrozen(): boolean {
    return this.life !== null && this.life.frozenUntil > this.#world.time.now;
  }

  group(bucket: number): RaftGroup | undefined {
    return this.store?.group(bucket);
  }

  leads(bucket: number): boolean {
    return this.group(bucket)?.state === 'leading';
  }

  /** Runs `work` in the process, if there is one that is open. */
  post(work: (store: Store) => void): void {
    const { life } = this;
    if (life === null) return;
    this.#world.time.after(0.01, life, () => {
      if (this.store !== null) work(this.store);
    });
  }

  /** A process starts; `onOpen` tells when it takes part. */
  start(crashAfter: number | null = null): void {
    assert(this.life === null, 'one process at a time');
    this.lives += 1;
    this.diskFault = this.disk.capacityBytes === Infinity ? null : 'a full disk';
    const name = `${String(this.number)}.${String(this.lives)}`;
    const life = new Life(name, 0.95 + this.#random.below(100) / 1000);
    this.life = life;
    const { disk } = this;
    if (crashAfter !== null) this.crashAfter(crashAfter);
    void disk.crashed.then((operation) => {
      if (this.life !== life) return;
      const at = operation === null ? '' : ` at ${operation.kind} ${operation.path}`;
      this.#down(`dies${at}`);
    });
    this.#world.time.after(0, life, () => {
      this.#open(life).catch((error: unknown) => {
        this.#failed(life, error);
      });
    });
  }

  crashAfter(operations: number): void {
    this.disk.crashAfter(operations);
  }

  crash(): void {
    if (this.life === null) return;
    this.disk.crash();
    this.#down('is killed');
  }

  /** The disk as the next process finds it. */
  afterCrash(crash: Crash): void {
    const seed = this.#random.below(2 ** 31);
    this.disk =
      crash === 'process'
        ? this.disk.afterProcessCrash({ seed })
        : this.disk.afterPowerCut({ seed, unsynced: crash.unsynced });
    const how = crash === 'process' ? 'keeps its page cache' : `has lost power (${crash.unsynced})`;
    this.#trace(`'s disk ${how}`);
  }

  /** Ends as a process does that was asked to. */
  close(): void {
    const { life, store, node } = this;
    if (life === null || store === null || node === null || this.isClosing) return;
    this.#trace(' is stopped');
    this.isClosing = true;
    this.#world.time.after(0, life, () => {
      this.#close(life, node, store).catch((error: unknown) => {
        this.#failed(life, error);
      });
    });
  }

  async #close(life: Life, node: ClusterNode, store: Store): Promise<void> {
    await node.leave();
    const groups = [...store.groups()];
    await store.close();
    await node.close();
    if (this.life !== life) return;
    this.closedAt.clear();
    for (const { log } of groups) this.closedAt.set(log.bucket, log.checkpoint().end.index);
    this.#down('has closed');
  }

  /** The disk as it is now, to be put back later; null: it was not used yet. */
  image(): DiskImage | null {
    const { disk, memberId, lives } = this;
    return memberId === null ? null : { disk: disk.clone(), memberId, lives };
  }

  /** The disk is as it was once. */
  putBack({ disk, lives }: DiskImage): void {
    assert(this.life === null, 'a disk is changed while nothing runs on it');
    this.#trace(`'s disk is put back to what it was before start ${String(lives + 1)}`);
    this.disk = disk.clone({ seed: this.#random.below(2 ** 31) });
    this.damage = 'an older state';
  }

  /** Files whose paths match. */
  files(pattern: RegExp): string[] {
    return this.disk.paths().filter((path) => pattern.test(path));
  }

  /** The disk is gone; the next process finds an empty one. */
  wipe(): void {
    assert(this.life === null, 'a disk is changed while nothing runs on it');
    this.#trace("'s disk is wiped");
    this.disk = this.#freshDisk(this.#random.below(2 ** 31));
    this.memberId = null;
    this.damage = null;
    this.isRefused = false;
  }

  /** A write or sync that is still to come fails, and what it should have made durable is not. */
  failSoon(): DiskFault {
    this.diskFault = 'a disk that fails';
    return this.disk.failNext({
      operation: ['write', 'writeDurably', 'sync', 'syncDirectory'],
      skip: this.#random.below(40),
      times: 1 + this.#random.below(3),
    });
  }

  /** There is no more room than so many bytes; undefined: enough again. */
  limitDisk(freeBytes?: number): void {
    const { disk } = this;
    const used = disk.paths().reduce((sum, path) => sum + disk.bytes(path).length, 0);
    disk.capacityBytes = freeBytes === undefined ? Infinity : used + freeBytes;
    if (freeBytes !== undefined) this.diskFault = 'a full disk';
  }

  /** What the disk has said ends the process, or is a mistake of ours. */
  #failed(life: Life, error: unknown): void {
    if (life.isDead) return;
    if (error instanceof OpenError && this.#expectedRefusals.includes(error.reason)) {
      this.isRefused = true;
      this.#down(`does not start: ${error.message}`);
    } else if (this.diskFault === null) this.#world.time.fail(error);
    else this.#down(`ends, with ${this.diskFault}: ${(error as Error).message}`);
  }

  /** How a damaged disk may be refused. */
  get #expectedRefusals(): OpenError['reason'][] {
    if (this.damage === null) return [];
    // The version of a format is looked at before anything else of it is: it may be what has changed.
    return this.damage === 'an older state' ? ['mismatch'] : ['damaged', 'version'];
  }

  freeze(forMs: number): void {
    if (this.life === null) return;
    this.#trace(` is frozen for ${String(forMs)} ms`);
    this.life.frozenUntil = this.#world.time.now + forMs;
  }

  /** Messages of another member's groups. */
  receive(sender: Sender, bytes: Buffer): void {
    const { life, node } = this;
    if (life === null || node === null) return;
    this.#world.time.after(0, life, () => {
      try {
        admit(node, sender, 'messages');
        node.receive(bytes);
      } catch (error) {
        if (!(error instanceof ClusterRefusal)) throw error;
        this.#refuses(error);
      }
    });
  }

  /** A request of another member, or of an operator. False: nobody listens here. */
  serve<T>(
    work: (node: ClusterNode) => Promise<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): boolean {
    const { life, node } = this;
    if (life === null || node === null) return false;
    this.#world.time.after(0.01, life, () => {
      work(node).then(done, failed);
    });
    return true;
  }

  async #open(life: Life): Promise<void> {
    const { addresses, factor, options } = this.#world;
    const { bucketCount, partitionCount } = options;
    // A node that joins is started with the number of nodes that there will be.
    const peers = Array.from({ length: Math.max(addresses.length, this.number + 1) }, (_, number) =>
      addressOf(number),
    );
    this.#trace(' starts');
    const node = await ClusterNode.open({
      ...{ directory: DIRECTORY, index: this.number, peers, factor, secret: null },
      ...{ counts: { bucketCount, partitionCount }, version: '0', files: this.disk },
      random: seededRandom(this.#random.below(2 ** 31)),
      log: this.#log(),
      state: () => (this.isClosing ? 'stopping' : this.store === null ? 'forming' : 'serving'),
      network: this.#world.networkOf(this),
      onRolledBack: (error) => {
        if (life.isDead) return;
        if (this.damage !== 'an older state') this.#world.time.fail(error);
        this.isRefused = true;
        this.#down(`ends: ${error.message}`);
      },
    });
    if (life.isDead) return;
    this.node = node;
    this.memberId = node.status().member;
    await node.formed();
    const store = await node.openStore((replication) => this.#openStore(life, replication));
    this.store = store;
    this.subscriptions = new Subscriptions(store, {
      random: seededRandom(this.#random.below(2 ** 31)),
      onFault: (error) => {
        this.#world.time.fail(error);
      },
    });
  }

  async #openStore(
    life: Life,
    replication: Parameters<Parameters<ClusterNode['openStore']>[0]>[0],
  ): Promise<Store> {
    const { options, time } = this.#world;
    const store = await openStore(DIRECTORY, options, {
      files: this.disk,
      clock: this.#clock,
      random: seededRandom(this.#random.below(2 ** 31)),
      onFatal: (error) => {
        // The process ends itself, and does what it is about to do until then.
        if (this.diskFault === null) this.#failed(life, error);
        else
          time.after(this.#random.below(20), life, () => {
            this.#failed(life, error);
          });
      },
      replication: {
        ...replication,
        timing: { electionTicks: ELECTION_TICKS, heartbeatTicks: HEARTBEAT_TICKS },
      },
    });
    const ends = [...store.groups()].map(
      ({ log }) =>
        `${String(log.bucket)}: ${String(log.committedIndex)}/${String(log.endIndex)}` +
        (log.quarantined ? ' quarantined' : ''),
    );
    this.#trace(` is open, committed/end of buckets ${ends.join(', ')}`);
    for (const group of store.groups()) this.#watch(group);
    const addReplica = store.addReplica.bind(store);
    store.addReplica = async (plan) => {
      const group = await addReplica(plan);
      this.#watch(group);
      return group;
    };
    return store;
  }

  #log(): ClusterLog {
    const tell = (facts: object, sentence: string): void => {
      this.#trace(`: ${sentence} ${JSON.stringify(facts)}`);
    };
    return {
      info: tell,
      warn: tell,
      error: (facts, sentence) => {
        tell(facts, sentence);
        const { err, reason } = facts as { readonly err?: Error; readonly reason?: string };
        // Only a disk that was told to does that: it may have been told while the member was down.
        const isDisks = (err as NodeJS.ErrnoException | undefined)?.code === 'EIO';
        if (this.diskFault === null && this.damage === null && !isDisks) {
          this.#world.time.fail(
            new Error(`member ${String(this.number)}: ${sentence}: ${reason ?? String(err)}`, {
              cause: err,
            }),
          );
        }
      },
    };
  }

  #refuses({ message }: Error): void {
    if (this.#refusals.has(message)) return;
    this.#refusals.add(message);
    this.#trace(` refuses messages: ${message}`);
  }

  #watch(group: RaftGroup): void {
    const { truth } = this.#world;
    const { bucket } = group.log;
    truth.opened(this.number, bucket, group.log.checkpoint().end);
    const { onCommitted, onStateChange } = group;
    group.onCommitted = (bytes, at, segment, offset): void => {
      truth.committed(this.number, bucket, bytes, at, segment, offset);
      onCommitted(bytes, at, segment, offset);
    };
    group.onStateChange = (state): void => {
      this.#trace(` ${state} bucket ${String(bucket)}, term ${String(group.core.term)}`);
      onStateChange(state);
    };
    const [tick, receive] = [group.tick.bind(group), group.receive.bind(group)];
    group.tick = (): void => {
      tick();
      this.#look(group);
    };
    group.receive = (received): void => {
      receive(received);
      this.#look(group);
    };
  }

  #look({ core, log, replicaId }: RaftGroup): void {
    if (core.role !== 'leader') return;
    if (this.#world.truth.leads(replicaId, log.bucket, core.term)) {
      this.#trace(` is elected for bucket ${String(log.bucket)} in term ${String(core.term)}`);
    }
  }

  #freshDisk(seed: number): SimulatedFileSystem {
    return new SimulatedFileSystem({
      capacityBytes: Infinity,
      seed,
      schedule: (run) => {
        const delayMs = 0.02 + (this.#random.below(1000) / 1000) * (DISK_MS + this.diskDelayMs);
        this.#world.time.after(delayMs, this.life, run);
      },
    });
  }

  #down(how: string): void {
    const { life } = this;
    if (life === null) return;
    life.isDead = true;
    this.life = null;
    this.isClosing = false;
    this.node = null;
    this.store = null;
    this.subscriptions = null;
    this.#refusals = new Set();
    this.#trace(` ${how}`);
    this.onDown();
  }

  #trace(what: string): void {
    this.#world.trace(`member ${String(this.number)}${what}`);
  }
}

export const addressOf = (number: number): string => `node-${String(number)}:1`;
