/** Driver: redis-cli.ts PORT default|resp3. What a person types, and reads. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';

import { UUID } from './conversation.ts';
import { report, type Checks } from './report.ts';

const [port = '', variant] = process.argv.slice(2);
const flags = ['-p', port, ...(variant === 'resp3' ? ['-3'] : [])];

const USER_KEY = '7e124fe8-fe28-5398-bb95-53973100148f';
const EVENT_ID = '550e8400-e29b-41d4-a716-446655440000';
const KEY = EVENT_ID;

/** One command as arguments; what it prints, byte by byte. */
function print(args: readonly string[], input: string | Buffer = ''): string {
  const { stdout, stderr, status } = spawnSync('redis-cli', [...flags, ...args], {
    input,
    maxBuffer: 16 * 1024 * 1024,
  });
  assert.equal(status, 0, stderr.toString());
  return stdout.toString('latin1');
}

/** Lines of input, as in a session; the lines that it prints. */
function type(...lines: readonly string[]): string[] {
  return print([], `${lines.join('\n')}\n`)
    .trimEnd()
    .split('\n');
}

/** A session that stays open, pushes shown. redis-cli prints them when it reads the next reply. */
class Session implements Disposable {
  readonly #child = spawn('redis-cli', [...flags, '--show-pushes', 'yes']);
  #printed = '';

  constructor() {
    this.#child.stdout.on('data', (chunk: Buffer) => (this.#printed += chunk.toString()));
  }

  /** Types a line; resolves with all that has been printed once `isEnough` holds for it. */
  async type(line: string, isEnough: (printed: string) => boolean): Promise<string> {
    this.#child.stdin.write(`${line}\n`);
    while (!isEnough(this.#printed)) {
      const before = this.#printed;
      this.#child.stdin.write('PING\n');
      while (this.#printed === before) {
        await new Promise((resolve) => this.#child.stdout.once('data', resolve));
      }
    }
    return this.#printed;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** Cursors of the events that were printed. */
function cursors(printed: string): number[] {
  return [...printed.matchAll(/^message\n[-0-9a-f]{36}\n(\d+)\nevent_id /gm)].map(([, cursor]) =>
    Number(cursor),
  );
}

async function subscribe(): Promise<void> {
  for (let i = 0; i < 3; i += 1) print(['EAPPEND', 'live', 'E']);
  using session = new Session();
  const history = await session.type('ESUB live FROM 0', (text) => cursors(text).length >= 3);
  const [id = ''] = history.split('\n');
  assert.match(id, UUID);
  for (let i = 0; i < 2; i += 1) print(['EAPPEND', 'live', 'E', 'PAYLOAD', 'five']);
  const all = await session.type('PING', (text) => cursors(text).length >= 5);
  assert.deepEqual(cursors(all), [0, 1, 2, 3, 4]);
  assert.match(all, /\nstream_version 4\n[^]*\npayload five\n/);
  const ended = await session.type(`EUNSUB ${id}`, (text) => text.includes('\nOK\n'));
  assert.doesNotMatch(ended, /NOTFOUND/);
}

async function window(): Promise<void> {
  using session = new Session();
  const first = await session.type(
    'ESUB many FROM 0 WINDOW 2',
    (text) => cursors(text).length >= 2,
  );
  const [id = ''] = first.split('\n');
  for (const cursor of [1, 3]) {
    const printed = await session.type(
      `EACK ${id} ${cursor}`,
      (text) => cursors(text).length >= cursor + 3,
    );
    assert.deepEqual(
      cursors(printed),
      Array.from({ length: cursor + 3 }, (_, c) => c),
    );
  }
}

const run: Checks = {
  connect: () => {
    const printed = type('PING', 'INFO CACHE');
    assert.equal(printed[0], 'PONG');
    assert(printed.includes('block_size_bytes 65536'), printed.join('\n'));
    assert.match(print(['INFO']), /redis_version:/);
  },
  append: () => {
    const command = [
      ...['EAPPEND', 'user-123', 'UserRegistered', 'EVENT_ID', EVENT_ID, 'PARTITION_KEY', USER_KEY],
      ...['EXPECTED_VERSION', 'empty', 'TIMESTAMP', '1700000000000'],
      ...['PAYLOAD', '{"total":99}', 'METADATA', 'by hand'],
    ];
    const printed = print(command);
    assert.equal(
      printed.trimEnd(),
      `event_id ${EVENT_ID}\npartition_key ${USER_KEY}\npartition_id 21\npartition_sequence 0\nstream_version 0\ntimestamp 1700000000000`,
    );
    assert.equal(print(command), printed, 'a retry');
  },
  transaction: () => {
    const printed = print(['EMAPPEND', KEY, 'a', 'A', 'EXPECTED_VERSION', 'empty', 'b', 'B']);
    assert.match(printed, /first_partition_sequence 0\nlast_partition_sequence 1\n/);
  },
  read: () => {
    assert.deepEqual(type('ESVER user-123', 'ESVER nobody', 'EPSEQ 25', 'EPSEQ 0', 'PING'), [
      ...['0', '', '1', '', 'PONG'],
    ]);
    assert.equal(print(['EGET', USER_KEY]), '\n');
    const event = /event_id [^]*\nmetadata by hand\npayload \{"total":99\}\n/;
    assert.match(print(['EGET', EVENT_ID]), event);
    const page = print(['ESCAN', 'user-123', '-', '+', 'COUNT', '10']);
    assert.match(page, /^has_more \(false\)\nevents/);
    assert.match(page, event);
    assert.match(print(['EPSCAN', KEY, '0', '+', 'COUNT', '1']), /^has_more \(true\)\n/);
  },
  errors: () => {
    const printed = type(
      ...['EAPPEND user-123 E EXPECTED_VERSION 7', 'EPSCAN 99 - +', 'NOSUCH', 'PING'],
    ).filter((line) => line !== '');
    const expected = [
      /^WRONGVER current stream version is 0 but expected 7 for /,
      /^CLUSTERDOWN partition unavailable$/,
      /^INVALIDARG unknown command 'NOSUCH'$/,
      /^PONG$/,
    ];
    assert.equal(printed.length, expected.length);
    for (const [i, pattern] of expected.entries()) assert.match(printed[i] ?? '', pattern);
  },
  binary: () => {
    type('EAPPEND binary E PAYLOAD "\\r\\n\\x00\\xff$5\\r\\n"');
    assert(print(['ESCAN', 'binary', '-', '+']).includes('payload \r\n\0\xff$5\r\n'));
  },
  large: () => {
    const payload = 'sierra  '.repeat(128 * 1024);
    print(['-x', 'EAPPEND', 'large', 'E', 'PAYLOAD'], payload);
    assert(print(['ESCAN', 'large', '-', '+']).includes(`payload ${payload}`));
  },
  pipeline: () => {
    const append = '*3\r\n$7\r\nEAPPEND\r\n$4\r\nmany\r\n$1\r\nE\r\n';
    assert.match(print(['--pipe'], append.repeat(200)), /errors: 0, replies: 200/);
    assert.equal(print(['ESVER', 'many']), '199\n');
  },
  subscribe,
  window,
};

const { stdout: version } = spawnSync('redis-cli', ['--version'], { encoding: 'utf8' });
await report({ version: /\d[\d.]*/.exec(version)?.[0] ?? 'unknown', protocol: 3 }, run);
