import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  type ClientStatus,
  InvalidArgumentError,
  ProtocolError,
  ServerError,
  SierraClient,
  TimeoutError,
  UnavailableError,
  UnknownOutcomeError,
  WrongVersionError,
} from './index.ts';
import { appendedText, FakeServer } from './testing/fake-server.ts';
import { answering, quick } from './testing/with-server.ts';

/** The event ids of all appends that were sent. */
const sentIds = (server: FakeServer): string[] =>
  server.commands.filter(([name]) => name === 'EAPPEND').map((words) => words[4] ?? '');

describe('errors of the server', () => {
  const cases: readonly (readonly [string, new (...args: never[]) => Error, object])[] = [
    ['INVALIDARG no', InvalidArgumentError, { code: 'INVALIDARG', retryable: false }],
    ['DBOPFAILED too large', ServerError, { code: 'DBOPFAILED', outcome: 'not done' }],
    ['DISKFULL no space', UnavailableError, { code: 'DISKFULL', retryable: false }],
    ['READERR damaged', ServerError, { code: 'READERR', outcome: 'not done' }],
    ['NEWER what', UnknownOutcomeError, { code: 'NEWER', outcome: 'unknown' }],
    [
      'WRONGVER current stream version is 7 but expected empty for partition key 7e124fe8-fe28-5398-bb95-53973100148f and stream id a b',
      WrongVersionError,
      { current: 7, expected: 'empty', streamId: 'a b', outcome: 'not done', retryable: false },
    ],
    ['WRONGVER other words', WrongVersionError, { current: null, expected: null, streamId: null }],
  ];
  for (const [line, type, fields] of cases) {
    it(line.slice(0, 40), async () => {
      await using server = await FakeServer.start();
      server.script = answering('EAPPEND', `-${line}\r\n`);
      await using client = await SierraClient.connect(server.url);
      await assert.rejects(client.append('a', { name: 'A' }), (error) => {
        assert.ok(error instanceof type, String(error));
        for (const [key, value] of Object.entries(fields)) {
          assert.equal((error as unknown as Record<string, unknown>)[key], value, key);
        }
        assert.match(error.stack ?? '', /calls\.test\.ts/);
        return true;
      });
      assert.equal(server.commands.length, 1);
    });
  }

  it('are retried with the same ids where the server says so', async () => {
    await using server = await FakeServer.start();
    const codes = ['TRYAGAIN', 'CLUSTERDOWN', 'INSUFFICIENTREPLICAS', 'BUFFERFULL', 'QUORUMFAILED'];
    server.script = answering('EAPPEND', ...codes.map((code) => `-${code} wait\r\n`));
    await using client = await SierraClient.connect(server.url);
    await client.append('a', { name: 'A' });
    const ids = sentIds(server);
    assert.equal(ids.length, codes.length + 1);
    assert.equal(new Set(ids).size, 1);
  });

  it('in the end are what the call rejects with', async (t) => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    let line = 'TRYAGAIN no leader';
    server.script = ([name], peer) => {
      if (name !== 'EAPPEND' && name !== 'ESVER') return false;
      peer.send(`-${line}\r\n`);
      return true;
    };
    t.mock.timers.enable({ apis: ['setTimeout'] });
    /** The call's time ends while it waits to be tried again, which takes 10 ms at least. */
    const expired = async (call: Promise<unknown>): Promise<unknown> => {
      const rejected = call.then(
        () => assert.fail('it was answered'),
        (error: unknown) => error,
      );
      await client.ping();
      t.mock.timers.tick(5);
      return rejected;
    };
    const short = { timeoutMs: 5 };
    const event = { name: 'A', id: '018bcfe5-6800-1237-bb95-4123456789ab' };
    const refused = await expired(client.append('a', event, short));
    assert.ok(refused instanceof UnavailableError);
    assert.deepEqual([refused.code, refused.outcome], ['TRYAGAIN', 'not done']);
    assert.ok((await expired(client.streamVersion('a', short))) instanceof UnavailableError);
    line = 'QUORUMFAILED write outcome unknown';
    const open = await expired(client.append('a', event, short));
    assert.ok(open instanceof UnknownOutcomeError);
    assert.deepEqual([open.code, open.eventIds], ['TIMED_OUT', [event.id]]);
  });
});

describe('a connection that is lost', () => {
  it('at every byte of an answer: the append is done once', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, quick);
    const length = appendedText({ ...server.add('x'), version: 0 }).length;
    for (let cut = 0; cut <= length; cut += 1) {
      let isCut = false;
      server.script = ([name], peer) => {
        if (name === 'EAPPEND' && !isCut) {
          isCut = true;
          peer.cutAfter(cut);
          // Nothing of the answer: the connection ends with it unsent.
          if (cut === 0) peer.send('');
        }
        return false;
      };
      const { events } = await client.append(`s${cut}`, { name: 'A' });
      assert.equal(events[0]?.version, 0);
    }
    assert.equal(server.events.length, length + 2);
  });

  it('before the append was read: it is done once', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, quick);
    let drops = 3;
    server.script = ([name], peer) => {
      if (name !== 'EAPPEND' || drops === 0) return false;
      drops -= 1;
      peer.drop();
      return true;
    };
    await client.append('a', { name: 'A' });
    assert.equal(new Set(sentIds(server)).size, 1);
    assert.equal(server.events.length, 1);
  });

  it('with many calls under way: they are sent again in their order', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, quick);
    let count = 0;
    server.script = ([name], peer) => {
      if (name === 'EAPPEND' && ++count === 50) peer.drop();
      return false;
    };
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.append('a', { name: `N${i}` })));
    assert.deepEqual(
      server.events.map(({ name }) => name),
      Array.from({ length: 100 }, (_, i) => `N${i}`),
    );
  });

  it('and not made again in time: the append may be done', async () => {
    const server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, {
      reconnect: { delayMs: 1, attemptsMax: 3 },
    });
    await using patient = await SierraClient.connect(server.url, quick);
    server.script = ([name]) => {
      if (name === 'EAPPEND' && sentIds(server).length === 2) void server[Symbol.asyncDispose]();
      return true;
    };
    const appends = [
      client.append('a', { name: 'A' }),
      patient.append('a', { name: 'A' }, { timeoutMs: 100 }),
    ];
    const [gaveUp, tooLate] = await Promise.allSettled(appends);
    for (const [result, code] of [
      [gaveUp, 'CONNECTION_FAILED'],
      [tooLate, 'TIMED_OUT'],
    ] as const) {
      assert.ok(result?.status === 'rejected');
      const { reason } = result as { reason: unknown };
      assert.ok(reason instanceof UnknownOutcomeError, String(reason));
      assert.equal(reason.code, code);
      assert.ok(sentIds(server).includes(reason.eventIds[0] ?? ''));
    }
  });

  it('a bare command is not sent again', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, quick);
    server.script = ([name], peer) => {
      if (name === 'OTHER') peer.drop();
      return name === 'OTHER';
    };
    await assert.rejects(client.command(['OTHER']), {
      code: 'CONNECTION_LOST',
      outcome: 'unknown',
    });
    await client.ping();
    assert.equal(server.commands.filter(([name]) => name === 'OTHER').length, 1);
  });

  it('is noticed when the server falls silent', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url, { ...quick, silenceMs: 50 });
    let silent = true;
    server.script = ([name]) => name === 'EAPPEND' && silent && !(silent = false);
    await client.append('a', { name: 'A' });
    assert.equal(server.events.length, 1);
    assert.ok(sentIds(server).length >= 2);
  });

  it('is not believed in by a process that was busy itself', async () => {
    await using server = await FakeServer.start();
    const lost: string[] = [];
    const onStatus = ({ type }: ClientStatus): void => void lost.push(type);
    const options = { ...quick, silenceMs: 40, pingMs: 60_000, onStatus };
    await using client = await SierraClient.connect(server.url, options);
    server.script = ([name], peer) => {
      if (name !== 'ESVER') return false;
      peer.send(':1\r\n');
      const until = performance.now() + 100;
      while (performance.now() < until);
      return true;
    };
    assert.equal(await client.streamVersion('a'), 1);
    await client.ping();
    assert.deepEqual(lost, ['connected']);
  });

  it('is noticed when idle', async () => {
    await using server = await FakeServer.start();
    const { promise, resolve } = Promise.withResolvers<ClientStatus>();
    const onStatus = (status: ClientStatus): void => {
      if (status.type === 'disconnected') resolve(status);
    };
    const options = { ...quick, silenceMs: 20, pingMs: 20, onStatus };
    await using client = await SierraClient.connect(server.url, options);
    server.script = ([name]) => name === 'PING';
    assert.match(String(((await promise) as { error: Error }).error), /no answer for/);
    server.script = () => false;
    await client.ping();
  });

  it('an answer that is no RESP3 ends it', async () => {
    await using server = await FakeServer.start();
    const lost: string[] = [];
    const onStatus = (status: ClientStatus): void => {
      if (status.type === 'disconnected') lost.push(status.error.message);
    };
    await using client = await SierraClient.connect(server.url, { ...quick, onStatus });
    server.script = answering('ESVER', 'nonsense\r\n');
    await assert.rejects(client.streamVersion('a'), ProtocolError);
    server.script = answering('ESVER', ':1\r\n:2\r\n');
    assert.equal(await client.streamVersion('a'), 1);
    await client.ping();
    assert.deepEqual(lost, [
      'a reply that begins with byte 110',
      'an answer that nobody asked for',
    ]);
  });
});

describe('limits of a call', () => {
  it('its time', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    server.script = ([name]) => name !== 'PING';
    await assert.rejects(client.streamVersion('a', { timeoutMs: 20 }), TimeoutError);
    await assert.rejects(client.append('a', { name: 'A' }, { timeoutMs: 20 }), (error) => {
      assert.ok(error instanceof UnknownOutcomeError);
      assert.deepEqual(error.eventIds, sentIds(server));
      return true;
    });
    await assert.rejects(client.command(['OTHER'], { timeoutMs: 20 }), { outcome: 'unknown' });
  });

  it('a late answer is nobody else’s', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    let late: (() => void) | null = null;
    server.script = ([name], peer) => {
      if (name !== 'ESVER') return false;
      if (late === null) late = () => peer.send(':111\r\n');
      else {
        late();
        peer.send(':222\r\n');
      }
      return true;
    };
    await assert.rejects(client.streamVersion('a', { timeoutMs: 20 }), TimeoutError);
    assert.equal(await client.streamVersion('a'), 222);
  });

  it('its signal', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    const abort = new AbortController();
    server.script = ([name], peer) => {
      if (name === 'ESVER') abort.abort(new Error('enough'));
      else peer.send(':1\r\n');
      return name === 'ESVER';
    };
    await assert.rejects(client.streamVersion('a', { signal: abort.signal }), /enough/);
    await assert.rejects(client.ping({ signal: abort.signal }), /enough/);
    await client.ping();
  });

  it('how many wait, and how large they are', async () => {
    await using server = await FakeServer.start();
    server.script = ([name], peer) => {
      if (name === 'EAPPEND') peer.send(':1\r\n:1\r\n');
      return name === 'ESVER';
    };
    await using client = new SierraClient(server.url, { callsMax: 2, callBytesMax: 1000 });
    const short = { timeoutMs: 50 };
    const waiting = [client.streamVersion('a', short), client.streamVersion('a', short)];
    await assert.rejects(client.ping(), {
      code: 'QUEUE_FULL',
      retryable: true,
      outcome: 'not done',
    });
    await Promise.allSettled(waiting);
    const large = client.append('a', { name: 'A', payload: 'x'.repeat(2000) });
    await assert.rejects(client.ping(), { code: 'QUEUE_FULL' });
    await large;
    await client.ping();
  });
});
