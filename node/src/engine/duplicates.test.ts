/** The wire protocol, section 8, points 2 to 4. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { duplicateOf, type HeldEvent } from './duplicates.ts';
import type { EventDraft } from './types.ts';

const id = (byte: number): Buffer => Buffer.alloc(16, byte);

function draft(eventId: Buffer | null, streamId: string = 's'): EventDraft {
  return {
    streamId: Buffer.from(streamId),
    eventName: Buffer.from('E'),
    eventId,
    expectedVersion: 'any',
    timestamp: null,
    metadata: Buffer.alloc(0),
    payload: Buffer.alloc(0),
  };
}

/** The `ordinal`-th of `eventCount` events of frame `frameIndex`. */
function held(
  eventId: Buffer,
  frameIndex: number,
  ordinal: number,
  eventCount: number,
  inFlight: number | null = null,
): HeldEvent {
  return {
    frameIndex,
    ordinal,
    eventCount,
    eventId,
    streamId: Buffer.from('s'),
    partitionKey: id(9),
    partition: 5,
    sequence: 100 + ordinal,
    version: 40 + ordinal,
    timestamp: 1000 + ordinal,
    inFlight,
  };
}

function kind(events: EventDraft[], found: (HeldEvent | null)[]): string {
  return duplicateOf(events, found).kind;
}

test('one event whose id nobody holds is new; so is one without an id', () => {
  assert.equal(kind([draft(id(1))], [null]), 'new');
  assert.equal(kind([draft(null)], [null]), 'new');
});

test('one event that its stream holds is answered as the original was, whatever its transaction', () => {
  for (const count of [1, 3]) {
    const original = held(id(1), 7, count - 1, count);
    const verdict = duplicateOf([draft(id(1))], [original]);
    assert(verdict.kind === 'duplicate');
    assert.equal(verdict.appended.firstSequence, original.sequence);
    assert.equal(verdict.appended.partition, 5);
    assert.deepEqual(
      verdict.appended.events.map(({ version, timestamp }) => [version, timestamp]),
      [[original.version, original.timestamp]],
    );
  }
});

test('several events, all held by one transaction in the same order: the original reply', () => {
  const verdict = duplicateOf(
    [draft(id(1)), draft(id(2))],
    [held(id(1), 7, 0, 2), held(id(2), 7, 1, 2)],
  );
  assert(verdict.kind === 'duplicate');
  assert.equal(verdict.appended.firstSequence, 100);
  assert.equal(verdict.appended.events.length, 2);
});

const refused: readonly [what: string, events: EventDraft[], found: (HeldEvent | null)[]][] = [
  ['some are held', [draft(id(1)), draft(id(2))], [held(id(1), 7, 0, 2), null]],
  ['one has no id', [draft(id(1)), draft(null)], [held(id(1), 7, 0, 2), null]],
  ['another order', [draft(id(2)), draft(id(1))], [held(id(2), 7, 1, 2), held(id(1), 7, 0, 2)]],
  [
    'held by two transactions',
    [draft(id(1)), draft(id(2))],
    [held(id(1), 7, 0, 1), held(id(2), 8, 0, 1)],
  ],
  [
    'a part of a larger transaction',
    [draft(id(1)), draft(id(2))],
    [held(id(1), 7, 0, 3), held(id(2), 7, 1, 3)],
  ],
  ['one id twice in the command', [draft(id(1)), draft(id(1))], [null, null]],
];

for (const [what, events, found] of refused) {
  test(`refused: ${what}`, () => {
    const verdict = duplicateOf(events, found);
    assert(verdict.kind === 'refused');
    assert.equal(verdict.error.code, 'INVALIDARG');
    assert.equal(verdict.error.message, 'event id already used');
  });
}

test('the same id in two streams is two events', () => {
  assert.equal(kind([draft(id(1), 'a'), draft(id(1), 'b')], [null, null]), 'new');
});

test('a verdict that depends on frames in flight names the latest of them', () => {
  const verdict = duplicateOf(
    [draft(id(1)), draft(id(2))],
    [held(id(1), 7, 0, 1, 7), held(id(2), 8, 0, 1, 8)],
  );
  assert(verdict.kind === 'refused');
  assert.equal(verdict.inFlight, 8);
});
