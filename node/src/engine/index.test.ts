import assert from 'node:assert/strict';
import { test } from 'node:test';

import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { openStore } from './index.ts';

const small = { journalFileBytes: 1024 * 1024, appendMaxBytes: 64 * 1024, diskReserveBytes: 0 };

test('counts that are not given are those of the directory', async () => {
  const files = new MemoryFileSystem();
  const made = await openStore('/d', { ...small, bucketCount: 8, partitionCount: 64 }, { files });
  await made.close();
  await using again = await openStore('/d', small, { files });
  assert.deepEqual([again.facts.bucketCount, again.facts.partitionCount], [8, 64]);
});

test('counts that differ from those of the directory are refused in one sentence', async () => {
  const files = new MemoryFileSystem();
  const made = await openStore('/d', { ...small, bucketCount: 8 }, { files });
  await made.close();
  await assert.rejects(openStore('/d', { ...small, bucketCount: 4 }, { files }), {
    name: 'OpenError',
    message: '/d was made with bucket.count 8 and cannot be opened with 4',
  });
});
