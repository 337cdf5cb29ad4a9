import { eventLines, pageLines, protocolCases } from '../testing/protocol-cases.ts';

const KEY = '550e8400-e29b-41d4-a716-446655440000';
const ID = '018bcfe5-6800-4567-a716-400000000001';
const OTHER_ID = '018bcfe5-6800-7897-a716-400000000002';
const argument = (text: string): string => `-INVALIDARG ${text}`;

interface Event {
  readonly id?: string;
  readonly stream: string | readonly string[];
  readonly version?: number;
}

function transactionLines(first: number, events: readonly Event[], resp2 = false): string[] {
  return [
    resp2 ? '*10' : '%5',
    '+partition_key',
    `+${KEY}`,
    '+partition_id',
    ':25',
    '+first_partition_sequence',
    `:${first}`,
    '+last_partition_sequence',
    `:${first + events.length - 1}`,
    '+events',
    `*${events.length}`,
    ...events.flatMap(({ id, stream, version }) => [
      resp2 ? '*8' : '%4',
      '+event_id',
      `+${id ?? '{id}'}`,
      '+stream_id',
      ...(typeof stream === 'string' ? [`+${stream}`] : stream),
      '+stream_version',
      `:${version ?? 0}`,
      '+timestamp',
      ':1700000000000',
    ]),
  ];
}

protocolCases('EMAPPEND', [
  {
    name: 'the example of the specification',
    send: [
      [
        'EMAPPEND',
        KEY,
        'stream1',
        'EventA',
        'PAYLOAD',
        '{"data":"value1"}',
        'stream2',
        'EventB',
        'PAYLOAD',
        '{"data":"value2"}',
      ],
      ['EPSCAN', '25', '-', '+'],
    ],
    expect: [
      ...transactionLines(0, [{ stream: 'stream1' }, { stream: 'stream2' }]),
      ...pageLines(false, [
        eventLines({
          key: KEY,
          stream: 'stream1',
          name: 'EventA',
          payload: '{"data":"value1"}',
          transaction: '3f0c2b6e-9a41-4d57-0e21-6b7c5d4e3f2a',
        }),
        eventLines({
          key: KEY,
          stream: 'stream2',
          name: 'EventB',
          payload: '{"data":"value2"}',
          sequence: 1,
          transaction: '3f0c2b6e-9a41-4d57-0e21-6b7c5d4e3f2a',
        }),
      ]),
    ],
  },
  {
    name: 'one event',
    send: [['emappend', KEY, 's', 'E', 'event_id', ID]],
    expect: transactionLines(0, [{ id: ID, stream: 's' }]),
  },
  {
    name: 'expected versions see the earlier events of the transaction',
    send: [
      ['EMAPPEND', KEY, 's', 'E', 'EXPECTED_VERSION', 'empty', 's', 'E', 'EXPECTED_VERSION', '0'],
      [
        'EMAPPEND',
        KEY,
        't',
        'E',
        'EXPECTED_VERSION',
        'empty',
        't',
        'E',
        'EXPECTED_VERSION',
        'empty',
      ],
      ['ESVER', 't', 'PARTITION_KEY', KEY],
    ],
    expect: [
      ...transactionLines(0, [{ stream: 's' }, { stream: 's', version: 1 }]),
      `-WRONGVER current stream version is 0 but expected empty for partition key ${KEY} and stream id t`,
      '_',
    ],
  },
  {
    name: 'strict versioning names the first offender',
    server: { strictVersioning: true },
    send: [
      [
        'EMAPPEND',
        KEY,
        's',
        'E',
        'EXPECTED_VERSION',
        'empty',
        's',
        'E',
        'EXPECTED_VERSION',
        'exists',
      ],
    ],
    expect: [argument('strict versioning mode rejects EXPECTED_VERSION exists')],
  },
  {
    name: 'missing arguments',
    send: [
      ['EMAPPEND'],
      ['EMAPPEND', 'nope'],
      ['EMAPPEND', KEY],
      ['EMAPPEND', KEY, 's'],
      ['EMAPPEND', KEY, 's', 'E', 't'],
      ['EMAPPEND', KEY, 's', 'E', 'PAYLOAD'],
    ],
    expect: [
      argument('unexpected end of input: expected partition key'),
      argument('invalid partition key'),
      argument('unexpected end of input: expected stream id'),
      argument('unexpected end of input: expected event name'),
      argument('unexpected end of input: expected event name'),
      argument('unexpected end of input: expected payload'),
    ],
  },
  {
    name: 'an option with a bad value is not taken for an event',
    send: [
      ['EMAPPEND', KEY, 's', 'E', 'EXPECTED_VERSION', 'foo'],
      ['EMAPPEND', KEY, 's', 'E', 'EVENT_ID', 'nope'],
      ['EMAPPEND', KEY, 's', 'E', 'TIMESTAMP', '-1'],
      ['EMAPPEND', KEY, 's', 'E', 'PARTITION_KEY', KEY],
      ['EMAPPEND', KEY, 's', 'E', 'PAYLOAD', 'a', 'payload', 'b'],
      ['EPSEQ', '25'],
    ],
    expect: [
      argument("expected version number or 'any', 'exists', 'empty'"),
      argument('invalid event id'),
      argument('unexpected string: expected number'),
      '-INVALIDARG {line}PARTITION_KEY{line}',
      argument('payload already specified'),
      '_',
    ],
  },
  {
    name: 'all or nothing',
    send: [
      ['EMAPPEND', KEY, 's', 'E', '', 'E'],
      ['EMAPPEND', KEY, 's', 'E', 't', 'n'.repeat(256)],
      ['EMAPPEND', KEY, 's', 'E', 't', 'E', 'EXPECTED_VERSION', '7'],
      ['EPSEQ', KEY],
      ['EMAPPEND', KEY, 's', 'E'],
    ],
    expect: [
      argument("stream id must be between 1 and 64 characters in length, but got 0 for ''"),
      '-INVALIDARG {line}',
      `-WRONGVER current stream version is empty but expected 7 for partition key ${KEY} and stream id t`,
      '_',
      ...transactionLines(0, [{ stream: 's' }]),
    ],
  },
  {
    name: 'retries: whole, in part, in another order, one id twice',
    send: [
      ['EMAPPEND', KEY, 's', 'E', 'EVENT_ID', ID, 't', 'E', 'EVENT_ID', OTHER_ID],
      ['EMAPPEND', KEY, 's', 'E', 'EVENT_ID', ID, 't', 'E', 'EVENT_ID', OTHER_ID],
      ['EMAPPEND', KEY, 't', 'E', 'EVENT_ID', OTHER_ID, 's', 'E', 'EVENT_ID', ID],
      ['EMAPPEND', KEY, 's', 'E', 'EVENT_ID', ID, 'u', 'E'],
      ['EMAPPEND', KEY, 'u', 'E', 'EVENT_ID', KEY, 'v', 'E', 'EVENT_ID', KEY],
    ],
    expect: [
      ...transactionLines(0, [
        { id: ID, stream: 's' },
        { id: OTHER_ID, stream: 't' },
      ]),
      ...transactionLines(0, [
        { id: ID, stream: 's' },
        { id: OTHER_ID, stream: 't' },
      ]),
      argument('event id already used'),
      argument('event id already used'),
      argument('event id already used'),
    ],
  },
  {
    name: 'a stream id that can be no simple string is a blob',
    send: [['EMAPPEND', KEY, 'OK', 'E', 'a\r\nb', 'E', 'ok', 'E', 'a\nb', 'E', 'tab\t', 'E']],
    expect: transactionLines(0, [
      { stream: ['$2', 'OK'] },
      { stream: ['$4', 'a\r\nb'] },
      { stream: 'ok' },
      { stream: ['$3', 'a\nb'] },
      { stream: 'tab\t' },
    ]),
  },
  {
    name: 'keywords as stream ids and names where no option can stand',
    send: [['EMAPPEND', KEY, 'PAYLOAD', 'METADATA', 'PAYLOAD', 'x', 's', 'PARTITION_KEY']],
    expect: transactionLines(0, [{ stream: 'PAYLOAD' }, { stream: 's' }]),
  },
  {
    name: 'RESP2',
    send: [
      ['CLIENT', 'SETINFO', 'lib-name', 'redis-py'],
      ['EMAPPEND', KEY, 's', 'E', 's', 'E'],
    ],
    expect: ['+OK', ...transactionLines(0, [{ stream: 's' }, { stream: 's', version: 1 }], true)],
  },
]);
