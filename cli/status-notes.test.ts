import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ClientStatus } from '../client/index.ts';
import { statusNotes } from './status-notes.ts';

function notesOf(isLive: boolean, statuses: readonly ClientStatus[]): string[] {
  const notes: string[] = [];
  const onStatus = statusNotes((sentence) => notes.push(sentence), isLive);
  for (const status of statuses) onStatus(status);
  return notes;
}

const lost = new Error('the connection was lost');
const refused = new Error('refused');

const outage = (connection: string): ClientStatus[] => [
  { type: 'connected', connection, endpoint: 'a:1' },
  { type: 'disconnected', connection, error: lost },
  ...[lost, refused, refused, refused].map((error, attempt): ClientStatus => ({
    ...{ type: 'reconnecting', connection, attempt, delayMs: 1, error },
  })),
  { type: 'connected', connection, endpoint: 'b:2' },
];

test('an outage is told once, with its reasons, and its end', () => {
  assert.deepEqual(notesOf(true, outage('stream s')), [
    'the connection was lost; connecting again',
    'not yet: refused',
    'connected again to b:2',
  ]);
  assert.equal(notesOf(false, outage('commands')).length, 3);
});

test('the other connection is not worth a note', () => {
  assert.deepEqual(notesOf(true, outage('commands')), []);
  assert.deepEqual(notesOf(false, outage('stream s')), []);
});
