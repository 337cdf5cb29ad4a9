/** The packed package, installed into an empty project: what a user of the library and of the command gets. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { NodeProcess } from './testing/node-process.ts';

const root = join(import.meta.dirname, '..');
const execute = promisify(execFile);

/** A project of its own must not see the settings of the npm script that runs this test. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)),
);

async function run(program: string, given: readonly string[], cwd: string): Promise<string> {
  return (await execute(program, given, { cwd, env, encoding: 'utf8' })).stdout;
}

const npm = (given: readonly string[], cwd: string): Promise<string> =>
  run('npm', [...given, '--no-audit', '--no-fund', '--loglevel=error'], cwd);

async function readmeExample(): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const found = /```ts\n(import \{ Database \} from 'sierradb';[^]*?)```/.exec(readme)?.[1];
  assert.ok(found !== undefined, 'README.md has an example');
  return found;
}

describe('the packed package', () => {
  let project = '';
  const installed = (...path: string[]): string =>
    join(project, 'node_modules', 'sierradb', ...path);

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'sierradb-package-'));
    const packed = await npm(['pack', '--json', '--pack-destination', project], root);
    const names = (await readdir(project)).filter((name) => name.endsWith('.tgz'));
    assert.equal(names.length, 1, packed);
    await writeFile(
      join(project, 'package.json'),
      '{"name":"empty","private":true,"type":"module"}',
    );
    await npm(['install', '--prefer-offline', `./${names[0] ?? ''}`], project);
  });

  after(() => rm(project, { recursive: true, force: true }));

  it('holds what runs and what people read, and no sources or tests', async () => {
    const files = (await readdir(installed(), { recursive: true })).filter(
      (path) => !path.startsWith('node_modules'),
    );
    for (const path of ['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/node/src/index.d.ts']) {
      assert.ok(files.includes(path), path);
    }
    assert.deepEqual(
      files
        .filter((path) => !path.startsWith('examples/'))
        .filter((path) => /(?<!\.d)\.ts$|\.test\.|testing/.test(path)),
      [],
    );
  });

  it('runs the example of README.md', async () => {
    await writeFile(join(project, 'readme.mjs'), await readmeExample());
    const printed = await run(process.execPath, ['readme.mjs'], project);
    assert.equal(printed, '0 UserRegistered {"name":"Alice"}\n');
  });

  it('runs the longer example', async () => {
    await cp(join(root, 'examples', 'embedded.mjs'), join(project, 'embedded.mjs'));
    await run(process.execPath, ['embedded.mjs'], project);
  });

  it('has types that a strict project accepts', async () => {
    await writeFile(join(project, 'example.ts'), await readmeExample());
    const compilerOptions = {
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    };
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['example.ts'] }),
    );
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    await run(process.execPath, [tsc, '-p', project], project);
  });

  it('runs a node from its command', async () => {
    const command = [process.execPath, installed('bin', 'sierradb.cjs')];
    await using node = await NodeProcess.start({ command });
    const ready = await fetch(`http://127.0.0.1:${node.adminPort}/readyz`);
    assert.equal(ready.status, 200);
    const metrics = await (await fetch(`http://127.0.0.1:${node.adminPort}/metrics`)).text();
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    assert.ok(metrics.includes(`sierradb_info{version="${manifest.version}"} 1`));
    const cli = (...words: readonly string[]): Promise<string> =>
      run(
        process.execPath,
        [installed('bin', 'sierradb.cjs'), ...words, '--address', `127.0.0.1:${node.port}`],
        project,
      );
    assert.match(await cli('append', 's', 'Created', 'hello'), /^s@0 /);
    assert.match(
      await cli('subscribe', 's', '--from', 'start', '-n', '1'),
      / s@0 {2}Created {2}hello\n$/,
    );
    assert.deepEqual(await node.stop(), { code: 0, signal: null });
  });

  it('builds index files in its worker thread', async () => {
    const command = [process.execPath, installed('bin', 'sierradb.cjs')];
    const flags = ['--set', 'segment.size_bytes=128KiB', '--set', 'bucket.count=1'];
    await using node = await NodeProcess.start({ command, flags });
    const socket = connect(node.port, '127.0.0.1');
    const payload = 'x'.repeat(1000);
    socket.write(`EAPPEND s Filled PAYLOAD ${payload}\r\n`.repeat(300));
    socket.resume();
    const sealed = async (): Promise<boolean> => {
      const url = `http://127.0.0.1:${node.adminPort}/metrics`;
      return /^sierradb_segments [1-9]/m.test(await (await fetch(url)).text());
    };
    // The test runner's own limit ends a wait that is in vain.
    while (!(await sealed())) await setTimeout(50);
    socket.destroy();
    assert.deepEqual(await node.stop(), { code: 0, signal: null });
  });
});
