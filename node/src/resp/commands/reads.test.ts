/** EGET, ESCAN, ESVER, EPSCAN, EPSEQ. */
import { eventLines, pageLines, protocolCases } from '../testing/protocol-cases.ts';

const ID = '018bcfe5-6800-1237-bb95-4123456789ab';
const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const OTHER_KEY = '550e8400-e29b-41d4-a716-446655440000';
const argument = (text: string): string => `-INVALIDARG ${text}`;

const user = (version: number, resp2 = false): string[] =>
  eventLines({
    key: USER_KEY,
    partition: 21,
    stream: 'user-123',
    name: `E${version}`,
    version,
    sequence: version,
    resp2,
  });

const large = (version: number): string[] =>
  eventLines({ stream: 's', name: 'E', version, sequence: version, payload: 'y'.repeat(1000) });

const fourEvents = [0, 1, 2, 3].map((version) => ['EAPPEND', 'user-123', `E${version}`]);

protocolCases('EGET', [
  {
    name: 'an event, and the seed id that belongs to another partition',
    given: [
      ['EAPPEND', 'user-123', 'E', 'EVENT_ID', ID],
      ['EAPPEND', 'orders', 'E', 'EVENT_ID', OTHER_KEY, 'PAYLOAD', 'p'],
    ],
    send: [
      ['EGET', ID.toUpperCase()],
      ['eget', OTHER_KEY],
    ],
    expect: [
      ...eventLines({ id: ID, key: USER_KEY, partition: 21, stream: 'user-123', name: 'E' }),
      ...eventLines({ id: OTHER_KEY, partition: 31, stream: 'orders', name: 'E', payload: 'p' }),
    ],
  },
  { name: 'not found', send: [['EGET', ID]], expect: ['_'] },
  {
    name: 'not found in RESP2',
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'],
      ['EGET', ID],
    ],
    expect: ['+OK', '$-1'],
  },
  {
    name: 'bad arguments',
    send: [['EGET'], ['EGET', 'nope'], ['EGET', ID, 'x']],
    expect: [
      argument('unexpected end of input: expected event id'),
      argument('invalid event id'),
      argument('unexpected string: expected end of input'),
    ],
  },
]);

protocolCases('ESCAN', [
  {
    name: 'a whole stream',
    given: fourEvents,
    send: [['ESCAN', 'user-123', '-', '+', 'COUNT', '100']],
    expect: pageLines(false, [user(0), user(1), user(2), user(3)]),
  },
  {
    name: 'ranges are inclusive and has_more exact within them',
    given: fourEvents,
    send: [
      ['ESCAN', 'user-123', '1', '2'],
      ['ESCAN', 'user-123', '1', '2', 'COUNT', '1'],
      ['ESCAN', 'user-123', '1', '2', 'COUNT', '2'],
      ['ESCAN', 'user-123', '2', '+', 'COUNT', '2'],
      ['ESCAN', 'user-123', '3', '3'],
      ['ESCAN', 'user-123', '4', '+'],
      ['ESCAN', 'user-123', '2', '1'],
      ['escan', 'user-123', '+0001', '+', 'count', '+1', 'Partition_Key', USER_KEY],
    ],
    expect: [
      ...pageLines(false, [user(1), user(2)]),
      ...pageLines(true, [user(1)]),
      ...pageLines(false, [user(1), user(2)]),
      ...pageLines(false, [user(2), user(3)]),
      ...pageLines(false, [user(3)]),
      ...pageLines(false, []),
      ...pageLines(false, []),
      ...pageLines(true, [user(1)]),
    ],
  },
  {
    name: 'COUNT 0 tells whether there is anything',
    given: fourEvents,
    send: [
      ['ESCAN', 'user-123', '-', '+', 'COUNT', '0'],
      ['ESCAN', 'user-123', '4', '+', 'COUNT', '0'],
    ],
    expect: [...pageLines(true, []), ...pageLines(false, [])],
  },
  {
    name: 'the default count is 100',
    given: Array.from({ length: 101 }, () => ['EAPPEND', 's', 'E']),
    send: [['ESCAN', 's', '-', '+']],
    expect: ['%2', '+has_more', '#t', '+events', '*100', '{text}'],
  },
  {
    name: 'numbers beyond every event',
    given: fourEvents,
    send: [
      ['ESCAN', 'user-123', '18446744073709551615', '+'],
      ['ESCAN', 'user-123', '9007199254740992', '9007199254740993'],
      ['ESCAN', 'user-123', '3', '18446744073709551615', 'COUNT', '18446744073709551615'],
      ['ESCAN', 'user-123', '18446744073709551616', '+'],
    ],
    expect: [
      ...pageLines(false, []),
      ...pageLines(false, []),
      ...pageLines(false, [user(3)]),
      argument('unexpected string: expected range value (-, +, or number)'),
    ],
  },
  {
    name: 'an unknown stream, and a key that is not the stream’s',
    given: fourEvents,
    send: [
      ['ESCAN', 'nobody', '-', '+'],
      ['ESCAN', 'user-123', '-', '+', 'PARTITION_KEY', OTHER_KEY],
      ['ESCAN', 'user-123', '-', '+', 'PARTITION_KEY', '6b01eb4e-d05c-5fba-862d-4be632820026'],
    ],
    expect: [...pageLines(false, []), ...pageLines(false, []), ...pageLines(false, [])],
  },
  {
    name: 'bad arguments',
    send: [
      ['ESCAN'],
      ['ESCAN', 's'],
      ['ESCAN', 's', '-'],
      ['ESCAN', 's', '-1', '5'],
      ['ESCAN', 's', 'a', 'b'],
      ['ESCAN', 's', '+', '5'],
      ['ESCAN', 's', '0', '-'],
      ['ESCAN', 's', '0', '5', 'JUNK'],
      ['ESCAN', 's', '0', '5', 'COUNT'],
      ['ESCAN', 's', '0', '5', 'COUNT', 'abc'],
      ['ESCAN', 's', '0', '5', 'PARTITION_KEY'],
      ['ESCAN', 's', '0', '5', 'PARTITION_KEY', 'nope'],
      ['ESCAN', 's', '0', '5', 'COUNT', '1', 'COUNT', '2'],
      ['ESCAN', 's', '0', '5', 'PARTITION_KEY', ID, 'PARTITION_KEY', ID],
      ['ESCAN', '', '0', '5'],
      ['ESCAN', Buffer.from([0xfe]), '0', '5'],
    ],
    expect: [
      argument('unexpected end of input: expected stream id'),
      argument('unexpected end of input: expected range value (-, +, or number)'),
      argument('unexpected end of input: expected range value (-, +, or number)'),
      argument('unexpected string: expected range value (-, +, or number)'),
      argument('unexpected string: expected range value (-, +, or number)'),
      argument("start version cannot be '+'"),
      argument("end version cannot be '-'"),
      argument('unexpected string: expected PARTITION_KEY, COUNT or end of input'),
      argument('unexpected end of input: expected number'),
      argument('unexpected string: expected number'),
      argument('unexpected end of input: expected partition key'),
      argument('invalid partition key'),
      argument('count already specified'),
      argument('partition key already specified'),
      argument("stream id must be between 1 and 64 characters in length, but got 0 for ''"),
      argument('unexpected string: expected stream id'),
    ],
  },
  {
    name: 'RESP2',
    given: fourEvents,
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'node-redis'],
      ['ESCAN', 'user-123', '0', '+', 'COUNT', '1'],
      ['ESCAN', 'user-123', '3', '+', 'COUNT', '1'],
    ],
    expect: [
      '+OK',
      ...pageLines(true, [user(0, true)], true),
      ...pageLines(false, [user(3, true)], true),
    ],
  },
  {
    name: 'a page ends at its size, but never without an event',
    server: { limits: { pageBytesMax: 3500 } },
    given: [
      ['EAPPEND', 's', 'E', 'PAYLOAD', 'x'.repeat(5000)],
      ...new Array<string[]>(3).fill(['EAPPEND', 's', 'E', 'PAYLOAD', 'y'.repeat(1000)]),
    ],
    send: [
      ['ESCAN', 's', '-', '+'],
      ['ESCAN', 's', '1', '+'],
      ['ESCAN', 's', '3', '+'],
    ],
    expect: [
      ...pageLines(true, [eventLines({ stream: 's', name: 'E', payload: 'x'.repeat(5000) })]),
      ...pageLines(true, [large(1), large(2)]),
      ...pageLines(false, [large(3)]),
    ],
  },
]);

protocolCases('ESVER', [
  {
    name: 'versions',
    given: fourEvents,
    send: [
      ['ESVER', 'user-123'],
      ['esver', 'user-123', 'partition_key', USER_KEY],
      ['ESVER', 'user-123', 'PARTITION_KEY', OTHER_KEY],
      ['ESVER', 'nobody'],
    ],
    expect: [':3', ':3', '_', '_'],
  },
  {
    name: 'bad arguments',
    send: [
      ['ESVER'],
      ['ESVER', 's', 'x'],
      ['ESVER', 's', 'PARTITION_KEY'],
      ['ESVER', 's', 'PARTITION_KEY', 'nope'],
      ['ESVER', 's', 'PARTITION_KEY', ID, 'x'],
      ['ESVER', 'x'.repeat(70)],
    ],
    expect: [
      argument('unexpected end of input: expected stream id'),
      argument('unexpected string: expected end of input'),
      argument('unexpected end of input: expected partition key'),
      argument('invalid partition key'),
      argument('unexpected string: expected end of input'),
      '-INVALIDARG stream id must be between 1 and 64 characters in length, but got 70 for {line}',
    ],
  },
]);

protocolCases('EPSCAN', [
  {
    name: 'by id and by key, inclusive',
    given: fourEvents,
    send: [
      ['EPSCAN', '21', '0', '+', 'COUNT', '50'],
      ['EPSCAN', USER_KEY, '1', '2'],
      ['epscan', '+021', '3', '3', 'count', '1'],
      ['EPSCAN', '21', '1', '2', 'COUNT', '1'],
      ['EPSCAN', '21', '-', '+', 'COUNT', '0'],
      ['EPSCAN', '21', '4', '+'],
      ['EPSCAN', '20', '-', '+'],
      ['EPSCAN', '21', '3', '1'],
      ['EPSCAN', '21', '18446744073709551615', '+'],
    ],
    expect: [
      ...pageLines(false, [user(0), user(1), user(2), user(3)]),
      ...pageLines(false, [user(1), user(2)]),
      ...pageLines(false, [user(3)]),
      ...pageLines(true, [user(1)]),
      ...pageLines(true, []),
      ...pageLines(false, []),
      ...pageLines(false, []),
      ...pageLines(false, []),
      ...pageLines(false, []),
    ],
  },
  {
    name: 'a partition that does not exist',
    send: [
      ['EPSCAN', '32', '-', '+'],
      ['EPSCAN', '65535', '5', '1'],
      ['EPSEQ', '42'],
    ],
    expect: [
      '-CLUSTERDOWN partition unavailable',
      '-CLUSTERDOWN partition unavailable',
      '-CLUSTERDOWN partition unavailable',
    ],
  },
  {
    name: 'bad arguments',
    send: [
      ['EPSCAN'],
      ['EPSCAN', 'abc', '-', '+'],
      ['EPSCAN', '65536', '-', '+'],
      ['EPSCAN', '-1', '-', '+'],
      ['EPSCAN', '5', '-'],
      ['EPSCAN', '5', '+', '1'],
      ['EPSCAN', '5', '1', '-'],
      ['EPSCAN', '5', '-', '+', 'COUNT'],
      ['EPSCAN', '5', '-', '+', 'COUNT', 'x'],
      ['EPSCAN', '5', '-', '+', 'junk'],
      ['EPSCAN', '5', '-', '+', 'COUNT', '1', 'COUNT', '1'],
    ],
    expect: [
      argument('unexpected end of input: expected partition id or key'),
      argument('unexpected string: expected partition id or key'),
      argument('unexpected string: expected partition id or key'),
      argument('unexpected string: expected partition id or key'),
      argument('unexpected end of input: expected range value (-, +, or number)'),
      argument("start sequence cannot be '+'"),
      argument("end sequence cannot be '-'"),
      argument('unexpected end of input: expected number'),
      argument('unexpected string: expected number'),
      argument('unexpected string: expected COUNT, number or end of input'),
      argument('count already specified'),
    ],
  },
]);

protocolCases('EPSEQ', [
  {
    name: 'sequences',
    given: fourEvents,
    send: [
      ['EPSEQ', '21'],
      ['epseq', USER_KEY],
      ['EPSEQ', '0'],
    ],
    expect: [':3', ':3', '_'],
  },
  {
    name: 'bad arguments',
    send: [['EPSEQ'], ['EPSEQ', 'abc'], ['EPSEQ', '5', '6']],
    expect: [
      argument('unexpected end of input: expected partition id or key'),
      argument('unexpected string: expected partition id or key'),
      argument('unexpected string: expected end of input'),
    ],
  },
]);
