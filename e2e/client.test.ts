/** `sierradb/client` against a running node, through connections that are cut at random. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  type AppendResult,
  json,
  MemoryCheckpointStore,
  SierraClient,
  type StoredEvent,
  WrongVersionError,
} from '../client/index.ts';
import { seededRandom } from '../common/random.ts';
import { seeds, underSeed } from '../common/testing/seeds.ts';
import { NodeProcess } from './testing/node-process.ts';
import { UnreliableProxy } from './testing/unreliable-proxy.ts';

const flags = ['--set', 'bucket.count=2', '--set', 'segment.size_bytes=128KiB'];
const quick = { reconnect: { delayMs: 1, delayMsMax: 20 } };

async function all(events: AsyncIterable<StoredEvent>): Promise<StoredEvent[]> {
  const list: StoredEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

describe('the client and a node', () => {
  it('append, read, subscribe', async () => {
    await using node = await NodeProcess.start({ flags });
    await using client = await SierraClient.connect(`sierradb://127.0.0.1:${node.port}`);
    assert.equal((await client.hello()).partitionCount, 32);
    assert.equal((await client.info())['redis_mode'], 'standalone');
    const events = client.subscribe({ streams: ['user-1', 'user-2'], from: 'latest' });
    await events.ready;
    const { events: appended } = await client.append(
      'user-1',
      [
        { name: 'Registered', payload: json({ name: 'Alice' }), metadata: json({ by: 'e2e' }) },
        { name: 'Renamed', payload: Buffer.from([0, 13, 10, 255]) },
      ],
      { expectedVersion: 'empty' },
    );
    await assert.rejects(
      client.append('user-1', { name: 'Again' }, { expectedVersion: 0 }),
      (error) => error instanceof WrongVersionError && error.current === 1 && error.expected === 0,
    );
    const key = '550e8400-e29b-41d4-a716-446655440000';
    const both = await client.transaction(key, [
      { streamId: 'a', name: 'Left' },
      { streamId: 'b', name: 'Right', expectedVersion: 'empty' },
    ]);
    const [first, second] = await all(client.readStream('user-1'));
    assert.deepEqual(
      [first, second].map((event) => event?.id),
      appended.map(({ id }) => id),
    );
    assert.ok(first !== undefined);
    assert.deepEqual(first.json(), { name: 'Alice' });
    assert.deepEqual(first.metadataJson(), { by: 'e2e' });
    assert.deepEqual(second?.payload, Buffer.from([0, 13, 10, 255]));
    assert.deepEqual(await client.getEvent(appended[0]?.id ?? ''), first);
    assert.equal(await client.streamVersion('b', { partitionKey: key }), 0);
    assert.equal(await client.partitionSequence(key), both.events[1]?.sequence);
    const pushed: StoredEvent[] = [];
    for await (const event of events) if (pushed.push(event) === 2) break;
    assert.deepEqual(pushed, [first, second]);
  });

  for (const seed of seeds(3)) {
    it(`every append once, every event once, seed ${seed}`, () =>
      underSeed('e2e/client.test.ts', seed, unreliable));
  }
});

const STREAMS = 12;
const EVENTS = 420;

/** Appends while a subscription follows; connections are cut and the node is killed meanwhile. */
async function unreliable(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const directory = await mkdtemp(join(tmpdir(), 'sierradb-client-'));
  let node = await NodeProcess.start({ flags, directory });
  try {
    await using proxy = await UnreliableProxy.start(node.port, random);
    await using client = await SierraClient.connect(`sierradb://127.0.0.1:${proxy.port}`, quick);
    const store = new MemoryCheckpointStore();
    const checkpoint = { store, name: 'all', everyEvents: 10 };
    const options = { all: true, from: 'latest', window: 30, checkpoint } as const;
    const first = client.subscribe(options);
    await first.ready;
    proxy.bytesMax = 20_000;

    const appended: AppendResult[] = [];
    const append = async (i: number): Promise<void> => {
      const payload = 'x'.repeat(random.below(400));
      appended.push(await client.append(`s${i % STREAMS}`, { name: `N${i}`, payload }));
      if (i === EVENTS / 2) {
        node.kill();
        await node.exited;
        node = await NodeProcess.start({ flags, directory });
        proxy.target = node.port;
      }
    };
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = writer; i < EVENTS; i += 4) await append(i);
    });

    // Two consumers, one after the other, on one checkpoint; the event that the first ends with is not processed.
    const received: StoredEvent[] = [];
    for await (const event of first) {
      if (received.length === EVENTS / 3) break;
      received.push(event);
    }
    for await (const event of client.subscribe(options)) {
      if (received.push(event) === EVENTS) break;
    }
    await Promise.all(writers);
    assert.ok(proxy.cuts > 0);
    proxy.bytesMax = Infinity;

    for (let partition = 0; partition < 32; partition += 1) {
      const stored = await all(client.readPartition(partition));
      const of = (list: readonly StoredEvent[]): StoredEvent[] =>
        list.filter((event) => event.partition === partition);
      assert.deepEqual(of(received), stored);
    }
    const ids = appended.flatMap(({ events }) => events.map(({ id }) => id));
    assert.deepEqual(received.map(({ id }) => id).sort(), ids.sort());
  } finally {
    await node[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
}
