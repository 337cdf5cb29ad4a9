import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { eventInput } from './event-input.ts';
import { eventJson } from './event-json.ts';
import { storedEvent } from './testing/fake-client.ts';
import { UsageError } from './usage-error.ts';

const input = (fields: object): ReturnType<typeof eventInput> =>
  eventInput(JSON.stringify({ stream: 's', name: 'n', ...fields }));

const refused = (sentence: RegExp, line: string): void => {
  assert.throws(
    () => eventInput(line),
    (error) => error instanceof UsageError && sentence.test(error.message),
  );
};

describe('an event in JSON', () => {
  it('is what was appended', () => {
    assert.deepEqual(JSON.parse(eventJson(storedEvent(), { isParsed: false })), {
      id: '018bcfe5-6800-1237-bb95-4123456789ab',
      stream: 'user-123',
      version: 0,
      name: 'Registered',
      timestamp: 1_700_000_000_000,
      payload: '{"name":"Alice"}',
      metadata: '',
      partition: 21,
      sequence: 7,
      partitionKey: '550e8400-e29b-41d4-a716-446655440000',
      transactionId: '11111111-2222-4333-8444-555555555555',
    });
  });

  it('has bytes that are no text as base64', () => {
    const event = storedEvent({ payload: Buffer.of(0xff, 0), metadata: Buffer.of(0xfe) });
    const line = JSON.parse(eventJson(event, { isParsed: true })) as Record<string, unknown>;
    assert.deepEqual([line['payload'], line['payloadBase64']], [undefined, '/wA=']);
    assert.deepEqual([line['metadata'], line['metadataBase64']], [undefined, '/g==']);
  });

  it('has JSON in JSON where that is asked for', () => {
    const event = storedEvent({ metadata: Buffer.from('no json') });
    const line = JSON.parse(eventJson(event, { isParsed: true })) as Record<string, unknown>;
    assert.deepEqual([line['payload'], line['metadata']], [{ name: 'Alice' }, 'no json']);
  });

  it('can be appended again, byte for byte', () => {
    for (const payload of [
      Buffer.of(0xff, 0),
      Buffer.from('ü\u2028\n'),
      Buffer.from('{"a":1.0}'),
    ]) {
      const event = storedEvent({ payload, metadata: Buffer.alloc(0) });
      const read = eventInput(eventJson(event, { isParsed: false }));
      const { streamId, name, id, partitionKey, timestamp } = event;
      assert.deepEqual(
        { ...read, payload: Buffer.from(read.payload ?? ''), metadata: read.metadata },
        { streamId, name, id, partitionKey, timestamp, payload, metadata: '' },
      );
    }
  });
});

describe('a line to append', () => {
  it('needs a stream and a name', () => {
    assert.deepEqual(input({}), { streamId: 's', name: 'n' });
    refused(/^stream is missing$/, '{"name":"n"}');
    refused(/^name must be a text$/, '{"stream":"s","name":1}');
  });

  it('takes texts as they are and other values as JSON', () => {
    assert.equal(input({ payload: '{ }' }).payload, '{ }');
    assert.equal(input({ payload: { a: [1] } }).payload, '{"a":[1]}');
    assert.equal(input({ payload: null }).payload, 'null');
    assert.equal(input({ metadata: 5 }).metadata, '5');
    assert.deepEqual(input({ payloadBase64: '/wA=' }).payload, Buffer.of(0xff, 0));
  });

  it('takes an expected version as number or word', () => {
    assert.equal(input({ expectedVersion: 4 }).expectedVersion, 4);
    assert.equal(input({ expectedVersion: '4' }).expectedVersion, 4);
    assert.equal(input({ expectedVersion: 'empty' }).expectedVersion, 'empty');
  });

  it('refuses what it cannot be', () => {
    const line = (fields: object): string => JSON.stringify({ stream: 's', name: 'n', ...fields });
    refused(/^no JSON: /, 'hello');
    refused(/^no JSON object$/, '[1]');
    refused(/^no JSON object$/, 'null');
    refused(/^unknown field paylod; did you mean payload\?$/, line({ paylod: 1 }));
    refused(/^payload is given twice$/, line({ payload: 1, payloadBase64: '' }));
    refused(/^payloadBase64 must be base64$/, line({ payloadBase64: '*' }));
    refused(/^id must be a UUID, but is x$/, line({ id: 'x' }));
    refused(
      /^expectedVersion must be any, exists, empty or a version/,
      line({ expectedVersion: -1 }),
    );
    refused(/^timestamp needs a whole number from 0 on, but got 1.5$/, line({ timestamp: 1.5 }));
  });
});
