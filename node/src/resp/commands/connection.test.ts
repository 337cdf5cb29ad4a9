/** HELLO, CLIENT, COMMAND, SELECT, AUTH, ECHO, PING, INFO, QUIT, RESET, READONLY, READWRITE; protocol selection. */
import { protocolCases, pageLines } from '../testing/protocol-cases.ts';

const argument = (text: string): string => `-INVALIDARG ${text}`;

const helloLines = (proto = 3): string[] => [
  proto === 3 ? '%9' : '*18',
  '$6',
  'server',
  '$8',
  'sierradb',
  '$7',
  'version',
  '$5',
  '0.1.0',
  '$7',
  'peer_id',
  '$36',
  '{id}',
  '$14',
  'num_partitions',
  ':32',
  '$5',
  'proto',
  `:${proto}`,
  '$2',
  'id',
  ':1',
  '$4',
  'mode',
  '$10',
  'standalone',
  '$4',
  'role',
  '$6',
  'master',
  '$7',
  'modules',
  '*0',
];

/** Shows the version in force: a map in RESP3, a flat array in RESP2. */
const probe = ['ESCAN', 's', '-', '+'];
const resp3 = pageLines(false, []);
const resp2 = pageLines(false, [], true);

protocolCases('HELLO', [
  { name: 'version 3', send: [['HELLO', '3']], expect: helloLines() },
  { name: 'version +3', send: [['hello', '+3']], expect: helloLines() },
  { name: 'no version', send: [['HELLO'], probe], expect: [...helloLines(), ...resp3] },
  {
    name: 'no version on a RESP2 connection changes nothing',
    send: [['CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis'], ['HELLO'], probe],
    expect: ['+OK', ...helloLines(2), ...resp2],
  },
  {
    name: 'credentials and a name',
    send: [
      ['HELLO', '3', 'AUTH', 'user', 'pass', 'SETNAME', 'worker'],
      ['CLIENT', 'GETNAME'],
    ],
    expect: [...helloLines(), '$6', 'worker'],
  },
  {
    name: 'other versions',
    send: [
      ['HELLO', '2'],
      ['HELLO', '4'],
      ['HELLO', '-1'],
      ['HELLO', '9223372036854775807'],
    ],
    expect: [
      '-NOPROTO unsupported version 2, only 3 is supported',
      '-NOPROTO unsupported version 4, only 3 is supported',
      '-NOPROTO unsupported version -1, only 3 is supported',
      '-NOPROTO unsupported version 9223372036854775807, only 3 is supported',
    ],
  },
  {
    name: 'bad arguments',
    send: [
      ['HELLO', 'abc'],
      ['HELLO', ''],
      ['HELLO', '9223372036854775808'],
      ['HELLO', '3', 'x'],
      ['HELLO', '3', 'AUTH', 'user'],
      ['HELLO', '3', 'SETNAME'],
      ['HELLO', '3', 'SETNAME', 'two words'],
      probe,
    ],
    expect: [
      argument('unexpected string: expected number'),
      argument('unexpected string: expected number'),
      argument('unexpected string: expected number'),
      argument('unexpected string: expected AUTH, SETNAME or end of input'),
      argument('unexpected end of input: expected password'),
      argument('unexpected end of input: expected connection name'),
      '-ERR Client names cannot contain spaces, newlines or special characters.',
      ...resp3,
    ],
  },
  {
    name: 'inline',
    send: ['HELLO 3\r\n'],
    expect: helloLines(),
  },
]);

protocolCases('protocol selection', [
  { name: 'nothing said', send: [probe], expect: resp3 },
  {
    name: 'a library that names itself',
    send: [
      ['client', 'SETINFO', 'LIB-NAME', 'ioredis'],
      ['CLIENT', 'SETINFO', 'LIB-VER', '5'],
      probe,
    ],
    expect: ['+OK', '+OK', ...resp2],
  },
  {
    name: 'the Rust client',
    send: [['CLIENT', 'SETINFO', 'LIB-NAME', 'Redis-RS(tokio)'], probe],
    expect: ['+OK', ...resp3],
  },
  {
    name: 'a version alone is no name',
    send: [['CLIENT', 'SETINFO', 'LIB-VER', '1'], probe],
    expect: ['+OK', ...resp3],
  },
  {
    name: 'HELLO before the name',
    send: [['HELLO', '3'], ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'], probe],
    expect: [...helloLines(), '+OK', ...resp3],
  },
  {
    name: 'HELLO after the name',
    send: [['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'], ['HELLO', '3'], probe],
    expect: ['+OK', ...helloLines(), ...resp3],
  },
  {
    name: 'the last name counts',
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-rs'],
      probe,
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'],
      probe,
    ],
    expect: ['+OK', '+OK', ...resp3, '+OK', ...resp2],
  },
  {
    name: 'default 3 whatever the name',
    server: { protocolDefault: 3 },
    send: [['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'], probe],
    expect: ['+OK', ...resp3],
  },
  {
    name: 'default 2',
    server: { protocolDefault: 2 },
    send: [
      probe,
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-rs'],
      probe,
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'],
      ['HELLO', '3'],
      probe,
    ],
    expect: [...resp2, '+OK', ...resp3, '+OK', ...helloLines(), ...resp3],
  },
  {
    name: 'RESET forgets HELLO, the library and the name',
    send: [
      ['HELLO', '3', 'SETNAME', 'n'],
      ['RESET'],
      ['CLIENT', 'GETNAME'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'],
      probe,
      ['RESET'],
      probe,
    ],
    expect: [...helloLines(), '+RESET', '_', '+OK', ...resp2, '+RESET', ...resp3],
  },
]);

protocolCases('CLIENT', [
  {
    name: 'names and ids',
    send: [
      ['CLIENT', 'GETNAME'],
      ['CLIENT', 'SETNAME', 'worker-1'],
      ['client', 'getname'],
      ['CLIENT', 'ID'],
      ['CLIENT', 'SETNAME', ''],
      ['CLIENT', 'GETNAME'],
    ],
    expect: ['_', '+OK', '$8', 'worker-1', ':1', '+OK', '_'],
  },
  {
    name: 'errors',
    send: [
      ['CLIENT'],
      ['CLIENT', 'MAINT_NOTIFICATIONS', 'ON'],
      ['CLIENT', 'a\r\nb'],
      ['CLIENT', 'SETINFO'],
      ['CLIENT', 'SETINFO', 'COLOUR', 'red'],
      ['CLIENT', 'SETINFO', 'LIB-NAME'],
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'a', 'b'],
      ['CLIENT', 'SETNAME'],
      ['CLIENT', 'SETNAME', 'a b'],
      ['CLIENT', 'GETNAME', 'x'],
      ['CLIENT', 'ID', 'x'],
    ],
    expect: [
      argument('unexpected end of input: expected subcommand'),
      "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'",
      "-ERR unknown subcommand 'a  b'",
      argument('unexpected end of input: expected attribute'),
      "-ERR Unrecognized option 'COLOUR'",
      argument('unexpected end of input: expected value'),
      argument('unexpected string: expected end of input'),
      argument('unexpected end of input: expected connection name'),
      '-ERR Client names cannot contain spaces, newlines or special characters.',
      argument('unexpected string: expected end of input'),
      argument('unexpected string: expected end of input'),
    ],
  },
]);

protocolCases('INFO', [
  {
    name: 'CACHE',
    send: [['INFO', 'CACHE']],
    expect: [
      '%8',
      '$4',
      'hits',
      ':120',
      '$6',
      'misses',
      ':20',
      '$9',
      'hit_ratio',
      ',0.857',
      '$7',
      'entries',
      ':3',
      '$12',
      'memory_bytes',
      ':196608',
      '$9',
      'max_bytes',
      ':268435456',
      '$16',
      'block_size_bytes',
      ':65536',
      '$9',
      'evictions',
      ':0',
    ],
  },
  {
    name: 'CACHE in RESP2',
    send: [
      ['CLIENT', 'SETINFO', 'LIB-NAME', 'x'],
      ['info', 'cache'],
    ],
    expect: [
      '+OK',
      '*16',
      '$4',
      'hits',
      ':120',
      '$6',
      'misses',
      ':20',
      '$9',
      'hit_ratio',
      '$5',
      '0.857',
      '{text}',
    ],
  },
  {
    name: 'no section and any other',
    send: [['INFO'], ['INFO', 'server']],
    expect: [
      '${number}',
      '{text}redis_version:7.4.0',
      'redis_mode:standalone',
      '{text}loading:0',
      '{text}redis_version:7.4.0',
      '{text}',
    ],
  },
  {
    name: 'surplus arguments',
    send: [
      ['INFO', 'CACHE', 'x'],
      ['INFO', 'server', 'clients'],
    ],
    expect: [
      argument('unexpected string: expected end of input'),
      argument('unexpected string: expected end of input'),
    ],
  },
]);

protocolCases('commands of Redis', [
  {
    name: 'PING',
    send: [['PING'], ['ping', 'hello'], ['PING', 'a', 'b']],
    expect: ['+PONG', '$5', 'hello', argument('unexpected string: expected end of input')],
  },
  {
    name: 'ECHO',
    send: [['ECHO', 'a\r\nb'], ['ECHO'], ['ECHO', 'a', 'b']],
    expect: [
      '$4',
      'a\r\nb',
      argument('unexpected end of input: expected message'),
      argument('unexpected string: expected end of input'),
    ],
  },
  {
    name: 'COMMAND',
    send: [
      ['COMMAND'],
      ['COMMAND', 'DOCS'],
      ['command', 'docs', 'get'],
      ['COMMAND', 'COUNT'],
      ['COMMAND', 'LIST'],
    ],
    expect: ['*0', '%0', '%0', ':0', "-ERR unknown subcommand 'LIST'"],
  },
  {
    name: 'SELECT',
    send: [['SELECT', '0'], ['SELECT', '1'], ['SELECT', 'abc'], ['SELECT'], ['SELECT', '0', '0']],
    expect: [
      '+OK',
      '-ERR DB index is out of range',
      '-ERR invalid DB index',
      argument('unexpected end of input: expected number'),
      argument('unexpected string: expected end of input'),
    ],
  },
  {
    name: 'AUTH',
    send: [['AUTH', 'p'], ['AUTH', 'u', 'p'], ['AUTH'], ['AUTH', 'u', 'p', 'x']],
    expect: [
      '+OK',
      '+OK',
      argument('unexpected end of input: expected password'),
      argument('unexpected string: expected end of input'),
    ],
  },
  {
    name: 'READONLY and READWRITE',
    send: [['READONLY'], ['READWRITE'], ['READONLY', 'x'], ['RESET', 'x'], ['QUIT', 'x']],
    expect: [
      '+OK',
      '+OK',
      argument('unexpected string: expected end of input'),
      argument('unexpected string: expected end of input'),
      argument('unexpected string: expected end of input'),
    ],
  },
  {
    name: 'QUIT drops what is behind it',
    send: [['QUIT'], ['PING']],
    expect: ['+OK'],
    closes: true,
  },
  {
    name: 'unknown commands',
    send: [
      ['foo'],
      ['XSUB', 's'],
      ['EVERS', 's'],
      ['a\r\n+b'],
      [''],
      ['é'],
      ['x'.repeat(300)],
      [Buffer.from([0xff, 0xfe])],
    ],
    expect: [
      argument("unknown command 'FOO'"),
      argument("unknown command 'XSUB'"),
      argument("unknown command 'EVERS'"),
      argument("unknown command 'A  +B'"),
      argument("unknown command ''"),
      argument("unknown command 'é'"),
      argument(`unknown command '${'X'.repeat(128)}'`),
      '-ERR invalid command',
    ],
  },
]);
