/**
 * Subscriptions by seed: random appends, subscriptions, acknowledgements, full sinks, restarts and crashes on a simulated
 * disk with tiny segments, everything compared with the model.
 *
 * What must hold:
 * - Each target's events come in ascending order from where it starts, without gap or double, every field as the model
 *   knows it. LATEST shows nothing that was acknowledged before it was asked for, and everything appended after it was open.
 * - Cursors count from 0; never more than the window is outstanding; a full sink is left alone; nothing behind `close`.
 * - When all is quiet, everything is shown that window and sink let through.
 * - A reader that goes on after a restart behind the last event that it has processed misses nothing and sees nothing twice.
 */
import assert from 'node:assert/strict';

import { type Random, seededRandom } from '../../../../common/random.ts';
import { Router } from '../../cluster/router.ts';
import { openStore, type Store, type StoreOptions } from '../../engine/index.ts';
import { type CommandOptions, RandomCommands } from '../../engine/testing/commands.ts';
import { StoreModel } from '../../engine/testing/model.ts';
import { ModelledStore } from '../../engine/testing/modelled-store.ts';
import { settleFates } from '../../engine/testing/settle-fates.ts';
import { SteppingClock } from '../../engine/testing/stepping-clock.ts';
import { SimulatedFileSystem } from '../../engine/testing/simulated-disk.ts';
import { Subscriptions } from '../subscriptions.ts';
import type { FeedTarget } from '../../engine/types.ts';
import type { SubscriptionRequest, SubscriptionStart } from '../types.ts';
import { ModelledSubscription } from './modelled-subscription.ts';
import { RandomRequests } from './random-requests.ts';
import { Findings, RandomSink, type SinkHabits, willing } from './random-sink.ts';

/** Turns of the event loop without any progress after which nothing more will come. */
const IDLE_TURNS = 2000;
/** Times the crowd. */
const LIVE_MOST = 12;

export interface SubscriptionPlan {
  readonly seed: number;
  readonly options: StoreOptions;
  /** Sizes of what is appended. */
  readonly commands: CommandOptions;
  /** Subscriptions that are opened together. */
  readonly crowd: number;
  /** Appends before the first subscription. */
  readonly history: number;
  readonly steps: number;
}

/** What is open in one life of the process. */
interface Life {
  readonly store: Store;
  readonly modelled: ModelledStore;
  readonly subscriptions: Subscriptions;
  readonly sinks: RandomSink[];
}

export class SubscriptionRun {
  readonly #plan: SubscriptionPlan;
  readonly #random: Random;
  readonly #clock = new SteppingClock();
  readonly #model: StoreModel;
  readonly #commands: RandomCommands;
  readonly #requests: RandomRequests;
  readonly #findings = new Findings();
  /** Subscriptions of this life, the ended ones too. */
  #subscribed: ModelledSubscription[] = [];
  #opening: Promise<void>[] = [];
  #disk: SimulatedFileSystem;
  #life: Life | null = null;
  #shown = 0;

  constructor(plan: SubscriptionPlan) {
    this.#plan = plan;
    this.#random = seededRandom(plan.seed);
    this.#model = new StoreModel(plan.options);
    this.#commands = new RandomCommands(
      seededRandom(plan.seed ^ 0x3c6e),
      this.#model,
      plan.commands,
    );
    this.#requests = new RandomRequests(this.#random, this.#commands, this.#model);
    const pace = this.#chance(50) ? 'microtask' : 'immediate';
    this.#disk = new SimulatedFileSystem({ seed: plan.seed, pace });
  }

  async run(): Promise<void> {
    await this.#open();
    await this.#fill();
    for (let i = 0; i < this.#plan.steps; i += 1) await this.#step();
    await this.#finish();
  }

  get #living(): Life {
    assert(this.#life !== null, 'a store is open');
    return this.#life;
  }

  get #live(): ModelledSubscription[] {
    return this.#subscribed.filter(({ isLive }) => isLive);
  }

  async #open(): Promise<void> {
    const store = await openStore('/data', this.#plan.options, {
      files: this.#disk,
      clock: this.#clock,
      random: seededRandom(this.#random.below(2 ** 32)),
      onFatal: (error) => {
        this.#findings.attempt(() => {
          throw error;
        });
      },
    });
    await settleFates(store, this.#model);
    const modelled = new ModelledStore(store, this.#model, () => this.#clock.now());
    await this.#learnRecovered(modelled);
    const random = seededRandom(this.#random.below(2 ** 32));
    this.#life = {
      store,
      modelled,
      subscriptions: new Subscriptions(new Router(store), { random, targetsMax: 10_000 }),
      sinks: [],
    };
  }

  /** What has survived is certain. Only what nobody has seen yet is read: the rest stays on disk, for subscriptions to read. */
  async #learnRecovered(modelled: ModelledStore): Promise<void> {
    for (let partition = 0; partition < this.#plan.options.partitionCount; partition += 1) {
      const events = this.#model.partition(partition);
      const from = events.findIndex(
        ({ timestamp, eventId }) => timestamp === null || eventId === null,
      );
      if (from >= 0) await modelled.readPartition(partition, from, Infinity, Infinity);
      for (const { transaction } of events) transaction.certain = true;
    }
  }

  async #fill(): Promise<void> {
    for (let i = 0; i < this.#plan.history; i += 1) {
      this.#append();
      if (this.#chance(20)) await this.#living.modelled.settled();
    }
    await this.#living.modelled.settled();
    if (this.#chance(70)) await this.#restart();
  }

  async #step(): Promise<void> {
    this.#throwFirst();
    this.#clock.step(this.#random.below(3));
    const draw = this.#random.below(1000);
    if (draw < 430) this.#append();
    else if (draw < 600) await this.#turns(1 + this.#random.below(4));
    else if (draw < 680) await this.#subscribeAmongAppends();
    else if (draw < 830) this.#acknowledge();
    else if (draw < 910) this.#resume();
    else if (draw < 945) this.#close();
    else if (draw < 970) await this.#living.modelled.settled();
    else if (draw < 985) await this.#rest();
    else if (draw < 990) await this.#restart();
    else if (draw < 995) await this.#crash();
  }

  #append(): void {
    void this.#living.modelled.send(this.#commands.append());
  }

  /** What is appended to a target while it is being opened must not fall between history and present. */
  async #subscribeAmongAppends(): Promise<void> {
    if (this.#live.length >= LIVE_MOST * this.#plan.crowd) return;
    const request = this.#requests.draw();
    const most = this.#chance(50) ? 1 : 4;
    const append = (): void => {
      for (const { target } of request.starts) {
        if (this.#random.below(request.starts.length) < most) this.#appendTo(target);
      }
    };
    if (this.#chance(30)) append();
    if (this.#chance(30)) await this.#turns(this.#random.below(3));
    this.#subscribe(request);
    for (let i = 1; i < this.#plan.crowd; i += 1) this.#subscribe(this.#requests.draw());
    if (this.#chance(50)) append();
    if (this.#chance(30)) await this.#rest();
  }

  #appendTo(target: FeedTarget): void {
    const request = this.#requests.appendTo(target);
    if (request !== null) void this.#living.modelled.send(request);
  }

  #subscribe(request: SubscriptionRequest): void {
    const sink = this.#sink();
    const modelled = new ModelledSubscription(request, sink, this.#model);
    sink.serve(modelled);
    this.#subscribed.push(modelled);
    this.#opening.push(this.#openSubscription(modelled, request, sink));
  }

  async #openSubscription(
    modelled: ModelledSubscription,
    request: SubscriptionRequest,
    sink: RandomSink,
  ): Promise<void> {
    const opening = this.#living.subscriptions.open(request, sink);
    const subscription = opening instanceof Promise ? await opening : opening;
    modelled.opened(subscription);
    if (this.#chance(50)) await turn();
    if (!modelled.isLive) return;
    this.#findings.during('start', () => {
      modelled.start();
    });
  }

  /** A new sink, or one that serves others too. */
  #sink(): RandomSink {
    const { sinks } = this.#living;
    if (sinks.length > 0 && this.#chance(40)) return this.#pick(sinks);
    const sink = new RandomSink(
      seededRandom(this.#random.below(2 ** 32)),
      this.#findings,
      this.#habits(),
    );
    sinks.push(sink);
    return sink;
  }

  #habits(): SinkHabits {
    const draw = <T>(...values: T[]): T => this.#pick(values);
    return {
      fullPercent: draw(0, 0, 5, 50),
      parkPercent: draw(0, 0, 10, 60),
      acknowledgePercent: draw(0, 0, 20, 100),
      closePerTenThousand: draw(0, 0, 20, 200),
    };
  }

  #acknowledge(): void {
    for (const modelled of this.#live) {
      if (this.#chance(60)) continue;
      const cursor = this.#cursor(modelled);
      this.#findings.during('acknowledge', () => {
        modelled.acknowledge(cursor);
        // A late one, of something before: it says nothing new.
        if (this.#chance(30)) modelled.acknowledge(this.#random.below(modelled.shown + 1));
      });
    }
  }

  /** Mostly of an event that was shown; now and then of one that was not. */
  #cursor({ shown }: ModelledSubscription): number {
    const draw = this.#random.below(10);
    if (draw === 0) return shown + this.#random.below(1000);
    if (draw === 1) return Number.MAX_SAFE_INTEGER;
    if (draw < 5) return Math.max(0, shown - 1);
    return this.#random.below(shown + 1);
  }

  #resume(): void {
    for (const modelled of this.#live) {
      if (!modelled.sink.isParked && !this.#chance(10)) continue;
      if (this.#chance(40)) continue;
      this.#findings.during('resume', () => {
        modelled.resume();
      });
    }
  }

  #close(): void {
    const live = this.#live;
    if (live.length === 0) return;
    this.#closeOne(this.#pick(live));
  }

  #closeOne(modelled: ModelledSubscription): void {
    this.#findings.during('close', () => {
      modelled.close();
      if (this.#chance(10)) modelled.close();
    });
  }

  /** Waits until every append has its reply and everything is shown that window and sinks let through. */
  async #rest(): Promise<void> {
    await Promise.all(this.#opening.splice(0));
    await this.#living.modelled.settled();
    const { sinks } = this.#living;
    await this.#until(
      () => this.#live.every(({ due }) => due === 0) && sinks.every((sink) => sink.isFlushed),
    );
    const failed = this.#subscribed.find(({ state }) => state === 'failed');
    assert.equal(failed?.error ?? null, null, 'no subscription fails');
    this.#checkStatistics();
  }

  #checkStatistics(): void {
    const live = this.#live;
    const { open, targets, delivered, failed } = this.#living.subscriptions.statistics;
    assert.deepEqual(
      { open, targets, delivered, failed },
      {
        open: live.length,
        targets: live.reduce((sum, { lanes }) => sum + lanes.length, 0),
        delivered: this.#findings.shown - this.#shown,
        failed: 0,
      },
    );
  }

  /** Closed in good order, with readers on their way; a part of them goes on where it has stopped. */
  async #restart(): Promise<void> {
    await Promise.all(this.#opening.splice(0));
    await this.#living.modelled.settled();
    const readers = this.#live;
    for (const modelled of readers) this.#closeOne(modelled);
    await this.#living.store.close();
    await this.#goOn(readers);
  }

  /** The process dies, or the power goes, with appends in flight and readers on their way. */
  async #crash(): Promise<void> {
    for (const sink of this.#living.sinks) sink.die();
    this.#disk.crash();
    this.#throwFirst();
    await this.#goOn(this.#live);
  }

  async #goOn(readers: readonly ModelledSubscription[]): Promise<void> {
    this.#disk = this.#chance(50) ? this.#disk.afterProcessCrash() : this.#disk.afterPowerCut();
    this.#subscribed = [];
    this.#opening = [];
    this.#shown = this.#findings.shown;
    await this.#open();
    for (const { resumption, window } of readers) {
      const rewind = this.#chance(20) ? this.#random.below(20) : 0;
      this.#subscribe({ starts: resumption.map((start) => rewound(start, rewind)), window });
    }
  }

  /** Everybody reads to the end; what they have seen is all there is. */
  async #finish(): Promise<void> {
    await this.#rest();
    for (const sink of this.#living.sinks) sink.habits = willing;
    await this.#until(() => {
      for (const modelled of this.#live) {
        if (modelled.sink.isParked) modelled.resume();
        if (modelled.window !== null && modelled.due === 0) modelled.acknowledge(modelled.shown);
      }
      return this.#live.every(({ outstanding }) => outstanding === 0);
    });
    await this.#rest();
    for (const modelled of this.#live) this.#closeOne(modelled);
    this.#append();
    await this.#rest();
    await this.#comparePartitions();
    await this.#living.store.close();
    this.#throwFirst();
  }

  async #comparePartitions(): Promise<void> {
    for (let partition = 0; partition < this.#plan.options.partitionCount; partition += 1) {
      await this.#living.modelled.readPartition(partition, 0, Infinity, Infinity);
    }
  }

  async #turns(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) await turn();
  }

  /** Gives the event loop turns until `done`, or until nothing has moved for long. */
  async #until(done: () => boolean): Promise<void> {
    let shown = this.#findings.shown;
    for (let idle = 0; !done(); idle += 1) {
      this.#throwFirst();
      if (idle >= IDLE_TURNS)
        assert.fail(`nothing moves, though events are due:\n${this.#describe()}`);
      await turn();
      if (this.#findings.shown !== shown) idle = 0;
      shown = this.#findings.shown;
    }
    this.#throwFirst();
  }

  #describe(): string {
    return this.#live.map((modelled) => modelled.describe()).join('\n');
  }

  #throwFirst(): void {
    this.#findings.throwFirst();
    this.#life?.modelled.throwFailure();
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)]!;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rewound({ target, from }: SubscriptionStart, events: number): SubscriptionStart {
  return { target, from: from === 'latest' ? from : Math.max(0, from - events) };
}
