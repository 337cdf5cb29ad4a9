import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';

import {
  ConnectionError,
  InvalidArgumentError,
  json,
  SierraClient,
  type SierraClientError,
} from './index.ts';
import { FakeServer } from './testing/fake-server.ts';
import { certificate, TlsProxy } from './testing/tls-proxy.ts';
import { answering, quick } from './testing/with-server.ts';

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const event of events) list.push(event);
  return list;
}

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

describe('commands', () => {
  it('append, with an id of the client', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    const result = await client.append(
      'user-1',
      {
        name: 'Registered',
        payload: json({ a: 1 }),
        metadata: Buffer.from([0, 255]),
        timestamp: 5,
      },
      { expectedVersion: 'empty', partitionKey: '{550E8400-e29b-41d4-a716-446655440000}' },
    );
    const [words] = server.commands;
    const id = words?.[4] ?? '';
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.deepEqual(words, [
      ...['EAPPEND', 'user-1', 'Registered', 'EVENT_ID', id, 'EXPECTED_VERSION', 'empty'],
      ...['TIMESTAMP', '5', 'PAYLOAD', '{"a":1}', 'METADATA', '\x00\xff'],
      ...['PARTITION_KEY', '550e8400-e29b-41d4-a716-446655440000'],
    ]);
    assert.deepEqual(result.events, [
      { id, streamId: 'user-1', version: 0, sequence: 0, timestamp: 1_700_000_000_000 },
    ]);
  });

  it('several events are one transaction, each expecting what the one before makes', async () => {
    await using server = await FakeServer.start();
    const event = (id: string, version: number): string =>
      `%4\r\n+event_id\r\n+${id}\r\n+stream_id\r\n+user-123\r\n+stream_version\r\n:${version}\r\n+timestamp\r\n:1\r\n`;
    server.script = ([name, key = '', ...words], peer) => {
      if (name !== 'EMAPPEND') return false;
      const ids = words.filter((_, i) => words[i - 1] === 'EVENT_ID');
      peer.send(
        `%5\r\n+partition_key\r\n+${key}\r\n+partition_id\r\n:21\r\n+first_partition_sequence\r\n:4\r\n` +
          `+last_partition_sequence\r\n:5\r\n+events\r\n*2\r\n${ids.map((id, i) => event(id, i)).join('')}`,
      );
      return true;
    };
    await using client = await SierraClient.connect(server.url);
    const result = await client.append('user-123', [{ name: 'A' }, { name: 'B' }], {
      expectedVersion: 'empty',
    });
    const [words = []] = server.commands;
    assert.equal(words[1], '7e124fe8-fe28-5398-bb95-53973100148f');
    assert.deepEqual(
      words.filter((_, i) => words[i - 1] === 'EXPECTED_VERSION'),
      ['empty', '0'],
    );
    assert.deepEqual(
      result.events.map(({ version, sequence }) => [version, sequence]),
      [
        [0, 4],
        [1, 5],
      ],
    );
  });

  it('ranges are read page by page', async () => {
    await using server = await FakeServer.start();
    for (let i = 0; i < 25; i += 1) server.add('a', 'N', `{"i":${i}}`);
    await using client = await SierraClient.connect(server.url);
    const versions = async (options: object): Promise<number[]> =>
      (await all(client.readStream('a', options))).map(({ version }) => version);
    const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
    assert.deepEqual(await versions({ pageEvents: 4 }), upTo(25));
    assert.deepEqual(await versions({ from: 3, to: 6 }), [3, 4, 5, 6]);
    assert.deepEqual(await versions({ limit: 7, pageEvents: 3 }), upTo(7));
    assert.deepEqual(await versions({ limit: 0 }), []);
    assert.deepEqual(await versions({ from: 30 }), []);
    const page = await client.partitionPage(1, { from: 20, limit: 2 });
    assert.deepEqual([page.events.length, page.hasMore, page.next], [2, true, 22]);
    assert.deepEqual(page.events[0]?.json(), { i: 20 });
    assert.deepEqual((await all(client.readPartition(1))).length, 25);
    assert.equal(await client.streamVersion('a'), 24);
    assert.equal(await client.partitionSequence(2), null);
  });

  it('a loop that ends early leaves nothing behind', async () => {
    await using server = await FakeServer.start();
    for (let i = 0; i < 10; i += 1) server.add('a');
    await using client = await SierraClient.connect(server.url);
    for await (const event of client.readStream('a', { pageEvents: 2 }))
      if (event.version === 3) break;
    await client.ping();
  });

  it('mistakes are told before anything is sent', async () => {
    await using server = await FakeServer.start();
    await using client = await SierraClient.connect(server.url);
    const mistakes: (() => Promise<unknown>)[] = [
      () => client.append('a', []),
      () => client.append('a\ud800', { name: 'A' }),
      () => client.append('a', { name: 'A', id: 'nope' }),
      () => client.append('a', { name: 'A' }, { expectedVersion: -1 }),
      () => client.append('a', { name: 'A' }, { expectedVersion: 'none' as 'any' }),
      () => client.append('a', { name: 'A', payload: { a: 1 } as unknown as string }),
      () => client.transaction('nope', [{ streamId: 'a', name: 'A' }]),
      () => client.streamPage('a', { from: 1.5 }),
      () => client.getEvent('nope'),
      () => all(client.readStream('a', { limit: -1 })),
    ];
    for (const mistake of mistakes) await assert.rejects(mistake, InvalidArgumentError);
    assert.deepEqual(server.commands, []);
    assert.throws(() => json(undefined), InvalidArgumentError);
  });

  it('any other command, with values as they are', async () => {
    await using server = await FakeServer.start();
    server.script = answering('DEBUG', '%1\r\n+a\r\n$1\r\nb\r\n');
    await using client = await SierraClient.connect(server.url);
    assert.deepEqual(await client.command(['DEBUG', 1]), new Map([['a', Buffer.from('b')]]));
  });
});

describe('connecting', () => {
  it('happens with the first call', async () => {
    await using server = await FakeServer.start();
    await using client = new SierraClient({ host: '127.0.0.1', port: server.port });
    assert.equal(server.peers.size, 0);
    await client.ping();
  });

  it('rejects where nobody listens', async () => {
    const port = await deadPort();
    await assert.rejects(SierraClient.connect(`redis://127.0.0.1:${port}`), (error) => {
      assert.ok(error instanceof ConnectionError);
      assert.equal(error.code, 'CONNECTION_FAILED');
      assert.match(error.message, /cannot connect to 127\.0\.0\.1:\d+: .*ECONNREFUSED/);
      return true;
    });
    await using client = new SierraClient({ host: '127.0.0.1', port }, quick);
    await assert.rejects(client.append('a', { name: 'A' }, { timeoutMs: 50 }), {
      name: 'ConnectionError',
      code: 'CONNECTION_FAILED',
      outcome: 'not done',
    });
  });

  it('gives up after `attemptsMax` failures', async () => {
    const port = await deadPort();
    const states: string[] = [];
    await using client = new SierraClient(
      { host: '127.0.0.1', port },
      {
        reconnect: { delayMs: 1, attemptsMax: 3 },
        onStatus: ({ type }) => states.push(type),
      },
    );
    await assert.rejects(client.ping(), /no connection after 3 attempts/);
    assert.deepEqual(states, ['reconnecting', 'reconnecting']);
  });

  it('tries the endpoints in turn, and the next one when one is lost', async () => {
    await using first = await FakeServer.start();
    await using second = await FakeServer.start();
    const endpoints = [first.url, { host: '127.0.0.1', port: second.port }];
    const dead = `127.0.0.1:${await deadPort()}`;
    await using client = await SierraClient.connect(dead, { ...quick, endpoints });
    await client.ping();
    assert.equal(first.commands.length, 1);
    const port = first.port;
    await first[Symbol.asyncDispose]();
    await client.ping();
    assert.equal(second.commands.length, 1);
    await using third = await FakeServer.start(port);
    second.drop();
    await client.ping();
    assert.equal(third.commands.length + second.commands.length, 2);
  });

  it('waits for a server that comes later', async () => {
    const port = await deadPort();
    await using client = new SierraClient({ host: '127.0.0.1', port }, quick);
    const pinged = client.ping();
    await using _server = await FakeServer.start(port);
    await pinged;
  });

  it('greets with credentials and a name, and does not retry what is refused', async () => {
    await using server = await FakeServer.start();
    const greetings: (readonly string[])[] = [];
    server.script = (words) => {
      greetings.push(words);
      return false;
    };
    const url = `sierradb://alice:s%20cret@127.0.0.1:${server.port}`;
    await using _client = await SierraClient.connect(url, { name: 'billing' });
    assert.deepEqual(greetings, [
      ['HELLO', '3', 'AUTH', 'alice', 's cret'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'sierradb-client'],
      ['CLIENT', 'SETNAME', 'billing'],
    ]);
    server.script = answering('HELLO', '-WRONGPASS invalid password\r\n');
    await using refused = new SierraClient(url);
    await assert.rejects(refused.ping(), { name: 'ServerError', code: 'WRONGPASS' });
  });

  it('tells a server of another kind', async () => {
    await using server = await FakeServer.start();
    server.script = answering('HELLO', '%1\r\n+server\r\n+redis\r\n');
    await assert.rejects(SierraClient.connect(server.url), /no SierraDB server/);
  });

  it('over TLS, to a server whose certificate it trusts', async () => {
    await using server = await FakeServer.start();
    await using proxy = await TlsProxy.start(server.port);
    for (const [url, tls] of [
      [`sierradbs://localhost:${proxy.port}`, undefined],
      [`rediss://127.0.0.1:${proxy.port}`, true],
    ] as const) {
      const untrusted = SierraClient.connect(url, tls === undefined ? {} : { tls });
      await assert.rejects(untrusted, /self-signed certificate/);
      const client = await SierraClient.connect(url, { tls: { ca: certificate } });
      await client.ping();
      await client.close();
    }
  });

  it('takes no target that is none', () => {
    for (const target of [
      'http://localhost',
      'sierradb://:1',
      { host: '' },
      { host: 'a', port: 0 },
    ]) {
      assert.throws(() => new SierraClient(target), InvalidArgumentError);
    }
    assert.throws(() => new SierraClient('localhost', { timeoutMs: 0 }), InvalidArgumentError);
    assert.throws(
      () => new SierraClient('a:secret@b@c://'),
      (error: Error) => !error.message.includes('secret'),
    );
  });
});

describe('closing', () => {
  it('waits for the calls under way; later ones reject', async () => {
    await using server = await FakeServer.start();
    const client = await SierraClient.connect(server.url);
    const states: string[] = [];
    const appended = client.append('a', { name: 'A' });
    const closed = client.close();
    await assert.rejects(client.ping(), { code: 'CLOSED' });
    await closed;
    assert.equal((await appended).events.length, 1);
    assert.throws(
      () => client.subscribe({ all: true }),
      (error: SierraClientError) => error.code === 'CLOSED',
    );
    await client.close();
    assert.deepEqual(states, []);
  });

  it('of a client that never connected', async () => {
    await new SierraClient('localhost').close();
  });
});
