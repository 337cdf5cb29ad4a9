/** How subscriptions share a node. What each of them delivers is compared with a model in `model.test.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { SierraError } from '../../../common/errors.ts';
import type { EventStore, EventView, FeedTarget } from '../engine/types.ts';
import { ScriptedFeed, scriptedStore } from './testing/scripted-feed.ts';
import { Subscriptions } from './subscriptions.ts';
import type { Subscription, SubscriptionSink } from './types.ts';

interface Taken {
  readonly id: string;
  readonly cursor: number;
  readonly sequence: number;
}

/** Keeps what it is given; full after `room` events until it is given more room. */
class Sink implements SubscriptionSink {
  readonly taken: Taken[] = [];
  readonly failures: SierraError[] = [];
  /** Number of `taken` at each flush. */
  readonly flushes: number[] = [];
  room = Infinity;
  onEvent: () => void = () => undefined;

  event(subscription: Subscription, cursor: number, event: EventView): boolean {
    this.taken.push({ id: subscription.id, cursor, sequence: event.sequence });
    this.onEvent();
    return this.taken.length < this.room;
  }

  flush(): boolean {
    this.flushes.push(this.taken.length);
    return this.taken.length < this.room;
  }

  failed(_: Subscription, error: SierraError): void {
    this.failures.push(error);
  }
}

const partition = (number: number): FeedTarget => ({ kind: 'partition', partition: number });

const subscribe = async (
  subscriptions: Subscriptions,
  sink: Sink,
  number: number,
  window: number | null = null,
): Promise<Subscription> => {
  const starts = [{ target: partition(number), from: 0 }];
  const subscription = await subscriptions.open({ starts, window }, sink);
  subscription.start();
  return subscription;
};

/** Until nothing is delivered any more for a few turns of the event loop. */
async function quiet(subscriptions: Subscriptions): Promise<void> {
  for (let still = 0, before = -1; still < 5; still += 1) {
    const { delivered } = subscriptions.statistics;
    if (delivered !== before) still = 0;
    before = delivered;
    await nextTurn();
  }
}

const open = (feeds: readonly ScriptedFeed[], targetsMax?: number): Subscriptions => {
  const store: EventStore = scriptedStore(feeds);
  return new Subscriptions(store, targetsMax === undefined ? {} : { targetsMax });
};

test('nothing is delivered before the start, and then everything', async () => {
  const subscriptions = open([new ScriptedFeed(3)]);
  const sink = new Sink();
  const starts = [{ target: partition(0), from: 1 }];
  const subscription = await subscriptions.open({ starts, window: null }, sink);
  await quiet(subscriptions);
  assert.equal(sink.taken.length, 0);
  subscription.start();
  await quiet(subscriptions);
  assert.deepEqual(
    sink.taken.map(({ cursor, sequence }) => [cursor, sequence]),
    [
      [0, 1],
      [1, 2],
    ],
  );
});

test('two histories on one sink, and on two, advance side by side', async () => {
  for (const sinks of [1, 2]) {
    const subscriptions = open([new ScriptedFeed(20_000), new ScriptedFeed(20_000)]);
    const first = new Sink();
    const second = sinks === 1 ? first : new Sink();
    const order: string[] = [];
    for (const sink of new Set([first, second])) {
      sink.onEvent = () => order.push((sink.taken.at(-1) as Taken).id);
    }
    const a = await subscribe(subscriptions, first, 0);
    await subscribe(subscriptions, second, 1);
    await quiet(subscriptions);
    assert.equal(order.length, 40_000);
    let lead = 0;
    let most = 0;
    for (const id of order) {
      lead += id === a.id ? 1 : -1;
      most = Math.max(most, Math.abs(lead));
    }
    assert(most <= 1024, `one is at most ${most} events ahead`);
  }
});

test('a long history gives the event loop back', async () => {
  const subscriptions = open([new ScriptedFeed(50_000)]);
  const sink = new Sink();
  await subscribe(subscriptions, sink, 0);
  let turns = 0;
  let before = 0;
  let most = 0;
  while (sink.taken.length < 50_000) {
    await nextTurn();
    turns += 1;
    most = Math.max(most, sink.taken.length - before);
    before = sink.taken.length;
  }
  assert(most <= 1024, `${most} events in one turn`);
  assert(turns > 40);
});

test('large events make turns short', async () => {
  const feed = new ScriptedFeed(1000, { eventBytes: 64 * 1024 });
  const subscriptions = open([feed]);
  const sink = new Sink();
  await subscribe(subscriptions, sink, 0);
  let most = 0;
  for (let before = 0; sink.taken.length < 1000; before = sink.taken.length) {
    await nextTurn();
    most = Math.max(most, sink.taken.length - before);
  }
  assert(most <= 2 * 256, `${most} events of 64 KiB in one turn`);
});

test('a sink that is full is left alone until it resumes; others go on', async () => {
  const subscriptions = open([new ScriptedFeed(5000), new ScriptedFeed(5000)]);
  const slow = new Sink();
  slow.room = 100;
  const quick = new Sink();
  const stalled = await subscribe(subscriptions, slow, 0);
  await subscribe(subscriptions, quick, 1);
  await quiet(subscriptions);
  assert.equal(slow.taken.length, 100);
  assert.equal(quick.taken.length, 5000);
  assert.equal(subscriptions.statistics.waitingForSink, 1);
  slow.room = Infinity;
  stalled.resume();
  await quiet(subscriptions);
  assert.deepEqual(
    slow.taken.map(({ sequence }) => sequence),
    Array.from({ length: 5000 }, (_, i) => i),
  );
  assert.equal(subscriptions.statistics.waitingForSink, 0);
});

test('acknowledgements while the sink is full open the window once', async () => {
  const subscriptions = open([new ScriptedFeed(1000)]);
  const sink = new Sink();
  sink.room = 10;
  const subscription = await subscribe(subscriptions, sink, 0, 20);
  await quiet(subscriptions);
  for (let i = 0; i < 1000; i += 1) subscription.acknowledge(i);
  sink.room = Infinity;
  subscription.resume();
  await quiet(subscriptions);
  // Ten had been delivered when all of them were acknowledged.
  assert.equal(sink.taken.length, 10 + 20);
  assert.equal(subscriptions.statistics.waitingForAcknowledgement, 1);
  subscription.close();
  assert.equal(subscriptions.statistics.waitingForAcknowledgement, 0);
});

test('what is given in a turn is flushed in that turn, once', async () => {
  const feeds = Array.from({ length: 50 }, () => new ScriptedFeed(1));
  const subscriptions = open(feeds);
  const sink = new Sink();
  for (let i = 0; i < 50; i += 1) await subscribe(subscriptions, sink, i);
  await quiet(subscriptions);
  assert.deepEqual(sink.flushes, [50]);
});

test('reads from disk are bounded in number, and those who need none do not queue behind them', async () => {
  const hanging = Array.from({ length: 200 }, () => new ScriptedFeed(10, { waits: true }));
  const live = new ScriptedFeed(0);
  const subscriptions = open([...hanging, live]);
  const sink = new Sink();
  for (let i = 0; i < 200; i += 1) await subscribe(subscriptions, new Sink(), i);
  await subscribe(subscriptions, sink, 200);
  await nextTurn();
  live.grow(5);
  await quiet(subscriptions);
  assert.equal(sink.taken.length, 5);
  assert.equal(hanging.filter(({ isReading }) => isReading).length, 32);
  while (subscriptions.statistics.delivered < 2005) {
    for (const feed of hanging) feed.go();
    await nextTurn();
    assert(hanging.filter(({ isReading }) => isReading).length <= 32);
  }
});

test('a subscription whose feed fails ends with its error; its neighbours do not notice', async () => {
  const bad = new ScriptedFeed(1000, { failsAt: 500 });
  const subscriptions = open([bad, new ScriptedFeed(1000)]);
  const sink = new Sink();
  const failing = await subscribe(subscriptions, sink, 0);
  const healthy = await subscribe(subscriptions, sink, 1);
  await quiet(subscriptions);
  assert.deepEqual(
    sink.failures.map(({ code }) => code),
    ['READERR'],
  );
  const of = (id: string): number => sink.taken.filter((taken) => taken.id === id).length;
  assert.equal(of(failing.id), 500);
  assert.equal(of(healthy.id), 1000);
  assert.equal(subscriptions.statistics.open, 1);
  assert.equal(subscriptions.statistics.failed, 1);
  assert.equal(bad.watcherCount, 0);
});

test('targets are limited, and given back', async () => {
  const subscriptions = open([new ScriptedFeed(0), new ScriptedFeed(0)], 2);
  const a = await subscribe(subscriptions, new Sink(), 0);
  await subscribe(subscriptions, new Sink(), 1);
  await assert.rejects(
    subscribe(subscriptions, new Sink(), 0),
    (error: SierraError) => error.code === 'BUFFERFULL',
  );
  a.close();
  a.close();
  await subscribe(subscriptions, new Sink(), 0);
  assert.equal(subscriptions.statistics.targets, 2);
});

test('what cannot be opened leaves nothing behind', async () => {
  const feed = new ScriptedFeed(0);
  const subscriptions = open([feed]);
  const starts = [0, 7].map((number) => ({ target: partition(number), from: 0 }));
  assert.throws(
    () => subscriptions.open({ starts, window: null }, new Sink()),
    (error: SierraError) => error.code === 'CLUSTERDOWN',
  );
  assert.equal(feed.watcherCount, 0);
  assert.equal(subscriptions.statistics.targets, 0);
  await quiet(subscriptions);
});

test('ids are random UUIDs of version 4', async () => {
  const subscriptions = open([new ScriptedFeed(0)]);
  const ids = new Set<string>();
  for (let i = 0; i < 100; i += 1) ids.add((await subscribe(subscriptions, new Sink(), 0)).id);
  assert.equal(ids.size, 100);
  for (const id of ids)
    assert.match(id, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
});
