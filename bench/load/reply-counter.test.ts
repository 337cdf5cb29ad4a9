import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ReplyCounter } from './reply-counter.ts';

interface Expected {
  readonly replies: number;
  readonly blobs: number;
  readonly errors: number;
}

const cases: readonly (readonly [string, string, Expected])[] = [
  ['a simple string', '+PONG\r\n', { replies: 1, blobs: 0, errors: 0 }],
  ['an integer', ':-5\r\n', { replies: 1, blobs: 0, errors: 0 }],
  ['RESP3 null, boolean, double', '_\r\n#t\r\n,0.857\r\n', { replies: 3, blobs: 0, errors: 0 }],
  ['an empty blob', '$0\r\n\r\n', { replies: 1, blobs: 1, errors: 0 }],
  ['a blob full of line ends', '$6\r\n\r\n*1\r\n\r\n', { replies: 1, blobs: 1, errors: 0 }],
  ['a RESP2 null', '$-1\r\n*-1\r\n', { replies: 2, blobs: 1, errors: 0 }],
  ['an empty array', '*0\r\n', { replies: 1, blobs: 0, errors: 0 }],
  ['an empty map', '%0\r\n:1\r\n', { replies: 2, blobs: 0, errors: 0 }],
  [
    'a map of a map and an array',
    '%2\r\n+has_more\r\n#f\r\n+events\r\n*2\r\n%1\r\n+a\r\n$1\r\nx\r\n%0\r\n',
    { replies: 1, blobs: 1, errors: 0 },
  ],
  [
    'an array behind a full nested one',
    '*2\r\n*1\r\n:1\r\n:2\r\n',
    { replies: 1, blobs: 0, errors: 0 },
  ],
  ['an error', '-WRONGVER current\r\n+OK\r\n', { replies: 2, blobs: 0, errors: 1 }],
  ['an error inside an array', '*2\r\n-ERR x\r\n:1\r\n', { replies: 1, blobs: 0, errors: 1 }],
  ['a blob error', '!5\r\nERR x\r\n', { replies: 1, blobs: 1, errors: 1 }],
  ['a push between replies', ':1\r\n>2\r\n+m\r\n:7\r\n:2\r\n', { replies: 2, blobs: 0, errors: 0 }],
  [
    'an attribute before its value',
    '|1\r\n+k\r\n:1\r\n$1\r\nv\r\n',
    { replies: 1, blobs: 1, errors: 0 },
  ],
];

function count(pieces: readonly Buffer[]): Expected & { firstError: string | null } {
  const counter = new ReplyCounter();
  for (const piece of pieces) counter.feed(piece);
  const { replies, blobs, errors, firstError } = counter;
  return { replies, blobs, errors, firstError };
}

function split(bytes: Buffer, below: (limit: number) => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = 1 + below(7);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

for (const [name, text, expected] of cases) {
  test(`counts ${name}, whole, byte by byte and at random splits`, () => {
    const bytes = Buffer.from(text, 'latin1');
    const whole = count([bytes]);
    assert.deepEqual(
      { replies: whole.replies, blobs: whole.blobs, errors: whole.errors },
      expected,
    );
    assert.deepEqual(count([...bytes].map((byte) => Buffer.of(byte))), whole);
    const random = seededRandom(1);
    for (let i = 0; i < 20; i += 1) {
      assert.deepEqual(count(split(bytes, (limit) => random.below(limit))), whole);
    }
  });
}

test('an incomplete reply is not counted until its last byte', () => {
  const counter = new ReplyCounter();
  assert.equal(counter.feed(Buffer.from('*2\r\n$3\r\nabc\r\n$3\r\nde')), 0);
  assert.equal(counter.feed(Buffer.from('f\r')), 0);
  assert.equal(counter.feed(Buffer.from('\n+O')), 1);
  assert.equal(counter.feed(Buffer.from('K\r\n')), 1);
});

test('keeps the first error, whole even when it was split', () => {
  const counter = new ReplyCounter();
  for (const piece of ['-DISK', 'FULL no space\r', '\n-ERR other\r\n']) {
    counter.feed(Buffer.from(piece));
  }
  assert.equal(counter.firstError, 'DISKFULL no space');
  assert.equal(counter.errors, 2);
});

test('bytes that are no reply are refused', () => {
  assert.throws(() => new ReplyCounter().feed(Buffer.from('HTTP/1.1')), /not RESP/);
});
