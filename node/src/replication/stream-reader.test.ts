import assert from 'node:assert/strict';
import test from 'node:test';

import {
  answerHead,
  closedFrame,
  readClosed,
  readExchange,
  readReceived,
  readSender,
  receivedFrame,
  requestHead,
  senderFrame,
  type StreamFrame,
} from './stream-format.ts';
import { StreamReader } from './stream-reader.ts';

const BODY = Buffer.from('commands');

const STREAM = Buffer.concat([
  senderFrame(['a', '1', 'b', '2']),
  requestHead(7, 3, BODY.length),
  BODY,
  receivedFrame(0xffff_fffe),
  answerHead(0xffff_ffff, 200, 0),
  closedFrame(409, 'a reason'),
]);

/** Copied: what is read is a view of a chunk. */
function readAll(chunks: readonly Buffer[]): string[] {
  const reader = new StreamReader();
  return chunks
    .flatMap((chunk) => [...reader.read(chunk)])
    .map(({ kind, body }: StreamFrame) => `${String(kind)} ${body.toString('hex')}`);
}

const whole = readAll([STREAM]);

test('frames arrive as they were written', () => {
  const [sender, request, received, answer, closed] = [...new StreamReader().read(STREAM)];
  assert(sender && request && received && answer && closed);
  assert.deepEqual(readSender(sender.body), { a: '1', b: '2' });
  assert.deepEqual(readExchange(request.body), { id: 7, number: 3, rest: BODY });
  assert.equal(readReceived(received.body), 0xffff_fffe);
  assert.deepEqual(readExchange(answer.body), {
    id: 0xffff_ffff,
    number: 200,
    rest: Buffer.alloc(0),
  });
  assert.deepEqual(readClosed(closed.body), { status: 409, reason: 'a reason' });
});

test('however a stream is cut, its frames are the same', () => {
  assert.deepEqual(readAll([...STREAM].map((byte) => Buffer.from([byte]))), whole);
  for (let first = 0; first <= STREAM.length; first += 1) {
    for (let second = first; second <= STREAM.length; second += 7) {
      const cut = [
        STREAM.subarray(0, first),
        STREAM.subarray(first, second),
        STREAM.subarray(second),
      ];
      assert.deepEqual(readAll(cut), whole, `cut at ${String(first)} and ${String(second)}`);
    }
  }
});

test('a frame that lies whole in a chunk is not copied', () => {
  const [frame] = [...new StreamReader().read(STREAM)];
  assert.equal(frame?.body.buffer, STREAM.buffer);
});

test('empty frames and frames that are too long are refused, whole or not', () => {
  const reading =
    (bytesMax: number, ...bytes: number[]) =>
    (): void => {
      const reader = new StreamReader(bytesMax);
      for (const _ of reader.read(Buffer.from(bytes))) assert.fail('no frame');
    };
  assert.throws(reading(100, 0, 0, 0, 0, 1), RangeError);
  assert.throws(reading(100, 101, 0, 0, 0, 1), RangeError);
  assert.throws(reading(100, 255, 255, 255, 255, 255), RangeError);
  assert.doesNotThrow(reading(100, 100, 0, 0, 0, 1));
});

test('what is no sender is refused', () => {
  for (const text of ['', '{}', '["a"]', '["a",1]', 'null']) {
    assert.throws(() => readSender(Buffer.from(text)), RangeError);
  }
});
