/** A store on a disk that is made to fail, beside its model; appends one at a time, so that refusals can be told. */
import assert from 'node:assert/strict';

import { type Random, seededRandom } from '../../../../common/random.ts';
import type { SimulatedFileSystem } from '../../storage/testing/simulated-file-system.ts';
import { openStore, type Store, type StoreOptions } from '../index.ts';
import type { AppendRequest } from '../types.ts';
import { copyOf, RandomCommands } from './commands.ts';
import { tinyStore } from './crash-runner.ts';
import { type ModelTransaction, StoreModel } from './model.ts';
import { ModelledStore } from './modelled-store.ts';
import { settleFates } from './settle-fates.ts';
import { SteppingClock } from './stepping-clock.ts';

/** Rejects when `work` takes longer: what must not happen is that someone waits for ever. */
export async function withinSeconds<T>(seconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`still waiting after ${seconds} s`));
    }, seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface Shared {
  readonly model: StoreModel;
  readonly commands: RandomCommands;
  readonly random: Random;
  readonly clock: SteppingClock;
  unknown: { request: AppendRequest; transaction: ModelTransaction }[];
}

export class FaultRun {
  readonly disk: SimulatedFileSystem;
  readonly fatal: Error[] = [];
  readonly #options: StoreOptions;
  readonly #shared: Shared;
  #store: Store | null = null;
  #modelled: ModelledStore | null = null;

  constructor(
    disk: SimulatedFileSystem,
    options: StoreOptions = tinyStore,
    shared: Shared | null = null,
  ) {
    this.disk = disk;
    this.#options = options;
    const random = seededRandom(disk.seed);
    const model = new StoreModel(options);
    this.#shared = shared ?? {
      model,
      random,
      commands: new RandomCommands(random, model, { largePercent: 25 }),
      clock: new SteppingClock(),
      unknown: [],
    };
  }

  /** The same model, on another disk. */
  continuedOn(disk: SimulatedFileSystem): FaultRun {
    return new FaultRun(disk, this.#options, this.#shared);
  }

  async open(): Promise<void> {
    const { clock, random, model } = this.#shared;
    this.#store = await openStore('/data', this.#options, {
      files: this.disk,
      clock,
      random: seededRandom(random.below(2 ** 32)),
      onFatal: (error) => {
        this.fatal.push(error);
      },
    });
    await settleFates(this.#store, model);
    this.#modelled = new ModelledStore(this.#store, model, () => clock.now());
    await this.#modelled.compareWhole();
  }

  async close(): Promise<void> {
    await this.#store?.close();
  }

  async work(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) assert.equal(await this.#append([]), null);
  }

  /** Works, some appends at a time, until the store has stopped. */
  async workUntilFatal(): Promise<void> {
    for (let i = 0; i < 400 && this.fatal.length === 0; i += 1) await this.sendTogether(5);
    // What fails behind the answers still has to be noticed.
    assert(this.fatal.length > 0, 'the fault was met');
  }

  /** Works until an append is refused for want of space. */
  async workUntilFull(): Promise<void> {
    for (let i = 0; i < 2000; i += 1) if ((await this.#append(['DISKFULL'])) === 'DISKFULL') return;
    assert.fail('the disk was never full');
  }

  /** Works until `count` appends were not refused. */
  async workUntilDone(count: number): Promise<void> {
    for (let done = 0; done < count;) {
      if ((await this.#append(['DISKFULL'])) === null) done += 1;
      else await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** The code that an append is refused with. */
  async refusal(): Promise<string | null> {
    return this.#append(['DISKFULL', 'TRYAGAIN', 'CLUSTERDOWN']);
  }

  async readsGoOn(): Promise<void> {
    await this.#modelled?.compareWhole();
  }

  /**
   * Sends appends to new streams together; returns the code of each, `OK` where it was done. What is unknown is
   * remembered, and must be there as a whole or not at all from then on.
   */
  async sendTogether(count: number): Promise<string[]> {
    const { model, clock } = this.#shared;
    clock.step(1);
    const replies = Array.from({ length: count }, () => {
      const request = this.#newStream();
      const kept = copyOf(request);
      const verdict = model.append(request);
      assert(verdict.kind === 'appended', 'a new stream has no conflicts');
      const { transaction } = verdict.events[0]!;
      return new Promise<string>((resolve) => {
        void this.#store!.append(request, (error) => {
          if (error === null) transaction.certain = true;
          else this.#shared.unknown.push({ request: kept, transaction });
          resolve(error?.code ?? 'OK');
        });
      });
    });
    const codes = await Promise.all(replies);
    return codes;
  }

  /** Opens the disk, checks everything, settles what is unknown, works on, opens and checks once more. */
  async checkOn(disk: SimulatedFileSystem): Promise<void> {
    const model = this.#shared.model.copy();
    const unknown = this.#shared.unknown.map(({ request }) => copyOf(request));
    const commands = new RandomCommands(seededRandom(disk.seed), model);
    const run = new FaultRun(disk, this.#options, {
      ...this.#shared,
      model,
      commands,
      unknown: [],
    });
    await withinSeconds(20, run.open());
    for (const request of unknown) await run.#modelled!.sendAlone(request, []);
    await run.work(20);
    await withinSeconds(20, run.close());
    const again = run.continuedOn(disk.afterPowerCut({ unsynced: 'lost' }));
    await withinSeconds(20, again.open());
    await withinSeconds(20, again.close());
  }

  async #append(
    tolerated: readonly ('DISKFULL' | 'TRYAGAIN' | 'CLUSTERDOWN')[],
  ): Promise<string | null> {
    this.#shared.clock.step(1);
    return this.#modelled!.sendAlone(this.#shared.commands.append(), tolerated);
  }

  #newStream(): AppendRequest {
    const { commands } = this.#shared;
    const partitionKey = commands.keys[commands.below(commands.keys.length)]!;
    return {
      partitionKey: Buffer.from(partitionKey),
      events: [
        {
          streamId: Buffer.from(`together-${commands.uuid().toString('hex')}`),
          eventName: Buffer.from('Together'),
          eventId: commands.uuid(),
          expectedVersion: 'empty',
          timestamp: null,
          metadata: Buffer.alloc(0),
          payload: Buffer.alloc(commands.below(1500), 't'),
        },
      ],
    };
  }
}
