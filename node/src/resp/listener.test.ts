import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { command, RawClient } from './testing/raw-client.ts';
import { TestServer } from './testing/test-server.ts';
import { settle, until } from './testing/until.ts';

describe('connections', () => {
  test('beyond the limit they are told so; a place that becomes free is taken', async () => {
    await using server = await TestServer.start({ limits: { connectionsMax: 2 } });
    using first = await RawClient.connect(server.port);
    using second = await RawClient.connect(server.port);
    second.send(command('PING'));
    await second.receivedText('+PONG\r\n');
    using third = await RawClient.connect(server.port);
    third.send(command('PING'));
    assert.equal((await third.untilClosed()).toString(), '-ERR max number of clients reached\r\n');
    assert.equal(server.observer.refused, 1);
    first.socket.end();
    await until(() => server.observer.closed === 1);
    using fourth = await RawClient.connect(server.port);
    fourth.send(command('CLIENT', 'ID'));
    await fourth.receivedText(':3\r\n');
  });

  test('what happens is observed', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    client.send(command('EAPPEND', 's', 'E'), command('ESVER', 's', 'x'), command('foo'));
    client.send('+x\r\n', command('eget', '0'.repeat(32)), command('QUIT'));
    await client.untilClosed();
    await until(() => server.observer.closed === 1);
    assert.equal(server.observer.opened, 1);
    assert.deepEqual(server.observer.answers, [
      { name: 'EAPPEND', code: null },
      { name: 'ESVER', code: 'INVALIDARG' },
      { name: 'unknown', code: 'INVALIDARG' },
      { name: 'unknown', code: 'ERR' },
      { name: 'EGET', code: null },
      { name: 'QUIT', code: null },
    ]);
  });
});

describe('stop', () => {
  test('ends idle connections and those with an unfinished command, and refuses new ones', async () => {
    const server = await TestServer.start();
    using idle = await RawClient.connect(server.port);
    using partial = await RawClient.connect(server.port);
    partial.send('*1\r\n$4\r\nPI');
    await until(() => server.listener.connections === 2);
    const { port } = server;
    await server.listener.stop();
    assert.equal((await idle.untilClosed()).length, 0);
    assert.equal((await partial.untilClosed()).length, 0);
    await assert.rejects(RawClient.connect(port), { code: 'ECONNREFUSED' });
  });

  test('answers what has been received', async () => {
    const server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(command('EAPPEND', 's', 'E'), command('ESVER', 's'), command('PING'));
    await until(() => server.store.appendCount === 1);
    const stopped = server.listener.stop();
    await settle();
    assert.equal(client.receivedBytes, 0);
    server.store.releaseAnswers();
    assert.match((await client.untilClosed()).toString(), /^%6[^]*\r\n:0\r\n\+PONG\r\n$/);
    await stopped;
  });

  test('cuts off at the deadline what does not finish', async () => {
    const server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(command('EAPPEND', 's', 'E'));
    await until(() => server.store.appendCount === 1);
    await server.listener.stop(20);
    assert.equal((await client.untilClosed()).length, 0);
    server.store.releaseAnswers();
    await settle();
    assert.deepEqual(server.observer.faults, []);
  });

  test('may be called twice', async () => {
    const server = await TestServer.start();
    await Promise.all([server.listener.stop(), server.listener.stop()]);
    await server.listener[Symbol.asyncDispose]();
  });
});
