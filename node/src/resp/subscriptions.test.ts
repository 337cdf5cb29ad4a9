/** Subscriptions on the wire: replies, pushes, their order and their end. Wire protocol 4.2, 4.3, 4.7 to 4.9. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SierraError } from '../../../common/errors.ts';
import { appendedLines, eventLines, expectation, protocolCases } from './testing/protocol-cases.ts';
import { command, RawClient } from './testing/raw-client.ts';
import { numbers, Subscriber } from './testing/subscriber.ts';
import { TestServer } from './testing/test-server.ts';
import { settle, until } from './testing/until.ts';

const append = (stream: string, payload = ''): Buffer =>
  command('EAPPEND', stream, 'E', 'PAYLOAD', payload);

const userAppend = ['EAPPEND', 'user-123', 'UserRegistered', 'PAYLOAD', '{"name":"Alice"}'];

const userEvent = (version: number): string[] =>
  eventLines({
    stream: 'user-123',
    name: 'UserRegistered',
    key: '7e124fe8-fe28-5398-bb95-53973100148f',
    partition: 21,
    sequence: version,
    version,
    payload: '{"name":"Alice"}',
  });

const subscribed = (count: number): string[] => ['+{id}', ...subscribePush(count)];
const subscribePush = (count: number): string[] => ['>3', '+subscribe', '+{id}', `:${count}`];

describe('the example of the wire protocol', () => {
  test('reply and push in one write, then history, then live events', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    using other = await RawClient.connect(server.port);
    other.send(command(...userAppend));
    await other.receivedText('timestamp\r\n:1700000000000\r\n');
    const id = await subscriber.subscribe(...['ESUB', 'user-123', 'FROM', '0', 'WINDOW', '100']);
    await subscriber.untilPushed(id, 1);
    other.send(command(...userAppend));
    await subscriber.untilPushed(id, 2);
    await settle();
    assert.match(
      subscriber.text,
      expectation([
        ...[`+${id}`, '>3', '+subscribe', `+${id}`, ':1'],
        ...['>4', '+message', `+${id}`, ':0', ...userEvent(0)],
        ...['>4', '+message', `+${id}`, ':1', ...userEvent(1)],
      ]),
    );
  });
});

test('go-redis gets events in pushes that it does not take for replies, and no other push', async () => {
  await using server = await TestServer.start();
  using client = await RawClient.connect(server.port);
  client.send(
    command('HELLO', '3'),
    command('CLIENT', 'SETINFO', 'LIB-NAME', 'go-redis(,go1.26.8)'),
    command('ESUB', 'user-123', 'FROM', '0'),
    command(...userAppend),
  );
  const text = await client.receivedText('{"name":"Alice"}\r\n');
  assert.match(
    text,
    expectation([
      '%9{text}',
      '+OK',
      '+{id}',
      '%6{text}',
      '>4',
      '+event',
      '+{id}',
      ':0',
      ...userEvent(0),
    ]),
  );
  assert.doesNotMatch(text, /\+(?:subscribe|message)\r\n/);
});

protocolCases('replies of ESUB and EPSUB', [
  {
    name: 'each counts the live subscriptions of the connection',
    send: [
      ['HELLO', '3'],
      ['ESUB', 'a'],
      ['esub', 'a', 'b', 'FROM', 'LATEST', 'WINDOW', '5'],
      ['EPSUB', '*'],
      ['RESET'],
      ['EPSUB', '0-3,7', 'WINDOW', '1', 'FROM', 'LATEST'],
    ],
    expect: [
      '%9{text}',
      ...subscribed(1),
      ...subscribed(2),
      ...subscribed(3),
      '+RESET',
      ...subscribed(1),
    ],
  },
  {
    name: 'node-redis gets the push first',
    send: [
      ['HELLO', '3'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'Node-Redis(app)'],
      ['ESUB', 'a'],
      ['EPSUB', '*'],
    ],
    expect: [
      '%9{text}',
      '+OK',
      ...[...subscribePush(1), '+{id}'],
      ...[...subscribePush(2), '+{id}'],
    ],
  },
  {
    name: 'ioredis gets no push',
    send: [
      ['HELLO', '3'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis'],
      ['ESUB', 'a'],
      ['EPSUB', '*'],
      ['PING'],
    ],
    expect: ['%9{text}', '+OK', '+{id}', '+{id}', '+PONG'],
  },
  {
    name: 'other libraries get the reply first',
    send: [
      ['HELLO', '3'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'],
      ['ESUB', 'a'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-rs'],
      ['ESUB', 'a'],
    ],
    expect: ['%9{text}', '+OK', ...subscribed(1), '+OK', ...subscribed(2)],
  },
  {
    name: 'between appends and reads',
    send: [
      ['EAPPEND', 'other', 'E'],
      ['ESUB', 'a'],
      ['ESVER', 'other'],
      ['EAPPEND', 'other', 'E'],
      ['EPSUB', '0', 'x'],
      ['EPSUB', '0'],
      ['PING'],
    ],
    expect: [
      ...appendedLines({}),
      ...subscribed(1),
      ':0',
      ...appendedLines({ sequence: 1, version: 1 }),
      '-INVALIDARG unexpected string: expected end of input',
      ...subscribed(2),
      '+PONG',
    ],
  },
]);

describe('the order of commands and pushes', () => {
  test('a subscription begins when the appends before it are answered', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    server.store.holdAnswers = true;
    subscriber.client.send(append('s', 'before'), command('ESUB', 's'), append('s', 'behind'));
    await until(() => server.store.appendCount === 1);
    await settle();
    assert.equal(subscriber.client.receivedBytes, 0);
    server.store.releaseAnswers();
    await until(() => subscriber.payloads().length === 1);
    assert.deepEqual(subscriber.payloads(), ['behind']);
    server.store.releaseAnswers();
    await subscriber.ask('+PONG', 'PING');
    assert.match(subscriber.text, /^%6[^]*>3[^]*>4[^]*behind\r\n%6[^]*\+PONG\r\n$/);
  });

  test('a subscription that takes time to open holds back what follows', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    server.store.reads = 'held';
    subscriber.client.send(command('PING'), command('ESUB', 's'), append('s', 'x'));
    await subscriber.client.receivedText('+PONG\r\n');
    await settle();
    assert.equal(server.store.appendCount, 0);
    server.store.reads = 'at once';
    server.store.releaseReads();
    await until(() => subscriber.payloads().length === 1);
    assert.match(subscriber.text, /^\+PONG\r\n\+[^]*>3[^]*(%6[^]*>4|>4[^]*%6)/);
  });

  test('a push goes out while a reply is awaited, but never into it', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    using other = await RawClient.connect(server.port);
    const id = await subscriber.subscribe('ESUB', 's');
    const start = subscriber.text.length;
    server.store.reads = 'held';
    subscriber.client.send(command('ESCAN', 't', '-', '+'), command('PING'));
    await settle();
    server.store.reads = 'at once';
    other.send(append('s', 'x'));
    await subscriber.untilPushed(id, 1);
    server.store.releaseReads();
    await subscriber.client.receivedText('+PONG\r\n');
    assert.match(
      subscriber.text.slice(start),
      /^>4[^]*x\r\n%2\r\n\+has_more\r\n#f\r\n\+events\r\n\*0\r\n\+PONG\r\n$/,
    );
  });

  test('pipelined commands and appends between the pushes of several subscriptions', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const first = await subscriber.subscribe('ESUB', 's');
    const second = await subscriber.subscribe('EPSUB', '*', 'WINDOW', '30');
    const third = await subscriber.subscribe('ESUB', 'none', 's', 'FROM', 'MAP', 's=50');
    for (let i = 0; i < 100; i += 1) {
      subscriber.client.send(append('s', `p${i}`), command('ECHO', `e${i}`));
      if (i % 10 === 0) await settle();
    }
    await subscriber.untilPushed(first, 100);
    await subscriber.untilPushed(second, 30);
    await subscriber.untilPushed(third, 50);
    await subscriber.ask('+PONG', 'PING');
    await settle();
    const { replies, pushes } = subscriber.split();
    assert.deepEqual(
      replies.filter((reply) => reply.startsWith('$')),
      numbers(0, 100).map((i) => `$${`e${i}`.length}\r\ne${i}\r\n`),
    );
    assert.equal(replies.filter((reply) => reply.startsWith('%6')).length, 100);
    assert.equal(pushes.length, 3 + 100 + 30 + 50);
    for (const [id, from, to] of [
      [first, 0, 100],
      [second, 0, 30],
      [third, 50, 100],
    ] as const) {
      assert.deepEqual(subscriber.cursors(id), numbers(0, to - from));
      assert.deepEqual(
        subscriber.payloads(id),
        numbers(from, to).map((i) => `p${i}`),
      );
    }
  });
});

describe('EACK', () => {
  test('opens the window up to what was sent, never backwards', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    for (let i = 0; i < 30; i += 1) subscriber.client.send(append('s', String(i)));
    const id = await subscriber.subscribe('ESUB', 's', 'FROM', '0', 'WINDOW', '4');
    const sent = async (): Promise<number> => {
      await settle();
      return subscriber.cursors(id).length;
    };
    assert.equal(await sent(), 4);
    for (const [cursor, expected] of [
      ['0', 5],
      ['0', 5],
      ['4', 9],
      ['1', 9],
      ['1000', 13],
      ['18446744073709551615', 17],
      ['+016', 21],
    ] as const) {
      await subscriber.ask('+OK', 'EACK', id, cursor);
      assert.equal(await sent(), expected, `after EACK ${cursor}`);
    }
    assert.deepEqual(subscriber.cursors(id), numbers(0, 21));
  });

  test('before anything was sent it is OK and changes nothing', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const id = await subscriber.subscribe('ESUB', 's', 'WINDOW', '2');
    await subscriber.ask('+OK', 'EACK', id, '5');
    for (let i = 0; i < 5; i += 1) subscriber.client.send(append('s'));
    await subscriber.untilPushed(id, 2);
    await subscriber.ask('+PONG', 'PING');
    await settle();
    assert.deepEqual(subscriber.cursors(id), [0, 1]);
  });

  test('ids in any of the forms of UUIDs; those of other connections are not found', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    using other = await Subscriber.connect(server);
    const id = await subscriber.subscribe('ESUB', 's');
    for (const form of [id.toUpperCase(), id.replaceAll('-', ''), `{${id}}`, ` ${id}`]) {
      await subscriber.ask('+OK', 'EACK', form, '0');
    }
    await other.ask('-NOTFOUND subscription not found\r\n', 'EACK', id, '0');
    await other.ask('-NOTFOUND subscription not found\r\n', 'EUNSUB', id);
    await subscriber.ask('+OK', 'EUNSUB', id.toUpperCase());
    await subscriber.ask('-NOTFOUND subscription not found\r\n', 'EUNSUB', id);
    await subscriber.ask('-NOTFOUND subscription not found\r\n', 'EACK', id, '0');
  });
});

describe('the end of a subscription', () => {
  test('EUNSUB: no push of it behind its reply, and none that says so', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const ended = await subscriber.subscribe('ESUB', 's');
    const kept = await subscriber.subscribe('ESUB', 's');
    const batch = new Array<Buffer>(50).fill(append('s'));
    subscriber.client.send(...batch, command('EUNSUB', ended), ...batch);
    await subscriber.untilPushed(kept, 100);
    await subscriber.ask('+PONG', 'PING');
    await settle();
    const { text } = subscriber;
    const behind = text.slice(text.indexOf('\r\n+OK\r\n'));
    assert(!behind.includes(ended));
    assert.deepEqual(subscriber.cursors(kept), numbers(0, 100));
    assert.equal(server.store.watched, 1);
    const next = await subscriber.subscribe('ESUB', 's');
    assert(subscriber.text.endsWith(`+subscribe\r\n+${next}\r\n:2\r\n`));
  });

  for (const [how, end] of [
    ['RESET', (client) => client.send(command('RESET'))],
    [
      'a LIB-NAME that wants RESP2',
      (client) => client.send(command('CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis')),
    ],
  ] as readonly [string, (client: RawClient) => void][]) {
    test(`${how} ends all of the connection`, async () => {
      await using server = await TestServer.start();
      using subscriber = await Subscriber.connect(server);
      using other = await RawClient.connect(server.port);
      await subscriber.subscribe('ESUB', 's');
      await subscriber.subscribe('EPSUB', '*');
      const before = subscriber.text.length;
      end(subscriber.client);
      await until(() => server.store.watched === 0);
      other.send(append('s'));
      await other.receivedText('timestamp\r\n:1700000000000\r\n');
      await subscriber.ask('+PONG', 'PING');
      await settle();
      assert.match(subscriber.text.slice(before), /^\+(RESET|OK)\r\n\+PONG\r\n$/);
    });
  }

  for (const [how, end] of [
    ['a close', (client) => client.socket.end()],
    ['a reset', (client) => client.socket.resetAndDestroy()],
    ['QUIT', (client) => client.send(command('QUIT'))],
    ['a protocol error', (client) => client.send('*1\r\n$x\r\n')],
  ] as readonly [string, (client: RawClient) => void][]) {
    test(`${how} of the connection ends all`, async () => {
      await using server = await TestServer.start();
      using subscriber = await Subscriber.connect(server);
      await subscriber.subscribe('ESUB', 's');
      await subscriber.subscribe('EPSUB', '*');
      assert.equal(server.store.watched, 33);
      end(subscriber.client);
      await until(() => server.store.watched === 0);
      await until(() => server.listener.connections === 0);
    });
  }

  test('nothing is pushed to a connection that has ended its side, though answers are', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    using other = await RawClient.connect(server.port);
    await subscriber.subscribe('ESUB', 's');
    const before = subscriber.text.length;
    server.store.holdAnswers = true;
    subscriber.client.send(command('EAPPEND', 't', 'E'));
    subscriber.client.socket.end();
    await until(() => server.store.watched === 0);
    other.send(append('s'));
    await until(() => server.store.appendCount === 2);
    await settle();
    server.store.releaseAnswers();
    await subscriber.client.untilClosed();
    assert.match(subscriber.text.slice(before), expectation(appendedLines({})));
  });

  test('a connection that is waiting for its other side to close has none', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    await subscriber.subscribe('ESUB', 's');
    // So it does not notice the end that the server sends.
    subscriber.client.socket.pause();
    subscriber.client.send(command('QUIT'));
    await until(() => server.observer.answers.some(({ name }) => name === 'QUIT'));
    assert.equal(server.store.watched, 0);
    assert.equal(server.listener.connections, 1);
  });

  test('a connection that closes while its subscription is being opened', async () => {
    await using server = await TestServer.start();
    for (const end of ['end', 'resetAndDestroy'] as const) {
      const client = await RawClient.connect(server.port);
      server.store.reads = 'held';
      client.send(command('ESUB', 's'));
      await settle();
      client.socket[end]();
      await settle();
      server.store.reads = 'at once';
      server.store.releaseReads();
      await until(() => server.listener.connections === 0);
      await until(() => server.store.watched === 0);
    }
  });

  test('a stop of the server ends them at once', async () => {
    const server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const id = await subscriber.subscribe('ESUB', 's');
    await subscriber.subscribe('EPSUB', '*', 'WINDOW', '1');
    subscriber.client.send(append('s'));
    await subscriber.untilPushed(id, 1);
    await server.listener.stop();
    assert.equal(server.store.watched, 0);
    await subscriber.client.untilClosed();
    assert.deepEqual(server.observer.faults, []);
  });

  test('one that fails tells its client and is gone; the others go on', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const id = await subscriber.subscribe('ESUB', 's');
    const kept = await subscriber.subscribe('ESUB', 't');
    server.store.nextReadError = new SierraError('READERR', 'read error: bucket 1\r\nis damaged');
    subscriber.client.send(append('s'));
    await until(() => subscriber.text.includes('damaged'));
    const error = `>3\r\n+error\r\n+${id}\r\n+READERR read error: bucket 1  is damaged\r\n`;
    assert(subscriber.text.includes(error), subscriber.text);
    await subscriber.ask('-NOTFOUND', 'EACK', id, '0');
    subscriber.client.send(append('s'), append('t'));
    await subscriber.untilPushed(kept, 1);
    assert(!subscriber.text.slice(subscriber.text.indexOf(error) + error.length).includes(id));
  });

  test('one that cannot be opened is answered with its error', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    for (const reads of ['at once', 'later'] as const) {
      server.store.reads = reads;
      server.store.nextReadError = new SierraError('READERR', 'read error: bucket 1 is damaged');
      client.send(command('ESUB', 's'), command('PING'));
      const received = await client.receivedText('+PONG\r\n');
      assert(received.endsWith('-READERR read error: bucket 1 is damaged\r\n+PONG\r\n'));
    }
  });
});
