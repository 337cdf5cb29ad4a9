/** The checks of commands, for libraries with which one calls any command by its name. */
import assert from 'node:assert/strict';

import type { Check } from '../checks.ts';
import { fieldsOf, listOf, texts } from './reply.ts';
import type { Checks } from './report.ts';

/** A library's client, reduced to what the checks need. */
export interface Client {
  /** Blobs of the reply are decoded as text. */
  call(...args: (string | Buffer)[]): Promise<unknown>;
  /** Blobs of the reply stay buffers. */
  callForBuffers(...args: (string | Buffer)[]): Promise<unknown>;
  /** What the library has emitted as `error` events. */
  readonly errors: readonly Error[];
  /** What the library decodes RESP's true and false to. */
  readonly yes: unknown;
  readonly no: unknown;
}

const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const EVENT_ID = '550e8400-e29b-41d4-a716-446655440000';
const KEY = EVENT_ID;
export const UUID: RegExp = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PAYLOAD = '{"name":"Zoë"}\r\n$';
const TIMESTAMP = 1_700_000_000_000;

async function connect(client: Client): Promise<void> {
  assert.equal(await client.call('PING'), 'PONG');
  assert.match(String(await client.call('INFO')), /redis_version:/);
  assert.equal(fieldsOf(await client.call('INFO', 'CACHE'))['block_size_bytes'], 65_536);
}

async function append(client: Client): Promise<void> {
  const command = [
    ...['EAPPEND', 'user-123', 'UserRegistered', 'EVENT_ID', EVENT_ID, 'PARTITION_KEY', USER_KEY],
    ...['EXPECTED_VERSION', 'empty', 'TIMESTAMP', String(TIMESTAMP)],
    ...['PAYLOAD', PAYLOAD, 'METADATA', 'by hand'],
  ];
  const appended = fieldsOf(await client.call(...command));
  assert.deepEqual(appended, {
    event_id: EVENT_ID,
    partition_key: USER_KEY,
    partition_id: 21,
    partition_sequence: 0,
    stream_version: 0,
    timestamp: TIMESTAMP,
  });
  assert.deepEqual(fieldsOf(await client.call(...command)), appended, 'a retry');
}

async function transaction(client: Client): Promise<void> {
  const stored = fieldsOf(
    await client.call('EMAPPEND', KEY, 'a', 'A', 'EXPECTED_VERSION', 'empty', 'b', 'B'),
  );
  assert.equal(stored['partition_id'], 25);
  assert.equal(stored['first_partition_sequence'], 0);
  assert.equal(stored['last_partition_sequence'], 1);
  assert.deepEqual(texts(listOf(stored['events']), 'stream_id'), ['a', 'b']);
}

function checkEvent(reply: unknown): void {
  const event = fieldsOf(reply);
  assert.match(String(event['transaction_id']), UUID);
  assert.deepEqual(Object.entries(event), [
    ['event_id', EVENT_ID],
    ['partition_key', USER_KEY],
    ['partition_id', 21],
    ['transaction_id', event['transaction_id']],
    ['partition_sequence', 0],
    ['stream_version', 0],
    ['timestamp', TIMESTAMP],
    ['stream_id', 'user-123'],
    ['event_name', 'UserRegistered'],
    ['metadata', 'by hand'],
    ['payload', PAYLOAD],
  ]);
}

async function read(client: Client): Promise<void> {
  checkEvent(await client.call('EGET', EVENT_ID));
  assert.equal(await client.call('EGET', USER_KEY), null);
  assert.equal(await client.call('ESVER', 'user-123'), 0);
  assert.equal(await client.call('ESVER', 'nobody'), null);
  assert.equal(await client.call('EPSEQ', '25'), 1);
  assert.equal(await client.call('EPSEQ', '0'), null);

  const stream = fieldsOf(await client.call('ESCAN', 'user-123', '-', '+'));
  assert.equal(stream['has_more'], client.no);
  const events = listOf(stream['events']);
  assert.equal(events.length, 1);
  checkEvent(events[0]);

  const partition = fieldsOf(await client.call('EPSCAN', KEY, '0', '+', 'COUNT', '1'));
  assert.equal(partition['has_more'], client.yes);
  assert.deepEqual(texts(listOf(partition['events']), 'stream_id'), ['a']);
}

async function errors(client: Client): Promise<void> {
  await assert.rejects(client.call('EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'empty'), {
    message: /^WRONGVER current stream version is 0 but expected empty for partition key/,
  });
  await assert.rejects(client.call('EPSCAN', '99', '-', '+'), {
    message: /^CLUSTERDOWN partition unavailable$/,
  });
  await assert.rejects(client.call('NOSUCH'), {
    message: /^INVALIDARG unknown command 'NOSUCH'$/,
  });
  assert.equal(await client.call('PING'), 'PONG');
}

async function roundTrip(client: Client, stream: string, payload: Buffer): Promise<void> {
  await client.call('EAPPEND', stream, 'E', 'PAYLOAD', payload, 'METADATA', payload);
  const page = fieldsOf(await client.callForBuffers('ESCAN', stream, '-', '+'));
  const [reply] = listOf(page['events']);
  const event = fieldsOf(reply);
  for (const field of ['payload', 'metadata']) {
    const bytes = event[field];
    assert(Buffer.isBuffer(bytes), `${field} is no buffer`);
    assert(payload.equals(bytes), `${field} has other bytes`);
  }
}

async function binary(client: Client): Promise<void> {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await roundTrip(client, 'binary', Buffer.concat([Buffer.from('\r\n\0$5\r\n'), everyByte]));
}

async function large(client: Client): Promise<void> {
  await roundTrip(client, 'large', Buffer.alloc(1024 * 1024, 'sierra\r\n'));
}

async function pipeline(client: Client): Promise<void> {
  const appends = Array.from({ length: 200 }, () => client.call('EAPPEND', 'many', 'E'));
  const replies = await Promise.all(appends);
  assert.deepEqual(
    replies.map((reply) => fieldsOf(reply)['stream_version']),
    Array.from({ length: 200 }, (_, version) => version),
  );
}

type Conversation = Readonly<Record<Check, (client: Client) => Promise<void>>>;

/** The checks with one client; an `error` event of the library fails the check during which it came. */
export function conversation(
  client: Client,
  subscriptions: Pick<Conversation, 'subscribe' | 'window'>,
): Checks {
  const all: Conversation = {
    ...{ connect, append, transaction, read, errors, binary, large, pipeline },
    ...subscriptions,
  };
  const run = Object.entries(all).map(([name, check]) => [
    name,
    async () => {
      const before = client.errors.length;
      try {
        await check(client);
      } finally {
        assert.deepEqual(client.errors.slice(before), [], 'error events');
      }
    },
  ]);
  return Object.fromEntries(run) as Checks;
}
