import { appendedLines, eventLines, pageLines, protocolCases } from '../testing/protocol-cases.ts';

const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const ID = '018bcfe5-6800-1237-bb95-4123456789ab';
const SEED_ID = '550e8400-e29b-41d4-a716-446655440000';
const argument = (text: string): string => `-INVALIDARG ${text}`;

protocolCases('EAPPEND', [
  {
    name: 'the smallest form',
    send: [['EAPPEND', 'user-123', 'UserRegistered']],
    expect: appendedLines({ key: USER_KEY, partition: 21 }),
  },
  {
    name: 'the example of the specification',
    send: [
      [
        'EAPPEND',
        'user-123',
        'UserRegistered',
        'EXPECTED_VERSION',
        'empty',
        'PAYLOAD',
        '{"name":"Alice"}',
        'EVENT_ID',
        ID,
      ],
      ['EGET', ID],
    ],
    expect: [
      ...appendedLines({ id: ID, key: USER_KEY, partition: 21 }),
      ...eventLines({
        id: ID,
        key: USER_KEY,
        partition: 21,
        stream: 'user-123',
        name: 'UserRegistered',
        payload: '{"name":"Alice"}',
      }),
    ],
  },
  {
    name: 'all options, in another order and case',
    send: [
      [
        'eappend',
        's',
        'E',
        'metadata',
        'm',
        'Timestamp',
        '+0001234567890123',
        'payload',
        'p',
        'expected_version',
        'EMPTY',
        'partition_key',
        SEED_ID.toUpperCase(),
        'event_id',
        `{${SEED_ID}}`,
      ],
      ['ESCAN', 's', '-', '+', 'PARTITION_KEY', SEED_ID],
    ],
    expect: [
      ...appendedLines({ id: SEED_ID, key: SEED_ID, partition: 25, timestamp: 1234567890123 }),
      ...pageLines(false, [
        eventLines({
          id: SEED_ID,
          key: SEED_ID,
          partition: 25,
          timestamp: '1234567890123',
          stream: 's',
          name: 'E',
          metadata: 'm',
          payload: 'p',
        }),
      ]),
    ],
  },
  {
    name: 'each form of a UUID',
    send: [
      ['EAPPEND', 's', 'E', 'PARTITION_KEY', ` \t${SEED_ID}\n`],
      ['EAPPEND', 's', 'E', 'PARTITION_KEY', SEED_ID.replaceAll('-', '')],
      ['EAPPEND', 's', 'E', 'PARTITION_KEY', `urn:uuid:${SEED_ID}`],
      ['EAPPEND', 't', 'E', 'PARTITION_KEY', '00000000-0000-0000-0000-000000000000'],
      ['EAPPEND', 't', 'E', 'PARTITION_KEY', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    ],
    expect: [
      ...appendedLines({ key: SEED_ID, partition: 25 }),
      ...appendedLines({ key: SEED_ID, partition: 25, sequence: 1, version: 1 }),
      ...appendedLines({ key: SEED_ID, partition: 25, sequence: 2, version: 2 }),
      ...appendedLines({ key: '00000000-0000-0000-0000-000000000000', partition: 0 }),
      ...appendedLines({ key: 'ffffffff-ffff-ffff-ffff-ffffffffffff', partition: 31 }),
    ],
  },
  {
    name: 'expected versions',
    send: [
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'exists'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', '0'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'any'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'empty'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', '+00'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', 'exists'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', '18446744073709551615'],
      ['EAPPEND', 'user-123', 'E', 'EXPECTED_VERSION', '9007199254740993'],
    ],
    expect: [
      `-WRONGVER current stream version is empty but expected exists for partition key ${USER_KEY} and stream id user-123`,
      `-WRONGVER current stream version is empty but expected 0 for partition key ${USER_KEY} and stream id user-123`,
      ...appendedLines({}),
      `-WRONGVER current stream version is 0 but expected empty for partition key ${USER_KEY} and stream id user-123`,
      ...appendedLines({ sequence: 1, version: 1 }),
      ...appendedLines({ sequence: 2, version: 2 }),
      `-WRONGVER current stream version is 2 but expected 18446744073709551615 for partition key ${USER_KEY} and stream id user-123`,
      `-WRONGVER current stream version is 2 but expected 9007199254740993 for partition key ${USER_KEY} and stream id user-123`,
    ],
  },
  {
    name: 'strict versioning',
    server: { strictVersioning: true },
    send: [
      ['EAPPEND', 's', 'E'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', 'EXISTS'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', 'empty'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', '0'],
    ],
    expect: [
      argument('strict versioning mode rejects EXPECTED_VERSION any'),
      argument('strict versioning mode rejects EXPECTED_VERSION exists'),
      ...appendedLines({}),
      ...appendedLines({ sequence: 1, version: 1 }),
    ],
  },
  {
    name: 'missing arguments',
    send: [['EAPPEND'], ['EAPPEND', 's']],
    expect: [
      argument('unexpected end of input: expected stream id'),
      argument('unexpected end of input: expected event name'),
    ],
  },
  {
    name: 'missing values',
    send: [
      ['EAPPEND', 's', 'E', 'PAYLOAD'],
      ['EAPPEND', 's', 'E', 'METADATA'],
      ['EAPPEND', 's', 'E', 'EVENT_ID'],
      ['EAPPEND', 's', 'E', 'PARTITION_KEY'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP'],
    ],
    expect: [
      argument('unexpected end of input: expected payload'),
      argument('unexpected end of input: expected metadata'),
      argument('unexpected end of input: expected event id'),
      argument('unexpected end of input: expected partition key'),
      argument('unexpected end of input: expected expected version'),
      argument('unexpected end of input: expected number'),
    ],
  },
  {
    name: 'bad values',
    send: [
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', 'foo'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', '-1'],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', '18446744073709551616'],
      ['EAPPEND', 's', 'E', 'EVENT_ID', 'nope'],
      ['EAPPEND', 's', 'E', 'PARTITION_KEY', '550e8400-e29b-41d4-a716-44665544000g'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '1.5'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', ' 1'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', ''],
      ['EAPPEND', 's', 'E', 'BOGUS'],
      ['EAPPEND', 'orders', 'order-456', 'OrderCreated', 'PAYLOAD', '{}'],
    ],
    expect: [
      argument("expected version number or 'any', 'exists', 'empty'"),
      argument("expected version number or 'any', 'exists', 'empty'"),
      argument("expected version number or 'any', 'exists', 'empty'"),
      argument('invalid event id'),
      argument('invalid partition key'),
      argument('unexpected string: expected number'),
      argument('unexpected string: expected number'),
      argument('unexpected string: expected number'),
      argument(
        'unexpected string: expected EVENT_ID, PARTITION_KEY, EXPECTED_VERSION, TIMESTAMP, PAYLOAD, METADATA or end of input',
      ),
      argument(
        'unexpected string: expected EVENT_ID, PARTITION_KEY, EXPECTED_VERSION, TIMESTAMP, PAYLOAD, METADATA or end of input',
      ),
    ],
  },
  {
    name: 'repeated options',
    send: [
      ['EAPPEND', 's', 'E', 'PAYLOAD', 'a', 'PAYLOAD', 'b'],
      ['EAPPEND', 's', 'E', 'METADATA', 'a', 'METADATA', ''],
      ['EAPPEND', 's', 'E', 'EVENT_ID', ID, 'EVENT_ID', ID],
      ['EAPPEND', 's', 'E', 'PARTITION_KEY', ID, 'PARTITION_KEY', ID],
      ['EAPPEND', 's', 'E', 'EXPECTED_VERSION', '1', 'EXPECTED_VERSION', 'any'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '0', 'TIMESTAMP', '0'],
    ],
    expect: [
      argument('payload already specified'),
      argument('metadata already specified'),
      argument('event id already specified'),
      argument('partition key already specified'),
      argument('expected version already specified'),
      argument('timestamp already specified'),
    ],
  },
  {
    name: 'an option that still has its default may be given again',
    send: [
      [
        'EAPPEND',
        's',
        'E',
        'PAYLOAD',
        '',
        'PAYLOAD',
        'b',
        'METADATA',
        '',
        'METADATA',
        'm',
        'EXPECTED_VERSION',
        'any',
        'EXPECTED_VERSION',
        'empty',
      ],
      ['ESCAN', 's', '0', '0'],
    ],
    expect: [
      ...appendedLines({}),
      ...pageLines(false, [eventLines({ stream: 's', name: 'E', payload: 'b', metadata: 'm' })]),
    ],
  },
  {
    name: 'names that look like keywords, and an empty event name',
    send: [
      ['EAPPEND', 'PAYLOAD', 'PAYLOAD', 'PAYLOAD', 'PAYLOAD'],
      ['EAPPEND', 'a b=é', ''],
      ['ESCAN', 'a b=é', '-', '+'],
    ],
    expect: [
      ...appendedLines({}),
      ...appendedLines({}),
      ...pageLines(false, [eventLines({ stream: 'a b=é', name: '' })]),
    ],
  },
  {
    name: 'stream ids that are none',
    send: [
      ['EAPPEND', '', 'E'],
      ['EAPPEND', 'x'.repeat(65), 'E'],
      ['EAPPEND', 'é'.repeat(33), 'E'],
      ['EAPPEND', 'a\0b', 'E'],
      ['EAPPEND', Buffer.from([0xff]), 'E'],
      ['EAPPEND', 'x'.repeat(64), 'E'],
    ],
    expect: [
      argument("stream id must be between 1 and 64 characters in length, but got 0 for ''"),
      argument(
        `stream id must be between 1 and 64 characters in length, but got 65 for '${'x'.repeat(65)}'`,
      ),
      argument(
        `stream id must be between 1 and 64 characters in length, but got 66 for '${'é'.repeat(33)}'`,
      ),
      argument('stream id cannot contain null bytes'),
      argument('unexpected string: expected stream id'),
      ...appendedLines({}),
    ],
  },
  {
    name: 'event names that are none',
    send: [
      ['EAPPEND', 's', 'n'.repeat(256)],
      ['EAPPEND', 's', Buffer.from([0xc3])],
      ['EAPPEND', 's', 'n'.repeat(255)],
    ],
    expect: [
      '-INVALIDARG {line}255{line}256{line}',
      argument('unexpected string: expected event name'),
      ...appendedLines({}),
    ],
  },
  {
    name: 'timestamps out of range',
    send: [
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '9223372036854'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '9223372036855'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '18446744073710'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '18446744073709551615'],
      ['EAPPEND', 's', 'E', 'TIMESTAMP', '18446744073709551616'],
    ],
    expect: [
      ...appendedLines({ timestamp: 9_223_372_036_854 }),
      argument('invalid timestamp format: expected milliseconds, got nanoseconds'),
      argument('invalid timestamp format: expected milliseconds, got nanoseconds'),
      argument('invalid timestamp format: expected milliseconds, got nanoseconds'),
      argument('unexpected string: expected number'),
    ],
  },
  {
    name: 'a control character in a stream id does not break the error line',
    given: [['EAPPEND', 'a\r\n+OK', 'E']],
    send: [['EAPPEND', 'a\r\n+OK', 'E', 'EXPECTED_VERSION', 'empty'], ['PING']],
    expect: ['-WRONGVER {line} and stream id a  +OK', '+PONG'],
  },
  {
    name: 'another partition key for a stream of the same bucket',
    given: [['EAPPEND', 'user-123', 'E']],
    send: [['EAPPEND', 'user-123', 'E', 'PARTITION_KEY', '6b01eb4e-d05c-5fba-862d-4be632820026']],
    expect: [
      `-DBOPFAILED database operation failed: partition key must be the same for all events in a stream: expected ${USER_KEY}, got 6b01eb4e-d05c-5fba-862d-4be632820026`,
    ],
  },
  {
    name: 'a retry with the same event id',
    send: [
      ['EAPPEND', 'user-123', 'E', 'EVENT_ID', SEED_ID, 'EXPECTED_VERSION', 'empty'],
      ['EAPPEND', 'user-123', 'other', 'EVENT_ID', SEED_ID, 'EXPECTED_VERSION', 'empty'],
    ],
    expect: [
      ...appendedLines({ id: SEED_ID, key: USER_KEY, partition: 21 }),
      ...appendedLines({ id: SEED_ID, key: USER_KEY, partition: 21 }),
    ],
  },
  {
    name: 'payloads of any bytes',
    send: [
      ['EAPPEND', 's', 'E', 'PAYLOAD', Buffer.from('\r\n$-1\r\n\0'), 'METADATA', '*1'],
      ['ESCAN', 's', '-', '+'],
    ],
    expect: [
      ...appendedLines({}),
      ...pageLines(false, [
        eventLines({ stream: 's', name: 'E', metadata: '*1', payload: '\r\n$-1\r\n\0' }),
      ]),
    ],
  },
  {
    name: 'integers and simple strings as arguments are taken as their text',
    send: [
      '*5\r\n+EAPPEND\r\n:5\r\n+E\r\n$16\r\nEXPECTED_VERSION\r\n+empty\r\n',
      '*4\r\n$7\r\nEAPPEND\r\n$1\r\n5\r\n+TIMESTAMP\r\n+PAYLOAD\r\n',
      '*5\r\n$7\r\nEAPPEND\r\n:5\r\n+E\r\n+EXPECTED_VERSION\r\n:0\r\n',
      ['ESVER', '5'],
    ],
    expect: [
      ...appendedLines({}),
      argument('unexpected end of input: expected payload'),
      ...appendedLines({ sequence: 1, version: 1 }),
      ':1',
    ],
  },
  {
    name: 'RESP2',
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis'],
      ['EAPPEND', 'user-123', 'E'],
    ],
    expect: ['+OK', ...appendedLines({ key: USER_KEY, partition: 21, resp2: true })],
  },
]);
