/** Driver: sierradb-client.ts PORT default. The client of this repository, `sierradb/client`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  InvalidArgumentError,
  SierraClient,
  UnavailableError,
  WrongVersionError,
  type StoredEvent,
} from '../../../client/index.ts';
import { report, type Checks } from './report.ts';

const [port = ''] = process.argv.slice(2);
const errors: Error[] = [];
const client = await SierraClient.connect(`sierradb://127.0.0.1:${port}`, {
  onStatus: (status) => {
    if (status.type === 'disconnected') errors.push(status.error);
  },
});

const EVENT_ID = '550e8400-e29b-41d4-a716-446655440000';
const KEY = EVENT_ID;
const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const TIMESTAMP = 1_700_000_000_000;
const PAYLOAD = '{"name":"Zoë"}\r\n$';

function checkEvent(event: StoredEvent | null | undefined): void {
  assert(event);
  assert.deepEqual(
    [event.id, event.partitionKey, event.partition, event.sequence, event.version],
    [EVENT_ID, USER_KEY, 21, 0, 0],
  );
  assert.deepEqual(
    [event.streamId, event.name, event.timestamp],
    ['user-123', 'UserRegistered', TIMESTAMP],
  );
  assert.deepEqual([event.payload.toString(), event.metadata.toString()], [PAYLOAD, 'by hand']);
}

async function roundTrip(stream: string, payload: Buffer): Promise<void> {
  await client.append(stream, { name: 'E', payload, metadata: payload });
  const [event] = (await client.streamPage(stream)).events;
  assert(event !== undefined && payload.equals(event.payload) && payload.equals(event.metadata));
}

/** The next events of a subscription, without ending it. */
async function take(events: AsyncIterator<StoredEvent>, count: number): Promise<StoredEvent[]> {
  const taken: StoredEvent[] = [];
  while (taken.length < count) {
    const next = await events.next();
    assert(next.done !== true, 'the subscription ended');
    taken.push(next.value);
  }
  return taken;
}

const versions = (events: readonly StoredEvent[]): number[] => events.map(({ version }) => version);

async function subscribe(): Promise<void> {
  await client.append('live', [{ name: 'E' }, { name: 'E' }, { name: 'E' }]);
  await using live = client.subscribe({ stream: 'live', from: 0 });
  const events = live[Symbol.asyncIterator]();
  assert.deepEqual(versions(await take(events, 3)), [0, 1, 2]);
  await client.append('live', { name: 'E' });
  await client.append('live', { name: 'E', payload: 'five\r\n' });
  const [, last] = await take(events, 2);
  assert.deepEqual([last?.version, last?.payload.toString()], [4, 'five\r\n']);

  await using partition = client.subscribe({ partition: KEY, from: 0 });
  const streams = (await take(partition[Symbol.asyncIterator](), 2)).map((event) => event.streamId);
  assert.deepEqual(streams, ['a', 'b']);
}

async function window(): Promise<void> {
  await using subscription = client.subscribe({ stream: 'many', from: 10, window: 2 });
  const events = await take(subscription[Symbol.asyncIterator](), 10);
  assert.deepEqual(
    versions(events),
    Array.from({ length: 10 }, (_, i) => 10 + i),
  );
}

const run: Checks = {
  connect: async () => {
    await client.ping();
    assert.equal((await client.hello()).partitionCount, 32);
    assert('redis_version' in (await client.info()));
  },
  append: async () => {
    const event = {
      ...{ name: 'UserRegistered', id: EVENT_ID, timestamp: TIMESTAMP },
      ...{ payload: PAYLOAD, metadata: 'by hand' },
    };
    const options = { expectedVersion: 'empty', partitionKey: USER_KEY } as const;
    const appended = await client.append('user-123', event, options);
    assert.equal(appended.partition, 21);
    assert.equal(appended.events[0]?.version, 0);
    assert.deepEqual(await client.append('user-123', event, options), appended, 'a retry');
  },
  transaction: async () => {
    const stored = await client.transaction(KEY, [
      { streamId: 'a', name: 'A', expectedVersion: 'empty' },
      { streamId: 'b', name: 'B' },
    ]);
    assert.deepEqual(
      stored.events.map(({ streamId, sequence }) => [streamId, sequence]),
      [
        ['a', 0],
        ['b', 1],
      ],
    );
  },
  read: async () => {
    checkEvent(await client.getEvent(EVENT_ID));
    assert.equal(await client.getEvent(USER_KEY), null);
    assert.equal(await client.streamVersion('user-123'), 0);
    assert.equal(await client.streamVersion('nobody'), null);
    assert.equal(await client.partitionSequence(25), 1);
    assert.equal(await client.partitionSequence(0), null);
    const stream = await client.streamPage('user-123');
    assert.deepEqual([stream.hasMore, stream.events.length], [false, 1]);
    checkEvent(stream.events[0]);
    const partition = await client.partitionPage(KEY, { limit: 1 });
    assert.deepEqual([partition.hasMore, partition.events[0]?.streamId], [true, 'a']);
  },
  errors: async () => {
    await assert.rejects(
      client.append('user-123', { name: 'E' }, { expectedVersion: 'empty' }),
      (error) => error instanceof WrongVersionError && error.current === 0,
    );
    // The client tries again what may be tried again, for as long as it is given.
    await assert.rejects(client.partitionPage(99, { timeoutMs: 200 }), UnavailableError);
    await assert.rejects(client.command(['NOSUCH']), InvalidArgumentError);
    await client.ping();
  },
  binary: () =>
    roundTrip(
      'binary',
      Buffer.from(`\r\n\0$5\r\n${String.fromCharCode(...new Array(256).keys())}`, 'latin1'),
    ),
  large: () => roundTrip('large', Buffer.alloc(1024 * 1024, 'sierra\r\n')),
  pipeline: async () => {
    const appends = Array.from({ length: 200 }, () => client.append('many', { name: 'E' }));
    const appended = (await Promise.all(appends)).map(({ events }) => events[0]?.version);
    assert.deepEqual(
      appended,
      Array.from({ length: 200 }, (_, version) => version),
    );
    assert.deepEqual(errors, []);
  },
  subscribe,
  window,
};

const manifest = readFileSync(join(import.meta.dirname, '../../../package.json'), 'utf8');
const { version } = JSON.parse(manifest) as { version: string };
await report({ version, protocol: 3 }, run);
await client.close();
