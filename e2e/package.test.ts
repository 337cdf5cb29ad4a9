/** The packed package, installed into an empty project: what a user of the library and of the command gets. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
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

/** The example of README.md that begins with the import of `name`. */
async function readmeExample(name: 'Database' | 'SierraClient' = 'Database'): Promise<string> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const found = new RegExp(`\`\`\`ts\\n(import \\{ ${name} \\} [^]*?)\`\`\``).exec(readme)?.[1];
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
    await writeFile(join(project, 'counts.ts'), await readmeExample('SierraClient'));
    for (const name of ['aggregate.ts', 'projection.ts']) {
      await cp(join(root, 'examples', name), join(project, name));
    }
    const files = ['example.ts', 'counts.ts', 'aggregate.ts', 'projection.ts'];
    const compilerOptions = {
      strict: true,
      module: 'nodenext',
      target: 'es2024',
      lib: ['es2024', 'esnext.disposable'],
      noEmit: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
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

  it('runs the live projection of README.md', async () => {
    const command = [process.execPath, installed('bin', 'sierradb.cjs')];
    await using node = await NodeProcess.start({ command });
    const url = `sierradb://127.0.0.1:${node.port}`;
    const example = (await readmeExample('SierraClient')).replace('sierradb://localhost:9090', url);
    await writeFile(join(project, 'live.ts'), example);
    const child = spawn(process.execPath, ['live.ts'], { cwd: project, env, stdio: 'pipe' });
    try {
      // Plain JavaScript, as somebody without TypeScript writes it.
      const append = `import { SierraClient } from 'sierradb/client';
        const client = await SierraClient.connect('${url}');
        await client.append('user-123', [{ name: 'UserRegistered' }, { name: 'EmailVerified' }]);
        await client.close();`;
      await writeFile(join(project, 'append.mjs'), append);
      await run(process.execPath, ['append.mjs'], project);
      const printed: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        if (printed.push(line) === 2) break;
      }
      assert.deepEqual(printed, [
        'UserRegistered 1, the last user-123@0',
        'EmailVerified 1, the last user-123@1',
      ]);
    } finally {
      child.kill('SIGKILL');
    }
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
