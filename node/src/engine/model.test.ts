/** Random commands against the real store on a disk in memory, every reply and every read compared with the model's. */
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { openStore, type Store, type StoreOptions } from './index.ts';
import { RandomCommands } from './testing/commands.ts';
import { StoreModel } from './testing/model.ts';
import { ModelledStore } from './testing/modelled-store.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';
import { SteppingClock } from './testing/stepping-clock.ts';

const KIB = 1024;
const COMMANDS = 400;

function optionsFor(seed: number): StoreOptions {
  const draw = seededRandom(seed ^ 0x51ed270b);
  const pick = <T>(...values: T[]): T => values[draw.below(values.length)]!;
  const journalFileBytes = pick(128, 256, 1024) * KIB;
  const segmentBytes = pick(16, 48, 128) * KIB;
  return {
    bucketCount: pick(1, 2, 4),
    partitionCount: pick(4, 8, 32),
    segmentBytes,
    journalFileBytes,
    journalFilesMax: pick(3, 4),
    appendMaxBytes: Math.min(journalFileBytes / 4, pick(8, 32) * KIB),
    strictVersioning: draw.below(8) === 0,
    inFlightBytesMax: 64 * 1024 * KIB,
    cacheBytes: pick(64, 128, 1024) * KIB,
    headsMax: pick(1, 16, 1000),
    filterBytes: pick(0, 64 * KIB),
    diskReserveBytes: 0,
    scrubBytesPerSecond: 0,
  };
}

class Run {
  readonly #options: StoreOptions;
  readonly #files = new MemoryFileSystem();
  readonly #clock = new SteppingClock();
  readonly #model: StoreModel;
  readonly #commands: RandomCommands;
  readonly #seed: number;
  readonly #reads: Promise<void>[] = [];
  #opened: Store | null = null;
  #store: ModelledStore | null = null;

  constructor(seed: number) {
    this.#seed = seed;
    this.#options = optionsFor(seed);
    this.#model = new StoreModel(this.#options);
    this.#commands = new RandomCommands(seededRandom(seed), this.#model);
  }

  async run(): Promise<void> {
    await this.#open();
    for (let i = 0; i < COMMANDS; i += 1) await this.#step();
    await this.#quiet();
    await this.#modelled.compareWhole();
    await this.#restart();
    await this.#modelled.compareWhole();
    await this.#opened?.close();
  }

  get #modelled(): ModelledStore {
    return this.#store!;
  }

  async #open(): Promise<void> {
    this.#opened = await openStore('/data', this.#options, {
      files: this.#files,
      clock: this.#clock,
      random: seededRandom(this.#seed ^ this.#clock.now()),
    });
    this.#store = new ModelledStore(this.#opened, this.#model, () => this.#clock.now());
  }

  async #restart(): Promise<void> {
    await this.#quiet();
    await this.#opened?.close();
    await this.#open();
  }

  async #quiet(): Promise<void> {
    await Promise.all(this.#reads.splice(0));
    await this.#modelled.settled();
  }

  async #step(): Promise<void> {
    const commands = this.#commands;
    this.#clock.step(commands.below(3));
    const draw = commands.below(100);
    if (draw < 55) {
      const place = this.#modelled.send(commands.append());
      if (commands.chance(20)) await place;
    } else if (draw < 90) {
      this.#reads.push(this.#read());
      if (commands.chance(30)) await this.#reads.at(-1);
    } else if (draw < 98) {
      await this.#quiet();
    } else {
      await this.#restart();
    }
  }

  #read(): Promise<void> {
    const commands = this.#commands;
    const { streamId, partitionKey } = commands.stream();
    const partition = this.#model.partitionOf(commands.keys[commands.below(6)]!);
    const store = this.#modelled;
    const isStream = commands.chance(50);
    const events = isStream
      ? this.#model.stream(streamId, partitionKey)
      : this.#model.partition(partition);
    const from = commands.position(events.length);
    const to = commands.chance(40) ? Infinity : from + commands.below(events.length + 2);
    const count = commands.chance(40) ? Infinity : 1 + commands.below(5);
    switch (commands.below(5)) {
      case 0:
        return store.readVersion(streamId, partitionKey);
      case 1:
        return store.readSequence(partition);
      case 2:
        return this.#readEvent();
      default:
        return isStream
          ? store.readStream(streamId, partitionKey, from, to, count)
          : store.readPartition(partition, from, to, count);
    }
  }

  #readEvent(): Promise<void> {
    const commands = this.#commands;
    const log = this.#model.log(commands.below(this.#options.bucketCount));
    const transaction = log[commands.below(Math.max(1, log.length))];
    const known = transaction?.events[0]?.eventId ?? null;
    const isKnown = known !== null && !commands.chance(10);
    return this.#modelled.readEvent(isKnown ? Buffer.from(known, 'hex') : commands.uuid());
  }
}

test('every reply and every read is that of the model', async (t) => {
  for (const seed of seeds(12)) {
    await t.test(`seed ${seed}`, () =>
      underSeed('node/src/engine/model.test.ts', seed, () => new Run(seed).run()),
    );
  }
});
