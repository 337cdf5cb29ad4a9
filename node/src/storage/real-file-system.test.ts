import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, test } from 'node:test';

import { RealFileSystem } from './real-file-system.ts';
import { type SuiteRoom, testFileSystem } from './testing/file-system-suite.ts';

async function enter(): Promise<SuiteRoom> {
  const folder = await mkdtemp(`${tmpdir()}/sierradb-files-`);
  return {
    files: new RealFileSystem(),
    folder,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

const holder = `
  const { RealFileSystem } = await import(process.argv[1]);
  await new RealFileSystem().lock(process.argv[2]);
  console.log('held');
  setInterval(() => {}, 1000);
`;

describe('real file system', () => {
  testFileSystem(enter);

  test('a lock ends with its process and does not travel with a copy', async () => {
    const { files, folder, close } = await enter();
    const module = new URL('./real-file-system.ts', import.meta.url).href;
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', holder, '--', module, folder],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      await once(child.stdout, 'data');
      await assert.rejects(files.lock(folder), { code: 'ELOCKED' });
      await cp(folder, `${folder}-copy`, { recursive: true });
      const ofCopy = await files.lock(`${folder}-copy`);
      await ofCopy.release();
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    const lock = await files.lock(folder);
    await lock.release();
    assert.deepEqual(await files.list(folder), ['lock']);
    assert.equal(await files.sizeOf(`${folder}/lock`), 0);
    await rm(`${folder}-copy`, { recursive: true });
    await close();
  });
});
