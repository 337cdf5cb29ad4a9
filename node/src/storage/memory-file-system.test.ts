import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { MemoryFileSystem } from './memory-file-system.ts';
import { testFileSystem } from './testing/file-system-suite.ts';

describe('memory file system', () => {
  testFileSystem(async () => {
    const files = new MemoryFileSystem();
    await files.makeDirectory('/data');
    return { files, folder: '/data', close: () => Promise.resolve() };
  });

  test('a write beyond the capacity rejects with ENOSPC and changes nothing', async () => {
    const files = new MemoryFileSystem({ capacityBytes: 10 });
    const file = await files.open('a', 'create');
    await file.write(Buffer.alloc(8), 0);
    await assert.rejects(file.write(Buffer.alloc(8), 3), { code: 'ENOSPC' });
    assert.equal(await file.size(), 8);
    assert.deepEqual(await files.space('/'), { freeBytes: 2, totalBytes: 10 });
    await file.write(Buffer.alloc(8), 2);
  });

  test('removing and cutting files gives their space back', async () => {
    const files = new MemoryFileSystem({ capacityBytes: 10 });
    const file = await files.open('a', 'create');
    await file.write(Buffer.alloc(10), 0);
    await file.truncate(4);
    assert.equal((await files.space('/')).freeBytes, 6);
    await files.remove('a');
    assert.equal((await files.space('/')).freeBytes, 6, 'the open handle still holds it');
    await file.close();
    assert.equal((await files.space('/')).freeBytes, 10);
  });
});
