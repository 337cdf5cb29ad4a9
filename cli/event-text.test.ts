import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import { EventRows } from './event-text.ts';
import { storedEvent } from './testing/fake-client.ts';

const plain = { hasColours: false, showsPartition: false, charactersMax: Infinity };

test('a row has time, place, name, payload and metadata', () => {
  const rows = new EventRows(plain);
  assert.equal(
    rows.row(storedEvent({ metadata: Buffer.from('m') })),
    '2023-11-14T22:13:20.000Z  user-123@0  Registered  {"name":"Alice"}  + m',
  );
  assert.equal(
    new EventRows({ ...plain, showsPartition: true }).row(
      storedEvent({ payload: Buffer.alloc(0) }),
    ),
    '2023-11-14T22:13:20.000Z  21:7  user-123@0  Registered',
  );
});

test('columns keep in step', () => {
  const rows = new EventRows(plain);
  const events = ['a', 'abcdef', 'b'].map((streamId) => storedEvent({ streamId, name: 'x' }));
  assert.deepEqual(
    events.map((event) => rows.row(event).slice(26)),
    ['a@0  x  {"name":"Alice"}', 'abcdef@0  x  {"name":"Alice"}', 'b@0       x  {"name":"Alice"}'],
  );
});

test('colours change nothing but colours', () => {
  const event = storedEvent({ metadata: Buffer.from('m') });
  const coloured = new EventRows({ ...plain, hasColours: true }).row(event);
  assert.notEqual(coloured, new EventRows(plain).row(event));
  assert.equal(stripVTControlCharacters(coloured), new EventRows(plain).row(event));
});

test('a record has everything', () => {
  const text = new EventRows(plain).record(storedEvent({ timestamp: Number.MAX_SAFE_INTEGER }));
  assert.deepEqual(text.split('\n'), [
    'event          018bcfe5-6800-1237-bb95-4123456789ab',
    'stream         user-123',
    'version        0',
    'name           Registered',
    'time           9007199254740991',
    'partition      21, sequence 7',
    'partition key  550e8400-e29b-41d4-a716-446655440000',
    'transaction    11111111-2222-4333-8444-555555555555',
    'payload        {"name":"Alice"}',
    'metadata',
  ]);
});
