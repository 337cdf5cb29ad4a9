/** What subscriptions may cost: slow readers, many subscriptions. Wire protocol 4.6 and 4.7. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, mock, test, type TestContext } from 'node:test';

import { command, RawClient } from './testing/raw-client.ts';
import { numbers, Subscriber } from './testing/subscriber.ts';
import { TestServer } from './testing/test-server.ts';
import { settle, until } from './testing/until.ts';

const append = (stream: string, payload = ''): Buffer =>
  command('EAPPEND', stream, 'E', 'PAYLOAD', payload);

/** Writes of the server, and the most that waited in one of its sockets. */
interface Writes {
  count: number;
  waitingBytesMax: number;
}

function watchWrites(t: TestContext, server: TestServer): Writes {
  const writes: Writes = { count: 0, waitingBytesMax: 0 };
  const { port } = server;
  const original = Socket.prototype.write;
  const spy = mock.method(Socket.prototype, 'write', function write(this: Socket, chunk: Buffer) {
    const result = original.call(this, chunk);
    if (this.localPort === port) {
      writes.count += 1;
      writes.waitingBytesMax = Math.max(writes.waitingBytesMax, this.writableLength);
    }
    return result;
  });
  t.after(() => spy.mock.restore());
  return writes;
}

/** Appends events of this size, each with its number in its payload, on a connection of their own. */
async function appendMany(
  server: TestServer,
  stream: string,
  from: number,
  to: number,
  bytes: number,
): Promise<void> {
  using client = await RawClient.connect(server.port);
  for (const i of numbers(from, to)) client.send(append(stream, String(i).padEnd(bytes, '.')));
  client.send(command('QUIT'));
  await client.untilClosed();
}

const EVENT_BYTES = 50_000;

/** What the kernel takes for a connection that nobody reads is far less. */
const EVENTS = 600;

describe('a client that does not read', () => {
  test('costs little, holds up nobody, and loses nothing', async (t) => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const writes = watchWrites(t, server);
    await appendMany(server, 's', 0, EVENTS, EVENT_BYTES);
    const id = await subscriber.subscribe('ESUB', 'other');
    subscriber.client.socket.pause();
    subscriber.client.send(command('ESUB', 's', 'FROM', '0'));
    await until(() => server.subscriptions.statistics.waitingForSink === 1);
    const stalledAt = server.subscriptions.statistics.delivered;
    assert(stalledAt > 0 && stalledAt < EVENTS, String(stalledAt));

    // The same connection's commands go on, and so do those of others; their events wait.
    const answers = server.observer.answers.length;
    subscriber.client.send(append('other', 'own'), command('ESVER', 'other'));
    await until(() => server.observer.answers.length === answers + 2);
    await appendMany(server, 's', EVENTS, EVENTS + 10, EVENT_BYTES);
    await appendMany(server, 'other', 1, 2, 1);
    assert.equal(server.subscriptions.statistics.delivered, stalledAt);
    assert.equal(server.subscriptions.statistics.waitingForSink, 2);
    const bound = 256 * 1024 + 64 * 1024 + 2 * EVENT_BYTES;
    assert(writes.waitingBytesMax <= bound, String(writes.waitingBytesMax));

    subscriber.client.socket.resume();
    await until(() => server.subscriptions.statistics.delivered === EVENTS + 10 + 2);
    subscriber.client.send(command('QUIT'));
    await subscriber.client.untilClosed();
    const payloads = subscriber.payloads().map((payload) => payload.replaceAll('.', ''));
    assert.deepEqual(
      payloads.filter((payload) => payload !== 'own').slice(0, -1),
      numbers(0, EVENTS + 10).map(String),
    );
    assert.deepEqual(subscriber.cursors(id), [0, 1]);
  });

  test('is waited for only where its socket says when it has become free', async () => {
    // Far below what the socket calls full: what is in between does not count.
    await using server = await TestServer.start({ limits: { pushBytesMax: 100 } });
    using subscriber = await Subscriber.connect(server);
    using other = await RawClient.connect(server.port);
    const id = await subscriber.subscribe('ESUB', 's');
    subscriber.client.socket.pause();
    const { subscriptions } = server;
    let sent = 0;
    for (; subscriptions.statistics.waitingForSink === 0; sent += 1) {
      other.send(append('s', 'x'.repeat(10_000)));
      await until(() => {
        const { delivered, waitingForSink } = subscriptions.statistics;
        return delivered > sent || waitingForSink > 0;
      });
    }
    subscriber.client.socket.resume();
    await until(() => subscriptions.statistics.delivered === sent);
    subscriber.client.send(command('QUIT'));
    await subscriber.client.untilClosed();
    assert.deepEqual(subscriber.cursors(id), numbers(0, sent));
  });

  test('a connection full of replies still gets its events', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    await appendMany(server, 's', 0, 10, EVENT_BYTES);
    await subscriber.subscribe('ESUB', 't');
    subscriber.client.socket.pause();
    const scan = command('ESCAN', 's', '-', '+');
    subscriber.client.send(...new Array<Buffer>(60).fill(scan));
    let answered = -1;
    await until(() => {
      const count = server.observer.answers.length;
      const isStill = count === answered;
      answered = count;
      return isStill && count > 12;
    });
    // The first one finds out that the socket is full, the others wait.
    for (let i = 0; i < 3; i += 1) {
      await appendMany(server, 't', i, i + 1, 1);
      await until(() => server.subscriptions.statistics.delivered === 1);
    }
    subscriber.client.socket.resume();
    await until(() => server.subscriptions.statistics.delivered === 3);
    await until(() => server.observer.answers.filter(({ name }) => name === 'ESCAN').length === 60);
    subscriber.client.send(command('QUIT'));
    await subscriber.client.untilClosed();
    const { replies, pushes } = subscriber.split();
    assert.equal(replies.filter((reply) => reply.startsWith('%2')).length, 60);
    assert.equal(pushes.length, 1 + 3);
  });

  test('EUNSUB and RESET work behind what waits', async () => {
    await using server = await TestServer.start();
    await appendMany(server, 's', 0, EVENTS, EVENT_BYTES);
    for (const end of ['EUNSUB', 'RESET']) {
      using subscriber = await Subscriber.connect(server);
      const id = await subscriber.subscribe('ESUB', 's', 'FROM', '0');
      subscriber.client.socket.pause();
      await until(() => server.subscriptions.statistics.waitingForSink === 1);
      if (end === 'EUNSUB') subscriber.client.send(command('EUNSUB', id));
      else subscriber.client.send(command('RESET'));
      await until(() => server.subscriptions.statistics.open === 0);
      subscriber.client.send(command('ESUB', 's', 'FROM', String(EVENTS - 1)));
      await until(() => server.subscriptions.statistics.open === 1);
      const before = server.subscriptions.statistics.delivered;
      subscriber.client.socket.resume();
      await until(() => server.subscriptions.statistics.delivered === before + 1);
      subscriber.client.send(command('QUIT'));
      await subscriber.client.untilClosed();
      const { replies, pushes } = subscriber.split();
      assert.equal(replies.length, 4);
      assert(pushes.at(-1)?.includes(`\r\n${EVENTS - 1}.`));
      await until(() => server.subscriptions.statistics.open === 0);
    }
  });
});

describe('pushes', () => {
  test('of one turn leave with one write', async (t) => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    for (let i = 0; i < 20; i += 1) await subscriber.subscribe('ESUB', 's');
    const writes = watchWrites(t, server);
    await appendMany(server, 's', 0, 1, 10);
    await until(() => server.subscriptions.statistics.delivered === 20);
    await settle();
    // The other two are the replies of the append and of QUIT, at most.
    assert(writes.count <= 3, String(writes.count));
    assert.equal(subscriber.split().pushes.length, 40);
  });

  test('of ten thousand subscriptions on one connection', async () => {
    await using server = await TestServer.start();
    using subscriber = await Subscriber.connect(server);
    const count = 10_000;
    for (let i = 0; i < count; i += 100) {
      const batch = numbers(i, i + 100).map((n) =>
        n % 2 === 0 ? command('ESUB', 'hot') : command('ESUB', `own-${n}`),
      );
      subscriber.client.send(...batch);
    }
    await until(() => server.subscriptions.statistics.open === count);
    await subscriber.client.receivedText(`:${count}\r\n`);
    const before = subscriber.client.receivedBytes;
    await appendMany(server, 'own-777', 0, 1, 1);
    await until(() => server.subscriptions.statistics.delivered === 1);
    subscriber.client.socket.pause();
    await appendMany(server, 'hot', 0, 3, 100);
    await settle();
    subscriber.client.socket.resume();
    await until(() => server.subscriptions.statistics.delivered === 1 + 3 * (count / 2));
    subscriber.client.send(command('QUIT'));
    await subscriber.client.untilClosed();
    const text = subscriber.text.slice(before);
    assert.equal(text.split('>4\r\n+message\r\n').length - 1, 1 + 3 * (count / 2));
    assert.equal(text.split('own-777').length - 1, 1);
    await until(() => server.store.watched === 0);
  });
});
