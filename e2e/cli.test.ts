/** `sierradb append|read|subscribe|info` against a running node, as a person or a script uses them. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

import { CliProcess, runCli } from './testing/cli-process.ts';
import { NodeProcess } from './testing/node-process.ts';

const root = join(import.meta.dirname, '..');
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Fields = Readonly<Record<string, unknown>>;

const objects = (lines: readonly string[]): Fields[] =>
  lines.map((line) => JSON.parse(line) as Fields);

describe('the commands for people', () => {
  let node: NodeProcess;
  before(async () => {
    node = await NodeProcess.start();
  });
  after(() => node[Symbol.asyncDispose]());

  it('append, and read back', async () => {
    const words = ['append', 'user-1', 'Registered', '{"name":"Alice"}', '--expect', 'empty'];
    const first = await runCli(words, node.port);
    assert.deepEqual([first.code, first.stderr], [0, '\n']);
    assert.match(first.stdout, /^user-1@0 {2}[0-9a-f-]{36} {2}partition \d+, sequence 0\n$/);
    const again = await runCli(words, node.port);
    assert.equal(again.code, 1);
    assert.match(
      again.stderr,
      /^sierradb append: WRONGVER current stream version is 0 but expected empty[^]*--expect 0\.\n$/,
    );
    await runCli(
      ['append', 'user-1', 'Renamed', '-', '-m', 'by hand'],
      node.port,
      '{"name":"Bob"}',
    );
    const read = await runCli(['read', 'user-1'], node.port);
    const lines = read.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(26));
    assert.deepEqual(lines, [
      'user-1@0  Registered  {"name":"Alice"}',
      'user-1@1  Renamed     {"name":"Bob"}  + by hand',
    ]);
  });

  it('print JSON that can be appended elsewhere', async () => {
    const lines = [
      { stream: 'a', name: 'n', payload: { x: 1 }, expectedVersion: 'empty' },
      { stream: 'a', name: 'n', payloadBase64: '/wA=', expectedVersion: 0 },
      { stream: 'a', name: 'n', payload: 'größer\n', metadata: 'm', expectedVersion: 1 },
    ];
    const input = lines.map((line) => JSON.stringify(line)).join('\n');
    const appended = await runCli(['append', '--from-stdin', '--json'], node.port, input);
    assert.equal(appended.code, 0, appended.stderr);
    const results = objects(appended.stdout.trimEnd().split('\n'));
    assert.deepEqual(
      results.map(({ version }) => version),
      [0, 1, 2],
    );
    const read = await runCli(['read', 'a', '--json'], node.port);
    await using other = await NodeProcess.start();
    await runCli(['append', '--from-stdin'], other.port, read.stdout);
    const copy = await runCli(['read', 'a', '--json'], other.port);
    const known = ['id', 'stream', 'version', 'name', 'timestamp', 'payload', 'payloadBase64'];
    const rest = ({ transactionId, ...fields }: Fields): Fields => {
      assert.match(String(transactionId), UUID);
      assert.ok(known.some((key) => key in fields));
      return fields;
    };
    const [from, to] = [read, copy].map(({ stdout }) =>
      objects(stdout.trimEnd().split('\n')).map(rest),
    );
    assert.equal(from?.length, 3);
    assert.deepEqual(to, from);
  });

  it('append a transaction, all or nothing', async () => {
    const key = '550e8400-e29b-41d4-a716-446655440000';
    const words = ['append', '-i', '-t', '--partition-key', key];
    const input =
      '{"stream":"t1","name":"n"}\n{"stream":"t2","name":"n","expectedVersion":"empty"}\n';
    assert.equal((await runCli(words, node.port, input)).code, 0);
    const again = await runCli(words, node.port, input);
    assert.deepEqual([again.code, again.stdout], [1, '\n']);
    const read = await runCli(['read', '--partition', key, '--json'], node.port);
    const events = objects(read.stdout.trimEnd().split('\n'));
    assert.equal(events.length, 2);
    assert.equal(events[0]?.['transactionId'], events[1]?.['transactionId']);
  });

  it('say what the node is', async () => {
    const text = await runCli(['info'], node.port);
    assert.match(text.stdout, /^address {10}127\.0\.0\.1:\d+\nserver {11}sierradb \d/);
    assert.match(text.stdout, /\npartitions {7}32 in 4 buckets\n/);
    const json = await runCli(['info', '--json', '--partitions'], node.port);
    const info = JSON.parse(json.stdout) as Fields;
    assert.match(String(info['memberId']), UUID);
    const counts = Object.values(info['partitions'] as Record<string, number>);
    assert.ok(counts.length > 0);
    assert.equal(
      counts.reduce((sum, count) => sum + count),
      info['events'],
    );
  });

  it('say where they have looked when nobody is there', async () => {
    const gone = await NodeProcess.start();
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    for (const command of ['append s n', 'read s', 'subscribe s', 'info']) {
      const { code, stderr } = await runCli(command.split(' '), port);
      assert.equal(code, 3, stderr);
      assert.match(
        stderr,
        new RegExp(`CONNECTION_FAILED [^]*Does a node listen at 127.0.0.1:${port}\\?`),
      );
    }
  });

  it('end quietly when their reader does', async () => {
    const events = Array.from({ length: 2000 }, (_, i) => ({
      ...{ stream: 'long', name: `n${i}`, payload: 'x'.repeat(1000) },
    }));
    const input = events.map((event) => JSON.stringify(event)).join('\n');
    assert.equal((await runCli(['append', '-i', '-q'], node.port, input)).code, 0);
    for (const words of [
      ['read', 'long'],
      ['subscribe', 'long', '--from', 'start', '-q'],
    ]) {
      await using cli = new CliProcess(words, node.port);
      await cli.line(/n0/);
      cli.child.stdout.destroy();
      const { code, stderr } = await cli.exited;
      assert.deepEqual([code, stderr], [0, '\n']);
    }
  });

  it('are found by every way to start the program', async () => {
    const bin = join(root, 'bin', 'sierradb.cjs');
    await using cli = new CliProcess(['info'], node.port, [process.execPath, bin]);
    assert.equal((await cli.exited).code, 0);
    const env = { ...process.env, SIERRADB_ADDRESS: `127.0.0.1:${node.port}` };
    const npm = ['run', '--silent', 'sierradb', '--', 'info', '--json'];
    const { stdout } = await promisify(execFile)('npm', npm, { cwd: root, env });
    assert.equal((JSON.parse(stdout) as Fields)['address'], env.SIERRADB_ADDRESS);
    const help = await runCli(['help', 'append'], node.port);
    assert.match(help.stdout, /^Usage: sierradb append STREAM NAME/);
    const mistaken = await runCli(['apend', 's', 'n'], node.port);
    assert.deepEqual(
      [mistaken.code, mistaken.stderr],
      [1, 'unknown command apend; did you mean append?\n'],
    );
  });
});

describe('subscribe', () => {
  it('shows what others append, until Ctrl-C', async () => {
    await using node = await NodeProcess.start();
    await runCli(['append', 's', 'Before'], node.port);
    await using live = new CliProcess(['subscribe', 's'], node.port);
    await using all = new CliProcess(
      ['subscribe', '--all', '--from', 'start', '--json'],
      node.port,
    );
    await Promise.all([live.note(/^subscribed from latest/), all.line(/Before/)]);
    await runCli(['append', 's', 'After', 'hello'], node.port);
    await runCli(['append', 'other', 'Else'], node.port);
    assert.match(await live.line(/After/), /^\S+Z {2}s@1 {2}After {2}hello$/);
    const { stream, payload, version } = JSON.parse(await all.line(/After/)) as Fields;
    assert.deepEqual({ stream, payload, version }, { stream: 's', payload: 'hello', version: 1 });
    await all.line(/Else/);
    live.kill('SIGINT');
    all.kill('SIGTERM');
    const ended = await Promise.all([live.exited, all.exited]);
    assert.deepEqual(
      ended.map(({ code }) => code),
      [130, 143],
    );
    assert.deepEqual(
      ended.map(({ stdout }) => stdout.trimEnd().split('\n').length),
      [1, 3],
    );
  });

  it('goes on behind the last event when the node comes back', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    try {
      const first = await NodeProcess.start({ directory });
      const { port } = first;
      await using cli = new CliProcess(['subscribe', 's', '--from', 'start'], port);
      await cli.note(/^subscribed from the start/);
      await runCli(['append', 's', 'One'], port);
      await cli.line(/One/);
      first.kill('SIGKILL');
      await first.exited;
      await cli.note(/ was lost; connecting again$/);
      const address = ['--client-address', `127.0.0.1:${port}`];
      await using _second = await NodeProcess.start({ directory, flags: address });
      await cli.note(/^connected again to /);
      await runCli(['append', 's', 'Two'], port);
      await cli.line(/Two/);
      cli.kill('SIGINT');
      assert.deepEqual((await cli.exited).stdout.match(/One|Two/g), ['One', 'Two']);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('goes on at its checkpoint', async () => {
    await using node = await NodeProcess.start();
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    const checkpoint = join(directory, 'seen.json');
    try {
      const append = async (...names: readonly string[]): Promise<void> => {
        for (const name of names) await runCli(['append', 's', name], node.port);
      };
      const words = ['subscribe', 's', '--checkpoint', checkpoint];
      await append('A', 'B', 'C');
      const two = await runCli([...words, '--count', '2'], node.port);
      assert.deepEqual([two.code, two.stdout.match(/\b[A-Z]$/gm)], [0, ['A', 'B']]);
      assert.deepEqual(JSON.parse(await readFile(checkpoint, 'utf8')), { streams: { s: 2 } });
      await append('D');
      await using cli = new CliProcess(words, node.port);
      await cli.line(/D/);
      cli.kill('SIGINT');
      const rest = await cli.exited;
      assert.deepEqual([rest.code, rest.stdout.match(/\b[A-Z]$/gm)], [130, ['C', 'D']]);
      await append('E');
      const last = await runCli([...words, '--count', '1'], node.port);
      assert.deepEqual(last.stdout.match(/\b[A-Z]$/gm), ['E']);
      const other = await runCli(['subscribe', '--all', '--checkpoint', checkpoint], node.port);
      assert.equal(other.code, 2);
      assert.match(other.stderr, /CHECKPOINT the checkpoint is of another kind/);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('leaves nothing out when it is killed and begins again', async () => {
    await using node = await NodeProcess.start();
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    try {
      const count = 4000;
      const input = '{"stream":"s","name":"n"}\n'.repeat(count);
      assert.equal((await runCli(['append', '-i', '-q'], node.port, input)).code, 0);
      const checkpoint = ['--checkpoint', join(directory, 'seen.json')];
      const words = ['subscribe', 's', '--json', '--window', '50', ...checkpoint];
      const seen = new Set<unknown>();
      for (let run = 0; seen.size < count; run += 1) {
        await using cli = new CliProcess(words, node.port);
        // Once it is killed where it is; then it may come to the end.
        await cli.line(run === 0 ? /"version":1500,/ : new RegExp(`"version":${count - 1},`));
        cli.kill('SIGKILL');
        await cli.exited;
        const whole = cli.lines.filter((line) => line.endsWith('}'));
        for (const { version } of objects(whole)) seen.add(version);
      }
      assert.equal(seen.size, count);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  it('waits for a slow reader and loses nothing', async () => {
    await using node = await NodeProcess.start();
    const count = 3000;
    await using cli = new CliProcess(['subscribe', 's', '--json', '-n', String(count)], node.port);
    cli.child.stdout.pause();
    await cli.note(/^subscribed/);
    const line = JSON.stringify({ stream: 's', name: 'n', payload: 'x'.repeat(2000) });
    const input = `${line}\n`.repeat(count);
    assert.equal((await runCli(['append', '-i', '-q'], node.port, input)).code, 0);
    cli.child.stdout.resume();
    const { code } = await cli.exited;
    assert.equal(code, 0);
    assert.deepEqual(
      objects(cli.lines).map(({ version }) => version),
      Array.from({ length: count }, (_, i) => i),
    );
  });
});
