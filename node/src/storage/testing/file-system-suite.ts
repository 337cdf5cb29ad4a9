/** What every implementation of `FileSystem` promises. One suite, run by the test file beside each of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { type FileHandle, type FileSystem, replaceFile } from '../file-system.ts';
import { hasCode } from '../system-error.ts';

/** An empty folder of a file system; `close` frees what the test needed. */
export interface SuiteRoom {
  readonly files: FileSystem;
  readonly folder: string;
  close(): Promise<void>;
}

const failsWith =
  (code: string) =>
  (error: unknown): boolean =>
    hasCode(error, code);

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

async function readText(file: FileHandle, position: number, length: number): Promise<string> {
  const target = Buffer.alloc(length);
  return text(target.subarray(0, await file.read(target, position)));
}

async function create(files: FileSystem, path: string, content: string): Promise<void> {
  const file = await files.open(path, 'create');
  await file.write(Buffer.from(content), 0);
  await file.close();
}

type Check = (files: FileSystem, folder: string) => Promise<void>;

const handleChecks: Readonly<Record<string, Check>> = {
  'create refuses a file that exists': async (files, folder) => {
    await create(files, `${folder}/a`, 'x');
    await assert.rejects(files.open(`${folder}/a`, 'create'), failsWith('EEXIST'));
    assert.equal(text(await files.readFile(`${folder}/a`)), 'x');
  },
  'open and read refuse a file that is missing': async (files, folder) => {
    await assert.rejects(files.open(`${folder}/a`, 'open'), failsWith('ENOENT'));
    await assert.rejects(files.open(`${folder}/a`, 'read'), failsWith('ENOENT'));
    await assert.rejects(files.readFile(`${folder}/a`), failsWith('ENOENT'));
    assert.equal(await files.sizeOf(`${folder}/a`), null);
  },
  'create refuses a folder that is missing': async (files, folder) => {
    await assert.rejects(files.open(`${folder}/none/a`, 'create'), failsWith('ENOENT'));
  },
  'a handle opened for reading refuses writes': async (files, folder) => {
    await create(files, `${folder}/a`, 'x');
    const file = await files.open(`${folder}/a`, 'read');
    await assert.rejects(file.write(Buffer.from('y'), 0));
    assert.equal(await readText(file, 0, 5), 'x');
    await file.close();
  },
  'writes are positional and seen at once through every handle': async (files, folder) => {
    const writer = await files.open(`${folder}/a`, 'create');
    const reader = await files.open(`${folder}/a`, 'read');
    await writer.write(Buffer.from('hello world'), 0);
    await writer.write(Buffer.from('WOR'), 6);
    assert.equal(await readText(reader, 0, 11), 'hello WORld');
    await writer.writeDurably(Buffer.from('HE'), 0);
    assert.equal(await readText(reader, 0, 11), 'HEllo WORld');
    await writer.close();
    await reader.close();
  },
  'a read stops at the end of the file': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    assert.equal(await readText(file, 0, 4), '');
    await file.write(Buffer.from('abc'), 0);
    assert.equal(await readText(file, 1, 10), 'bc');
    assert.equal(await readText(file, 3, 10), '');
    assert.equal(await readText(file, 99, 10), '');
    assert.equal(await readText(file, 0, 0), '');
    await file.close();
  },
  'a write behind the end fills the gap with zeros': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    await file.write(Buffer.from('ab'), 0);
    await file.write(Buffer.from('z'), 5000);
    assert.equal(await file.size(), 5001);
    const whole = await files.readFile(`${folder}/a`);
    assert.deepEqual(
      whole,
      Buffer.concat([Buffer.from('ab'), Buffer.alloc(4998), Buffer.from('z')]),
    );
    await file.close();
  },
  'writeDurably extends a file, and an empty write changes nothing': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    await file.writeDurably(Buffer.from('abc'), 2);
    await file.write(Buffer.alloc(0), 100);
    await file.writeDurably(Buffer.alloc(0), 100);
    assert.equal(text(await files.readFile(`${folder}/a`)), '\0\0abc');
    assert.equal(await files.sizeOf(`${folder}/a`), 5);
    await file.close();
  },
  'what truncate cut away is zero when the file grows again': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    await file.write(Buffer.from('abcdef'), 0);
    await file.truncate(2);
    assert.equal(await file.size(), 2);
    await file.write(Buffer.from('z'), 5);
    assert.equal(text(await files.readFile(`${folder}/a`)), 'ab\0\0\0z');
    await file.truncate(8);
    assert.equal(text(await files.readFile(`${folder}/a`)), 'ab\0\0\0z\0\0');
    await file.sync();
    await file.close();
  },
  'large writes and reads arrive whole': async (files, folder) => {
    const bytes = Buffer.alloc(3_000_017);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = (i * 31) % 251;
    const file = await files.open(`${folder}/a`, 'create');
    await file.write(bytes, 13);
    const target = Buffer.alloc(bytes.length);
    assert.equal(await file.read(target, 13), bytes.length);
    assert.ok(target.equals(bytes));
    await file.close();
  },
  'concurrent writes to different ranges all arrive': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(97 + index));
    await Promise.all(
      letters.map((letter, index) =>
        index % 2 === 0
          ? file.write(Buffer.from(letter), index)
          : file.writeDurably(Buffer.from(letter), index),
      ),
    );
    assert.equal(text(await files.readFile(`${folder}/a`)), letters.join(''));
    await file.close();
  },
  'closing waits for the writes under way': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    const written = file.write(Buffer.alloc(100_000, 1), 0);
    const synced = file.writeDurably(Buffer.from('end'), 100_000);
    await file.close();
    await Promise.all([written, synced]);
    assert.equal(await files.sizeOf(`${folder}/a`), 100_003);
  },
  'a closed handle refuses use': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    await file.close();
    await assert.rejects(file.write(Buffer.from('x'), 0), { name: 'AssertionFailure' });
    await assert.rejects(file.sync(), { name: 'AssertionFailure' });
    await assert.rejects(file.close(), { name: 'AssertionFailure' });
  },
};

const nameChecks: Readonly<Record<string, Check>> = {
  'a list is sorted and names files and folders': async (files, folder) => {
    for (const name of ['b', 'a', 'c']) await create(files, `${folder}/${name}`, name);
    await files.makeDirectory(`${folder}/d/deep`);
    assert.deepEqual(await files.list(folder), ['a', 'b', 'c', 'd']);
    assert.deepEqual(await files.list(`${folder}/d`), ['deep']);
    await assert.rejects(files.list(`${folder}/none`), failsWith('ENOENT'));
  },
  'making a folder twice is no error': async (files, folder) => {
    await files.makeDirectory(`${folder}/x/y`);
    await files.makeDirectory(`${folder}/x/y`);
    assert.deepEqual(await files.list(`${folder}/x/y`), []);
    assert.equal(await files.sizeOf(`${folder}/x`), null);
    await create(files, `${folder}/file`, '');
    await assert.rejects(files.makeDirectory(`${folder}/file`), failsWith('EEXIST'));
    await assert.rejects(files.makeDirectory(`${folder}/file/x`), failsWith('ENOTDIR'));
  },
  'rename replaces its target': async (files, folder) => {
    await create(files, `${folder}/a`, 'new');
    await create(files, `${folder}/b`, 'old');
    await files.rename(`${folder}/a`, `${folder}/b`);
    assert.deepEqual(await files.list(folder), ['b']);
    assert.equal(text(await files.readFile(`${folder}/b`)), 'new');
    await assert.rejects(files.rename(`${folder}/none`, `${folder}/b`), failsWith('ENOENT'));
  },
  'a handle follows its file through rename and removal': async (files, folder) => {
    const file = await files.open(`${folder}/a`, 'create');
    await file.write(Buffer.from('one'), 0);
    await files.rename(`${folder}/a`, `${folder}/b`);
    await create(files, `${folder}/a`, 'another');
    await file.writeDurably(Buffer.from('two'), 3);
    assert.equal(text(await files.readFile(`${folder}/b`)), 'onetwo');
    assert.equal(text(await files.readFile(`${folder}/a`)), 'another');
    await files.remove(`${folder}/b`);
    assert.equal(await files.sizeOf(`${folder}/b`), null);
    await file.write(Buffer.from('six'), 6);
    assert.equal(await readText(file, 0, 20), 'onetwosix');
    await file.close();
    assert.deepEqual(await files.list(folder), ['a']);
  },
  'removing what is missing is no error': async (files, folder) => {
    await create(files, `${folder}/a`, 'x');
    await files.remove(`${folder}/a`);
    await files.remove(`${folder}/a`);
    await files.removeDirectory(`${folder}/none`);
    assert.deepEqual(await files.list(folder), []);
  },
  'only an empty folder is removed': async (files, folder) => {
    await files.makeDirectory(`${folder}/x`);
    await create(files, `${folder}/x/a`, 'x');
    await assert.rejects(files.removeDirectory(`${folder}/x`), failsWith('ENOTEMPTY'));
    await files.remove(`${folder}/x/a`);
    await files.removeDirectory(`${folder}/x`);
    assert.deepEqual(await files.list(folder), []);
  },
  'syncDirectory needs a folder': async (files, folder) => {
    await files.syncDirectory(folder);
    await assert.rejects(files.syncDirectory(`${folder}/none`), failsWith('ENOENT'));
  },
  'replaceFile leaves the new file and nothing else': async (files, folder) => {
    await replaceFile(files, folder, 'a', Buffer.from('one'));
    await create(files, `${folder}/a.tmp`, 'left over by a crash');
    await replaceFile(files, folder, 'a', Buffer.from('two'));
    assert.deepEqual(await files.list(folder), ['a']);
    assert.equal(text(await files.readFile(`${folder}/a`)), 'two');
  },
  'space is reported': async (files, folder) => {
    const { freeBytes, totalBytes } = await files.space(folder);
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
    await assert.rejects(files.space(`${folder}/none`), failsWith('ENOENT'));
  },
};

const lockChecks: Readonly<Record<string, Check>> = {
  'a lock is held by one at a time': async (files, folder) => {
    const lock = await files.lock(folder);
    await assert.rejects(files.lock(folder), failsWith('ELOCKED'));
    await assert.rejects(files.lock(folder), failsWith('ELOCKED'));
    await lock.release();
    const next = await files.lock(folder);
    await lock.release();
    await assert.rejects(files.lock(folder), failsWith('ELOCKED'));
    await next.release();
  },
  'different folders have different locks': async (files, folder) => {
    await files.makeDirectory(`${folder}/x`);
    const outer = await files.lock(folder);
    const inner = await files.lock(`${folder}/x`);
    await inner.release();
    await outer.release();
  },
  'a missing folder has no lock': async (files, folder) => {
    await assert.rejects(files.lock(`${folder}/none`), failsWith('ENOENT'));
  },
};

/** Registers the suite. `enter` makes an empty folder for each test. */
export function testFileSystem(enter: () => Promise<SuiteRoom>): void {
  for (const [name, check] of Object.entries({ ...handleChecks, ...nameChecks, ...lockChecks })) {
    test(name, async () => {
      const room = await enter();
      try {
        await check(room.files, room.folder);
      } finally {
        await room.close();
      }
    });
  }
}
