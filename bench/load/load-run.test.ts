import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeServer } from '../testing/fake-server.ts';
import { type LoadSpec, runLoad } from './load-run.ts';
import { ReplyCounter } from './reply-counter.ts';
import type { Workload } from './requests.ts';

const append: Workload = {
  kind: 'append',
  order: 'cycle',
  streams: 10,
  firstEvent: 0,
  suppliedIds: false,
};

const spec = (port: number, changes: Partial<LoadSpec> = {}): LoadSpec => ({
  workload: append,
  dialect: 'sierradb',
  ports: [port],
  serverPids: [process.pid],
  connections: 3,
  pipeline: 4,
  length: { kind: 'requests', requests: 1000 },
  seed: 1,
  ...changes,
});

test('sends exactly the requests asked for and counts each reply', async () => {
  await using server = await FakeServer.start('%1\r\n+version\r\n:0\r\n');
  const result = await runLoad(spec(server.port));
  assert.equal(result.requests, 1000);
  assert.equal(result.events, 1000);
  assert.equal(result.requestsSent, 1000);
  assert.equal(result.errors, 0);
  const commands = new ReplyCounter();
  for (const chunk of server.received) commands.feed(chunk);
  assert.ok(result.latencyMs.p50 <= result.latencyMs.p99);
});

test('a transaction on Redis is answered when all its replies are there', async () => {
  await using server = await FakeServer.start('+OK\r\n');
  const workload: Workload = { kind: 'transaction', events: 10 };
  const result = await runLoad(
    spec(server.port, { workload, dialect: 'redis', length: { kind: 'requests', requests: 50 } }),
  );
  assert.equal(result.requests, 50);
  assert.equal(result.events, 500);
});

test('a timed run ends by itself and reports what was answered within its window', async () => {
  await using server = await FakeServer.start('+OK\r\n');
  const length = { kind: 'time', warmUpSeconds: 0.02, seconds: 0.05 } as const;
  const result = await runLoad(spec(server.port, { length }));
  assert.ok(result.requests > 0);
  assert.ok(result.requestsSent >= result.requests);
});

test('events of a page are counted by their blobs', async () => {
  const event = '%2\r\n+a\r\n$1\r\nx\r\n+b\r\n*3\r\n$0\r\n\r\n$0\r\n\r\n$1\r\n_\r\n';
  await using server = await FakeServer.start(`*2\r\n${event}${event}`);
  const workload: Workload = {
    kind: 'scan',
    count: 2,
    streams: 1,
    eventsPerStream: 2,
    partitions: 1,
  };
  const result = await runLoad(spec(server.port, { workload }));
  assert.equal(result.events, 2 * result.requests);
});

test('error replies are counted and the first is kept', async () => {
  await using server = await FakeServer.start('-ERR no\r\n');
  const result = await runLoad(spec(server.port));
  assert.equal(result.errors, 1000);
  assert.equal(result.firstError, 'ERR no');
});

test('connections are spread over several servers', async () => {
  await using first = await FakeServer.start('+OK\r\n');
  await using second = await FakeServer.start('+OK\r\n');
  const result = await runLoad(spec(0, { ports: [first.port, second.port] }));
  assert.equal(result.requests, 1000);
  assert.ok(first.received.length > 0 && second.received.length > 0);
});

test('a broken connection ends the run', async () => {
  await using server = await FakeServer.start('+OK\r\n');
  const length = { kind: 'time', warmUpSeconds: 60, seconds: 60 } as const;
  const run = runLoad(spec(server.port, { length }));
  await server.firstBytes;
  server.disconnectAll();
  await assert.rejects(run);
});
