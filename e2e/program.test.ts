import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { NodeProcess, runProgram } from './testing/node-process.ts';

/** Sends one inline command and returns what comes back at first. */
async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(`${command}\r\n`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString();
  } finally {
    socket.destroy();
  }
}

describe('the program', () => {
  it('serves clients, stops in order at SIGTERM, and remembers', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    try {
      {
        await using node = await NodeProcess.start({ directory });
        assert.equal(await ask(node.port, 'PING'), '+PONG\r\n');
        assert.match(await ask(node.port, 'EAPPEND s Created EXPECTED_VERSION empty'), /^%6\r\n/);
        assert.deepEqual(await node.stop(), { code: 0, signal: null });
        const messages = node.log.map(({ msg }) => msg);
        assert.deepEqual(messages.slice(-2), ['stopping', 'stopped']);
      }
      await using node = await NodeProcess.start({ directory });
      assert.equal(await ask(node.port, 'ESVER s'), ':0\r\n');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('finishes what was accepted before it stops', async () => {
    await using node = await NodeProcess.start();
    const socket = connect(node.port, '127.0.0.1');
    const appends = 500;
    socket.write('EAPPEND s Created PAYLOAD x\r\n'.repeat(appends));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await once(socket, 'data');
    node.kill('SIGTERM');
    await once(socket, 'close');
    assert.deepEqual(await node.exited, { code: 0, signal: null });
    const answers = text.match(/event_id/g)?.length ?? 0;
    // What had not been read when the signal came is not answered; what was read is, whole.
    assert.ok(answers > 0 && answers <= appends, String(answers));
    assert.equal(text.match(/timestamp\r\n:\d+\r\n/g)?.length, answers);
  });

  it('gives the I/O pool the configured number of threads', async (t) => {
    if (process.platform !== 'linux') return t.skip('reads /proc');
    await using node = await NodeProcess.start({ flags: ['--set', 'threads.read=5'] });
    // The pool starts its threads when they are first needed; reading the journal has needed them.
    const names = readdirSync(`/proc/${node.pid}/task`).map((task) =>
      readFileSync(`/proc/${node.pid}/task/${task}/comm`, 'utf8').trim(),
    );
    assert.equal(names.filter((name) => name === 'libuv-worker').length, 9);
  });

  it('serves health and metrics', async () => {
    await using node = await NodeProcess.start();
    const ready = await fetch(`http://127.0.0.1:${node.adminPort}/readyz`);
    assert.deepEqual([ready.status, await ready.text()], [200, '{"state":"serving"}']);
    await ask(node.port, 'EAPPEND s Created');
    const metrics = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text();
    assert.match(metrics, /^sierradb_commands_total\{command="EAPPEND",code="OK"\} 1$/m);
    assert.match(metrics, /^sierradb_append_seconds_count\{command="EAPPEND"\} 1$/m);
    assert.match(metrics, /^sierradb_sync_seconds_count [1-9]\d*$/m);
  });

  it('refuses a directory that another process has open', async () => {
    await using node = await NodeProcess.start();
    const second = await runProgram([
      ...['--dir', node.directory, '--log', 'silent'],
      ...['--client-address', '127.0.0.1:0', '--admin-address', '127.0.0.1:0'],
    ]);
    assert.equal(second.code, 1);
    assert.equal(second.stderr, `sierradb: ${node.directory} is in use by another process\n`);
    assert.equal(second.stdout, '');
  });

  it('refuses a taken port in one sentence', async () => {
    await using node = await NodeProcess.start();
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    const address = `127.0.0.1:${node.port}`;
    const second = await runProgram([
      ...['--dir', directory, '--log', 'silent'],
      ...['--client-address', address, '--admin-address', '127.0.0.1:0'],
    ]);
    await rm(directory, { recursive: true });
    assert.equal(second.code, 1);
    assert.equal(
      second.stderr,
      `sierradb: network.client_address ${address} is in use by another process\n`,
    );
  });

  it('says at start what has no effect', async () => {
    await using node = await NodeProcess.start({ flags: ['--mdns', '--set', 'sync.min_bytes=1'] });
    const warnings = node.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
    assert.equal(warnings.length, 2);
  });
});

describe('the command line', () => {
  it('reports all mistakes of file, environment and flags together', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sierradb-'));
    const file = join(directory, 'a.toml');
    await writeFile(file, '[bucket]\ncount = 0\ncuont = 4\n');
    const { code, stderr } = await runProgram(['-c', file, '--dri', 'x'], {
      SIERRADB_LOG_LEVEL: 'loud',
    });
    await rm(directory, { recursive: true });
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `The configuration has 4 mistakes:
  ${file}: bucket.cuont: unknown key; did you mean bucket.count?
  --dri: unknown flag; did you mean --dir?
  ${file}: bucket.count: must be from 1 to 256, but is 0
  SIERRADB_LOG_LEVEL: log.level: must be one of fatal, error, warn, info, debug, trace, silent, but is "loud"
`,
    );
  });

  it('a named file that is missing is a mistake', async () => {
    const { code, stderr } = await runProgram(['--config', '/nowhere.toml']);
    assert.equal(code, 1);
    assert.match(stderr, /\/nowhere\.toml: no such file/);
  });

  it('config prints what is in effect', async () => {
    const { code, stdout } = await runProgram(['config', '-d', '/x'], {
      SIERRADB_BUCKET_COUNT: '8',
    });
    assert.equal(code, 0);
    assert.match(stdout, /^dir = "\/x" +# -d$/m);
    assert.match(stdout, /^count = 8 +# SIERRADB_BUCKET_COUNT$/m);
  });

  it('verify and repair say what they found, by text and exit code', async () => {
    await using node = await NodeProcess.start({ flags: ['--set', 'bucket.count=1'] });
    await ask(node.port, 'EAPPEND s Created PAYLOAD x');
    const { directory } = node;
    const inUse = await runProgram(['verify', directory]);
    assert.equal(inUse.code, 1);
    assert.match(inUse.stderr, /in use by another process/);
    await node.stop();
    const clean = await runProgram(['verify', directory]);
    assert.deepEqual([clean.code, clean.stdout.endsWith('clean\n')], [0, true], clean.stdout);

    const segment = join(directory, 'buckets/00000/segments/0000000000.log');
    const bytes = await readFile(segment);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(segment, bytes);
    const damaged = await runProgram(['verify', directory]);
    assert.equal(damaged.code, 2, damaged.stdout);
    assert.match(damaged.stdout, /^damage: buckets\/00000\/segments\/0000000000\.log/m);
    const report = JSON.parse((await runProgram(['verify', '--json', directory])).stdout) as {
      clean: boolean;
    };
    assert.equal(report.clean, false);
    const asked = await runProgram(['repair', directory]);
    assert.equal(asked.code, 2);
    assert.match(asked.stdout, /^nothing was changed; /m);
    assert.equal((await runProgram(['verify', directory])).code, 2);
    const repaired = await runProgram(['repair', directory, '--yes']);
    assert.equal(repaired.code, 0, repaired.stderr);
    assert.match(repaired.stdout, /^repaired; what was there before is in /m);
    assert.equal((await runProgram(['verify', directory])).code, 0);

    const usage = await runProgram(['verify']);
    assert.deepEqual([usage.code, usage.stderr], [1, 'usage: sierradb verify DIR\n']);
  });

  it('--help, --version and unknown commands', async () => {
    const help = await runProgram(['--help']);
    assert.deepEqual([help.code, help.stdout.startsWith('Usage: sierradb')], [0, true]);
    const version = await runProgram(['--version']);
    assert.match(version.stdout, /^sierradb \d+\.\d+\.\d+\n$/);
    const unknown = await runProgram(['strat']);
    assert.deepEqual([unknown.code, unknown.stderr.includes('unknown command strat')], [1, true]);
  });
});
