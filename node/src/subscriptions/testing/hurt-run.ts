/**
 * Subscriptions on a store whose disk is damaged or fails: who needs what cannot be read is told so, once, behind everything
 * that comes before it; all others go on.
 */
import assert from 'node:assert/strict';

import { SierraError } from '../../../../common/errors.ts';
import { type Random, seededRandom } from '../../../../common/random.ts';
import { Router } from '../../cluster/router.ts';
import { OpenError, openStore, type Store } from '../../engine/index.ts';
import { RandomCommands } from '../../engine/testing/commands.ts';
import { tinyStore } from '../../engine/testing/crash-runner.ts';
import { StoreModel } from '../../engine/testing/model.ts';
import { ModelledStore } from '../../engine/testing/modelled-store.ts';
import { SimulatedFileSystem } from '../../engine/testing/simulated-disk.ts';
import { SteppingClock } from '../../engine/testing/stepping-clock.ts';
import type { FeedTarget } from '../../engine/types.ts';
import { Subscriptions } from '../subscriptions.ts';
import { ModelledSubscription } from './modelled-subscription.ts';
import { Findings, RandomSink, willing } from './random-sink.ts';
import { RandomRequests } from './random-requests.ts';

const IDLE_TURNS = 2000;
const REFUSALS: readonly string[] = ['READERR', 'CLUSTERDOWN'];

export interface HurtReport {
  /** The store would not open. */
  readonly isRefused: boolean;
  /** Subscriptions that were refused, or have failed. */
  readonly failed: number;
  readonly subscriptions: number;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class HurtRun {
  readonly #random: Random;
  readonly #clock = new SteppingClock();
  readonly #model = new StoreModel(tinyStore);
  readonly #commands: RandomCommands;
  readonly #requests: RandomRequests;
  readonly #findings = new Findings();
  readonly #subscribed: ModelledSubscription[] = [];
  #disk: SimulatedFileSystem;
  #refused = 0;
  /** The bucket that is hurt. */
  #hurt = -1;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#commands = new RandomCommands(seededRandom(seed ^ 0x3c6e), this.#model);
    this.#requests = new RandomRequests(this.#random, this.#commands, this.#model);
    this.#disk = new SimulatedFileSystem({ seed, pace: 'microtask' });
  }

  /** `hurt` damages the disk between two lives and tells of which bucket; `whileOpen` makes it fail in the second one, until the function that it returns is called. */
  async run(
    hurt: (disk: SimulatedFileSystem, random: Random) => number | Promise<number>,
    whileOpen: (disk: SimulatedFileSystem) => () => void = () => () => undefined,
  ): Promise<HurtReport> {
    await this.#fill();
    this.#hurt = await hurt(this.#disk, this.#random);
    let store: Store;
    try {
      store = await this.#open();
    } catch (error) {
      assert(error instanceof OpenError);
      return { isRefused: true, failed: 0, subscriptions: 0 };
    }
    const mend = whileOpen(this.#disk);
    const subscriptions = new Subscriptions(new Router(store), { random: this.#random });
    await this.#subscribe(subscriptions);
    await this.#untilQuiet();
    mend();
    await this.#appendOn(new ModelledStore(store, this.#model, () => this.#clock.now()));
    await this.#untilQuiet();
    return this.#finish(store, subscriptions);
  }

  async #fill(): Promise<void> {
    const store = await this.#open();
    const modelled = new ModelledStore(store, this.#model, () => this.#clock.now());
    for (let i = 0; i < 150; i += 1) {
      this.#clock.step(1);
      void modelled.send(this.#commands.append());
      if (this.#commands.chance(20)) await modelled.settled();
    }
    await modelled.settled();
    await store.close();
    this.#disk = this.#disk.afterProcessCrash();
  }

  #open(): Promise<Store> {
    return openStore('/data', tinyStore, {
      files: this.#disk,
      clock: this.#clock,
      random: seededRandom(this.#random.below(2 ** 32)),
      onFatal: (error) => {
        throw error;
      },
    });
  }

  /** Every partition and stream from its beginning, and some others at random. */
  async #subscribe(subscriptions: Subscriptions): Promise<void> {
    for (const target of this.#everything()) {
      await this.#openOne(subscriptions, { starts: [{ target, from: 0 }], window: null });
    }
    for (let i = 0; i < 10; i += 1) {
      await this.#openOne(subscriptions, { ...this.#requests.draw(), window: null });
    }
  }

  #everything(): readonly FeedTarget[] {
    const targets: FeedTarget[] = [];
    for (let partition = 0; partition < tinyStore.partitionCount; partition += 1) {
      targets.push({ kind: 'partition', partition });
    }
    for (let bucket = 0; bucket < tinyStore.bucketCount; bucket += 1) {
      for (const [name, events] of this.#model.streams(bucket)) {
        const partitionKey = Buffer.from(events[0]!.transaction.partitionKey, 'hex');
        targets.push({ kind: 'stream', streamId: Buffer.from(name, 'latin1'), partitionKey });
      }
    }
    return targets;
  }

  async #openOne(
    subscriptions: Subscriptions,
    request: Parameters<Subscriptions['open']>[0],
  ): Promise<void> {
    const sink = new RandomSink(this.#random, this.#findings, { ...willing, fullPercent: 10 });
    const modelled = new ModelledSubscription(request, sink, this.#model);
    sink.serve(modelled);
    try {
      modelled.opened(await subscriptions.open(request, sink));
    } catch (error) {
      this.#checkRefusal(modelled, error);
      this.#refused += 1;
      return;
    }
    this.#subscribed.push(modelled);
    modelled.start();
  }

  #checkRefusal(modelled: ModelledSubscription, error: unknown): void {
    if (!(error instanceof SierraError)) throw error;
    assert(REFUSALS.includes(error.code), `fails with ${error.code}: ${error.message}`);
    assert(
      modelled.lanes.some(({ target }) => this.#bucketOf(target) === this.#hurt),
      `fails though what it needs is whole: ${error.message}`,
    );
  }

  #bucketOf(target: FeedTarget): number {
    if (target.kind === 'stream') return this.#model.bucketOf(target.partitionKey);
    return target.partition % tinyStore.bucketCount;
  }

  /** Until everything is shown, but for those who were told why not. */
  async #untilQuiet(): Promise<void> {
    for (let idle = 0, shown = -1; ; idle += 1) {
      this.#findings.throwFirst();
      const late = this.#subscribed.find(({ due }) => due > 0);
      if (late === undefined) return;
      if (idle > IDLE_TURNS) assert.fail(`neither shown nor failed: ${late.describe()}`);
      if (this.#findings.shown !== shown) idle = 0;
      shown = this.#findings.shown;
      await turn();
    }
  }

  async #appendOn(modelled: ModelledStore): Promise<void> {
    for (let i = 0; i < 30; i += 1) {
      this.#clock.step(1);
      const request = this.#commands.append();
      const isHurt = this.#model.bucketOf(request.partitionKey) === this.#hurt;
      await modelled.sendAlone(request, isHurt ? ['CLUSTERDOWN'] : []);
    }
  }

  async #finish(store: Store, subscriptions: Subscriptions): Promise<HurtReport> {
    const failed = this.#subscribed.filter(({ state }) => state === 'failed');
    for (const modelled of failed) this.#checkRefusal(modelled, modelled.error);
    const { statistics } = subscriptions;
    assert.equal(statistics.failed, failed.length);
    assert.equal(statistics.open, this.#subscribed.length - failed.length);
    for (const modelled of this.#subscribed) modelled.close();
    assert.equal(subscriptions.statistics.targets, 0);
    await store.close();
    this.#findings.throwFirst();
    return {
      isRefused: false,
      failed: failed.length + this.#refused,
      subscriptions: this.#subscribed.length + this.#refused,
    };
  }
}
