/**
 * kill -9 of the running node under load, again and again on one directory, and SIGTERM now and then. After each restart: what was acknowledged is
 * there, once, in its place; what was in flight is there or not, in order and whole; a retry with the same id settles it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { uuidText } from '../common/ids.ts';
import { seededRandom, type Random } from '../common/random.ts';
import { NodeProcess } from './testing/node-process.ts';

const seed = Number(process.env['SEED'] ?? 1);
const rounds = Number(process.env['ROUNDS'] ?? 6);

const WRITERS = 8;
const STREAMS_PER_WRITER = 4;
const PIPELINE = 16;
const PARTITIONS = 32;
const TRANSACTION_KEY = '550e8400-e29b-41d4-a716-446655440000';
const TRANSACTION_STREAMS: readonly string[] = ['t-a', 't-b', 't-c'];

/** Small files, so that a round sees many roll-overs and laps. */
const flags: readonly string[] = [
  ...['--set', 'segment.size_bytes=256KiB', '--set', 'journal.file_bytes=1MiB'],
  ...['--set', 'disk.reserve_bytes=0', '--log', 'info'],
];

interface Sent {
  readonly id: string;
  readonly payload: string;
}

/** What a stream must hold: a certain part, and behind it what was in flight when the node was killed. */
interface StreamModel {
  readonly certain: Sent[];
  inFlight: Sent[];
}

class Model {
  readonly streams = new Map<string, StreamModel>();

  of(name: string): StreamModel {
    const known = this.streams.get(name);
    if (known !== undefined) return known;
    const made: StreamModel = { certain: [], inFlight: [] };
    this.streams.set(name, made);
    return made;
  }
}

function randomEvent(random: Random, name: string): Sent {
  const bytes = Buffer.alloc(16);
  random.fill(bytes);
  const filler = 'x'.repeat(random.below(400));
  return { id: uuidText(bytes), payload: `${name} ${random.below(2 ** 31)} ${filler}` };
}

function clientOf(node: NodeProcess): Redis {
  const options = { host: '127.0.0.1', port: node.port, retryStrategy: null };
  const client = new Redis({ ...options, maxRetriesPerRequest: 0, enableOfflineQueue: true });
  // A killed node ends the connection; what that means for a command is told by the command's own promise.
  client.on('error', () => undefined);
  return client;
}

type Acknowledged = () => void;

/** Sends appends to `stream` until the connection ends; resolves when it has. */
async function write(
  client: Redis,
  random: Random,
  model: Model,
  stream: string,
  acknowledged: Acknowledged,
): Promise<void> {
  const { certain, inFlight } = model.of(stream);
  let next = certain.length;
  const appendOne = async (): Promise<void> => {
    const sent = randomEvent(random, stream);
    inFlight.push(sent);
    const expected = next === 0 ? 'empty' : String(next - 1);
    next += 1;
    const options = ['EVENT_ID', sent.id, 'EXPECTED_VERSION', expected, 'PAYLOAD', sent.payload];
    await client.call('EAPPEND', stream, 'Written', ...options);
    certain.push(sent);
    assert.equal(inFlight.shift(), sent, 'replies come in the order of the commands');
    acknowledged();
  };
  await untilTheEnd(client, appendOne);
}

/** The same with transactions over several streams. */
async function writeTransactions(
  client: Redis,
  random: Random,
  model: Model,
  acknowledged: Acknowledged,
): Promise<void> {
  const models = TRANSACTION_STREAMS.map((stream) => model.of(stream));
  const appendOne = async (): Promise<void> => {
    const sent = TRANSACTION_STREAMS.map((stream) => randomEvent(random, stream));
    models.forEach(({ inFlight }, i) => inFlight.push(sent[i]!));
    const events = sent.flatMap(({ id, payload }, i) => [
      ...[TRANSACTION_STREAMS[i]!, 'Written', 'EVENT_ID', id, 'PAYLOAD', payload],
    ]);
    await client.call('EMAPPEND', TRANSACTION_KEY, ...events);
    models.forEach(({ certain, inFlight }) => certain.push(inFlight.shift()!));
    acknowledged();
  };
  await untilTheEnd(client, appendOne);
}

/** Keeps a pipeline full until the connection is gone. Other errors are findings. */
async function untilTheEnd(client: Redis, appendOne: () => Promise<void>): Promise<void> {
  const lane = async (): Promise<void> => {
    for (;;) await appendOne();
  };
  const lanes = Array.from({ length: PIPELINE }, lane);
  for (const end of await Promise.allSettled(lanes)) {
    assert.equal(end.status, 'rejected');
    const { message } = end.reason as Error;
    assert.match(
      message,
      /Connection is closed|ECONNRESET|EPIPE|max retries|TRYAGAIN the node is stopping/i,
    );
  }
  client.disconnect();
}

/** Loads the node until a number of acknowledgements was seen, then ends it. */
async function loadAndKill(
  node: NodeProcess,
  random: Random,
  model: Model,
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<number> {
  const goal = 200 + random.below(3000);
  let seen = 0;
  const acknowledged = (): void => {
    seen += 1;
    if (seen === goal) node.kill(signal);
  };
  const writers = Array.from({ length: WRITERS }, (_, writer) => {
    const client = clientOf(node);
    const streams = Array.from({ length: STREAMS_PER_WRITER }, (__, i) => `s-${writer}-${i}`);
    return streams.map((stream) => write(client, random, model, stream, acknowledged));
  });
  const transactions = writeTransactions(clientOf(node), random, model, acknowledged);
  await Promise.all([...writers.flat(), transactions]);
  const killed = { code: null, signal: 'SIGKILL' };
  assert.deepEqual(await node.exited, signal === 'SIGKILL' ? killed : { code: 0, signal: null });
  return seen;
}

/** The pages of a scan, each event as a map of its fields. */
async function scan(
  client: Redis,
  command: string,
  ...range: string[]
): Promise<Map<string, string>[]> {
  const events: Map<string, string>[] = [];
  for (let from = 0; ; from = events.length) {
    const reply = await client.call(
      command,
      range[0]!,
      String(from),
      '+',
      ...range.slice(1),
      'COUNT',
      '500',
    );
    const [, hasMore, , page] = reply as [string, number | boolean, string, string[][]];
    for (const fields of page) {
      const event = new Map<string, string>();
      for (let i = 0; i < fields.length; i += 2) event.set(fields[i]!, String(fields[i + 1]));
      events.push(event);
    }
    if (!Number(hasMore)) return events;
  }
}

/** Compares the node with the model; what was in flight becomes certain where it was stored, and is forgotten elsewhere. */
async function check(client: Redis, model: Model): Promise<void> {
  let total = 0;
  for (const [stream, streamModel] of model.streams) {
    const key = stream.startsWith('t-') ? ['PARTITION_KEY', TRANSACTION_KEY] : [];
    const events = await scan(client, 'ESCAN', stream, ...key);
    const { certain, inFlight } = streamModel;
    const possible = [...certain, ...inFlight];
    assert.ok(events.length >= certain.length, `${stream}: ${events.length} < ${certain.length}`);
    events.forEach((event, version) => {
      assert.equal(event.get('stream_version'), String(version), stream);
      assert.equal(event.get('event_id'), possible[version]?.id, `${stream} ${version}`);
      assert.equal(event.get('payload'), possible[version]?.payload, `${stream} ${version}`);
    });
    certain.push(...inFlight.slice(0, events.length - certain.length));
    streamModel.inFlight.length = 0;
    total += events.length;
  }
  const lengths = TRANSACTION_STREAMS.map((stream) => model.of(stream).certain.length);
  assert.equal(new Set(lengths).size, 1, `transactions are whole: ${lengths.join()}`);
  await checkPartitions(client, total);
}

async function checkPartitions(client: Redis, total: number): Promise<void> {
  let found = 0;
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const events = await scan(client, 'EPSCAN', String(partition));
    events.forEach((event, sequence) => {
      assert.equal(event.get('partition_sequence'), String(sequence));
    });
    found += events.length;
  }
  assert.equal(found, total, 'partitions hold the events of the streams, and no others');
}

/** A retry of what is stored already is answered, and stores nothing. */
async function retry(client: Redis, model: Model): Promise<void> {
  const { certain } = model.of('s-0-0');
  const last = certain.at(-1);
  if (last === undefined) return;
  const reply = (await client.call(
    'EAPPEND',
    's-0-0',
    'Written',
    'EVENT_ID',
    last.id,
  )) as unknown[];
  assert.equal(reply[reply.indexOf('stream_version') + 1], certain.length - 1);
  assert.equal(await client.call('ESVER', 's-0-0'), certain.length - 1);
}

describe(`kill -9 under load, seed ${seed}`, () => {
  it('loses and doubles nothing', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-kill-'));
    const random = seededRandom(seed);
    const model = new Model();
    try {
      for (let round = 0; round < rounds; round += 1) {
        await using node = await NodeProcess.start({ directory, flags });
        const client = clientOf(node);
        await check(client, model);
        await retry(client, model);
        client.disconnect();
        const signal = round % 3 === 2 ? 'SIGTERM' : 'SIGKILL';
        const appends = await loadAndKill(node, random, model, signal);
        t.diagnostic(`round ${round}: ${signal} after ${appends} appends`);
      }
      await using node = await NodeProcess.start({ directory, flags });
      const client = clientOf(node);
      await check(client, model);
      client.disconnect();
      assert.deepEqual(await node.stop(), { code: 0, signal: null });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
