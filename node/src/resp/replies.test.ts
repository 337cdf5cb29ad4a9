import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeDecimal } from './decimal.ts';
import { cleanLine, ReplyWriter } from './replies.ts';

type Write = (reply: ReplyWriter) => void;

function written(version: 2 | 3, write: Write): string {
  // The smallest buffer, so that everything must grow.
  const reply = new ReplyWriter(1);
  reply.version = version;
  write(reply);
  return reply.content().toString();
}

describe('replies', () => {
  const cases: readonly (readonly [string, Write, string, string])[] = [
    ['simple', (reply) => reply.simple('OK'), '+OK\r\n', '+OK\r\n'],
    ['integer', (reply) => reply.integer(12), ':12\r\n', ':12\r\n'],
    ['blob', (reply) => reply.blob(Buffer.from('é')), '$2\r\né\r\n', '$2\r\né\r\n'],
    ['empty blob', (reply) => reply.blob(Buffer.alloc(0)), '$0\r\n\r\n', '$0\r\n\r\n'],
    ['text', (reply) => reply.blobText('é'), '$2\r\né\r\n', '$2\r\né\r\n'],
    ['true', (reply) => reply.boolean(true), '#t\r\n', ':1\r\n'],
    ['false', (reply) => reply.boolean(false), '#f\r\n', ':0\r\n'],
    ['null', (reply) => reply.null(), '_\r\n', '$-1\r\n'],
    ['double', (reply) => reply.double(0.857), ',0.857\r\n', '$5\r\n0.857\r\n'],
    ['whole double', (reply) => reply.double(0), ',0\r\n', '$1\r\n0\r\n'],
    ['map', (reply) => reply.map(3), '%3\r\n', '*6\r\n'],
    ['array', (reply) => reply.array(3), '*3\r\n', '*3\r\n'],
    ['error', (reply) => reply.error('ERR', 'no'), '-ERR no\r\n', '-ERR no\r\n'],
    ['hostile error', (r) => r.error('ERR', 'a\r\n+b\0é'), '-ERR a  +b é\r\n', '-ERR a  +b é\r\n'],
  ];
  for (const [name, write, resp3, resp2] of cases) {
    test(name, () => {
      assert.equal(written(3, write), resp3);
      assert.equal(written(2, write), resp2);
    });
  }

  test('lines lose their control characters and nothing else', () => {
    assert.equal(cleanLine('a\tb\x7fc\x1bd é€😀'), 'a b c d é€😀');
  });

  test('a writer that begins behind some room keeps its place when it grows', () => {
    const reply = new ReplyWriter(8);
    reply.start = 8;
    reply.end = 8;
    reply.blobText('x'.repeat(100));
    assert.equal(reply.content().toString(), `$100\r\n${'x'.repeat(100)}\r\n`);
    const other = new ReplyWriter(4);
    other.integer(1);
    other.append(reply);
    assert.equal(other.content().toString(), `:1\r\n$100\r\n${'x'.repeat(100)}\r\n`);
  });
});

describe('decimals', () => {
  const check = (value: number): void => {
    const target = Buffer.alloc(24, '.');
    const end = writeDecimal(value, target, 3);
    assert.equal(target.toString('latin1', 3, end), String(value));
    assert.equal(target.toString('latin1', 0, 3), '...');
    assert.equal(target[end], 0x2e);
  };

  test('around every power of ten, and the largest', () => {
    for (let power = 1; power < Number.MAX_SAFE_INTEGER; power *= 10) {
      for (const value of [power - 1, power, power + 1]) check(value);
    }
    for (const value of [2 ** 31 - 1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) check(value);
  });

  test('random numbers of every length', () => {
    const random = seededRandom(3);
    for (let i = 0; i < 2000; i += 1) {
      const value = random.below(2 ** 32) * 2 ** random.below(21) + random.below(1000);
      check(Math.floor(value / 2 ** random.below(50)));
    }
  });
});
