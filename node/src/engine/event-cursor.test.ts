/** Events written by `frame-encoder.ts`, looked at by `event-cursor.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';

import {
  eventIdSupplied,
  FRAME_EVENTS_OFFSET,
  frameFault,
  frameKind,
  sealFrame,
  writeFrameHeader,
} from '../storage/frame-format.ts';
import { EventCursor } from './event-cursor.ts';
import { frameBytes, writeEvent, writePartitionKey } from './frame-encoder.ts';
import { observe } from './testing/observed.ts';
import type { EventDraft } from './types.ts';

const GROUP = Buffer.alloc(16, 3);
const KEY = Buffer.alloc(16, 0xab);

const draft = (streamId: string, payload: string, eventId: Buffer | null = null): EventDraft => ({
  streamId: Buffer.from(streamId),
  eventName: Buffer.from(`${streamId} happened`),
  eventId,
  expectedVersion: 'any',
  timestamp: null,
  metadata: Buffer.from('{"m":1}'),
  payload: Buffer.from(payload),
});

const drafts = [draft('a', 'first'), draft('b', '', Buffer.alloc(16, 7)), draft('a', 'third')];

/** A frame at offset `at` of a larger buffer, with versions 0, 5, 1 and sequences from 40 on. */
function frameAt(at: number): Buffer {
  const length = frameBytes(drafts);
  const bytes = Buffer.alloc(at + length + 10, 0xff);
  writePartitionKey(bytes, at, KEY);
  let place = at + FRAME_EVENTS_OFFSET;
  for (const [i, event] of drafts.entries()) {
    bytes.fill(i + 1, place, place + 16);
    if (event.eventId !== null) bytes.set(event.eventId, place);
    place = writeEvent(bytes, place, event, [0, 5, 1][i]!, 1_700_000_000_000 + i);
  }
  assert.equal(place, at + length, 'the frame is as long as it was said to be');
  writeFrameHeader(bytes, at, {
    length,
    previousCrc: 1,
    segment: 2,
    offset: 300,
    index: 9,
    term: 1,
    kind: frameKind.events,
    partition: 6,
    firstSequence: 40,
    eventCount: 3,
  });
  sealFrame(bytes, at, length);
  assert.equal(frameFault(bytes, at, at + length, 2, 300), null);
  return bytes;
}

test('shows every event of a frame, wherever the frame stands', () => {
  for (const at of [0, 13]) {
    const cursor = new EventCursor();
    cursor.enter({ bytes: frameAt(at), at }, GROUP);
    assert.equal(cursor.eventCount, 3);
    const seen = [observe(cursor)];
    while (cursor.next()) seen.push(observe(cursor));
    assert.deepEqual(
      seen.map((event) => [event.streamId, event.version, event.sequence, event.timestamp]),
      [
        ['a', 0, 40, 1_700_000_000_000],
        ['b', 5, 41, 1_700_000_000_001],
        ['a', 1, 42, 1_700_000_000_002],
      ],
    );
    assert.deepEqual(
      seen.map((event) => [event.eventName, event.metadata, event.payload]),
      [
        ['a happened', '{"m":1}', 'first'],
        ['b happened', '{"m":1}', ''],
        ['a happened', '{"m":1}', 'third'],
      ],
    );
    assert.deepEqual(
      seen.map(({ eventId }) => eventId.slice(0, 2)),
      ['01', '07', '03'],
    );
    assert(
      seen.every(
        ({ partition, partitionKey }) => partition === 6 && partitionKey.startsWith('abab'),
      ),
    );
    assert.equal(new Set(seen.map(({ transactionId }) => transactionId)).size, 1);
  }
});

test('remembers which ids clients supplied', () => {
  const cursor = new EventCursor();
  cursor.enter({ bytes: frameAt(0), at: 0 }, GROUP);
  const supplied: boolean[] = [];
  do supplied.push(eventIdSupplied(cursor.bytes, cursor.eventIdAt));
  while (cursor.next());
  assert.deepEqual(supplied, [false, true, false]);
});

test('goes to a sequence, and to a version of a stream, at or behind where it stands', () => {
  const cursor = new EventCursor();
  const frame = { bytes: frameAt(0), at: 0 };
  cursor.enter(frame, GROUP);
  assert(cursor.seekSequence(41));
  assert(cursor.isOfStream(Buffer.from('b')));
  assert(!cursor.isOfStream(Buffer.from('bb')));
  assert(!cursor.seekSequence(43));
  cursor.enter(frame, GROUP);
  assert(cursor.seekVersion(Buffer.from('a'), 1));
  assert.equal(cursor.sequence, 42);
  assert(!cursor.seekVersion(Buffer.from('a'), 0), 'it does not go back');
  cursor.enter(frame, GROUP);
  assert(!cursor.seekVersion(Buffer.from('b'), 1));
});

test('stays at its event when the frame has moved in memory', () => {
  const cursor = new EventCursor();
  cursor.enter({ bytes: frameAt(0), at: 0 }, GROUP);
  cursor.seekSequence(41);
  const before = observe(cursor);
  cursor.move({ bytes: frameAt(29), at: 29 });
  assert.deepEqual(observe(cursor), before);
  assert(cursor.hasEventId(Buffer.alloc(16, 7)));
  assert(cursor.hasPartitionKey(KEY));
});
