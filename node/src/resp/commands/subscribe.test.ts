/** The grammar of ESUB and EPSUB: wire protocol 4.1, section 8 point 15, appendix A. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SierraError } from '../../../../common/errors.ts';
import { defaultPartitionKey, parseUuid, partitionHash } from '../../../../common/ids.ts';
import { seededRandom } from '../../../../common/random.ts';
import { Router } from '../../cluster/router.ts';
import type { SubscriptionRequest } from '../../subscriptions/types.ts';
import { ArrayStore } from '../testing/array-store.ts';
import { protocolCases } from '../testing/protocol-cases.ts';
import type { CommandContext, SubscribeCommand } from './command.ts';
import { epsub } from './epsub.ts';
import { esub } from './esub.ts';

const KEY_1 = '018bcfe5-6800-1237-bb95-4123456789ab';
const KEY_2 = '7e124fe8-fe28-5398-bb95-53973100148f';
const PARTITION_OF_KEY_1 = partitionHash(parseUuid(Buffer.from(KEY_1))!) % 32;

const router = new Router(new ArrayStore());
const context: CommandContext = {
  router,
  pageBytesMax: 0,
  server: { version: '', port: 0, connections: 0, uptimeMs: 0 },
};

type Row = readonly [args: string, request: Parsed | string];

interface Parsed {
  /** `target: start`; a stream's target is its id, or `id/key` if the key is not its default. */
  readonly starts: Readonly<Record<string, number | 'latest'>>;
  readonly window?: number;
}

function describeRequest({ starts, window }: SubscriptionRequest): Parsed {
  const described = starts.map(({ target, from }) => {
    if (target.kind === 'partition') return [String(target.partition), from] as const;
    const name = Buffer.from(target.streamId).toString();
    const key = Buffer.from(target.partitionKey).toString('hex');
    const isDefault = defaultPartitionKey(target.streamId).toString('hex') === key;
    return [isDefault ? name : `${name}/${key}`, from] as const;
  });
  assert.equal(new Set(described.map(([name]) => name)).size, starts.length, 'each target once');
  const parsed = { starts: Object.fromEntries(described) };
  return window === null ? parsed : { ...parsed, window };
}

function parse(command: SubscribeCommand, args: readonly (string | Buffer)[]): Parsed | string {
  try {
    return describeRequest(
      command.parse(
        [command.name, ...args].map((arg) => Buffer.from(arg as string)),
        context,
      ),
    );
  } catch (error) {
    assert(error instanceof SierraError);
    assert.equal(error.code, 'INVALIDARG');
    return error.message;
  }
}

function grammar(command: SubscribeCommand, rows: readonly Row[]): void {
  describe(`${command.name}'s grammar`, () => {
    for (const [line, expected] of rows) {
      test(`${command.name} ${line}`, () => {
        // A tilde stands for a blank inside an argument, `''` for an empty one.
        const args = line === '' ? [] : line.split(' ');
        const actual = parse(
          command,
          args.map((arg) => (arg === "''" ? '' : arg.replaceAll('~', ' '))),
        );
        assert.deepEqual(actual, expected);
      });
    }
  });
}

const key = (uuid: string): string => uuid.replaceAll('-', '');
const latest = (...targets: (string | number)[]): Parsed => ({
  starts: Object.fromEntries(targets.map((target) => [target, 'latest' as const])),
});
const all = (from: number | 'latest'): Record<string, number | 'latest'> =>
  Object.fromEntries(Array.from({ length: 32 }, (_, i) => [i, from]));
const ids = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

const missing = (what: string): string => `unexpected end of input: expected ${what}`;
const unexpected = (what: string): string => `unexpected string: expected ${what}`;
const FROM_FORMS = 'LATEST, number or MAP';
const LIST = '*, partition id or comma-separated partition ids';
const VERSION_PAIR = 'stream id version value';
const SEQUENCE_PAIR = 'partition id sequence value';
const NEVER = Number.MAX_SAFE_INTEGER;

grammar(esub, [
  ['user-123', latest('user-123')],
  ['a b c', latest('a', 'b', 'c')],
  ['a a', latest('a')],
  ['a b a FROM 3', { starts: { a: 3, b: 3 } }],
  [`a PARTITION_KEY ${KEY_1}`, latest(`a/${key(KEY_1)}`)],
  [`a partition_key ${KEY_1} b`, latest(`a/${key(KEY_1)}`, 'b')],
  [`a b PARTITION_KEY {${KEY_1}}`, latest('a', `b/${key(KEY_1)}`)],
  [
    `a PARTITION_KEY ${KEY_1} a PARTITION_KEY ${KEY_2} a`,
    latest(`a/${key(KEY_1)}`, `a/${key(KEY_2)}`, 'a'),
  ],
  [`a PARTITION_KEY ${KEY_1} a PARTITION_KEY ${key(KEY_1)}`, latest(`a/${key(KEY_1)}`)],
  [`user-123 user-123 PARTITION_KEY ${KEY_2}`, latest('user-123')],
  ['a FROM LATEST', latest('a')],
  ['a from latest', latest('a')],
  ['a FROM 50 WINDOW 100', { starts: { a: 50 }, window: 100 }],
  ['a WINDOW 100 FROM 50', { starts: { a: 50 }, window: 100 }],
  ['a window +007', { starts: { a: 'latest' }, window: 7 }],
  ['a FROM 9007199254740991', { starts: { a: NEVER } }],
  ['a FROM 18446744073709551615', { starts: { a: NEVER } }],
  ['a WINDOW 18446744073709551615', latest('a')],
  ['FROM', latest('FROM')],
  ['FROM FROM 5', { starts: { FROM: 5 } }],
  ['WINDOW FROM 5 WINDOW 1', { starts: { WINDOW: 5 }, window: 1 }],
  ['PARTITION_KEY', latest('PARTITION_KEY')],
  [`PARTITION_KEY PARTITION_KEY ${KEY_1}`, latest(`PARTITION_KEY/${key(KEY_1)}`)],
  ['a DEFAULT LATEST MAP', latest('a', 'DEFAULT', 'LATEST', 'MAP')],
  ['a b c FROM MAP a=5 b=0', { starts: { a: 5, b: 0, c: 'latest' } }],
  ['a b FROM MAP b=1 other=7 WINDOW 3', { starts: { a: 'latest', b: 1 }, window: 3 }],
  ['a b WINDOW 3 from map b=1', { starts: { a: 'latest', b: 1 }, window: 3 }],
  ['a FROM MAP a=1 a=2', { starts: { a: 2 } }],
  ['x=y FROM MAP x=y=4', { starts: { 'x=y': 4 } }],
  ['= FROM MAP ==4', { starts: { '=': 4 } }],
  ['WINDOW FROM MAP WINDOW=4 WINDOW 2', { starts: { WINDOW: 4 }, window: 2 }],
  ['a FROM MAP a=18446744073709551615', { starts: { a: NEVER } }],
  [`a a PARTITION_KEY ${KEY_1} FROM MAP a=9`, { starts: { a: 9, [`a/${key(KEY_1)}`]: 9 } }],

  ['', missing('stream id')],
  ["''", "stream id must be between 1 and 64 characters in length, but got 0 for ''"],
  ["a ''", "stream id must be between 1 and 64 characters in length, but got 0 for ''"],
  ['a PARTITION_KEY', missing('partition key')],
  ['a PARTITION_KEY nope', 'invalid partition key'],
  [`a PARTITION_KEY ${KEY_1} PARTITION_KEY ${KEY_1}`, 'partition key already specified'],
  ['a FROM', missing(FROM_FORMS)],
  ['a FROM abc', unexpected(FROM_FORMS)],
  ['a FROM -1', unexpected(FROM_FORMS)],
  ['a FROM 1.5', unexpected(FROM_FORMS)],
  ['a FROM 18446744073709551616', unexpected(FROM_FORMS)],
  ['a FROM 5 b', unexpected('end of input')],
  ['a FROM LATEST 5', unexpected('end of input')],
  ['a WINDOW 5 b', unexpected('end of input')],
  ['a FROM 5 FROM 6', 'from already specified'],
  ['a WINDOW 5 FROM 5 WINDOW 6', 'window already specified'],
  ['a WINDOW 18446744073709551615 WINDOW 6', 'window already specified'],
  ['a WINDOW', missing('number')],
  ['a WINDOW abc', unexpected('number')],
  ['a WINDOW 0', 'number 0 must not be less than 1'],
  ['a WINDOW -1', unexpected('number')],
  ['a FROM MAP', missing(VERSION_PAIR)],
  ['a FROM MAP a', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=x', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=-1', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=1 b', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=1 DEFAULT 5', unexpected(VERSION_PAIR)],
  ['a FROM MAP a=1 FROM 5', unexpected(VERSION_PAIR)],
  ['a FROM MAP WINDOW 5', unexpected(VERSION_PAIR)],
  ['a FROM MAP =5', "stream id must be between 1 and 64 characters in length, but got 0 for ''"],
]);

grammar(epsub, [
  ['*', { starts: all('latest') }],
  ['* FROM 0', { starts: all(0) }],
  ['5', latest(5)],
  ['+005', latest(5)],
  ['1,2,3', latest(1, 2, 3)],
  ['3,1,2,3,1', latest(1, 2, 3)],
  ['~1~,~2,3~', latest(1, 2, 3)],
  ['0-31', latest(...ids(0, 31))],
  ['4-4', latest(4)],
  ['1-3,2-5,9', latest(1, 2, 3, 4, 5, 9)],
  [KEY_1, latest(PARTITION_OF_KEY_1)],
  [`{${KEY_1}}`, latest(PARTITION_OF_KEY_1)],
  [key(KEY_1), latest(PARTITION_OF_KEY_1)],
  [`0,~${KEY_1}~,2-3`, latest(0, 2, 3, PARTITION_OF_KEY_1)],
  [`${PARTITION_OF_KEY_1},${KEY_1}`, latest(PARTITION_OF_KEY_1)],
  ['5 FROM LATEST', latest(5)],
  ['5 FROM 7 WINDOW 8', { starts: { 5: 7 }, window: 8 }],
  ['5 WINDOW 8 FROM 7', { starts: { 5: 7 }, window: 8 }],
  ['5 window 8', { starts: { 5: 'latest' }, window: 8 }],
  [
    '1,2,3 FROM MAP 1=100 2=200 DEFAULT 0 WINDOW 500',
    { starts: { 1: 100, 2: 200, 3: 0 }, window: 500 },
  ],
  ['1,2,3 WINDOW 5 FROM MAP 1=100 DEFAULT 4', { starts: { 1: 100, 2: 4, 3: 4 }, window: 5 }],
  ['1,2 FROM MAP 1=100', { starts: { 1: 100, 2: 'latest' } }],
  ['1,2 FROM MAP 01=100 1=7', { starts: { 1: 7, 2: 'latest' } }],
  ['1,2 FROM MAP 9=1', latest(1, 2)],
  ['1 FROM MAP 1=4 DEFAULT 9', { starts: { 1: 4 } }],
  ['1 FROM MAP 2=4 DEFAULT 9', { starts: { 1: 9 } }],
  ['1 FROM MAP 2=4', latest(1)],
  ['* FROM MAP 0=3 default 18446744073709551615', { starts: { ...all(NEVER), 0: 3 } }],

  ['', missing(LIST)],
  ["''", unexpected(LIST)],
  ['abc', unexpected(LIST)],
  ['65536', unexpected(LIST)],
  ['-1', unexpected(LIST)],
  ['1,', unexpected(LIST)],
  [',1', unexpected(LIST)],
  ['1,,2', unexpected(LIST)],
  ['1~2', unexpected(LIST)],
  ['1-', unexpected(LIST)],
  ['1-2-3', unexpected(LIST)],
  ['1-65536', unexpected(LIST)],
  ['*,1', unexpected(LIST)],
  ['1,*', unexpected(LIST)],
  ['**', unexpected(LIST)],
  [`${KEY_1}x`, unexpected(LIST)],
  ['9-3', 'partition range 9-3 must ascend'],
  ['1,9-8', 'partition range 9-8 must ascend'],
  ['32', 'partition 32 does not exist: there are 32, counted from 0'],
  ['0-127', 'partition 127 does not exist: there are 32, counted from 0'],
  ['0,65535', 'partition 65535 does not exist: there are 32, counted from 0'],
  ['1 2', unexpected('end of input')],
  ['* BOGUS', unexpected('end of input')],
  ['* FROM', missing(FROM_FORMS)],
  ['* FROM abc', unexpected(FROM_FORMS)],
  ['* FROM MAP', missing(SEQUENCE_PAIR)],
  ['* FROM MAP x=1', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 1=x', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 1=', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 65536=1', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 32=1', 'partition 32 does not exist: there are 32, counted from 0'],
  ['* FROM MAP DEFAULT 0', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 1=1 BOGUS', unexpected(SEQUENCE_PAIR)],
  ['* FROM MAP 1=1 DEFAULT', missing('number')],
  ['* FROM MAP 1=1 DEFAULT x', unexpected('number')],
  ['* FROM MAP 1=1 DEFAULT 5 2=2', unexpected('end of input')],
  ['* FROM MAP 1=1 DEFAULT 5 DEFAULT 6', unexpected('end of input')],
  ['* FROM 5 DEFAULT 3', unexpected('end of input')],
  ['* FROM LATEST DEFAULT 3', unexpected('end of input')],
  ['* FROM 1 WINDOW 2 FROM 1', 'from already specified'],
  ['* WINDOW 1 WINDOW 2', 'window already specified'],
  ['* WINDOW', missing('number')],
  ['* WINDOW abc', unexpected('number')],
  ['* WINDOW 0', 'number 0 must not be less than 1'],
]);

describe('arguments that are no text', () => {
  const bytes = Buffer.of(0x61, 0xff);
  for (const [name, command, args, expected] of [
    ['a stream id', esub, [bytes], unexpected('stream id')],
    ['a second stream id', esub, ['a', bytes], unexpected('stream id')],
    ['a stream id with a null byte', esub, ['a\0b'], 'stream id cannot contain null bytes'],
    ['a start', esub, ['a', 'FROM', bytes], unexpected(FROM_FORMS)],
    [
      'a mapped stream',
      esub,
      ['a', 'FROM', 'MAP', Buffer.concat([bytes, Buffer.from('=5')])],
      unexpected(VERSION_PAIR),
    ],
    ['partitions', epsub, [bytes], unexpected(LIST)],
    ['a mapped partition', epsub, ['1', 'FROM', 'MAP', bytes], unexpected(SEQUENCE_PAIR)],
  ] as const) {
    test(name, () => assert.equal(parse(command, args), expected));
  }

  test('a stream id of 64 bytes, its end and start', () => {
    const name = 'é'.repeat(32);
    assert.deepEqual(parse(esub, [name, 'FROM', 'MAP', `${name}=3`]), { starts: { [name]: 3 } });
    assert.match(parse(esub, [`${name}x`]) as string, /^stream id must be between .* got 65 for/);
  });
});

describe('what an argument list may cost', () => {
  test('many ranges are merged without being counted out', () => {
    const list = new Array<string>(200_000).fill('0-31').join(',');
    assert.deepEqual(parse(epsub, [list]), latest(...ids(0, 31)));
  });

  test('many streams', () => {
    const names = Array.from({ length: 65_537 }, (_, i) => `s${i % 10}`);
    assert.deepEqual(parse(esub, names.slice(1)), latest(...ids(0, 9).map((i) => `s${i}`)));
    assert.equal(parse(esub, names), 'a subscription takes at most 65536 streams');
  });
});

describe('random arguments', () => {
  const seed = Number(process.env['SEED'] ?? 11);
  const words = [
    ...[
      'FROM',
      'WINDOW',
      'MAP',
      'DEFAULT',
      'LATEST',
      'PARTITION_KEY',
      'from',
      '*',
      'a',
      'b',
      'a=1',
    ],
    ...[
      'a=b=2',
      '0',
      '1',
      '5-7',
      '7-5',
      '1,2',
      '31',
      '32',
      '1=5',
      '31=9',
      '32=1',
      '',
      '=',
      '-',
      ',',
    ],
    ...[KEY_1, `${KEY_2},3`, '18446744073709551615', '18446744073709551616', 'é', 'x'.repeat(65)],
  ];

  for (const command of [esub, epsub]) {
    test(`of ${command.name} give a well-formed request or a refusal, seed ${seed}`, () => {
      const random = seededRandom(seed);
      let accepted = 0;
      for (let i = 0; i < 20_000; i += 1) {
        const length = random.below(7);
        const args = Array.from({ length }, () => words[random.below(words.length)]!);
        const parsed = parse(command, args);
        if (typeof parsed === 'string') continue;
        accepted += 1;
        const starts = Object.entries(parsed.starts);
        assert(starts.length > 0);
        for (const [target, from] of starts) {
          assert(from === 'latest' || (Number.isSafeInteger(from) && from >= 0), args.join(' '));
          if (command === epsub) assert(Number(target) < 32, args.join(' '));
        }
        assert(parsed.window === undefined || parsed.window >= 1);
      }
      assert(accepted > 500);
    });
  }
});

const argument = (text: string): string => `-INVALIDARG ${text}`;

protocolCases('subscriptions, refused', [
  {
    name: 'bad arguments',
    send: [
      ['ESUB'],
      ['esub', 'a', 'PARTITION_KEY', 'nope'],
      ['ESUB', 'a', 'FROM', 'MAP', 'a=1', 'DEFAULT', '1'],
      ['ESUB', 'a\0'],
      ['EPSUB'],
      ['EPSUB', '0-127'],
      ['EPSUB', '*', 'WINDOW', '0'],
      ['ESUB', ''],
    ],
    expect: [
      argument(missing('stream id')),
      argument('invalid partition key'),
      argument(unexpected(VERSION_PAIR)),
      argument('stream id cannot contain null bytes'),
      argument(missing(LIST)),
      argument('partition 127 does not exist: there are 32, counted from 0'),
      argument('number 0 must not be less than 1'),
      argument("stream id must be between 1 and 64 characters in length, but got 0 for ''"),
    ],
  },
  {
    name: 'on a RESP2 connection, whatever the arguments are',
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'node-redis'],
      ['ESUB', 'a'],
      ['EPSUB', '*', 'FROM', '0'],
      ['ESUB'],
      ['EACK', KEY_1, '0'],
      ['EUNSUB', KEY_1],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-rs'],
      ['ESUB'],
    ],
    expect: [
      '+OK',
      argument('subscriptions require RESP3, send HELLO 3 first'),
      argument('subscriptions require RESP3, send HELLO 3 first'),
      argument('subscriptions require RESP3, send HELLO 3 first'),
      '-NOTFOUND subscription not found',
      '-NOTFOUND subscription not found',
      '+OK',
      argument(missing('stream id')),
    ],
  },
  {
    name: 'by default on RESP2',
    server: { protocolDefault: 2 },
    send: [['EPSUB', '*']],
    expect: [argument('subscriptions require RESP3, send HELLO 3 first')],
  },
]);

protocolCases('EACK and EUNSUB, refused', [
  {
    name: 'bad arguments',
    send: [
      ['EACK'],
      ['EACK', 'nope', '5'],
      ['EACK', KEY_1],
      ['EACK', KEY_1, 'abc'],
      ['EACK', KEY_1, '-1'],
      ['EACK', KEY_1, '5', '6'],
      ['eack', KEY_1, '5'],
      ['EUNSUB'],
      ['EUNSUB', 'nope'],
      ['EUNSUB', KEY_1, '5'],
      ['eunsub', KEY_1],
    ],
    expect: [
      argument(missing('subscription id')),
      argument('invalid subscription id'),
      argument(missing('number')),
      argument(unexpected('number')),
      argument(unexpected('number')),
      argument(unexpected('end of input')),
      '-NOTFOUND subscription not found',
      argument(missing('subscription id')),
      argument('invalid subscription id'),
      argument(unexpected('end of input')),
      '-NOTFOUND subscription not found',
    ],
  },
]);
