import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { describe, mock, test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { command, RawClient } from './testing/raw-client.ts';
import { TestServer } from './testing/test-server.ts';
import { settle, until } from './testing/until.ts';

const append = (stream: string, ...options: string[]): Buffer =>
  command('EAPPEND', stream, 'E', ...options);

/** The first lines of replies: map headers, errors, simple strings, top-level integers. */
const heads = (received: Buffer | string): string[] =>
  received.toString('latin1').match(/^(?:%6|-[A-Z]+|\+PONG|\+OK|:\d+$|_)/gm) ?? [];

const versions = (received: Buffer): number[] =>
  [...received.toString('latin1').matchAll(/stream_version\r\n:(\d+)/g)].map((found) =>
    Number(found[1]),
  );

describe('order of a connection', () => {
  test('appends start without waiting; what stands behind them waits; replies keep the order', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(append('s'), append('s'), append('s', 'BOGUS'), append('s'));
    client.send(command('ESVER', 's'), command('PING'));
    await until(() => server.store.appendCount === 3);
    await settle();
    assert.equal(client.receivedBytes, 0);

    server.store.releaseAnswers(1);
    await client.receivedText('timestamp\r\n:1700000000000\r\n');
    await settle();
    assert.deepEqual(versions(client.bytes()), [0]);

    server.store.releaseAnswers(1);
    await client.receivedText('or end of input\r\n');
    await settle();
    assert.deepEqual(versions(client.bytes()), [0, 1]);

    server.store.releaseAnswers(1);
    const all = await client.receivedText('+PONG\r\n');
    assert.match(all, /or end of input\r\n%6\r\n[^]*:2\r\n[^]*\r\n:2\r\n\+PONG\r\n$/);
  });

  test('answers that come in another order are sent in the order of the commands', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    const answers: (() => void)[] = [];
    const original = server.store.append.bind(server.store);
    server.store.append = (request, done) =>
      original(request, (error, appended) => answers.push(() => done(error, appended)));
    client.send(append('s'), append('s'), append('s'));
    await until(() => answers.length === 3);
    answers[2]?.();
    answers[1]?.();
    await settle();
    assert.equal(client.receivedBytes, 0);
    answers[0]?.();
    client.send(command('PING'));
    await client.receivedText('+PONG\r\n');
    assert.deepEqual(versions(client.bytes()), [0, 1, 2]);
  });

  test('an append whose place in the order is open holds back the next command', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdPlaces = true;
    client.send(append('s'), append('s'), command('PING'));
    await until(() => server.store.appendCount === 1);
    await settle();
    assert.equal(server.store.appendCount, 1);
    server.store.releasePlaces();
    await until(() => server.store.appendCount === 2);
    server.store.holdPlaces = false;
    server.store.releasePlaces();
    await client.receivedText('+PONG\r\n');
    assert.deepEqual(versions(client.bytes()), [0, 1]);
  });

  test('a read that takes time holds back what follows, not what came before', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.reads = 'held';
    client.send(append('s'), command('PING'), command('ESCAN', 's', '-', '+'), append('s'));
    await client.receivedText('+PONG\r\n');
    await settle();
    assert.equal(server.store.appendCount, 1);
    server.store.releaseReads();
    client.send(command('ECHO', 'end'));
    const all = await client.receivedText('$3\r\nend\r\n');
    assert.match(
      all,
      /\+PONG\r\n%2\r\n\+has_more\r\n#f\r\n\+events\r\n\*1\r\n%11[^]*%6[^]*\r\nend\r\n$/,
    );
  });

  test('reads answered later look like reads answered at once', async () => {
    const commands = [
      append('s', 'EVENT_ID', '018bcfe5-6800-1237-bb95-4123456789ab'),
      command('EGET', '018bcfe5-6800-1237-bb95-4123456789ab'),
      command('EGET', '018bcfe5-6800-1237-bb95-4123456789ac'),
      command('ESCAN', 's', '-', '+'),
      command('EPSCAN', '0', '-', '+'),
      command('ESVER', 's'),
      command('ESVER', 't'),
      command('EPSEQ', '0'),
      command('CLIENT', 'SETINFO', 'LIB-NAME', 'x'),
      command('ESCAN', 's', '-', '+'),
      command('QUIT'),
    ];
    const run = async (reads: 'at once' | 'later'): Promise<string> => {
      await using server = await TestServer.start();
      server.store.reads = reads;
      using client = await RawClient.connect(server.port);
      client.send(...commands);
      return (await client.untilClosed()).toString('latin1');
    };
    assert.equal(await run('later'), await run('at once'));
  });

  test('mixed commands with answers at random times', async () => {
    const seed = Number(process.env['SEED'] ?? 7);
    const random = seededRandom(seed);
    await using server = await TestServer.start({ limits: { appendsInFlightMax: 5 } });
    server.store.holdAnswers = true;
    using client = await RawClient.connect(server.port);
    const expected: string[] = [];
    let length = 0;
    for (let i = 0; i < 400; i += 1) {
      const choice = random.below(6);
      if (choice === 0) {
        client.send(command('PING'));
        expected.push('+PONG');
      } else if (choice === 1) {
        client.send(command('ESVER', 's'));
        expected.push(length === 0 ? '_' : `:${length - 1}`);
      } else if (choice === 2) {
        client.send(append('s', 'BOGUS'));
        expected.push('-INVALIDARG');
      } else {
        client.send(append('s'));
        expected.push('%6');
        length += 1;
      }
      if (random.below(3) === 0) server.store.releaseAnswers(1 + random.below(4));
      if (random.below(10) === 0) await settle();
    }
    server.store.holdAnswers = false;
    client.send(command('QUIT'));
    let closed = false;
    const received = client.untilClosed().finally(() => (closed = true));
    await until(() => {
      server.store.releaseAnswers();
      return closed;
    });
    // The version inside an append's reply begins a line, too; it always follows a line that is not a head.
    const text = (await received).toString('latin1').replace(/(\+[a-z_]+\r\n):/g, '$1#');
    assert.deepEqual(heads(text), [...expected, '+OK'], `seed ${seed}`);
  });
});

describe('writes', () => {
  test('replies completed in one turn leave with one write', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(...new Array<Buffer>(20).fill(append('s')));
    await until(() => server.store.appendCount === 20);
    let writes = 0;
    const { port } = server;
    const original = Socket.prototype.write;
    const spy = mock.method(Socket.prototype, 'write', function write(this: Socket, chunk: Buffer) {
      if (this.localPort === port) writes += 1;
      return original.call(this, chunk);
    });
    server.store.releaseAnswers();
    await until(() => versions(client.bytes()).length === 20);
    spy.mock.restore();
    assert.equal(writes, 1);
  });
});

describe('back-pressure', () => {
  test('unanswered appends are limited by number', async () => {
    await using server = await TestServer.start({ limits: { appendsInFlightMax: 4 } });
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(...new Array<Buffer>(10).fill(append('s')), command('QUIT'));
    await until(() => server.store.appendCount === 4);
    await settle();
    assert.equal(server.store.appendCount, 4);
    server.store.releaseAnswers(1);
    await until(() => server.store.appendCount === 5);
    await settle();
    assert.equal(server.store.appendCount, 5);
    server.store.holdAnswers = false;
    server.store.releaseAnswers();
    assert.equal(versions(await client.untilClosed()).length, 10);
  });

  test('unanswered appends are limited by size', async () => {
    await using server = await TestServer.start({ limits: { appendBytesInFlightMax: 10_000 } });
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(...new Array<Buffer>(6).fill(append('s', 'PAYLOAD', 'x'.repeat(4000))));
    client.send(command('QUIT'));
    await until(() => server.store.appendCount === 3);
    await settle();
    assert.equal(server.store.appendCount, 3);
    server.store.holdAnswers = false;
    server.store.releaseAnswers();
    assert.equal(versions(await client.untilClosed()).length, 6);
  });

  // In front of the flood stands an append that is not answered, and what waits for it.
  for (const [reason, first, limits] of [
    ['the limit of unanswered appends', [], { appendsInFlightMax: 1 }],
    ['a command behind unanswered appends', [command('PING')], {}],
  ] as const) {
    test(`while ${reason} holds a client back, it fills its own buffers, not ours`, async () => {
      await using server = await TestServer.start({ limits });
      using client = await RawClient.connect(server.port);
      server.store.holdAnswers = true;
      client.send(append('s'), ...first);
      const piece = append('s', 'PAYLOAD', 'x'.repeat(50_000));
      let sent = 1;
      // The system's socket buffers take some megabytes; when they are full, write() keeps the rest here.
      while (client.socket.writableLength < 4 * piece.length) {
        client.send(piece);
        sent += 1;
        await settle();
        assert(sent < 1000, 'the server stops reading');
      }
      assert.equal(server.store.appendCount, 1);
      server.store.holdAnswers = false;
      server.store.releaseAnswers();
      client.send(command('QUIT'));
      assert.equal(versions(await client.untilClosed()).length, sent);
    });
  }

  test('a client that never reads stops its own commands and gets everything when it reads', async () => {
    await using server = await TestServer.start({ limits: { outputBytesMax: 200_000 } });
    using client = await RawClient.connect(server.port);
    const payload = 'x'.repeat(60_000);
    client.send(append('s', 'PAYLOAD', payload), command('PING'));
    await client.receivedText('+PONG\r\n');
    const before = client.receivedBytes;
    client.socket.pause();
    const scan = command('ESCAN', 's', '-', '+');
    const scans = 400;
    for (let i = 0; i < scans; i += 1) client.send(scan);
    let answered = -1;
    await until(() => {
      const count = server.observer.answers.length;
      const still = count === answered;
      answered = count;
      return still && count > 10;
    });
    await settle();
    assert(server.observer.answers.length < scans, 'the output limit holds back the scans');
    client.socket.resume();
    client.send(command('QUIT'));
    const received = (await client.untilClosed()).subarray(before);
    const one = received.indexOf('%2', 1);
    assert.equal(received.length, one * scans + 5);
    for (let i = 0; i < scans; i += 1) {
      assert(
        received.subarray(i * one, (i + 1) * one).equals(received.subarray(0, one)),
        `scan ${i}`,
      );
    }
  });

  test('what a slow client has not read yet is not overwritten by replies to others', async () => {
    await using server = await TestServer.start();
    using slow = await RawClient.connect(server.port);
    using other = await RawClient.connect(server.port);
    slow.socket.pause();
    const length = 300_000;
    const texts = Array.from({ length: 60 }, (_, i) => Buffer.alloc(length, 65 + (i % 26)));
    for (const text of texts) slow.send(command('ECHO', text));
    await until(() => server.observer.answers.length > 10);
    for (let i = 0; i < 20; i += 1) {
      other.send(command('ECHO', Buffer.alloc(length, '.')));
      await other.received((i + 1) * length);
    }
    slow.socket.resume();
    slow.send(command('QUIT'));
    const lineEnd = Buffer.from('\r\n');
    const replies = texts.map((text) =>
      Buffer.concat([Buffer.from(`$${length}\r\n`), text, lineEnd]),
    );
    const expected = Buffer.concat([...replies, Buffer.from('+OK\r\n')]);
    assert((await slow.untilClosed()).equals(expected));
  });

  test('scans that follow each other give others their turn', async () => {
    await using server = await TestServer.start({ limits: { outputBytesMax: Infinity } });
    using client = await RawClient.connect(server.port);
    client.send(append('s', 'PAYLOAD', 'x'.repeat(200_000)), command('PING'));
    await client.receivedText('+PONG\r\n');
    const before = server.observer.answers.length;
    client.send(...new Array<Buffer>(50).fill(command('ESCAN', 's', '-', '+')));
    await until(() => server.observer.answers.length > before);
    assert(server.observer.answers.length < before + 10);
    client.send(command('QUIT'));
    await client.untilClosed();
    assert.equal(server.observer.answers.length, before + 51);
  });

  test('512 MiB declared cost no memory, sent or not', async () => {
    await using server = await TestServer.start();
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => RawClient.connect(server.port)),
    );
    const before = process.memoryUsage().arrayBuffers;
    for (const client of clients) {
      client.send('*3\r\n$7\r\nEAPPEND\r\n$536870912\r\n', 'x'.repeat(100_000));
    }
    await until(() => clients.every(({ socket }) => socket.writableLength === 0));
    await settle();
    const grown = process.memoryUsage().arrayBuffers - before;
    assert(grown < 20 * 1024 * 1024, `${grown} bytes for 20 connections`);
    using other = await RawClient.connect(server.port);
    other.send(command('PING'));
    await other.receivedText('+PONG\r\n');
    for (const client of clients) client[Symbol.dispose]();
  });
});

describe('ends', () => {
  test('a half-closed connection gets its answers', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(append('s'), command('PING'));
    client.socket.end();
    await until(() => server.store.appendCount === 1);
    await settle();
    server.store.releaseAnswers();
    const received = await client.untilClosed();
    assert.deepEqual(
      heads(received).filter((head) => !head.startsWith(':')),
      ['%6', '+PONG'],
    );
  });

  test('a half-closed connection gets the answer of a read that takes time', async () => {
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    server.store.reads = 'held';
    client.send(command('ESVER', 's'), command('PING'));
    client.socket.end();
    await settle();
    assert.equal(client.receivedBytes, 0);
    server.store.releaseReads();
    assert.equal((await client.untilClosed()).toString(), '_\r\n+PONG\r\n');
  });

  for (const [name, bytes] of [
    ['nothing', ''],
    ['a partial header', '*2\r\n$4\r'],
    ['a partial payload', '*2\r\n$4\r\nPI'],
    ['a partial inline command', 'PIN'],
  ] as const) {
    test(`end of input behind ${name} closes the connection`, async () => {
      await using server = await TestServer.start();
      using client = await RawClient.connect(server.port);
      if (bytes !== '') client.send(bytes);
      client.socket.end();
      assert.equal((await client.untilClosed()).length, 0);
      await until(() => server.observer.closed === 1);
      assert.deepEqual(server.observer.answers, []);
    });
  }

  test('a connection that breaks while its appends are under way', async () => {
    await using server = await TestServer.start();
    const client = await RawClient.connect(server.port);
    server.store.holdAnswers = true;
    client.send(append('s'), append('s'), command('ESVER', 's'));
    await until(() => server.store.appendCount === 2);
    client.socket.resetAndDestroy();
    await until(() => server.observer.closed === 1);
    server.store.releaseAnswers();
    await settle();
    assert.equal(server.listener.connections, 0);
  });

  test('QUIT and protocol errors wait for the appends before them', async () => {
    await using server = await TestServer.start();
    for (const [last, end] of [
      [command('QUIT'), '+OK\r\n'],
      [Buffer.from('*1\r\n$x\r\n'), '-ERR Protocol error: invalid bulk length\r\n'],
    ] as const) {
      using client = await RawClient.connect(server.port);
      server.store.holdAnswers = true;
      client.send(append('s'), last, command('PING'));
      await settle();
      assert.equal(client.receivedBytes, 0);
      server.store.releaseAnswers();
      const received = (await client.untilClosed()).toString('latin1');
      assert(received.startsWith('%6') && received.endsWith(end), received);
    }
  });

  test('a read that fails leaves only its error', async () => {
    const { SierraError } = await import('../../../common/errors.ts');
    await using server = await TestServer.start();
    using client = await RawClient.connect(server.port);
    for (const reads of ['at once', 'later'] as const) {
      server.store.reads = reads;
      server.store.nextReadError = new SierraError('READERR', 'read error: bucket 1 is damaged');
      client.send(append('s'), command('PING'), command('ESCAN', 's', '-', '+'), command('PING'));
      const received = await client.receivedText('damaged\r\n+PONG\r\n');
      assert(received.endsWith('+PONG\r\n-READERR read error: bucket 1 is damaged\r\n+PONG\r\n'));
    }
  });

  test('a mistake of ours closes the connection it happened on and is reported', async () => {
    const server = await TestServer.start();
    for (const reads of ['at once', 'later'] as const) {
      using client = await RawClient.connect(server.port);
      server.store.reads = reads;
      const mistake = new Error(reads);
      server.store.nextReadError = mistake;
      client.send(command('ESCAN', 's', '-', '+'), command('PING'));
      assert.equal((await client.untilClosed()).toString(), '');
      assert.deepEqual(server.observer.faults.splice(0), [mistake]);
    }
    await server[Symbol.asyncDispose]();
  });
});
