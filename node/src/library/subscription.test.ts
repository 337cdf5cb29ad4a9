import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { SierraError } from '../../../common/errors.ts';
import { defaultPartitionKey } from '../../../common/ids.ts';
import { seededRandom } from '../../../common/random.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';
import { openMemoryStore, type Store } from '../engine/index.ts';
import {
  type Subscription as Feeding,
  type SubscriptionOpener,
  type SubscriptionRequest,
  Subscriptions,
  type SubscriptionSink,
} from '../subscriptions/subscriptions.ts';
import { Database } from './database.ts';
import { isSierraError } from './errors.ts';
import type { StoredEvent } from './events.ts';
import { subscriptionTargets } from './subscription-targets.ts';
import type { SubscribeOptions, Subscription } from './subscription-types.ts';
import { LoopSubscription } from './subscription.ts';

const KEY = '550e8400-e29b-41d4-a716-446655440000';

async function append(database: Database, stream: string, count: number, bytes = 1): Promise<void> {
  const payload = 'x'.repeat(bytes);
  const events = Array.from({ length: count }, () => ({ name: 'n', payload }));
  await database.append(stream, events);
}

async function take(subscription: Subscription, count: number): Promise<StoredEvent[]> {
  const list: StoredEvent[] = [];
  for await (const event of subscription) {
    list.push(event);
    if (list.length === count) break;
  }
  return list;
}

const versions = (events: readonly StoredEvent[]): number[] => events.map(({ version }) => version);

const numbers = (from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => from + i);

function refused(sentence: RegExp, work: () => unknown): void {
  assert.throws(
    work,
    (error) => isSierraError(error, 'INVALIDARG') && sentence.test(error.message),
  );
}

/** Appends 25 events of so many bytes each. */
function appendTo(store: Store, streamId: string, bytes: number): Promise<void> {
  const stream = Buffer.from(streamId);
  const event = {
    streamId: stream,
    eventName: Buffer.from('n'),
    eventId: null,
    expectedVersion: 'any' as const,
    timestamp: null,
    metadata: Buffer.alloc(0),
    payload: Buffer.alloc(bytes, 'x'),
  };
  const events = new Array<typeof event>(25).fill(event);
  return new Promise((resolve, reject) => {
    void store.append({ partitionKey: defaultPartitionKey(stream), events }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

/** The real one; counts what it gives, and can end what it has opened. */
class CountingOpener implements SubscriptionOpener {
  given = 0;
  readonly #real: Subscriptions;
  #opened: { readonly feeding: Feeding; readonly sink: SubscriptionSink } | null = null;

  constructor(store: Store) {
    this.#real = new Subscriptions(store);
  }

  get statistics(): Subscriptions['statistics'] {
    return this.#real.statistics;
  }

  async open(request: SubscriptionRequest, sink: SubscriptionSink): Promise<Feeding> {
    const feeding = await this.#real.open(request, {
      event: (...given) => {
        this.given += 1;
        return sink.event(...given);
      },
      flush: () => sink.flush(),
      failed: (...given) => sink.failed(...given),
    });
    this.#opened = { feeding, sink };
    return feeding;
  }

  fail(error: SierraError): void {
    if (this.#opened === null) throw new Error('nothing was opened');
    const { feeding, sink } = this.#opened;
    feeding.close();
    sink.failed(feeding, error);
    sink.flush();
  }
}

describe('a subscription of the library', () => {
  it('has history, then what is appended, without a gap', async () => {
    await using database = await Database.memory();
    await append(database, 's', 600);
    const seen: number[] = [];
    const appending: Promise<void>[] = [];
    for await (const event of database.subscribe({ stream: 's', from: 100 })) {
      seen.push(event.version);
      // In the middle of history, and at its end.
      if (event.version === 300 || event.version === 699)
        appending.push(append(database, 's', 100));
      if (event.version === 799) break;
    }
    await Promise.all(appending);
    assert.deepEqual(seen, numbers(100, 700));
  });

  it('begins behind the latest event, as it is at the call', async () => {
    await using database = await Database.memory();
    await append(database, 's', 3);
    const subscription = database.subscribe({ stream: 's', from: 'latest' });
    await append(database, 's', 2);
    assert.deepEqual(versions(await take(subscription, 2)), [3, 4]);
    const all = database.subscribe({ all: true, from: 'latest' });
    await all.ready;
    await append(database, 't', 1);
    const [event] = await take(all, 1);
    assert.equal(event?.streamId, 't');
  });

  it('follows streams, partitions, and all of them', async () => {
    await using database = await Database.memory();
    await append(database, 'a', 2);
    await append(database, 'b', 2);
    await database.append('c', { name: 'n' }, { partitionKey: KEY });
    const partition = database.partitionOf(KEY);
    const cases = [
      [{ streams: ['a', 'b'] }, 4],
      [{ streams: ['a', { streamId: 'c', partitionKey: KEY }] }, 3],
      [{ stream: { streamId: 'c', partitionKey: KEY } }, 1],
      [{ partition }, 1],
      [{ partition: KEY }, 1],
      [{ partitions: [KEY, partition] }, 1],
      [{ all: true }, 5],
    ] as const;
    for (const [target, count] of cases) {
      const events = await take(database.subscribe(target), count);
      assert.equal(new Set(events.map(({ id }) => id)).size, count);
    }
  });

  it('goes on at a position', async () => {
    await using database = await Database.memory();
    await append(database, 'a', 5);
    await append(database, 'b', 5);
    const first = database.subscribe({ streams: ['a', 'b'] });
    const seen: string[] = [];
    for await (const event of first) {
      seen.push(`${event.streamId}${event.version}`);
      // The event in hand is not processed when the loop is left.
      if (seen.length === 7) break;
    }
    const position = JSON.parse(JSON.stringify(first.position)) as typeof first.position;
    const rest = await take(database.subscribe({ streams: ['a', 'b'], from: position }), 4);
    seen.pop();
    for (const event of rest) seen.push(`${event.streamId}${event.version}`);
    const expected = ['a', 'b'].flatMap((stream) => numbers(0, 5).map((i) => `${stream}${i}`));
    assert.deepEqual(seen.sort(), expected);
  });

  it('has a position before its first event', async () => {
    await using database = await Database.memory();
    await append(database, 's', 3);
    const subscription = database.subscribe({ streams: ['s', 't'], from: 'latest' });
    await subscription.ready;
    assert.deepEqual(subscription.position, { streams: { s: 3, t: 0 } });
    await subscription.close();
    const partitions = database.subscribe({ partitions: [0, 1], from: { partitions: { 1: 7 } } });
    await partitions.ready;
    assert.deepEqual(partitions.position, { partitions: { 0: 0, 1: 7 } });
  });

  it('reads only a little ahead of a slow loop', async () => {
    await using store = await openMemoryStore();
    for (let i = 0; i < 20; i += 1) await appendTo(store, 's', 10_000);
    for (const [window, expected] of [
      [4, 4],
      [1000, 105],
    ] as const) {
      const opener = new CountingOpener(store);
      const targets = subscriptionTargets({ stream: 's' }, 32);
      const onEnd = (): void => undefined;
      const signal = undefined;
      const loop = new LoopSubscription({ store, opener, targets, window, signal, onEnd });
      let taken = 0;
      for await (const event of loop) {
        assert.equal(event.version, taken);
        taken += 1;
        for (let turn = 0; turn < 3; turn += 1) await setImmediate();
        assert.ok(opener.given - taken <= expected, `${opener.given - taken} ahead`);
        if (taken === 500) break;
      }
    }
  });

  it('ends with break, and when it is closed', async () => {
    await using database = await Database.memory();
    await append(database, 's', 1);
    const left = database.subscribe({ stream: 's' });
    await take(left, 1);
    refused(/by one loop, once/, () => left[Symbol.asyncIterator]());
    const waiting = database.subscribe({ stream: 's', from: 'latest' });
    const ended = take(waiting, 1);
    await waiting.ready;
    await waiting.close();
    await waiting.close();
    assert.deepEqual(await ended, []);
    await using disposed = database.subscribe({ stream: 's' });
    await disposed.ready;
  });

  it('ends with its signal', async () => {
    await using database = await Database.memory();
    const controller = new AbortController();
    const { signal } = controller;
    const ended = take(database.subscribe({ all: true, signal }), 1);
    await setImmediate();
    controller.abort();
    assert.deepEqual(await ended, []);
    assert.deepEqual(await take(database.subscribe({ all: true, signal }), 1), []);
  });

  it('ends with its database', async () => {
    const database = await Database.memory();
    await append(database, 's', 1000);
    const idle = take(database.subscribe({ stream: 't' }), 1);
    let count = 0;
    const busy = (async (): Promise<void> => {
      for await (const _event of database.subscribe({ stream: 's' })) {
        count += 1;
        await setImmediate();
      }
    })();
    while (count < 3) await setImmediate();
    await database.close();
    assert.deepEqual(await idle, []);
    await busy;
    assert.ok(count < 1000);
    assert.throws(
      () => database.subscribe({ stream: 's' }),
      (error) => isSierraError(error, 'TRYAGAIN'),
    );
  });

  it('throws what has ended it into the loop, behind the events before', async () => {
    await using store = await openMemoryStore();
    const opener = new CountingOpener(store);
    const targets = subscriptionTargets({ stream: 's' }, 32);
    const ended: LoopSubscription[] = [];
    const onEnd = (loop: LoopSubscription): void => void ended.push(loop);
    const loop = new LoopSubscription({
      ...{ store, opener, targets, window: 10, signal: undefined, onEnd },
    });
    await appendTo(store, 's', 1);
    while (opener.given < 10) await setImmediate();
    opener.fail(new SierraError('READERR', 'damaged'));
    const seen: number[] = [];
    await assert.rejects(
      async () => {
        for await (const event of loop) seen.push(event.version);
      },
      (error) => isSierraError(error, 'READERR'),
    );
    assert.deepEqual(seen, numbers(0, 10));
    assert.deepEqual(ended, [loop]);
  });

  it('that cannot begin says so', async () => {
    await using store = await openMemoryStore();
    const opener = new Subscriptions(store, { targetsMax: 1 });
    const targets = subscriptionTargets({ streams: ['a', 'b'] }, 32);
    const onEnd = (): void => undefined;
    const loop = new LoopSubscription({
      ...{ store, opener, targets, window: 1, signal: undefined, onEnd },
    });
    const isFull = (error: unknown): boolean => isSierraError(error, 'BUFFERFULL');
    await assert.rejects(loop.ready, isFull);
    await assert.rejects(take(loop, 1), isFull);
  });

  it('refuses what it cannot follow', async () => {
    await using database = await Database.memory();
    const subscribe = (options: object) => () => database.subscribe(options as SubscribeOptions);
    refused(/one of stream, streams, partition, partitions, all/, subscribe({}));
    refused(/one of stream/, subscribe({ stream: 's', all: true }));
    refused(/without a stream/, subscribe({ streams: [] }));
    refused(/stream s is given twice/, subscribe({ streams: ['s', 's'] }));
    refused(/without a partition/, subscribe({ partitions: [] }));
    refused(/there are 32 partitions, from 0 on/, subscribe({ partition: 32 }));
    refused(/invalid partition key/, subscribe({ partition: 'x' }));
    refused(/from must be a whole number/, subscribe({ all: true, from: -1 }));
    refused(/of another kind/, subscribe({ all: true, from: { streams: { s: 1 } } }));
    refused(
      /position must be a whole number/,
      subscribe({ all: true, from: { partitions: { 1: -1 } } }),
    );
    refused(/window must be/, subscribe({ all: true, window: 0 }));
  });

  it('gives every event once, to loops of any pace, while others append', async () => {
    for (const seed of seeds(20))
      await underSeed('node/src/library/subscription.test.ts', seed, race);
  });
});

/** Appenders of three streams beside loops that pause at random; each loop sees exactly what is in its range. */
async function race(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = (below: number): number => random.below(below);
  await using database = await Database.memory({ bucketCount: 2, partitionCount: 4 });
  const streams = ['a', 'b', 'c'];
  const total = 300;
  const follow = async (): Promise<void> => {
    const stream = streams[pick(3)] ?? '';
    const from = pick(total);
    const isWhole = pick(3) === 0;
    const window = 1 + pick(20);
    const expected = isWhole ? total * streams.length : total - from;
    const subscription = isWhole
      ? database.subscribe({ all: true, window })
      : database.subscribe({ stream, from, window });
    const seen = new Map<string, number>();
    let count = 0;
    for await (const event of subscription) {
      const next = seen.get(event.streamId) ?? (isWhole ? 0 : from);
      assert.equal(event.version, next);
      seen.set(event.streamId, next + 1);
      count += 1;
      if (count === expected) break;
      if (pick(10) === 0) await setImmediate();
    }
  };
  const fill = async (stream: string): Promise<void> => {
    for (let left = total; left > 0;) {
      const count = Math.min(left, 1 + pick(20));
      await append(database, stream, count);
      left -= count;
      if (pick(3) === 0) await setImmediate();
    }
  };
  await Promise.all([...streams.map(fill), ...Array.from({ length: 6 }, follow)]);
}
