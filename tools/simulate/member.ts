/** One member of a simulated cluster: a disk that outlives its processes, and the shipped store in the present one. */
import assert from 'node:assert/strict';

import type { Clock } from '../../common/clock.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { openStore, type Store, type StoreOptions } from '../../node/src/engine/index.ts';
import { encodeMessage } from '../../node/src/replication/message-format.ts';
import { decodeBatch } from '../../node/src/replication/message-format.ts';
import type { GroupHost, RaftGroup } from '../../node/src/replication/raft-group.ts';
import type { ReplicaPlan } from '../../node/src/storage/storage.ts';
import type { Unsynced } from '../../node/src/storage/testing/simulated-file.ts';
import type { DiskFault } from '../../node/src/storage/testing/disk-fault.ts';
import { SimulatedFileSystem } from '../../node/src/storage/testing/simulated-file-system.ts';
import { Subscriptions } from '../../node/src/subscriptions/subscriptions.ts';
import type { SimulatedNetwork } from './network.ts';
import type { Truth } from './truth.ts';
import { Life, type VirtualTime } from './virtual-time.ts';

export const DIRECTORY = '/data';
const TICK_MS = 50;
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
  readonly network: SimulatedNetwork;
  readonly truth: Truth;
  readonly options: StoreOptions;
  /** Which member has a replica. */
  memberOf(replicaId: string): number;
  trace(line: string): void;
  traceMessage(from: number, to: number, bytes: Buffer, what: string): void;
}

export class SimulatedMember {
  readonly number: number;
  readonly replicas: readonly ReplicaPlan[];
  disk: SimulatedFileSystem;
  life: Life | null = null;
  /** Null until it is open. */
  store: Store | null = null;
  subscriptions: Subscriptions | null = null;
  /** Added to every operation of the disk. */
  diskDelayMs = 0;
  /** Why what the present process is told by its disk may end it, or null. */
  diskFault: string | null = null;
  /** How far the wall clock is off. */
  clockOffsetMs = 0;
  lives = 0;
  isClosing = false;
  /** By bucket: what its segments held when it last closed. */
  readonly closedAt: Map<number, number> = new Map();
  /** Called when a process has ended, however. */
  onDown: () => void = () => undefined;
  onOpen: () => void = () => undefined;
  readonly #world: World;
  readonly #random: Random;
  readonly #clock: Clock;

  constructor(number: number, replicas: readonly ReplicaPlan[], world: World) {
    this.number = number;
    this.replicas = replicas;
    this.#world = world;
    this.#random = seededRandom(world.seed * 31 + number * 7919);
    const { time } = world;
    this.#clock = {
      now: () => Math.max(0, Math.floor(1_800_000_000_000 + time.now + this.clockOffsetMs)),
      monotonic: () => time.now,
    };
    this.disk = new SimulatedFileSystem({
      capacityBytes: Infinity,
      seed: world.seed * 101 + number,
      schedule: (run) => {
        const delayMs = 0.02 + (this.#random.below(1000) / 1000) * (DISK_MS + this.diskDelayMs);
        time.after(delayMs, this.life, run);
      },
    });
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
    const life = new Life(`${String(this.number)}.${String(this.lives)}`);
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
    const { life, store } = this;
    if (life === null || store === null) return;
    this.#trace(' is stopped');
    this.isClosing = true;
    this.#world.time.after(0, life, () => {
      store.close().then(
        () => {
          if (this.life !== life) return;
          for (const { log } of store.groups()) {
            this.closedAt.set(log.bucket, log.checkpoint().end.index);
          }
          this.#down('has closed');
        },
        (error: unknown) => {
          this.#failed(life, error);
        },
      );
    });
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
    if (this.diskFault === null) this.#world.time.fail(error);
    else this.#down(`ends, with ${this.diskFault}: ${(error as Error).message}`);
  }

  freeze(forMs: number): void {
    if (this.life === null) return;
    this.#trace(` is frozen for ${String(forMs)} ms`);
    this.life.frozenUntil = this.#world.time.now + forMs;
  }

  receive(bytes: Buffer): void {
    const { life, store } = this;
    if (life === null || store === null) return;
    this.#world.time.after(0, life, () => {
      if (this.store !== store) return;
      for (const received of decodeBatch(bytes)) {
        store.group(received.bucket)?.receive(received);
        this.#look(received.bucket);
      }
    });
  }

  async #open(life: Life): Promise<void> {
    const { options, time } = this.#world;
    this.#trace(' starts');
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
        timing: { electionTicks: ELECTION_TICKS, heartbeatTicks: HEARTBEAT_TICKS },
        host: this.#host(life),
        replicas: this.replicas,
      },
    });
    if (life.isDead) return;
    this.store = store;
    for (const group of store.groups()) this.#watch(group);
    this.subscriptions = new Subscriptions(store, {
      random: seededRandom(this.#random.below(2 ** 31)),
      onFault: (error) => {
        time.fail(error);
      },
    });
    const ends = [...store.groups()].map(
      ({ log }) => `${String(log.bucket)}: ${String(log.committedIndex)}/${String(log.endIndex)}`,
    );
    this.#trace(` is open, committed/end of buckets ${ends.join(', ')}`);
    this.#tick(life, store);
    this.onOpen();
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
  }

  #tick(life: Life, store: Store): void {
    // No two clocks run alike.
    const every = TICK_MS * (0.95 + this.#random.below(100) / 1000);
    const next = (): void => {
      this.#world.time.after(every, life, () => {
        next();
        for (const group of store.groups()) {
          group.tick();
          this.#look(group.log.bucket);
        }
      });
    };
    next();
  }

  #look(bucket: number): void {
    const group = this.group(bucket);
    if (group?.core.role !== 'leader') return;
    if (this.#world.truth.leads(this.number, bucket, group.core.term)) {
      this.#trace(` is elected for bucket ${String(bucket)} in term ${String(group.core.term)}`);
    }
  }

  #host(life: Life): GroupHost {
    const world = this.#world;
    return {
      random: seededRandom(this.#random.below(2 ** 31)),
      send: (bucket, message, frames) => {
        if (life.isDead) return;
        const bytes = encodeMessage(bucket, message, frames);
        const to = world.memberOf(message.to);
        world.traceMessage(this.number, to, bytes, `bucket ${String(bucket)} ${message.kind}`);
        world.network.send(this.number, to, bytes);
      },
      pull: (group, from, commit) => {
        this.pull(group, from, commit);
      },
      diverged: (group, reason) => {
        this.#world.time.fail(
          new Error(
            `member ${String(this.number)} diverges in bucket ${String(group.log.bucket)}: ${reason}`,
          ),
        );
      },
    };
  }

  /** Replaced by the cluster, which knows the other members. */
  pull: GroupHost['pull'] = () => undefined;

  #down(how: string): void {
    const { life } = this;
    if (life === null) return;
    life.isDead = true;
    this.life = null;
    this.isClosing = false;
    this.store = null;
    this.subscriptions = null;
    this.#trace(` ${how}`);
    this.onDown();
  }

  #trace(what: string): void {
    this.#world.trace(`member ${String(this.number)}${what}`);
  }
}
