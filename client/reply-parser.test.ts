import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../common/random.ts';
import { seeds, underSeed } from '../common/testing/seeds.ts';
import { ProtocolError } from './errors.ts';
import { WireEvent } from './event.ts';
import { DEPTH_MAX, ErrorReply, LINE_BYTES_MAX, ReplyParser } from './reply-parser.ts';
import { blob, eventText } from './testing/fake-server.ts';

interface Parsed {
  readonly replies: unknown[];
  readonly pushes: unknown[];
}

/** What comes out when `bytes` arrive in pieces that end at `cuts`. */
function parsed(bytes: Buffer, cuts: readonly number[] = []): Parsed {
  const replies: unknown[] = [];
  const pushes: unknown[] = [];
  const parser = new ReplyParser({
    reply: (value) => replies.push(value),
    push: (items) => pushes.push(items),
  });
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    parser.feed(bytes.subarray(at, cut));
    at = cut;
  }
  return { replies, pushes };
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const everyByte = (bytes: Buffer): number[] => Array.from(bytes, (_, i) => i);

const event = {
  id: '018bcfe5-6800-1237-bb95-4123456789ab',
  streamId: 'user-123',
  name: 'UserRegistered',
  version: 7,
  partition: 21,
  sequence: 12_345_678_901,
  payload: '{"name":"\r\nAlice"}',
};

const values: readonly (readonly [string, string, unknown])[] = [
  ['a simple string', '+PONG\r\n', 'PONG'],
  ['an empty simple string', '+\r\n', ''],
  ['an integer', ':1234567890123\r\n', 1_234_567_890_123],
  ['a negative integer', ':-5\r\n', -5],
  ['a blob', '$5\r\na\r\nbc\r\n', Buffer.from('a\r\nbc')],
  ['an empty blob', '$0\r\n\r\n', Buffer.alloc(0)],
  ['a verbatim string', '=8\r\ntxt:abcd\r\n', Buffer.from('abcd')],
  ['null', '_\r\n', null],
  ['a null of RESP2', '$-1\r\n', null],
  ['true', '#t\r\n', true],
  ['a double', ',0.857\r\n', 0.857],
  ['infinity', ',-inf\r\n', -Infinity],
  ['a big number', '(12345678901234567890\r\n', 12345678901234567890n],
  ['an error', '-WRONGVER no\r\n', new ErrorReply('WRONGVER no')],
  ['a blob error', '!7\r\nERR a\nb\r\n', new ErrorReply('ERR a\nb')],
  ['an array', '*3\r\n:1\r\n*0\r\n+a\r\n', [1, [], 'a']],
  ['a set', '~2\r\n:1\r\n:2\r\n', [1, 2]],
  [
    'a map',
    '%2\r\n+a\r\n:1\r\n$1\r\nb\r\n%0\r\n',
    new Map<string, unknown>([
      ['a', 1],
      ['b', new Map()],
    ]),
  ],
  ['what an attribute stands before', '|1\r\n+ttl\r\n:3\r\n:5\r\n', 5],
  ['an array with nested ends', '*1\r\n*1\r\n%1\r\n+k\r\n*1\r\n:1\r\n', [[new Map([['k', [1]]])]]],
];

describe('replies', () => {
  for (const [what, text, expected] of values) {
    it(`${what}, whole and byte by byte`, () => {
      const bytes = latin1(text);
      assert.deepEqual(parsed(bytes).replies, [expected]);
      assert.deepEqual(parsed(bytes, everyByte(bytes)).replies, [expected]);
    });
  }

  it('an event, whole and cut anywhere', () => {
    const bytes = latin1(eventText(event));
    const [whole] = parsed(bytes).replies;
    assert.ok(whole instanceof WireEvent);
    const { id, streamId, name, version, partition, sequence, payload } = whole;
    assert.deepEqual(
      { id, streamId, name, version, partition, sequence, payload: payload.toString() },
      event,
    );
    for (const cut of everyByte(bytes)) assert.deepEqual(parsed(bytes, [cut]).replies, [whole]);
    assert.deepEqual(parsed(bytes, everyByte(bytes)).replies, [whole]);
  });

  it('an event with another order, further keys and nulls', () => {
    const pairs = eventText(event).slice('%11\r\n'.length).replace('+metadata\r\n$0\r\n\r\n', '');
    const text = `%12\r\n+newer\r\n*1\r\n:1\r\n+metadata\r\n_\r\n${pairs}`;
    const [other] = parsed(latin1(text)).replies;
    assert.deepEqual(other, parsed(latin1(eventText(event))).replies[0]);
  });

  it('a push between replies, never inside one', () => {
    const push = `>4\r\n+message\r\n+id\r\n:0\r\n${eventText(event)}`;
    const { replies, pushes } = parsed(latin1(`:1\r\n${push}:2\r\n`));
    assert.deepEqual(replies, [1, 2]);
    assert.equal(pushes.length, 1);
    assert.throws(() => parsed(latin1(`*1\r\n${push}`)), ProtocolError);
  });

  it('bytes are copies', () => {
    const bytes = latin1(eventText(event));
    const [first] = parsed(bytes).replies as WireEvent[];
    bytes.fill(0);
    assert.equal(first?.payload.toString(), event.payload);
  });
});

describe('what is no RESP3', () => {
  for (const text of [
    'HTTP/1.1 400 Bad Request\r\n',
    ':\r\n',
    ':12a\r\n',
    '#x\r\n',
    ',1.2.3\r\n',
    ',\r\n',
    '(1.5\r\n',
    '$3\r\nabcd\r\n',
    '$-2\r\n',
    '*-1\r\n',
    '$99999999999\r\n',
    '+a\rb\r\n',
    '%1\r\n*0\r\n:1\r\n',
    '*1\r\n'.repeat(DEPTH_MAX + 1),
    `+${'x'.repeat(LINE_BYTES_MAX)}`,
    `%11\r\n+event_id\r\n:1\r\n${Array.from({ length: 10 }, (_, i) => `+k${i}\r\n:1\r\n`).join('')}`,
  ]) {
    it(JSON.stringify(text.slice(0, 40)), () => {
      const bytes = latin1(text);
      // An answer that is no value of RESP3, or an event that lacks most of itself.
      assert.throws(() => parsed(bytes), ProtocolError);
    });
  }
});

describe('random splits', () => {
  for (const seed of seeds(30)) {
    it(`seed ${seed}`, () =>
      underSeed('client/reply-parser.test.ts', seed, async () => {
        const random = seededRandom(seed);
        const texts = Array.from({ length: 40 }, (): string => {
          const pick = random.below(values.length + 3);
          const payload = 'p'.repeat(random.below(3000));
          if (pick === values.length) return eventText({ ...event, payload });
          if (pick === values.length + 1) return blob(payload);
          if (pick > values.length) return `>4\r\n+message\r\n+id\r\n:0\r\n${eventText(event)}`;
          return values[pick]![1];
        });
        const bytes = latin1(texts.join(''));
        const cuts = Array.from({ length: random.below(200) }, () => random.below(bytes.length));
        assert.deepEqual(
          parsed(
            bytes,
            cuts.sort((a, b) => a - b),
          ),
          parsed(bytes),
        );
      }));
  }

  it('a page of megabytes in small pieces takes each byte once', () => {
    const payload = 'x'.repeat(100_000);
    const text = eventText({ ...event, payload }).repeat(40);
    const bytes = latin1(`%2\r\n+has_more\r\n#f\r\n+events\r\n*40\r\n${text}`);
    const cuts = Array.from({ length: Math.floor(bytes.length / 100) }, (_, i) => i * 100);
    const [page] = parsed(bytes, cuts).replies as Map<string, WireEvent[]>[];
    assert.deepEqual(
      page?.get('events')?.map(({ payload: { length } }) => length),
      Array.from({ length: 40 }, () => 100_000),
    );
  });
});
