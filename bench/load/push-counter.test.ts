import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { pushBytes } from './pushes.ts';
import { PushCounter } from './push-counter.ts';

const SUBSCRIBED = `>3\r\n+subscribe\r\n+9b2f7d0e-51c3-4a86-9f0d-2e4b6a8c0d1f\r\n:1\r\n`;

function read(pieces: readonly Buffer[]): {
  readonly seen: string[];
  readonly counter: PushCounter;
} {
  const seen: string[] = [];
  const counter = new PushCounter({
    message: (bytes, at) => {
      seen.push(at < 0 ? 'event' : Buffer.from(bytes.subarray(at, at + 4)).toString());
    },
    otherPush: (error) => seen.push(`push ${error ?? ''}`),
    reply: (error) => seen.push(`reply ${error ?? ''}`),
  });
  for (const piece of pieces) counter.feed(piece);
  return { seen, counter };
}

function split(bytes: Buffer, below: (limit: number) => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = 1 + below(900);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

test('finds every event and its payload, whole, byte by byte and at random splits', () => {
  const events = [9, 10, 99_999].flatMap((_, cursor) => [
    pushBytes({ cursor, streamId: 'a', payload: 'pay0' }),
  ]);
  const replies = ['+OK\r\n', '%1\r\n$6\r\nserver\r\n$-1\r\n', '-NOTFOUND no\r\n', SUBSCRIBED];
  const failed = '>3\r\n+error\r\n+id\r\n+READERR damaged\r\n';
  const bytes = Buffer.concat([
    ...replies.map((text) => Buffer.from(text)),
    ...events,
    Buffer.from(failed),
  ]);
  const expected = [
    ...['reply ', 'reply ', 'reply -NOTFOUND no', 'push '],
    ...['pay0', 'pay0', 'pay0', 'push >3\r\n+error\r\n+id\r\n+READERR damaged'],
  ];
  assert.deepEqual(read([bytes]).seen, expected);
  assert.deepEqual(read([...bytes].map((byte) => Buffer.of(byte))).seen, expected);
  const random = seededRandom(4);
  for (let i = 0; i < 50; i += 1) {
    const { seen, counter } = read(split(bytes, (limit) => random.below(limit)));
    assert.deepEqual(seen, expected);
    assert.equal(counter.walked, 0);
    assert.equal(counter.outOfOrder, 0);
  }
});

test('an event whose pairs come in another order is counted too', () => {
  const bytes = pushBytes({ cursor: 0, streamId: 'a', payload: 'p' });
  const other = Buffer.from(
    bytes.toString().replace(/(\+event_id\r\n.*\r\n)(\+partition_key\r\n.*\r\n)/, '$2$1'),
  );
  const shuffled = Buffer.from(
    other.toString().replace('+metadata\r\n$0\r\n\r\n', '').concat('+metadata\r\n$0\r\n\r\n'),
  );
  const { seen, counter } = read([other, shuffled]);
  assert.equal(seen.length, 2);
  assert.equal(counter.messages, 2);
  assert.equal(counter.walked, 1);
});

test('a cursor that is not the next one is noticed', () => {
  const push = (cursor: number): Buffer => pushBytes({ cursor, streamId: 'a', payload: 'p' });
  assert.equal(read([push(0), push(1), push(3), push(4)]).counter.outOfOrder, 1);
  assert.equal(read([push(0), push(1), push(1)]).counter.outOfOrder, 1);
});

test('what an earlier read left behind the end is not taken for bytes that have come', () => {
  const bytes = pushBytes({ cursor: 0, streamId: 'a', payload: 'left' });
  const { counter } = read([]);
  for (let end = 1; end < bytes.length; end += 1) {
    const fresh = new PushCounter({
      message: () => assert.fail(`an event of ${String(end)} bytes`),
      otherPush: () => assert.fail('a push'),
      reply: () => assert.fail('a reply'),
    });
    fresh.feed(bytes, end);
  }
  assert.equal(counter.messages, 0);
});
