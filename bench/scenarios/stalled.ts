import { setTimeout as delay } from 'node:timers/promises';

import { append, type Bench, type Contender, eventsPerSecond } from '../bench.ts';
import type { LoadResult } from '../load/load-run.ts';
import { watchStall } from '../load/stall-watch.ts';
import { Subscriber } from '../load/subscriber.ts';
import { residentBytes } from '../machine.ts';

const STREAMS = 100_000;
const SHAPE = { connections: 64, pipeline: 1 };
const SAMPLE_MS = 50;

interface StalledResult extends LoadResult {
  /** The highest resident memory minus that before the run: until the reader goes on, and until it has everything. */
  readonly stalledGrowthBytes: number;
  readonly growthBytes: number;
}

/** Appends while one subscriber to all of them does not read, against the same without that subscriber. */
export async function stalled(bench: Bench): Promise<void> {
  const { stalledEvents, stalledSeconds } = bench.sizes;
  await using ours = await bench.startOurs();
  // Caches and heads are as full as they get before the first round.
  await ours.fill(append('random', STREAMS), 2 * stalledEvents, { connections: 64, pipeline: 4 });
  const { ours: beside, peer: alone } = await bench.alternate(
    () => besideStalledReader(bench, ours),
    () => withoutReader(ours, stalledEvents),
  );
  const comparison = { ours: beside, peer: alone };
  const name = `reader stalled ${String(stalledSeconds)} s : none`;
  bench.addComparison(comparison, eventsPerSecond, {
    measure: `${name}, appends 64×1`,
    unit: '/s',
  });
  for (const quantile of ['p50', 'p99'] as const) {
    bench.addComparison(comparison, ({ latencyMs }) => latencyMs[quantile], {
      measure: `${name}, append ${quantile}`,
      unit: 'ms',
      target: { judged: 'ratio', better: 'lower', reach: 1.1, aim: 1 },
    });
  }
  bench.addComparison(comparison, ({ stalledGrowthBytes }) => stalledGrowthBytes / 1e6, {
    measure: `${name}, growth of RSS`,
    unit: 'MB',
    note: `${String(stalledEvents)} events each time; all of them arrived, in order, when the reader went on`,
  });
  bench.addComparison(comparison, ({ growthBytes }) => growthBytes / 1e6, {
    measure: `${name}, growth of RSS until it has all`,
    unit: 'MB',
    note: 'what the reader missed was read from disk into the block cache, whose size is bounded by cache.capacity_bytes',
  });
}

async function besideStalledReader(bench: Bench, ours: Contender): Promise<StalledResult> {
  const { stalledEvents, stalledSeconds } = bench.sizes;
  const all = Promise.withResolvers<undefined>();
  all.promise.catch(() => undefined);
  const subscriber = await Subscriber.connect(ours.server.port, {
    message: () => {
      if (subscriber.counter.messages === stalledEvents) all.resolve(undefined);
    },
    failed: all.reject,
  });
  using memory = new MemoryWatch(ours.server.pid);
  try {
    await subscriber.send([['EPSUB', '*']]);
    subscriber.pause();
    const wake = delay(stalledSeconds * 1000);
    const result = await ours.fill(append('random', STREAMS), stalledEvents, SHAPE);
    await wake;
    const early = subscriber.counter.messages;
    const stalledGrowthBytes = memory.grownBytes;
    subscriber.resume();
    await allOf(subscriber, all);
    bench.progress(
      `  the reader had ${String(early)} events before, and all ${String(stalledEvents)} behind it`,
    );
    return { ...result, stalledGrowthBytes, growthBytes: memory.grownBytes };
  } finally {
    subscriber.close();
  }
}

/** Waits for the last event. Rejects when one is missing, or out of order. */
async function allOf(subscriber: Subscriber, all: PromiseWithResolvers<undefined>): Promise<void> {
  const stopWatching = watchStall(() => subscriber.counter.messages, all.reject);
  try {
    await all.promise;
  } finally {
    stopWatching();
  }
  if (subscriber.counter.outOfOrder > 0) throw new Error('events came out of order');
}

async function withoutReader(ours: Contender, events: number): Promise<StalledResult> {
  using memory = new MemoryWatch(ours.server.pid);
  const result = await ours.fill(append('random', STREAMS), events, SHAPE);
  const { grownBytes } = memory;
  return { ...result, stalledGrowthBytes: grownBytes, growthBytes: grownBytes };
}

/** Samples the resident memory of a process. */
class MemoryWatch implements Disposable {
  readonly #pid: number;
  readonly #timer: NodeJS.Timeout;
  readonly #before: number;
  #most: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#before = this.#resident();
    this.#most = this.#before;
    this.#timer = setInterval(() => {
      this.#most = Math.max(this.#most, this.#resident());
    }, SAMPLE_MS);
  }

  /** The most so far, minus what it was at the start. */
  get grownBytes(): number {
    return Math.max(this.#most, this.#resident()) - this.#before;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #resident(): number {
    return residentBytes(this.#pid) ?? 0;
  }
}
