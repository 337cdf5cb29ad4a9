import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { test } from 'node:test';

import {
  Database,
  isOutcomeUnknown,
  isSierraError,
  isWrongVersion,
  OpenError,
  type StoredEvent,
} from './index.ts';

const KEY = '550e8400-e29b-41d4-a716-446655440000';
const ID = '018bcfe5-6800-1237-bb95-4123456789ab';

async function all(events: AsyncIterable<StoredEvent>): Promise<StoredEvent[]> {
  const list: StoredEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

async function refused(code: string, attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    assert.ok(isSierraError(error), String(error));
    assert.equal(error.code, code);
    return error.message;
  }
  assert.fail(`not refused with ${code}`);
}

test('an event comes back as it was given', async () => {
  await using database = await Database.memory();
  const metadata = Uint8Array.of(0, 255, 10);
  const appended = await database.append(
    'user-123',
    { name: 'Registered', payload: 'größer', metadata, id: ID, timestamp: 1_700_000_000_000 },
    { expectedVersion: 'empty' },
  );
  assert.deepEqual(appended, {
    partition: 21,
    partitionKey: '7e124fe8-fe28-5398-bb95-53973100148f',
    events: [
      { id: ID, streamId: 'user-123', version: 0, sequence: 0, timestamp: 1_700_000_000_000 },
    ],
  });
  const [event] = await all(database.readStream('user-123'));
  assert.ok(event);
  const { transactionId, payload, metadata: stored, ...rest } = event;
  assert.match(transactionId, /^[0-9a-f]{8}-/);
  assert.equal(payload.toString(), 'größer');
  assert.deepEqual([...stored], [...metadata]);
  assert.deepEqual(rest, {
    id: ID,
    streamId: 'user-123',
    name: 'Registered',
    version: 0,
    partition: 21,
    partitionKey: '7e124fe8-fe28-5398-bb95-53973100148f',
    sequence: 0,
    timestamp: 1_700_000_000_000,
  });
  assert.deepEqual(await database.getEvent(ID), event);
  assert.deepEqual(await all(database.readPartition(21)), [event]);
  assert.deepEqual(await all(database.readPartition(event.partitionKey)), [event]);
});

test('nothing is there before the first event', async () => {
  await using database = await Database.memory();
  assert.equal(await database.streamVersion('nobody'), null);
  assert.equal(await database.partitionSequence(0), null);
  assert.equal(await database.getEvent(ID), null);
  assert.deepEqual(await all(database.readStream('nobody')), []);
  assert.deepEqual(await all(database.readPartition(0)), []);
});

test('several events expect what those before them make', async () => {
  await using database = await Database.memory({ strictVersioning: true });
  const two = [{ name: 'a' }, { name: 'b' }];
  await database.append('s', two, { expectedVersion: 'empty' });
  const { events } = await database.append('s', two, { expectedVersion: 1 });
  assert.deepEqual(
    events.map(({ version, sequence }) => [version, sequence]),
    [
      [2, 2],
      [3, 3],
    ],
  );
  await assert.rejects(database.append('s', two, { expectedVersion: 1 }), isWrongVersion);
  await refused('INVALIDARG', database.append('s', two));
  assert.equal(await database.streamVersion('s'), 3);
});

test('of two appends that expect the same version one is done', async () => {
  await using database = await Database.memory();
  const settled = await Promise.allSettled([
    database.append('s', { name: 'first' }, { expectedVersion: 'empty' }),
    database.append('s', { name: 'second' }, { expectedVersion: 'empty' }),
  ]);
  assert.equal(settled[0].status, 'fulfilled');
  assert.ok(settled[1].status === 'rejected' && isWrongVersion(settled[1].reason));
  assert.ok(!isOutcomeUnknown(settled[1].reason));
  assert.deepEqual(
    (await all(database.readStream('s'))).map((event) => event.name),
    ['first'],
  );
});

test('appends take effect in the order of the calls', async () => {
  await using database = await Database.memory();
  await Promise.all(Array.from({ length: 100 }, (_, i) => database.append('s', { name: `e${i}` })));
  const names = (await all(database.readStream('s'))).map((event) => event.name);
  assert.deepEqual(
    names,
    Array.from({ length: 100 }, (_, i) => `e${i}`),
  );
});

test('a transaction spans streams, all or nothing', async () => {
  await using database = await Database.memory();
  const { partition, events } = await database.transaction(KEY, [
    { streamId: 'order-7', name: 'Placed', expectedVersion: 'empty' },
    { streamId: 'stock-3', name: 'Reserved' },
    { streamId: 'order-7', name: 'Confirmed', expectedVersion: 0 },
  ]);
  assert.equal(partition, database.partitionOf(KEY));
  assert.deepEqual(
    events.map(({ version, sequence }) => [version, sequence]),
    [
      [0, 0],
      [0, 1],
      [1, 2],
    ],
  );
  const read = await all(database.readPartition(KEY));
  assert.equal(new Set(read.map((event) => event.transactionId)).size, 1);
  await refused(
    'WRONGVER',
    database.transaction(KEY, [
      { streamId: 'stock-3', name: 'Released' },
      { streamId: 'order-7', name: 'Placed', expectedVersion: 'empty' },
    ]),
  );
  assert.equal(await database.partitionSequence(KEY), 2);
  assert.equal(await database.streamVersion('stock-3', { partitionKey: KEY }), 0);
  assert.equal(await database.streamVersion('stock-3'), null);
});

test('an append repeated with its id is done once and answered alike', async () => {
  await using database = await Database.memory();
  const event = { name: 'Paid', id: ID };
  const first = await database.append('s', event, { expectedVersion: 'empty' });
  await database.append('s', { name: 'Shipped' });
  assert.deepEqual(await database.append('s', event, { expectedVersion: 'empty' }), first);
  assert.equal(await database.streamVersion('s'), 1);
});

test('ranges are inclusive, and read in pages', async () => {
  await using database = await Database.memory();
  const events = Array.from({ length: 700 }, (_, i) => ({ name: `e${i}` }));
  await database.append('s', events);
  const versions = async (from?: number, to?: number, limit?: number): Promise<number[]> => {
    const options = {
      ...(from !== undefined && { from }),
      ...(to !== undefined && { to }),
      ...(limit !== undefined && { limit }),
    };
    const byStream = await all(database.readStream('s', options));
    const byPartition = await all(database.readPartition(byStream[0]?.partition ?? 0, options));
    assert.deepEqual(byPartition, byStream);
    return byStream.map((event) => event.version);
  };
  const numbers = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);
  assert.deepEqual(await versions(), numbers(0, 699));
  assert.deepEqual(await versions(10, 12), [10, 11, 12]);
  assert.deepEqual(await versions(698, 5000), [698, 699]);
  assert.deepEqual(await versions(200, 600, 300), numbers(200, 499));
  assert.deepEqual(await versions(0, Infinity, 0), []);
  assert.deepEqual(await all(database.readStream('s', { from: 700 })), []);
});

test('large events end a page early, and all are read', async () => {
  await using database = await Database.memory({ journalFileBytes: 16 * 1024 * 1024 });
  const payload = 'x'.repeat(300_000);
  for (let i = 0; i < 9; i += 1) await database.append('s', { name: 'large', payload });
  const sizes = (await all(database.readStream('s'))).map((event) => event.payload.length);
  assert.deepEqual(sizes, new Array(9).fill(300_000));
});

test('a reader sees what was there when it began, and may stop early', async () => {
  await using database = await Database.memory();
  await database.append('s', [{ name: 'a' }, { name: 'b' }]);
  let seen = 0;
  for await (const event of database.readStream('s')) {
    await database.append('s', { name: `after-${event.name}` });
    seen += 1;
  }
  assert.equal(seen, 2);
  for await (const event of database.readStream('s')) {
    assert.equal(event.version, 0);
    break;
  }
  assert.equal(await database.streamVersion('s'), 3);
});

test('what cannot be done is refused in words', async () => {
  await using database = await Database.memory();
  const event = { name: 'e' };
  await refused('INVALIDARG', database.append('', event));
  await refused('INVALIDARG', database.append('x'.repeat(65), event));
  await refused('INVALIDARG', database.append('half \ud800', event));
  await refused('INVALIDARG', database.append('s', []));
  await refused('INVALIDARG', database.append('s', { ...event, id: 'nope' }));
  await refused('INVALIDARG', database.append('s', { ...event, timestamp: -1 }));
  await refused('INVALIDARG', database.append('s', event, { partitionKey: 'nope' }));
  await refused('INVALIDARG', database.append('s', event, { expectedVersion: 1.5 }));
  await refused('INVALIDARG', database.append('s', event, { expectedVersion: 'none' as 'any' }));
  await refused('INVALIDARG', database.append('s', { name: 'n'.repeat(256) }));
  await refused('INVALIDARG', database.transaction('nope', []));
  await refused('INVALIDARG', database.getEvent('nope'));
  await refused('INVALIDARG', all(database.readStream('s', { from: -1 })));
  await refused('INVALIDARG', all(database.readPartition(32)));
  await refused('INVALIDARG', database.partitionSequence('nope'));
});

test('a stream keeps the partition key of its first event', async () => {
  await using database = await Database.memory({ bucketCount: 1 });
  await database.append('s', { name: 'e' });
  const message = await refused(
    'DBOPFAILED',
    database.append('s', { name: 'e' }, { partitionKey: KEY }),
  );
  assert.match(message, /partition key must be the same for all events in a stream/);
});

test('options out of their bounds are refused', async () => {
  assert.match(await refused('INVALIDARG', Database.memory({ bucketCount: 0 })), /bucketCount/);
  await refused('INVALIDARG', Database.memory({ bucketCount: 3, partitionCount: 2 }));
  await refused('INVALIDARG', Database.memory({ segmentBytes: 1000.5 }));
  await refused('INVALIDARG', Database.memory({ appendMaxBytes: 1024 * 1024 }));
});

test('a closed database refuses, and closing twice is closing once', async () => {
  const database = await Database.memory();
  await database.append('s', { name: 'e' });
  const reader = database.readStream('s');
  await database.close();
  await database.close();
  await refused('TRYAGAIN', database.append('s', { name: 'e' }));
  await refused('TRYAGAIN', database.streamVersion('s'));
  await refused('TRYAGAIN', all(reader));
});

test('a directory is opened by one at a time and keeps its events', async (context) => {
  const directory = await mkdtemp(`${tmpdir()}/sierradb-`);
  context.after(() => rm(directory, { recursive: true }));
  const options = { journalFileBytes: 1024 * 1024 };
  {
    await using database = await Database.open(directory, options);
    await database.append('s', { name: 'kept' });
    await assert.rejects(
      Database.open(directory, options),
      (error) => error instanceof OpenError && error.reason === 'locked',
    );
  }
  await using database = await Database.open(directory, options);
  assert.deepEqual(
    (await all(database.readStream('s'))).map((event) => event.name),
    ['kept'],
  );
  await assert.rejects(
    Database.open(directory, { ...options, bucketCount: 8 }),
    (error) => error instanceof OpenError,
  );
});
