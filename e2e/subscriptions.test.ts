/**
 * Subscribers of a node that is killed under load, again and again: each goes on from what it has processed, and in the end
 * has seen every event that the node holds, once, in its place. Nothing that was shown is lost.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { uuidText } from '../common/ids.ts';
import { type Random, seededRandom } from '../common/random.ts';
import { NodeProcess } from './testing/node-process.ts';
import { Reader } from './testing/reader.ts';
import { CLOSED, WireClient } from './testing/wire-client.ts';

const seed = Number(process.env['SEED'] ?? 1);
const rounds = Number(process.env['ROUNDS'] ?? 5);

const WRITERS = 4;
const STREAMS_PER_WRITER = 4;
const PIPELINE = 8;
const TRANSACTION_KEY = '550e8400-e29b-41d4-a716-446655440000';
const TRANSACTION_STREAMS: readonly string[] = ['t-a', 't-b', 't-c'];

/** Small files, so that subscribers read across many of them. */
const flags: readonly string[] = [
  ...['--set', 'segment.size_bytes=256KiB', '--set', 'journal.file_bytes=1MiB'],
  ...['--set', 'cache.capacity_bytes=1MiB', '--set', 'disk.reserve_bytes=0'],
];

/** Ids of a stream's events in the order in which they were sent; the first `certain` were acknowledged. */
interface Sent {
  readonly ids: string[];
  certain: number;
}

class Load {
  readonly streams = new Map<string, Sent>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  of(stream: string): Sent {
    const known = this.streams.get(stream);
    if (known !== undefined) return known;
    const made: Sent = { ids: [], certain: 0 };
    this.streams.set(stream, made);
    return made;
  }

  /** Appends to its streams until `enough` replies have come, then has the node killed; ends with the connections. */
  async run(node: NodeProcess, signal: NodeJS.Signals, enough: number): Promise<void> {
    let seen = 0;
    const acknowledged = (): void => {
      seen += 1;
      if (seen === enough) node.kill(signal);
    };
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      const streams = Array.from({ length: STREAMS_PER_WRITER }, (__, i) => [`s-${writer}-${i}`]);
      await this.#write(node, streams, acknowledged);
    });
    await Promise.all([...writers, this.#write(node, [TRANSACTION_STREAMS], acknowledged)]);
    await node.exited;
  }

  /** What was in flight is there or not: takes what the node holds. All that was acknowledged must be. */
  async settle(client: WireClient): Promise<void> {
    for (const [stream, sent] of this.streams) {
      const key = stream.startsWith('t-') ? ['PARTITION_KEY', TRANSACTION_KEY] : [];
      const version = await client.call('ESVER', stream, ...key);
      const count = version === null ? 0 : Number(version) + 1;
      assert(count >= sent.certain && count <= sent.ids.length, `${stream} holds ${count} events`);
      sent.ids.length = count;
      sent.certain = count;
    }
  }

  /** `groups`: streams that are written together. */
  async #write(
    node: NodeProcess,
    groups: readonly (readonly string[])[],
    acknowledged: () => void,
  ): Promise<void> {
    using client = await WireClient.connect(node.port);
    const lane = async (lane: number): Promise<void> => {
      for (let i = lane; ; i += 1) {
        await this.#append(client, groups[i % groups.length]!);
        acknowledged();
      }
    };
    const lanes = Array.from({ length: PIPELINE }, (_, i) => lane(i));
    for (const end of await Promise.allSettled(lanes)) {
      assert(end.status === 'rejected');
      const { message } = end.reason as Error;
      assert(message === CLOSED || message.startsWith('TRYAGAIN'), message);
    }
  }

  async #append(client: WireClient, streams: readonly string[]): Promise<void> {
    const events = streams.flatMap((stream) => {
      const id = this.#id();
      this.of(stream).ids.push(id);
      const payload = 'x'.repeat(this.#random.below(400));
      return [stream, 'Written', 'EVENT_ID', id, 'PAYLOAD', payload];
    });
    if (streams.length === 1) await client.call('EAPPEND', ...events);
    else await client.call('EMAPPEND', TRANSACTION_KEY, ...events);
    for (const stream of streams) this.of(stream).certain += 1;
  }

  #id(): string {
    const bytes = Buffer.alloc(16);
    this.#random.fill(bytes);
    return uuidText(bytes);
  }
}

const streamNames: readonly string[] = Array.from(
  { length: WRITERS * STREAMS_PER_WRITER },
  (_, i) => [`s`, Math.floor(i / STREAMS_PER_WRITER), i % STREAMS_PER_WRITER].join('-'),
);
const withKey = TRANSACTION_STREAMS.flatMap((stream) => [
  ...[stream, 'PARTITION_KEY', TRANSACTION_KEY],
]);

interface Projection {
  readonly reader: Reader;
  /** The streams that it must have seen in the end. */
  readonly streams: readonly string[];
}

function makeProjections(): readonly Projection[] {
  const all = [...streamNames, ...TRANSACTION_STREAMS];
  const few = ['s-0-0', 's-1-1', 's-2-2'];
  const halves = ['0-15,16-31'];
  return [
    { reader: new Reader({ kind: 'partitions', selector: ['*'], from: 0 }), streams: all },
    {
      reader: new Reader({ kind: 'partitions', selector: halves, from: 0, window: 500 }),
      streams: all,
    },
    { reader: new Reader({ kind: 'streams', selector: few, from: 0, window: 7 }), streams: few },
    {
      reader: new Reader({ kind: 'streams', selector: withKey, from: 0 }),
      streams: TRANSACTION_STREAMS,
    },
  ];
}

/** Load on a node with subscribers, until it is killed. */
async function loadAndKill(
  node: NodeProcess,
  load: Load,
  projections: readonly Projection[],
  signal: NodeJS.Signals,
  enough: number,
): Promise<void> {
  using latest = new Reader({ kind: 'partitions', selector: ['*'], from: 'LATEST' });
  await latest.connect(node.port);
  const before = new Map([...load.streams].map(([stream, { ids }]) => [stream, ids.length]));
  // Who was away has history to catch up with, and may be killed in the middle of it.
  for (const { reader } of projections) if (load.chance(60)) await reader.connect(node.port);
  await load.run(node, signal, enough);
  for (const { reader } of projections) reader.check();
  latest.check();
  for (const [stream, ids] of latest.streams) {
    const from = before.get(stream) ?? 0;
    assert.deepEqual(ids, load.of(stream).ids.slice(from, from + ids.length), `${stream}, LATEST`);
  }
}

/** Everybody reads to the end. */
async function compareAll(
  node: NodeProcess,
  load: Load,
  projections: readonly Projection[],
): Promise<void> {
  for (const { reader, streams } of projections) {
    using connected = reader;
    await connected.connect(node.port);
    const total = streams.reduce((sum, stream) => sum + load.of(stream).ids.length, 0);
    await reader.until(() => reader.count >= total);
    for (const stream of streams) {
      assert.deepEqual(reader.streams.get(stream) ?? [], load.of(stream).ids, stream);
    }
    assert.equal(reader.count, total, 'and nothing else');
  }
}

describe(`subscribers of a node that is killed under load, seed ${seed}`, () => {
  it('see every event once, in its place', { timeout: 180_000 }, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-subscribers-'));
    const random = seededRandom(seed);
    const load = new Load(random);
    const projections = makeProjections();
    try {
      for (let round = 0; round <= rounds; round += 1) {
        await using node = await NodeProcess.start({ directory, flags });
        using client = await WireClient.connect(node.port);
        await load.settle(client);
        const signal = round % 3 === 2 ? 'SIGTERM' : 'SIGKILL';
        const enough = 200 + random.below(4000);
        if (round === rounds) await compareAll(node, load, projections);
        else await loadAndKill(node, load, projections, signal, enough);
        const seen = projections.map(({ reader }) => reader.count).join(', ');
        t.diagnostic(`round ${round}: ${signal}, seen ${seen}`);
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
