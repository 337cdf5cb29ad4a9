import assert from 'node:assert/strict';
import test from 'node:test';

import { MessageQueue } from './message-queue.ts';

const message = (fill: string, length: number): Buffer => Buffer.alloc(length, fill);

test('messages leave in their order, as many as fit and one more', () => {
  const queue = new MessageQueue(1000);
  for (const fill of ['a', 'b', 'c', 'd']) queue.add(message(fill, 10));
  assert.deepEqual(queue.take(15), { bytes: Buffer.from('aaaaaaaaaabbbbbbbbbb'), count: 2 });
  assert.equal(queue.take(1000).bytes.toString('latin1', 0, 1), 'c');
  assert(queue.isEmpty);
});

test('the oldest give way, a message that is too large for itself does not', () => {
  const queue = new MessageQueue(25);
  for (const fill of ['a', 'b', 'c']) queue.add(message(fill, 10));
  assert.equal(queue.dropped, 1);
  assert.equal(queue.bytes, 20);
  queue.add(message('d', 100));
  assert.equal(queue.dropped, 3);
  assert.deepEqual(queue.take(10), { bytes: message('d', 100), count: 1 });
});
