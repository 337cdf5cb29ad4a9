/**
 * Crashes of the store, by seed: a workload on the simulated disk, which dies at a chosen operation; what is left is
 * opened, looked at as a whole and worked on again, as often as the plan says.
 *
 * What must hold after every crash:
 * - What was answered, shown, or depended on by an answer is there once, whole, in its place, and unchanged.
 * - What was not answered is there whole or not at all; nothing behind a gap. Sequences and versions have no gaps.
 * - Every kind of read agrees.
 * - A retry by EVENT_ID of an append whose fate is unknown settles it.
 */
import { type Random, seededRandom } from '../../../../common/random.ts';
import type { Unsynced } from '../../storage/testing/simulated-file.ts';
import { SimulatedFileSystem } from '../../storage/testing/simulated-file-system.ts';
import { openStore, type StoreOptions } from '../index.ts';
import type { AppendRequest } from '../types.ts';
import { copyOf, RandomCommands } from './commands.ts';
import { type ModelTransaction, StoreModel } from './model.ts';
import { ModelledStore } from './modelled-store.ts';
import { settleFates } from './settle-fates.ts';
import { SteppingClock } from './stepping-clock.ts';
import { withoutTimers } from './without-timers.ts';

const KIB = 1024;

export const tinyStore: StoreOptions = {
  bucketCount: 2,
  partitionCount: 6,
  segmentBytes: 8 * KIB,
  journalFileBytes: 64 * KIB,
  journalFilesMax: 3,
  appendMaxBytes: 6 * KIB,
  strictVersioning: false,
  inFlightBytesMax: 1024 * KIB,
  cacheBytes: 128 * KIB,
  headsMax: 4,
  filterBytes: 0,
  diskReserveBytes: 0,
  scrubBytesPerSecond: 0,
};

export type Crash = 'process' | { readonly unsynced: Unsynced };

export interface Life {
  /** Commands sent in this life. */
  readonly commands: number;
  /** The operation, counted from the start of opening, at which it ends; null: it ends by itself. */
  readonly crashAfter: number | null;
  /** Whether the store is closed at the end, where the disk does not end it before. */
  readonly closes: boolean;
  /** What the end of this life does to the disk. */
  readonly crash: Crash;
}

export interface CrashPlan {
  readonly seed: number;
  readonly lives: readonly Life[];
  readonly options?: StoreOptions;
  readonly largePercent?: number;
  /** Lets a test wrap or fill the disk. */
  readonly onDisk?: (disk: SimulatedFileSystem) => void;
}

export interface CrashReport {
  /** How each life ended. */
  readonly ends: readonly ('crashed' | 'done')[];
  /** Operations that changed the disk, per life. */
  readonly operations: readonly number[];
}

/** Runs a plan, then opens once more, checks, works, closes, opens and checks again. Throws what does not hold. */
export async function runCrashes(plan: CrashPlan): Promise<CrashReport> {
  const runner = new CrashRunner(plan);
  for (const life of plan.lives) await withoutTimers(() => runner.live(life));
  const last: Life = { commands: 30, crashAfter: null, closes: true, crash: { unsynced: 'lost' } };
  await withoutTimers(() => runner.live(last));
  await withoutTimers(() => runner.live({ ...last, commands: 0 }));
  return { ends: runner.ends, operations: runner.operations };
}

class CrashRunner {
  readonly ends: ('crashed' | 'done')[] = [];
  readonly operations: number[] = [];
  readonly #plan: CrashPlan;
  readonly #options: StoreOptions;
  readonly #random: Random;
  readonly #clock = new SteppingClock();
  readonly #model: StoreModel;
  readonly #commands: RandomCommands;
  /** Appends with supplied ids only, whose fate is unknown: to be retried. */
  #unknown: { request: AppendRequest; transaction: ModelTransaction }[] = [];
  #disk: SimulatedFileSystem;
  #modelled: ModelledStore | null = null;
  #fatal: Error | null = null;

  constructor(plan: CrashPlan) {
    this.#plan = plan;
    this.#options = plan.options ?? tinyStore;
    this.#random = seededRandom(plan.seed);
    this.#model = new StoreModel(this.#options);
    const { largePercent } = plan;
    this.#commands = new RandomCommands(
      this.#random,
      this.#model,
      largePercent === undefined ? {} : { largePercent },
    );
    this.#disk = new SimulatedFileSystem({ seed: plan.seed });
  }

  async live(life: Life): Promise<void> {
    const disk = this.#disk;
    this.#modelled = null;
    this.#plan.onDisk?.(disk);
    if (life.crashAfter !== null) disk.crashAfter(life.crashAfter);
    const work = this.#work(life).then(() => 'done' as const);
    const end = await Promise.race([work, disk.crashed.then(() => 'crashed' as const)]);
    (this.#modelled as ModelledStore | null)?.throwFailure();
    if (this.#fatal !== null) throw this.#fatal;
    this.ends.push(end);
    this.operations.push(disk.history.length);
    if (end === 'done' && !life.closes) disk.crash();
    this.#disk =
      life.crash === 'process'
        ? disk.afterProcessCrash()
        : disk.afterPowerCut({ unsynced: life.crash.unsynced });
  }

  async #work(life: Life): Promise<void> {
    const store = await openStore('/data', this.#options, {
      files: this.#disk,
      clock: this.#clock,
      random: seededRandom(this.#random.below(2 ** 32)),
      onFatal: (error) => {
        this.#fatal = error;
      },
    });
    await settleFates(store, this.#model);
    this.#modelled = new ModelledStore(store, this.#model, () => this.#clock.now());
    await this.#modelled.compareWhole();
    await this.#retryUnknown();
    for (let i = 0; i < life.commands; i += 1) await this.#command();
    await this.#modelled.settled();
    await this.#modelled.compareWhole();
    this.#unknown = [];
    if (life.closes) await store.close();
  }

  async #retryUnknown(): Promise<void> {
    const modelled = this.#modelled;
    for (const { request } of this.#unknown.splice(0)) {
      void modelled?.send(copyOf(request));
    }
    await modelled?.settled();
  }

  async #command(): Promise<void> {
    const commands = this.#commands;
    const modelled = this.#modelled!;
    this.#clock.step(1);
    const draw = commands.below(100);
    if (draw < 70) this.#send(commands.append());
    else if (draw < 80) await this.#read();
    else if (draw < 95) await modelled.settled();
    else await new Promise((resolve) => setImmediate(resolve));
  }

  #send(request: AppendRequest): void {
    const kept = copyOf(request);
    const modelled = this.#modelled!;
    const bucket = this.#model.bucketOf(request.partitionKey);
    const before = this.#model.log(bucket).length;
    void modelled.send(request);
    const log = this.#model.log(bucket);
    if (log.length === before || kept.events.some(({ eventId }) => eventId === null)) return;
    this.#unknown.push({ request: kept, transaction: log.at(-1)! });
    this.#unknown = this.#unknown.filter(({ transaction }) => !transaction.certain);
  }

  async #read(): Promise<void> {
    const commands = this.#commands;
    const modelled = this.#modelled!;
    const { streamId, partitionKey } = commands.stream();
    const partition = this.#model.partitionOf(partitionKey);
    const draw = commands.below(4);
    if (draw < 2) await modelled.readPartition(partition, commands.below(10), Infinity, 20);
    if (draw === 2) await modelled.readStream(streamId, partitionKey, 0, Infinity, 20);
    if (draw === 3) await modelled.readVersion(streamId, partitionKey);
  }
}
