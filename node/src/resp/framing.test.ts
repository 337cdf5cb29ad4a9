/** Request framing: wire protocol 1.3, 1.4, section 8 points 6 to 8, appendix E, and the abuse that broke other parsers. */
import { protocolCases } from './testing/protocol-cases.ts';

const PING = '*1\r\n$4\r\nPING\r\n';
const fault = (text: string): string => `-ERR Protocol error: ${text}`;

protocolCases('framing', [
  { name: 'an empty array is ignored', send: ['*0\r\n', ['PING']], expect: ['+PONG'] },
  { name: 'pipelining', send: [PING.repeat(50)], expect: new Array<string>(50).fill('+PONG') },
  {
    name: 'frames that are no commands',
    send: [
      '+PING\r\n',
      '-ERR\r\n',
      ':1\r\n',
      '$4\r\nPING\r\n',
      '$0\r\n\r\n',
      '$-1\r\n',
      '_\r\n',
      '#t\r\n',
      ',1.5\r\n',
      '(123\r\n',
      '%0\r\n',
      '~0\r\n',
      '>0\r\n',
      '=7\r\ntxt:\r\n*\r\n',
      '!5\r\n*1\r\n$\r\n',
      '|0\r\n',
      ['PING'],
    ],
    expect: [...new Array<string>(16).fill('-ERR expected array command'), '+PONG'],
  },
  {
    name: 'inline commands',
    send: [
      'PING\r\n',
      'ping\n',
      '  PING   hello \r\n',
      'ECHO "a \\"b\\" \\x41\\n\\r\\t\\b\\a\\q"\r\n',
      "ECHO 'it\\'s \\n'\r\n",
      'ECHO ""\r\n',
      'ECHO pre"fix d"\r\n',
    ],
    expect: [
      '+PONG',
      '+PONG',
      '$5',
      'hello',
      '$13',
      'a "b" A\n\r\t\b\x07q',
      '$7',
      "it's \\n",
      '$0',
      '',
      '$8',
      'prefix d',
    ],
  },
  {
    name: 'bare line ends',
    send: ['\r\n', '\n', '   \r\n', '\r\n\r\n', ['PING'], '\r\n'],
    expect: ['+PONG'],
  },
  {
    name: 'unbalanced quotes',
    send: ['ECHO "abc\r\n'],
    expect: [fault('unbalanced quotes in request')],
    closes: true,
  },
  {
    name: 'a quote that ends inside a word',
    send: ['ECHO "abc"d\r\n'],
    expect: [fault('unbalanced quotes in request')],
    closes: true,
  },
  {
    name: 'replies of earlier commands come before the fault, later commands are dropped',
    send: [PING, '*1\r\n$-1\r\n', PING],
    expect: ['+PONG', fault('invalid bulk length')],
    closes: true,
  },
  {
    name: 'HTTP',
    send: ['POST / HTTP/1.1\r\nHost: x\r\n\r\nEAPPEND s E\r\n'],
    expect: ["-INVALIDARG unknown command 'POST'"],
    closes: true,
  },
  {
    name: 'HTTP whose first word is unknown',
    send: ['GET / HTTP/1.1\r\nHost: x\r\n\r\nEAPPEND s E\r\n'],
    expect: ["-INVALIDARG unknown command 'GET'", "-INVALIDARG unknown command 'HOST:'"],
    closes: true,
  },
  {
    name: 'the longest arguments',
    send: [['ECHO', 'x'.repeat(3000)]],
    expect: ['$3000', 'x'.repeat(3000)],
  },
]);

const faults: readonly (readonly [string, string, string])[] = [
  ['a null array', '*-1\r\n', 'invalid multibulk length'],
  ['a null blob', '*1\r\n$-1\r\n', 'invalid bulk length'],
  ['a negative length', '*1\r\n$-5\r\n', 'invalid bulk length'],
  ['a length of letters', '*1\r\n$abc\r\n', 'invalid bulk length'],
  ['an empty length', '*1\r\n$\r\n', 'invalid bulk length'],
  ['a length with a blank', '*1\r\n$ 4\r\nPING\r\n', 'invalid bulk length'],
  ['a length with a plus', '*1\r\n$+4\r\nPING\r\n', 'invalid bulk length'],
  ['a length above 512 MiB', '*1\r\n$536870913\r\n', 'invalid bulk length'],
  ['a huge length', '*1\r\n$99999999999\r\n', 'invalid bulk length'],
  ['an endless length', `*1\r\n$${'0'.repeat(100)}`, 'invalid bulk length'],
  ['a length ended by LF', '*1\r\n$4\nPING\r\n', 'invalid bulk length'],
  ['a length ended by CR and a letter', '*1\r\n$4\rxPING\r\n', 'invalid bulk length'],
  ['too many arguments', '*1048577\r\n', 'invalid multibulk length'],
  ['far too many arguments', '*33554432\r\n', 'invalid multibulk length'],
  ['a huge count', '*5000000000\r\n', 'invalid multibulk length'],
  ['a count of letters', '*x\r\n', 'invalid multibulk length'],
  ['an empty count', '*\r\n', 'invalid multibulk length'],
  ['a count ended by LF', '*1\n', 'invalid multibulk length'],
  ['an endless count', `*${'1'.repeat(100)}`, 'invalid multibulk length'],
  ['a nested array', '*1\r\n*1\r\n$4\r\nPING\r\n', "expected '$', got '*'"],
  ['a null', '*1\r\n_\r\n', "expected '$', got '_'"],
  ['a map', '*1\r\n%1\r\n', "expected '$', got '%'"],
  ['an error', '*1\r\n-x\r\n', "expected '$', got '-'"],
  ['a control character', '*1\r\n\r\n', "expected '$', got '\\x0d'"],
  [
    'a byte above 127',
    Buffer.from('*1\r\n\xff', 'latin1').toString('latin1'),
    "expected '$', got '\\xff'",
  ],
  ['a blob longer than declared', '*1\r\n$4\r\nPINGX\r\n', 'missing blob terminator'],
  ['a blob ended by LF', '*1\r\n$4\r\nPING\n', 'missing blob terminator'],
  ['a blob ended by CR and a letter', '*1\r\n$4\r\nPING\rx', 'missing blob terminator'],
  ['an integer of letters', '*2\r\n$4\r\nECHO\r\n:1a\r\n', 'invalid integer'],
  ['an empty integer', '*2\r\n$4\r\nECHO\r\n:\r\n', 'invalid integer'],
  ['a minus alone', '*2\r\n$4\r\nECHO\r\n:-\r\n', 'invalid integer'],
  ['two signs', '*2\r\n$4\r\nECHO\r\n:--1\r\n', 'invalid integer'],
  ['an integer with a plus', '*2\r\n$4\r\nECHO\r\n:+1\r\n', 'invalid integer'],
  ['an integer of 20 digits', `*2\r\n$4\r\nECHO\r\n:${'1'.repeat(20)}\r\n`, 'invalid integer'],
  ['a simple string with a bare CR', '*2\r\n$4\r\nECHO\r\n+a\rb\r\n', 'missing line feed'],
  ['a stray blob without its end', '$4\r\nPINGX\r\n', 'missing blob terminator'],
  ['a stray blob of letters', '$x\r\n', 'invalid bulk length'],
];

protocolCases(
  'protocol errors close the connection',
  faults.map(([name, bytes, text]) => ({
    name,
    send: [Buffer.from(bytes, 'latin1')],
    expect: [fault(text)],
    closes: true,
  })),
);

protocolCases('integers as text', [
  {
    name: 'every spelling',
    send: [
      '*2\r\n$4\r\nECHO\r\n:0\r\n',
      '*2\r\n$4\r\nECHO\r\n:-12\r\n',
      '*2\r\n$4\r\nECHO\r\n:007\r\n',
      '*2\r\n$4\r\nECHO\r\n:9223372036854775807\r\n',
      '*2\r\n$4\r\nECHO\r\n:-0\r\n',
      '*2\r\n$4\r\nECHO\r\n:1000000000000000000\r\n',
    ],
    expect: [
      '$1',
      '0',
      '$3',
      '-12',
      '$3',
      '007',
      '$19',
      '9223372036854775807',
      '$2',
      '-0',
      '$19',
      '1000000000000000000',
    ],
  },
]);

protocolCases('lines without an end', [
  {
    name: 'the longest inline command',
    server: { limits: { lineBytesMax: 300 } },
    send: [`ECHO ${'x'.repeat(294)}\r\n`],
    expect: ['$294', 'x'.repeat(294)],
  },
  {
    name: 'an inline command that is too long',
    server: { limits: { lineBytesMax: 300 } },
    send: [`ECHO ${'x'.repeat(296)}`],
    expect: [fault('too big inline request')],
    closes: true,
  },
  {
    name: 'a simple string that is too long',
    server: { limits: { lineBytesMax: 300 } },
    send: [`*2\r\n$4\r\nECHO\r\n+${'x'.repeat(301)}`],
    expect: [fault('too big simple string')],
    closes: true,
  },
  {
    name: 'a stray line that is too long',
    server: { limits: { lineBytesMax: 300 } },
    send: [`+${'x'.repeat(301)}`],
    expect: [fault('too big line')],
    closes: true,
  },
]);

const small = { server: { appendMaxBytes: 100, limits: { commandBytesMax: 200 } } } as const;
const tooLarge = '-INVALIDARG events exceed append.max_bytes (100)';

protocolCases('commands that are too large are read past', [
  {
    ...small,
    name: 'a large argument',
    send: [['EAPPEND', 's', 'E', 'PAYLOAD', 'x'.repeat(500)], ['PING']],
    expect: [tooLarge, '+PONG'],
  },
  {
    ...small,
    name: 'any command',
    send: [['ECHO', 'x'.repeat(200)], ['FOO', 'x'.repeat(200)], ['PING']],
    expect: [tooLarge, tooLarge, '+PONG'],
  },
  {
    ...small,
    name: 'many small arguments',
    send: [['ECHO', ...new Array<string>(60).fill('x')], ['PING']],
    expect: [tooLarge, '+PONG'],
  },
  {
    ...small,
    name: 'many simple strings',
    send: [`*61\r\n$4\r\nECHO\r\n${'+xx\r\n'.repeat(60)}`, ['PING']],
    expect: [tooLarge, '+PONG'],
  },
  {
    ...small,
    name: 'exactly at the limit',
    send: [['ECHO', 'x'.repeat(200 - 22)]],
    expect: ['$178', 'x'.repeat(178)],
  },
  {
    ...small,
    name: 'one byte above the limit',
    send: [['ECHO', 'x'.repeat(200 - 21)], ['PING']],
    expect: [tooLarge, '+PONG'],
  },
  {
    ...small,
    name: 'a fault inside is still a fault',
    send: ['*3\r\n$4\r\nECHO\r\n$300\r\n', 'x'.repeat(300), '\r\n*1\r\n'],
    expect: [fault("expected '$', got '*'")],
    closes: true,
  },
]);
