import assert from 'node:assert/strict';
import { test } from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { SierraError } from '../../../common/errors.ts';
import { EventIdSource, partitionHash } from '../../../common/ids.ts';
import type { AppendRequest, EventDraft } from '../engine/types.ts';
import {
  decodeAnswers,
  decodeAppend,
  decodeCommands,
  encodeAppend,
  encodeBatch,
  encodeNumberOrNull,
  encodeRead,
  notLeader,
  readNumberOrNull,
  refusal,
  type ReadCommand,
} from './forwarding.ts';

const key = Buffer.from('9f6b507b66d75d048ddda5b41a9a6837', 'hex');

const event = (fields: Partial<EventDraft>): EventDraft => ({
  isDrawn: false,
  eventId: Buffer.alloc(16, 1),
  expectedVersion: 'any',
  timestamp: null,
  streamId: Buffer.from('stream'),
  eventName: Buffer.from('Happened'),
  metadata: Buffer.alloc(0),
  payload: Buffer.alloc(0),
  ...fields,
});

test('appends arrive as they were sent; ids that were left out are drawn for the partition', () => {
  const request: AppendRequest = {
    partitionKey: key,
    events: [
      event({ expectedVersion: 'exists', payload: Buffer.alloc(70_000, 'x') }),
      event({ expectedVersion: 'empty', timestamp: 0 }),
      event({ expectedVersion: 0, timestamp: 2 ** 53 - 1 }),
      event({ expectedVersion: 2n ** 64n - 1n, timestamp: 2n ** 63n, metadata: Buffer.from('{}') }),
    ],
  };
  const ids = new EventIdSource(systemClock);
  assert.deepEqual(decodeAppend(encodeAppend(request, ids)), request);
  const left = { partitionKey: key, events: [event({ eventId: null }), event({ eventId: null })] };
  const [first, second] = decodeAppend(encodeAppend(left, ids)).events;
  assert(first?.isDrawn === true && second?.isDrawn === true);
  assert.notDeepEqual(first.eventId, second.eventId);
  assert.equal(partitionHash(first.eventId as Uint8Array), partitionHash(key));
});

test('reads arrive as they were sent', () => {
  const stream = { streamId: Buffer.from('s'), partitionKey: key };
  const commands: ReadCommand[] = [
    { kind: 'readEvent', anyCopy: true, eventId: key, buckets: [3, 0, 255] },
    { kind: 'readStream', anyCopy: false, ...stream, from: 0, to: Infinity, bytesMax: 4096 },
    { kind: 'readPartition', anyCopy: true, partition: 65_534, from: 7, to: 9, bytesMax: 1 },
    { kind: 'streamVersion', anyCopy: false, ...stream },
    { kind: 'partitionSequence', anyCopy: true, partition: 0 },
    {
      ...{ kind: 'ends', anyCopy: false, waitMs: 2000 },
      targets: [
        { target: { kind: 'partition', partition: 9 }, end: 0 },
        { target: { kind: 'stream', ...stream }, end: 12 },
      ],
    },
  ];
  assert.deepEqual(decodeCommands(encodeBatch(commands.map(encodeRead))), commands);
});

test('answers keep code and text of a refusal', () => {
  const error = new SierraError('WRONGVER', 'the version is 3, not 4: “ü”');
  const parts = [notLeader, refusal(error), encodeNumberOrNull(null), encodeNumberOrNull(2 ** 40)];
  const [turned, refused, none, some] = decodeAnswers(encodeBatch(parts), 4);
  assert.equal(turned?.kind, 'notLeader');
  assert(refused?.kind === 'refused');
  assert.deepEqual([refused.error.code, refused.error.message], [error.code, error.message]);
  assert(none?.kind === 'done' && some?.kind === 'done');
  assert.deepEqual([readNumberOrNull(none.body), readNumberOrNull(some.body)], [null, 2 ** 40]);
  assert.throws(() => decodeAnswers(encodeBatch(parts), 5), RangeError);
});
