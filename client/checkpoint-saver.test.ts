import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { CheckpointError, MemoryCheckpointStore, type SubscriptionPosition } from './index.ts';
import { asked, first, idsOf, withServer } from './testing/with-server.ts';

/** Remembers what it was told, and fails when asked to. */
class TracedStore extends MemoryCheckpointStore {
  readonly saved: SubscriptionPosition[] = [];
  fails = false;

  override async save(name: string, position: SubscriptionPosition): Promise<void> {
    await setImmediate();
    if (this.fails) throw new Error('no disk');
    this.saved.push(position);
    await super.save(name, position);
  }
}

describe('checkpoints', () => {
  const placesOf = (store: TracedStore): (number | undefined)[] =>
    store.saved.map(({ streams }) => streams?.['a']);

  it('are saved on the way and at the end, and never name an event in hand', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 10; i += 1) server.add('a');
      const store = new TracedStore();
      const checkpoint = { store, name: 'totals', everyEvents: 3, everyMs: 60_000 };
      for await (const { version } of client.subscribe({ stream: 'a', checkpoint })) {
        await setImmediate();
        assert.ok((store.saved.at(-1)?.streams?.['a'] ?? 0) <= version);
        if (version === 7) break;
      }
      assert.deepEqual(placesOf(store), [3, 6, 7]);
      const rest = await first(3, client.subscribe({ stream: 'a', checkpoint }));
      assert.deepEqual(idsOf(rest), idsOf(server.events.slice(7)));
    }));

  it('are saved after a time', () =>
    withServer(async (server, client) => {
      server.add('a');
      const store = new TracedStore();
      const checkpoint = { store, name: 'totals', everyMs: 1 };
      const subscription = client.subscribe({ stream: 'a', checkpoint });
      const iterator = subscription[Symbol.asyncIterator]();
      await iterator.next();
      const second = iterator.next();
      while (store.saved.length === 0) await setImmediate();
      assert.deepEqual(placesOf(store), [1]);
      await subscription.close();
      assert.equal((await second).done, true);
      assert.deepEqual(placesOf(store), [1]);
    }));

  it('keep where a start from the latest was', () =>
    withServer(async (server, client) => {
      server.add('a');
      const store = new TracedStore();
      const options = { stream: 'a', from: 'latest', checkpoint: { store, name: 'n' } } as const;
      const subscription = client.subscribe(options);
      await subscription.ready;
      await subscription.close();
      server.add('a', 'Later');
      const [event] = await first(1, client.subscribe(options));
      assert.equal(event?.name, 'Later');
    }));

  it('start a stream that they do not name where `from` says', () =>
    withServer(async (server, client) => {
      const store = new TracedStore();
      await store.save('n', { streams: { a: 5 } });
      for (let i = 0; i < 5; i += 1) server.add('a');
      server.add('b');
      const checkpoint = { store, name: 'n' };
      await using one = client.subscribe({ streams: ['a', 'b'], from: 'latest', checkpoint });
      await using two = client.subscribe({ streams: ['a', 'b'], from: 7, checkpoint });
      await Promise.all([one.ready, two.ready]);
      assert.deepEqual(asked(server, 'ESUB').sort(), [
        'a b FROM MAP a=5 b=1 WINDOW 1000',
        'a b FROM MAP a=5 b=7 WINDOW 1000',
      ]);
    }));

  it('that cannot be saved end the loop', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 10; i += 1) server.add('a');
      const store = new TracedStore();
      store.fails = true;
      const onTheWay = client.subscribe({
        stream: 'a',
        checkpoint: { store, name: 'n', everyEvents: 2 },
      });
      await assert.rejects(first(11, onTheWay), (error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, /checkpoint n cannot be saved: no disk/);
        return true;
      });
      const atTheEnd = client.subscribe({ stream: 'a', checkpoint: { store, name: 'n' } });
      await assert.rejects(first(3, atTheEnd), CheckpointError);
      const abort = new AbortController();
      const bySignal = client.subscribe({
        stream: 'a',
        checkpoint: { store, name: 'n' },
        signal: abort.signal,
      });
      const work = async (): Promise<void> => {
        for await (const { version } of bySignal) if (version === 5) abort.abort();
      };
      await assert.rejects(work, CheckpointError);
    }));

  it('of another kind, or that cannot be loaded, are an error', () =>
    withServer(async (_server, client) => {
      const store = new TracedStore();
      await store.save('n', { partitions: { 0: 1 } });
      const checkpoint = { store, name: 'n' };
      await assert.rejects(
        first(1, client.subscribe({ stream: 'a', checkpoint })),
        CheckpointError,
      );
      store.load = () => Promise.reject(new Error('no disk'));
      await assert.rejects(first(1, client.subscribe({ all: true, checkpoint })), CheckpointError);
    }));
});
