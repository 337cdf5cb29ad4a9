import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import {
  type ClientOptions,
  ConnectionError,
  InvalidArgumentError,
  UnavailableError,
  UnknownOutcomeError,
} from '../client/index.ts';
import { commands } from './run-command.ts';
import { FakeClient, KEY, storedEvent } from './testing/fake-client.ts';
import { run, type RunOptions, start, type StartedRun } from './testing/run.ts';

type Asked = FakeClient['subscriptions'][number];

const ID = '018bcfe5-6800-1237-bb95-4123456789ab';

async function refused(
  code: number,
  words: readonly string[],
  sentence: RegExp,
  options: RunOptions = {},
): Promise<void> {
  const { code: actual, stdout, stderr } = await run(words, options);
  assert.match(stderr, sentence);
  assert.deepEqual([actual, stdout], [code, ''], stderr);
}

describe('every command', () => {
  it('has a help text that names its flags', async () => {
    for (const { name, flags } of commands) {
      const { code, stdout, stderr } = await run([name, '--help']);
      assert.deepEqual([code, stderr], [0, '']);
      assert.ok(stdout.startsWith(`Usage: sierradb ${name} `), stdout);
      for (const flag of Object.keys(flags)) assert.ok(stdout.includes(`--${flag}`), flag);
      const long = stdout.split('\n').filter((line) => line.length > 110);
      assert.deepEqual(long, []);
    }
  });

  it('refuses what it cannot read before it connects', async () => {
    const connect = (): never => assert.fail('connected');
    const cases: readonly (readonly [string, RegExp])[] = [
      ['append', /it needs STREAM and NAME/],
      ['append s', /it needs STREAM and NAME/],
      ['append s n a b', /one payload at a time/],
      ['append s n --expect none', /--expect must be any, exists, empty or a version/],
      ['append s n --event-id 7', /--event-id needs a UUID/],
      ['append s n @/nowhere/at/all', /\/nowhere\/at\/all: no such file/],
      ['append s n - -m -', /standard input is one of them/],
      ['append s n --transaction', /--transaction goes with --from-stdin/],
      ['append -i s n', /stream and name stand in the lines/],
      ['append -i --expect 3', /--expect stands in the lines/],
      ['append -i -t -k', /exclude each other/],
      ['read', /one of them/],
      ['read a b', /one stream at a time/],
      ['read a --partition 1', /one of them/],
      ['read -p 1 -e 7e124fe8-fe28-5398-bb95-53973100148f', /exclude each other/],
      ['read a --last 3 --from 1', /exclude each other/],
      ['read -p x', /--partition needs a number or a UUID/],
      ['subscribe', /one of them/],
      ['subscribe a --all', /one of them/],
      ['subscribe a --from then', /--from needs a whole number/],
      ['subscribe a --window 0', /--window needs a whole number from 1 on/],
      ['subscribe a --checkpoint place', /ends in .json/],
      ['subscribe a --checkpoint nowhere/at/all/a.json', /cannot write to nowhere\/at\/all/],
      ['info x', /takes flags only/],
      ['info --adress x', /unknown flag --adress; did you mean --address\?/],
    ];
    for (const [words, sentence] of cases) {
      await refused(2, words.split(' '), sentence, { connect });
    }
  });

  it('finds the node by flag, then by environment, then where it usually is', async () => {
    const addresses: string[] = [];
    const connect = (address: string, options: ClientOptions): never => {
      addresses.push(address);
      assert.equal(options.timeoutMs, 2000);
      throw new ConnectionError('CONNECTION_FAILED', 'cannot connect');
    };
    const environment = { SIERRADB_ADDRESS: 'sierradb://me:secret@there:1' };
    const read = ['read', 's', '--timeout', '2'];
    await refused(3, read, /at 127.0.0.1:9090\?/, { connect });
    await refused(3, read, /at sierradb:\/\/there:1\?/, { connect, environment });
    await refused(3, [...read, '-a', ':91'], /at 127.0.0.1:91\?/, { connect, environment });
    assert.deepEqual(addresses, ['127.0.0.1:9090', 'sierradb://me:secret@there:1', '127.0.0.1:91']);
  });

  it('tells by exit code and sentence what went wrong', async () => {
    const failing = (error: Error): RunOptions => ({ connect: () => Promise.reject(error) });
    const words = ['append', 's', 'n'];
    await refused(2, words, /^sierradb append: --address: no port/, {
      ...failing(new InvalidArgumentError('no port')),
    });
    await refused(1, words, /^sierradb append: DISKFULL full\nNothing was done\./, {
      ...failing(new UnavailableError('DISKFULL', 'full')),
    });
    const denied = Object.assign(new Error('EACCES: no'), { code: 'EACCES', syscall: 'open' });
    await refused(5, words, /^sierradb append: EACCES no/, failing(denied));
    const unknown = new UnknownOutcomeError('QUORUMFAILED', 'lost', [ID]);
    await refused(4, words, new RegExp(`--event-id ${ID}`), failing(unknown));
    const { stderr } = await run([...words, '--json'], failing(unknown));
    const { error } = JSON.parse(stderr) as { error: Record<string, unknown> };
    assert.deepEqual([error['code'], error['eventIds']], ['QUORUMFAILED', [ID]]);
  });
});

describe('append', () => {
  it('sends what the line says', async () => {
    const fake = new FakeClient();
    const words = [
      'append',
      's',
      'n',
      'text',
      '--expect',
      'empty',
      '--timestamp',
      '5',
      '-m',
      '@@x',
    ];
    const { code, stdout } = await run([...words, '--event-id', ID, '--partition-key', KEY], {
      fake,
    });
    assert.deepEqual([code, stdout], [0, `s@0  ${ID}  partition 21, sequence 0\n`]);
    const bytes = { payload: Buffer.from('text'), metadata: Buffer.from('@x') };
    const event = { streamId: 's', name: 'n', ...bytes, id: ID, timestamp: 5 };
    assert.deepEqual(fake.appends, [
      { key: KEY, events: [{ ...event, expectedVersion: 'empty' }] },
    ]);
    assert.ok(fake.isClosed);
  });

  it('takes a payload from a file or from standard input', async () => {
    const fake = new FakeClient();
    await run(['append', 's', 'n', `@${import.meta.filename}`], { fake });
    await run(['append', 's', 'n', '-'], { fake, input: Buffer.of(0xff, 0x0a) });
    const [file, input] = fake.events;
    assert.match(file?.payload.toString() ?? '', /^import assert/);
    assert.deepEqual(input?.payload, Buffer.of(0xff, 0x0a));
  });

  it('prints JSON for programs', async () => {
    const { stdout } = await run(['append', 's', 'n', '-j']);
    assert.deepEqual(JSON.parse(stdout), {
      ...{ id: ID, stream: 's', version: 0, timestamp: 1_700_000_000_000 },
      ...{ partition: 21, sequence: 0, partitionKey: KEY },
    });
  });

  it('takes lines, in order, many at a time', async () => {
    const fake = new FakeClient();
    const lines = Array.from({ length: 1000 }, (_, i) =>
      JSON.stringify({ stream: 's', name: `n${i}`, expectedVersion: i === 0 ? 'empty' : i - 1 }),
    );
    const { code, stdout, stderr } = await run(['append', '-i'], {
      fake,
      input: lines.join('\n\n'),
    });
    assert.deepEqual([code, stderr], [0, '1000 appended\n']);
    const versions = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => /@(\d+) /.exec(line)?.[1]);
    assert.deepEqual(
      versions,
      lines.map((_, i) => String(i)),
    );
  });

  it('prints a result while standard input is still open', async () => {
    const input = new PassThrough();
    const started = start(['append', '--from-stdin'], { input });
    input.write('{"stream":"s","name":"n"}\n');
    while (started.stdout() === '') await setImmediate();
    assert.match(started.stdout(), /^s@0 /);
    input.end();
    assert.equal((await started.ended).code, 0);
  });

  it('stops at a line that is refused, or goes on', async () => {
    const input = [
      '{"stream":"s","name":"a"}',
      '{"stream":"s","name":"b","expectedVersion":7}',
      'what',
      '{"stream":"t","name":"c"}',
    ].join('\n');
    const stopped = await run(['append', '-i'], { input });
    assert.equal(stopped.code, 2);
    assert.match(
      stopped.stderr,
      /^line 2: WRONGVER current stream version is 0[^]*line 3: no JSON/,
    );
    assert.equal(stopped.stdout.split('\n').length, 2);
    const gone = await run(['append', '-i', '-k'], { input });
    assert.equal(gone.code, 2);
    assert.equal(gone.stdout.split('\n').length, 3);
    assert.match(gone.stderr, /2 appended\n$/);
  });

  it('sends few lines behind one that is refused', async () => {
    const fake = new FakeClient();
    const bad = '{"stream":"s","name":"n","expectedVersion":7}\n';
    const input = bad + '{"stream":"t","name":"n"}\n'.repeat(2000);
    const { code } = await run(['append', '-i'], { fake, input });
    assert.equal(code, 1);
    assert.ok(fake.events.length < 1000, String(fake.events.length));
  });

  it('makes one transaction of all lines', async () => {
    const fake = new FakeClient();
    const line = (stream: string, more = ''): string =>
      `{"stream":"${stream}","name":"n"${more}}\n`;
    const transaction = ['append', '-i', '-t'];
    const one = await run(transaction, { fake, input: line('user-123').repeat(2) });
    assert.equal(one.code, 0, one.stderr);
    const [first] = fake.appends;
    // The key that the stream has by itself.
    assert.deepEqual(
      [first?.key, first?.events.length],
      ['7e124fe8-fe28-5398-bb95-53973100148f', 2],
    );
    const two = line('a') + line('b');
    await refused(2, transaction, /several streams needs --partition-key/, { input: two });
    assert.equal((await run([...transaction, '--partition-key', KEY], { input: two })).code, 0);
    const keyed = line('a', `,"partitionKey":"${KEY}"`);
    assert.equal(
      (await run(transaction, { input: keyed + line('b', `,"partitionKey":"${KEY}"`) })).code,
      0,
    );
    await refused(2, transaction, /have several/, { input: keyed + line('b') });
    await refused(2, transaction, /has no events/, { input: '\n' });
    await refused(2, transaction, /line 2: no JSON/, { input: `${line('a')}x` });
  });
});

describe('read', () => {
  const filled = async (): Promise<FakeClient> => {
    const fake = new FakeClient();
    for (let i = 0; i < 5; i += 1) await fake.append('s', { name: `n${i}` });
    return fake;
  };
  const names = (stdout: string): string[] => stdout.match(/\bn\d\b/g) ?? [];

  it('prints a range', async () => {
    const fake = await filled();
    const read = async (...flags: string[]): Promise<string[]> =>
      names((await run(['read', 's', ...flags], { fake })).stdout);
    assert.deepEqual(await read(), ['n0', 'n1', 'n2', 'n3', 'n4']);
    assert.deepEqual(await read('--from', '1', '--to', '3'), ['n1', 'n2', 'n3']);
    assert.deepEqual(await read('--from', '1', '-n', '2'), ['n1', 'n2']);
    assert.deepEqual(await read('--last', '2'), ['n3', 'n4']);
    assert.deepEqual(await read('--last', '20'), ['n0', 'n1', 'n2', 'n3', 'n4']);
  });

  it('says where nothing is', async () => {
    assert.deepEqual(await run(['read', 's']), { code: 0, stdout: '', stderr: 'no events\n' });
    assert.deepEqual(await run(['read', 's', '-q', '--last', '2']), {
      ...{ code: 0, stdout: '', stderr: '' },
    });
    await refused(1, ['read', '--event', KEY], /no event has the id/);
  });

  it('prints one event whole', async () => {
    const fake = await filled();
    assert.match(
      (await run(['read', '-e', ID], { fake })).stdout,
      /^event {10}018b[^]*\nname {11}n0\n/,
    );
    const json = (await run(['read', '-e', ID, '--json'], { fake })).stdout;
    assert.equal((JSON.parse(json) as { name: string }).name, 'n0');
  });

  it('stops when nobody reads', async () => {
    const gone = new Writable({ write: (_piece, _encoding, done) => done(broken()) });
    const broken = (): Error => Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const fake = new FakeClient();
    let given = 0;
    fake.readStream = async function* () {
      for (;;) {
        given += 1;
        await setImmediate();
        yield storedEvent({ payload: Buffer.alloc(10_000, 'x') });
      }
    };
    const { code, stderr } = await run(['read', 's'], { fake, output: gone });
    assert.deepEqual([code, stderr], [0, '']);
    assert.ok(given < 20, String(given));
  });
});

describe('subscribe', () => {
  const events = [0, 1, 2].map((version) => storedEvent({ version, name: `n${version}` }));

  async function subscribed(
    words: readonly string[],
    options: RunOptions = {},
  ): Promise<StartedRun & Asked> {
    const fake = new FakeClient();
    const started = start(['subscribe', ...words], { fake, ...options });
    while (fake.subscriptions.length === 0) await setImmediate();
    return { ...started, ...(fake.subscriptions[0] as Asked) };
  }

  it('asks for what the line says', async () => {
    const cases: readonly (readonly [string, object])[] = [
      ['a b', { streams: [{ streamId: 'a' }, { streamId: 'b' }], from: 'latest' }],
      [
        `a --partition-key ${KEY}`,
        { streams: [{ streamId: 'a', partitionKey: KEY }], from: 'latest' },
      ],
      ['-p 1,2 -p 3 --from 7', { partitions: [1, 2, 3], from: 7 }],
      ['--all --from start --window 5', { all: true, from: 0, window: 5 }],
    ];
    for (const [words, expected] of cases) {
      const { options, interrupt, ended } = await subscribed(words.split(' '));
      interrupt();
      assert.equal((await ended).code, 130);
      assert.deepEqual(options, { ...expected, acknowledge: 'manual' });
    }
  });

  it('keeps a checkpoint in the file that was named, and begins at the start', async () => {
    const words = ['--all', '--checkpoint', join(tmpdir(), 'seen.json')];
    const { options, interrupt, ended } = await subscribed(words);
    interrupt();
    await ended;
    assert.deepEqual([options.from, options.checkpoint?.name], [0, 'seen']);
  });

  it('prints until it is interrupted', async () => {
    const { fake, interrupt, ended, stdout } = await subscribed(['s']);
    fake.push(...events);
    while (!stdout().includes('n2')) await setImmediate();
    interrupt();
    const { code, stderr } = await ended;
    assert.deepEqual([code, stderr], [130, 'subscribed from latest; Ctrl-C ends it\n']);
    assert.equal(fake.processedEvents.at(-1)?.version, 2);
    assert.ok(fake.isClosed);
  });

  it('ends after a number of events, and has acknowledged them by then', async () => {
    const { fake, ended } = await subscribed(['s', '-n', '2', '--quiet']);
    fake.push(...events);
    const { code, stdout, stderr } = await ended;
    assert.deepEqual([code, stderr, stdout.split('\n').length], [0, '', 3]);
    assert.equal(fake.processedEvents.at(-1)?.version, 1);
    assert.ok(fake.isClosed);
  });

  it('acknowledges only what a slow reader has taken', async () => {
    const output = new PassThrough({ highWaterMark: 1000 });
    const { fake, ended } = await subscribed(['s', '-n', '100'], { output });
    const payload = Buffer.alloc(50_000, 'x');
    fake.push(...Array.from({ length: 100 }, (_, version) => storedEvent({ version, payload })));
    while (!output.writableNeedDrain) await setImmediate();
    for (let turn = 0; turn < 10; turn += 1) await setImmediate();
    assert.ok(fake.processedEvents.length < 10);
    output.resume();
    await ended;
    assert.equal(fake.processedEvents.at(-1)?.version, 99);
  });

  it('ends quietly when the reader has gone', async () => {
    const output = new PassThrough();
    const { fake, ended } = await subscribed(['s'], { output });
    output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    assert.equal((await ended).code, 0);
    assert.ok(fake.isClosed);
  });
});
