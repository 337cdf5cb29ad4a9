import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import {
  InvalidArgumentError,
  type StoredEvent,
  type SubscribeOptions,
  type SubscriptionPosition,
} from './index.ts';
import { answering, asked, first, idsOf, untilPeers, withServer } from './testing/with-server.ts';

describe('what is asked for', () => {
  const cases: readonly (readonly [SubscribeOptions, string])[] = [
    [{ stream: 'a' }, 'ESUB a FROM 0 WINDOW 1000'],
    [{ stream: 'a', from: 7, window: 5 }, 'ESUB a FROM 7 WINDOW 5'],
    [{ streams: ['a', 'b'], from: { streams: { b: 3 } } }, 'ESUB a b FROM MAP a=0 b=3 WINDOW 1000'],
    [
      {
        streams: ['x', { streamId: 'from', partitionKey: '550E8400-E29B-41D4-A716-446655440000' }],
      },
      'ESUB from PARTITION_KEY 550e8400-e29b-41d4-a716-446655440000 x FROM 0 WINDOW 1000',
    ],
    [{ partition: 3 }, 'EPSUB 3 FROM 0 WINDOW 1000'],
    // The key's hash is 40025.
    [{ partition: '550e8400-e29b-41d4-a716-446655440000' }, 'EPSUB 1 FROM 0 WINDOW 1000'],
    [
      { partitions: [2, 0, 2], from: { partitions: { 2: 9 } } },
      'EPSUB 2,0 FROM MAP 2=9 0=0 WINDOW 1000',
    ],
    [{ all: true, from: 4 }, 'EPSUB * FROM 4 WINDOW 1000'],
  ];
  for (const [options, command] of cases) {
    it(command, () =>
      withServer(async (server, client) => {
        for (let i = 0; i < 9; i += 1) server.add('b');
        const subscription = client.subscribe(options);
        await subscription.ready;
        assert.equal(server.commands.at(-1)?.join(' '), command);
        await subscription.close();
      }),
    );
  }

  it('mistakes are told at once', () =>
    withServer(async (_server, client) => {
      const mistakes = [
        {},
        { stream: 'a', all: true },
        { streams: [] },
        { partitions: [] },
        { streams: ['a', 'a'] },
        { streams: ['FROM', 'window'] },
        { stream: 'a', from: -1 },
        { stream: 'a', from: { partitions: {} } },
        { all: true, from: { streams: { a: 1 } } },
        { all: true, from: { partitions: { 1: 0.5 } } },
        { all: true, window: 0 },
        { partition: 'nope' },
      ] as unknown as SubscribeOptions[];
      for (const each of mistakes) {
        assert.throws(() => client.subscribe(each), InvalidArgumentError, JSON.stringify(each));
      }
    }));
});

describe('delivery', () => {
  it('is history, then what comes', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 5; i += 1) server.add('a');
      const subscription = client.subscribe({ stream: 'a', from: 2 });
      await subscription.ready;
      for (let i = 0; i < 5; i += 1) server.add('a');
      const events = await first(8, subscription);
      assert.deepEqual(idsOf(events), idsOf(server.events.slice(2)));
    }));

  it('from the latest has what was appended before the server knew of it, across a lost connection', () =>
    withServer(async (server, client) => {
      server.add('a');
      let isDropped = false;
      server.script = ([name], peer) => {
        if (name !== 'EPSUB' || isDropped) return false;
        isDropped = true;
        server.add('a', 'Between');
        peer.drop();
        return true;
      };
      const subscription = client.subscribe({ all: true, from: 'latest' });
      await subscription.ready;
      server.add('a', 'After');
      const events = await first(2, subscription);
      assert.deepEqual(
        events.map(({ name }) => name),
        ['Between', 'After'],
      );
      // Asked for once: later the latest would be another.
      assert.equal(asked(server, 'EPSEQ').length, 4);
    }));

  it('does not go beyond the window, and acknowledges half of it at a time', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 100; i += 1) server.add('a');
      const events = client.subscribe({ stream: 'a', window: 10 });
      let taken = 0;
      for await (const _event of events) {
        // Time for the server to send more than it may.
        await setImmediate();
        const [subscription] = [...server.peers].flatMap((peer) => peer.subscriptions);
        assert.ok(subscription !== undefined);
        assert.ok(subscription.sent <= taken + 10, `${subscription.sent} sent, ${taken} taken`);
        taken += 1;
        if (taken === 100) break;
      }
      const acknowledged = asked(server, 'EACK').map((text) => Number(text.split(' ')[1]));
      assert.deepEqual(
        acknowledged.slice(0, 3).map((cursor) => cursor),
        [4, 9, 14],
      );
    }));

  it('with a window of one', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 20; i += 1) server.add('a');
      const events = await first(20, client.subscribe({ stream: 'a', window: 1 }));
      assert.deepEqual(idsOf(events), idsOf(server.events));
    }));

  it('of large events stops reading, and goes on', () =>
    withServer(async (server, client) => {
      const payload = 'x'.repeat(3 * 1024 * 1024);
      for (let i = 0; i < 12; i += 1) server.add('a', 'Large', payload);
      const subscription = client.subscribe({ stream: 'a' });
      await subscription.ready;
      const events = await first(12, subscription);
      assert.deepEqual(
        events.map((event) => event.payload.length),
        events.map(() => payload.length),
      );
    }));
});

describe('after a lost connection', () => {
  it('goes on behind the event in hand; nothing comes twice', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 40; i += 1) server.add(`s${i % 3}`);
      const events: StoredEvent[] = [];
      for await (const event of client.subscribe({ all: true, window: 8 })) {
        events.push(event);
        if (events.length % 7 === 0) server.drop();
        await setImmediate();
        if (events.length === 40) break;
      }
      assert.deepEqual(idsOf(events).sort(), idsOf(server.events).sort());
    }));

  it('acknowledges what the new connection sent, not what is in hand from the old one', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 40; i += 1) server.add('a');
      const events: StoredEvent[] = [];
      for await (const event of client.subscribe({ stream: 'a', window: 4 })) {
        if (events.push(event) === 10) {
          server.drop();
          while (asked(server, 'ESUB').length < 2) await setImmediate();
          server.commands.length = 0;
        }
        if (events.length === 18) break;
      }
      assert.deepEqual(idsOf(events), idsOf(server.events.slice(0, 18)));
      assert.deepEqual(
        asked(server, 'EACK')
          .map((words) => Number(words.split(' ')[1]))
          .slice(0, 2),
        [1, 3],
      );
    }));

  it('an error that may pass is one', () =>
    withServer(async (server, client) => {
      server.add('a');
      const answers = ['-TRYAGAIN no leader\r\n', '-BUFFERFULL too many\r\n'];
      server.script = ([name], peer) => {
        const answer = name === 'ESUB' ? answers.shift() : undefined;
        if (answer !== undefined) peer.send(answer);
        return answer !== undefined;
      };
      const events = client.subscribe({ stream: 'a' });
      await events.ready;
      const [peer] = server.peers;
      server.add('a');
      const pushed = `>3\r\n+error\r\n+${peer!.subscriptions[0]!.id}\r\n+CLUSTERDOWN moved\r\n`;
      peer!.send(pushed);
      server.script = () => false;
      assert.equal((await first(2, events)).length, 2);
    }));

  it('a subscription that the server does not know any more is asked for again', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 10; i += 1) server.add('a');
      let isLost = false;
      server.script = ([name], peer) => {
        if (name !== 'EACK' || isLost) return false;
        isLost = true;
        peer.subscriptions.length = 0;
        return false;
      };
      const events = await first(10, client.subscribe({ stream: 'a', window: 4 }));
      assert.deepEqual(idsOf(events), idsOf(server.events));
    }));

  it('an error that stays ends the loop behind what was delivered', () =>
    withServer(async (server, client) => {
      server.add('a');
      const events = client.subscribe({ stream: 'a' });
      await events.ready;
      const [peer] = server.peers;
      peer!.send('>3\r\n+error\r\n+id\r\n+READERR segment 3 is damaged\r\n');
      const seen: StoredEvent[] = [];
      await assert.rejects(
        async () => {
          for await (const event of events) seen.push(event);
        },
        { name: 'ServerError', code: 'READERR', message: 'segment 3 is damaged' },
      );
      await client.ping();
    }));

  it('a refusal ends the loop, and `ready`', () =>
    withServer(async (server, client) => {
      server.script = ([name], peer) => {
        if (name === 'EPSUB') peer.send('-INVALIDARG there are 4 partitions\r\n');
        return name === 'EPSUB';
      };
      const events = client.subscribe({ partition: 9 });
      await assert.rejects(events.ready, InvalidArgumentError);
      await assert.rejects(first(1, events), /there are 4 partitions/);
    }));

  it('gives up after `attemptsMax`', () =>
    withServer(
      async (server, client) => {
        await server[Symbol.asyncDispose]();
        await assert.rejects(first(1, client.subscribe({ all: true })), {
          code: 'CONNECTION_FAILED',
        });
      },
      { reconnect: { delayMs: 1, attemptsMax: 3 } },
    ));
});

describe('the end', () => {
  it('of the loop closes the connection', () =>
    withServer(async (server, client) => {
      server.add('a');
      const events = client.subscribe({ stream: 'a' });
      await first(1, events);
      assert.throws(() => events[Symbol.asyncIterator](), InvalidArgumentError);
      // A call goes over another connection; the subscription's own is gone when the server has seen its end.
      await client.ping();
      await untilPeers(server, 1);
    }));

  it('by a signal, by closing it, by closing the client: the loop ends without an error', () =>
    withServer(async (server, client) => {
      server.add('a');
      const abort = new AbortController();
      const bySignal = client.subscribe({ stream: 'a', signal: abort.signal });
      const byClose = client.subscribe({ stream: 'a' });
      const byClient = client.subscribe({ stream: 'a' });
      const before = client.subscribe({ stream: 'a', signal: AbortSignal.abort() });
      const counts = [0, 0, 0, 0];
      const loops = [bySignal, byClose, byClient, before].map(async (each, i) => {
        for await (const _event of each) counts[i] = (counts[i] ?? 0) + 1;
      });
      while (counts.join() !== '1,1,1,0') await setImmediate();
      abort.abort();
      await byClose.close();
      await client.close();
      await Promise.all(loops);
      assert.deepEqual(counts, [1, 1, 1, 0]);
      await assert.rejects(before.ready, { code: 'CLOSED' });
    }));

  it('while there is no server', () =>
    withServer(async (server, client) => {
      server.add('a');
      const events = client.subscribe({ stream: 'a' });
      await events.ready;
      await server[Symbol.asyncDispose]();
      let count = 0;
      for await (const _event of events) {
        count += 1;
        void client.close();
      }
      assert.equal(count, 1);
    }));

  it('with nobody reading', () =>
    withServer(async (server, client) => {
      server.add('a');
      await using subscription = client.subscribe({ stream: 'a' });
      await subscription.ready;
    }));

  it('an error in the loop ends it and is the loop’s', () =>
    withServer(async (server, client) => {
      server.add('a');
      const work = async (): Promise<void> => {
        for await (const event of client.subscribe({ stream: 'a' })) throw new Error(event.name);
      };
      await assert.rejects(work, /Added/);
      await untilPeers(server, 0);
    }));
});

describe('positions', () => {
  it('name what has been processed, not what is in hand', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 4; i += 1) server.add('a');
      const subscription = client.subscribe({ stream: 'a', from: 1 });
      assert.deepEqual(subscription.position, {});
      await subscription.ready;
      const seen: SubscriptionPosition[] = [subscription.position];
      for await (const event of subscription) {
        seen.push(subscription.position);
        if (event.version === 3) break;
      }
      assert.deepEqual(
        seen.map(({ streams }) => streams?.['a']),
        [1, 1, 2, 3],
      );
      assert.deepEqual(subscription.position, { streams: { a: 3 } });
      const again = client.subscribe({ stream: 'a', from: subscription.position });
      assert.deepEqual(idsOf(await first(1, again)), idsOf(server.events.slice(3)));
    }));

  it('of all partitions name every partition', () =>
    withServer(async (server, client) => {
      server.add('a');
      server.add('c');
      const subscription = client.subscribe({ all: true });
      for await (const event of subscription) {
        subscription.processed(event);
        if (event.streamId === 'c') break;
      }
      assert.deepEqual(subscription.position, { partitions: { 0: 0, 1: 1, 2: 0, 3: 1 } });
    }));

  it('that are ahead of the server are an error: it would never deliver what comes to be behind them', () =>
    withServer(async (server, client) => {
      server.add('a');
      const from = { streams: { a: 2 } };
      await assert.rejects(first(1, client.subscribe({ stream: 'a', from })), {
        name: 'CheckpointError',
        message:
          'the position is ahead of the server: stream a goes on at 2, but has only 1 events',
      });
      // Whoever asks for a number may mean the future.
      await using later = client.subscribe({ stream: 'a', from: 2 });
      await later.ready;
      server.script = answering('ESVER', '-CLUSTERDOWN no leader\r\n');
      await using unchecked = client.subscribe({ stream: 'a', from });
      await unchecked.ready;
    }));

  it('with strange names', () =>
    withServer(async (server, client) => {
      server.add('__proto__');
      server.add('a=b');
      const streams = ['__proto__', 'a=b'];
      const subscription = client.subscribe({ streams });
      for await (const event of subscription) {
        subscription.processed(event);
        if (event.streamId === 'a=b') break;
      }
      const { position } = subscription;
      assert.equal(JSON.stringify(position), '{"streams":{"__proto__":1,"a=b":1}}');
      const from = JSON.parse(JSON.stringify(position)) as SubscriptionPosition;
      await using next = client.subscribe({ streams, from });
      await next.ready;
      assert.match(asked(server, 'ESUB').at(-1) ?? '', /FROM 1 WINDOW/);
    }));

  it('acknowledged by hand: the window counts what is not processed', () =>
    withServer(async (server, client) => {
      for (let i = 0; i < 9; i += 1) server.add('a');
      const subscription = client.subscribe({ stream: 'a', acknowledge: 'manual', window: 3 });
      const iterator = subscription[Symbol.asyncIterator]();
      const next = async (): Promise<StoredEvent> => {
        const { value } = (await iterator.next()) as { value: StoredEvent };
        return value;
      };
      const three = [await next(), await next(), await next()];
      server.drop();
      let isGiven = false;
      const fourth = next().finally(() => (isGiven = true));
      assert.deepEqual(subscription.position, { streams: { a: 0 } });
      const sent = (): number =>
        [...server.peers].flatMap((peer) => peer.subscriptions).at(-1)?.sent ?? 0;
      await untilPeers(server, 0);
      while (sent() < 3) await setImmediate();
      // The three that the new connection sent are here, if they are to come at all.
      for (let i = 0; i < 3; i += 1) await client.ping();
      assert.equal(isGiven, false);
      subscription.processed(three[1]!);
      assert.deepEqual(subscription.position, { streams: { a: 2 } });
      assert.equal((await fourth).version, 3);
      subscription.processed(three[0]!);
      assert.deepEqual(subscription.position, { streams: { a: 2 } });
      await subscription.close();
    }));
});
