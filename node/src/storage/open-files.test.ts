import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { FileHandle, FileSystem } from './file-system.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { OpenFiles } from './open-files.ts';

/** Counts the handles that are open; `gate` holds reads back. */
class CountedFiles extends MemoryFileSystem {
  handles = 0;
  opened = 0;
  gate: Promise<void> = Promise.resolve();

  override async open(...args: Parameters<FileSystem['open']>): Promise<FileHandle> {
    const handle = await super.open(...args);
    this.handles += 1;
    this.opened += 1;
    return {
      read: async (target, position) => {
        await this.gate;
        return handle.read(target, position);
      },
      write: (source, position) => handle.write(source, position),
      writeDurably: (source, position) => handle.writeDurably(source, position),
      sync: () => handle.sync(),
      truncate: (length) => handle.truncate(length),
      size: () => handle.size(),
      close: async () => {
        this.handles -= 1;
        await handle.close();
      },
    };
  }
}

async function makeFiles(count: number): Promise<CountedFiles> {
  const files = new CountedFiles();
  await files.makeDirectory('/d');
  for (let i = 0; i < count; i += 1) {
    const file = await files.open(`/d/${String(i)}`, 'create');
    await file.write(Buffer.from([i]), 0);
    await file.close();
  }
  files.opened = 0;
  return files;
}

async function readByte(openFiles: OpenFiles, i: number): Promise<number> {
  const target = new Uint8Array(1);
  const read = await openFiles.get(`/d/${String(i)}`, 1).source.read(target, 0);
  assert.equal(read, 1);
  return target[0] as number;
}

test('files are opened when read, and the one not used for longest is closed', async () => {
  const files = await makeFiles(5);
  const openFiles = new OpenFiles(files, 3);
  openFiles.get('/d/0', 1);
  assert.equal(files.handles, 0);
  for (const i of [0, 1, 2, 0, 3, 0, 4]) assert.equal(await readByte(openFiles, i), i);
  assert.equal(files.opened, 5, 'file 0 stayed open');
  assert.equal(await readByte(openFiles, 1), 1);
  assert.equal(files.opened, 6, 'file 1 had been closed');
  await openFiles.close();
  assert.equal(files.handles, 0);
  assert.equal(openFiles.count, 0);
});

test('no handle is closed under a read, and all are when reads have ended', async () => {
  const files = await makeFiles(6);
  const openFiles = new OpenFiles(files, 2);
  const { promise, resolve } = Promise.withResolvers<void>();
  files.gate = promise;
  const reads = [0, 1, 2, 3, 4, 5].map((i) => readByte(openFiles, i));
  const closed = openFiles.close();
  resolve();
  assert.deepEqual(await Promise.all(reads), [0, 1, 2, 3, 4, 5]);
  await closed;
  assert.equal(files.handles, 0);
});

test('a forgotten file is opened anew, so that a replaced one is seen', async () => {
  const files = await makeFiles(2);
  const openFiles = new OpenFiles(files);
  assert.equal(await readByte(openFiles, 0), 0);
  await files.rename('/d/1', '/d/0');
  assert.equal(await readByte(openFiles, 0), 0);
  await openFiles.forget('/d/0');
  assert.equal(await readByte(openFiles, 0), 1);
  await openFiles.close();
});

test('an error of opening is told to the reader, and the next one tries again', async () => {
  const files = await makeFiles(1);
  const openFiles = new OpenFiles(files);
  await assert.rejects(readByte(openFiles, 7), { code: 'ENOENT' });
  await files.rename('/d/0', '/d/7');
  assert.equal(await readByte(openFiles, 7), 0);
  await openFiles.close();
  assert.equal(files.handles, 0);
});
