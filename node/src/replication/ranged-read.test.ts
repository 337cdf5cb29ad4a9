import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { Client } from 'undici';

import { clusterHeaders } from '../../../common/cluster-contract.ts';
import { type Landing, type RangedAnswer, readInto } from './ranged-read.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

interface Scene {
  /** Connections that were made. */
  readonly connections: () => number;
  get(signal?: AbortSignal): Promise<RangedAnswer>;
  readonly landing: Landing;
}

async function withServer(answer: Answer, run: (scene: Scene) => Promise<void>): Promise<void> {
  const server = createServer(answer);
  let connections = 0;
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new Client(`http://127.0.0.1:${String(port)}`, { bodyTimeout: 0 });
  const landing = { buffer: Buffer.alloc(1024 * 1024), isBusy: false };
  const request = { path: '/some/path', headers: ['range', 'bytes=0-9'] };
  const get: Scene['get'] = (signal = AbortSignal.timeout(20_000)) =>
    readInto(client, request, landing, signal);
  try {
    await run({ connections: () => connections, get, landing });
  } finally {
    await client.destroy();
    server.closeAllConnections();
    server.close();
  }
}

test('an answer lands where it is to; the next one comes over the same connection', async () => {
  const body = Buffer.alloc(700_000).map((_, i) => i % 251);
  const answer: Answer = (request, response) => {
    assert.equal(request.headers.range, 'bytes=0-9');
    response.writeHead(206, { [clusterHeaders.busy]: '1', 'content-length': body.length });
    response.end(body);
  };
  await withServer(answer, async ({ get, landing, connections }) => {
    for (let i = 0; i < 3; i += 1) {
      const { status, bytes } = await get();
      assert.equal(status, 206);
      assert(Buffer.from(body).equals(bytes));
      assert.equal(bytes.buffer, landing.buffer.buffer);
      assert.equal(landing.isBusy, true);
      landing.isBusy = false;
    }
    assert.equal(connections(), 1);
  });
});

test('a refusal comes with its reason; an empty answer is none of its bytes', async () => {
  let status = 409;
  const answer: Answer = (_request, response) => {
    response.writeHead(status, { 'content-length': status === 409 ? 2 : 0 });
    response.end(status === 409 ? 'no' : '');
  };
  await withServer(answer, async ({ get }) => {
    const refused = await get();
    assert.deepEqual([refused.status, refused.bytes.toString()], [409, 'no']);
    status = 206;
    assert.equal((await get()).bytes.length, 0);
  });
});

test('an answer that does not fit, has no length, or ends early is refused', async () => {
  const answers: Answer[] = [
    (_request, response) => response.end(Buffer.alloc(1024 * 1024 + 1)),
    (_request, response) => {
      response.writeHead(206, { 'transfer-encoding': 'chunked' });
      response.end('x');
    },
    (_request, response) => {
      response.writeHead(206, { 'content-length': 100 });
      response.write('x', () => response.destroy());
    },
  ];
  let asked = 0;
  await withServer(
    (request, response) => answers[asked]?.(request, response),
    async ({ get, connections }) => {
      for (; asked < answers.length; asked += 1) await assert.rejects(get());
      assert.equal(connections(), 3);
    },
  );
});

test('who gives up is told so, and nothing lands any more', async () => {
  const begun = Promise.withResolvers<ServerResponse>();
  const answer: Answer = (_request, response) => {
    response.writeHead(206, { 'content-length': 100 });
    response.write('x', () => begun.resolve(response));
  };
  await withServer(answer, async ({ get, landing }) => {
    const abort = new AbortController();
    const reading = get(abort.signal);
    const response = await begun.promise;
    abort.abort(new Error('enough'));
    await assert.rejects(reading, /enough/);
    landing.buffer.fill(0);
    const closed = once(response, 'close');
    response.write('y'.repeat(50));
    await closed;
    assert.equal(landing.buffer[1], 0);
  });
});

test('a member that is away is heard of by its code', async () => {
  const client = new Client('http://127.0.0.1:1');
  const landing = { buffer: Buffer.alloc(10), isBusy: false };
  const request = { path: '/', headers: [] };
  const reading = readInto(client, request, landing, AbortSignal.timeout(20_000));
  await assert.rejects(reading, { code: 'ECONNREFUSED' });
});
