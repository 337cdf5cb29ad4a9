/** One conversation that every client library has with a running node, and what it must be told. */
import assert from 'node:assert/strict';

export const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
export const EVENT_ID = '550e8400-e29b-41d4-a716-446655440000';
const KEY = '550e8400-e29b-41d4-a716-446655440000';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Sends one command and resolves with the library's decoded reply. */
export type Call = (...args: string[]) => Promise<unknown>;

/**
 * - `maps`: objects, booleans, null.
 * - `arrays`: maps as flat arrays, booleans as 0 and 1.
 */
export type ReplyShape = 'maps' | 'arrays';

type Fields = Readonly<Record<string, unknown>>;

/** A map of the reply, checked for its shape. */
function fields(reply: unknown, shape: ReplyShape): Fields {
  if (shape === 'arrays') {
    assert(Array.isArray(reply), `an array, not ${JSON.stringify(reply)}`);
    const flat = reply as unknown[];
    return Object.fromEntries(
      Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[2 * i]), flat[2 * i + 1]]),
    );
  }
  assert(typeof reply === 'object' && reply !== null && !Array.isArray(reply));
  return { ...reply };
}

function checkEvent(reply: unknown, shape: ReplyShape, payload: string): void {
  const event = fields(reply, shape);
  assert.deepEqual(Object.keys(event), [
    'event_id',
    'partition_key',
    'partition_id',
    'transaction_id',
    'partition_sequence',
    'stream_version',
    'timestamp',
    'stream_id',
    'event_name',
    'metadata',
    'payload',
  ]);
  assert.equal(event['event_id'], EVENT_ID);
  assert.equal(event['partition_key'], USER_KEY);
  assert.equal(event['partition_id'], 21);
  assert.match(String(event['transaction_id']), UUID);
  assert.equal(event['partition_sequence'], 0);
  assert.equal(event['stream_version'], 0);
  assert.equal(event['timestamp'], 1_700_000_000_000);
  assert.equal(String(event['stream_id']), 'user-123');
  assert.equal(String(event['event_name']), 'UserRegistered');
  assert.equal(String(event['metadata']), '');
  assert.equal(String(event['payload']), payload);
}

async function appends(call: Call, shape: ReplyShape, payload: string): Promise<void> {
  const append = [
    ...['EAPPEND', 'user-123', 'UserRegistered', 'EVENT_ID', EVENT_ID],
    ...['EXPECTED_VERSION', 'empty', 'TIMESTAMP', '1700000000000', 'PAYLOAD', payload],
  ];
  const appended = fields(await call(...append), shape);
  assert.deepEqual(appended, {
    event_id: EVENT_ID,
    partition_key: USER_KEY,
    partition_id: 21,
    partition_sequence: 0,
    stream_version: 0,
    timestamp: 1_700_000_000_000,
  });
  assert.deepEqual(fields(await call(...append), shape), appended, 'a retry');
  await assert.rejects(call('EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'empty'), {
    message: /^WRONGVER current stream version is 0 but expected empty for partition key/,
  });
  const transaction = fields(await call('EMAPPEND', KEY, 'a', 'A', 'b', 'B'), shape);
  assert.equal(transaction['partition_id'], 25);
  assert.equal(transaction['last_partition_sequence'], 1);
  const events = transaction['events'] as unknown[];
  assert.deepEqual(
    events.map((event) => fields(event, shape)['stream_id']),
    ['a', 'b'],
  );
}

async function reads(call: Call, shape: ReplyShape, payload: string): Promise<void> {
  const yes = shape === 'maps' ? true : 1;
  const no = shape === 'maps' ? false : 0;
  checkEvent(await call('EGET', EVENT_ID), shape, payload);
  assert.equal(await call('EGET', USER_KEY), null);
  assert.equal(await call('ESVER', 'user-123'), 0);
  assert.equal(await call('ESVER', 'nobody'), null);
  assert.equal(await call('EPSEQ', '25'), 1);
  assert.equal(await call('EPSEQ', '0'), null);

  const stream = fields(await call('ESCAN', 'user-123', '-', '+'), shape);
  assert.equal(stream['has_more'], no);
  const found = stream['events'] as unknown[];
  assert.equal(found.length, 1);
  checkEvent(found[0], shape, payload);

  const partition = fields(await call('EPSCAN', KEY, '0', '+', 'COUNT', '1'), shape);
  assert.equal(partition['has_more'], yes);
  assert.equal((partition['events'] as unknown[]).length, 1);
  await assert.rejects(call('EPSCAN', '99', '-', '+'), {
    message: /^CLUSTERDOWN partition unavailable$/,
  });
}

/** Runs the conversation on a node without any events. */
export async function converse(call: Call, shape: ReplyShape): Promise<void> {
  const payload = '{"name":"Zoë"}\r\n$';
  assert.equal(String(await call('PING')), 'PONG');
  await appends(call, shape, payload);
  await reads(call, shape, payload);
  await assert.rejects(call('NOSUCH'), { message: /^INVALIDARG unknown command 'NOSUCH'$/ });
}
