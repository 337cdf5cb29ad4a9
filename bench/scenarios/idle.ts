import { setTimeout as delay } from 'node:timers/promises';

import { append, type Bench, cpuPerEvent, eventsPerSecond, SATURATING } from '../bench.ts';
import { type CollectedMemory, collectedMemory } from '../collected-memory.ts';
import { IdleSubscribers } from '../load/idle-subscribers.ts';

const CONNECTIONS = 10;
/** Streams of appends; those behind them have subscriptions. */
const STREAMS = 100_000;
const WARM_UP_SUBSCRIPTIONS = 1000;
const SETTLE_MS = 1000;

async function subscribe(idle: IdleSubscribers, from: number, count: number): Promise<void> {
  const each = Math.ceil(count / CONNECTIONS);
  for (let at = 0; at < count; at += each) {
    await idle.add(STREAMS + from + at, Math.min(each, count - at));
  }
}

/** Appends beside subscriptions to other streams, against appends on a node without any. */
export async function idle(bench: Bench): Promise<void> {
  const { idleSubscriptions } = bench.sizes;
  const name = `${String(idleSubscriptions)} subscriptions`;
  await using subscribed = await bench.startOurs(name);
  await using plain = await bench.startOurs('no subscriptions');
  for (const contender of [subscribed, plain]) {
    // The streams exist, as those that people subscribe to do.
    const streams = STREAMS + idleSubscriptions;
    await contender.fill(append('cycle', streams), streams, SATURATING);
  }
  using waiting = new IdleSubscribers(subscribed.server.port);
  await subscribe(waiting, 0, idleSubscriptions);
  for (const [connections, pipeline] of [
    [64, 1],
    [64, 16],
  ] as const) {
    const workload = append('random', STREAMS);
    const comparison = await bench.compare(subscribed, plain, workload, { connections, pipeline });
    waiting.check();
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `appends ${String(connections)}×${String(pipeline)}, ${name} elsewhere : none`,
      unit: '/s',
      target: { judged: 'ratio', better: 'higher', reach: 0.95, aim: 1 },
    });
    bench.addComparison(comparison, cpuPerEvent, {
      measure: `appends ${String(connections)}×${String(pipeline)}, the same: server CPU`,
      unit: 'µs',
    });
  }
}

/** Memory of subscriptions that wait, from the difference between many and few, and between few and none. */
export async function idleMemory(bench: Bench): Promise<void> {
  const [few, many] = bench.sizes.subscriptionsInMemory;
  await using ours = await bench.startOurs('ours', {}, true);
  await ours.fill(append('cycle', STREAMS + many), STREAMS + many, SATURATING);
  {
    // What the first ones load and grow belongs to none of those measured.
    using first = new IdleSubscribers(ours.server.port);
    await subscribe(first, 0, WARM_UP_SUBSCRIPTIONS);
  }
  await delay(SETTLE_MS);
  using waiting = new IdleSubscribers(ours.server.port);
  const none = await collectedMemory(ours.server);
  await subscribe(waiting, 0, few);
  const withFew = await collectedMemory(ours.server);
  await subscribe(waiting, few, many - few);
  const withMany = await collectedMemory(ours.server);
  waiting.check();
  addMemory(bench, few, none, withFew);
  addMemory(bench, many, none, withMany);
}

function addMemory(
  bench: Bench,
  count: number,
  before: CollectedMemory,
  after: CollectedMemory,
): void {
  const target = { judged: 'ours', better: 'lower', reach: 2048, aim: 1024 } as const;
  bench.progress(
    `  ${String(count)} subscriptions: ${JSON.stringify(before)} before, ${JSON.stringify(after)} with them`,
  );
  bench.addFigures([(after.heldBytes - before.heldBytes) / count], {
    measure: `memory held per idle subscription, of ${String(count)}`,
    unit: 'B',
    target,
  });
  bench.addFigures([(after.residentBytes - before.residentBytes) / count], {
    measure: `RSS per idle subscription, of ${String(count)}`,
    unit: 'B',
    target,
  });
}
