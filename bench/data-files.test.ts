import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { segmentFileName, segmentsFolder } from '../node/src/storage/names.ts';
import { firstDifference } from './data-files.ts';

test('two nodes differ where a segment of theirs does', async () => {
  const root = await mkdtemp(join(tmpdir(), 'sierradb-files-'));
  try {
    const [one, other] = [join(root, 'one'), join(root, 'other')];
    const write = async (directory: string, segment: number, text: string): Promise<void> => {
      const folder = segmentsFolder(directory, 0);
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, segmentFileName(segment)), text);
    };
    await write(one, 0, 'events');
    await write(other, 0, 'events');
    assert.equal(await firstDifference(one, other), null);
    await write(one, 1, 'more');
    assert.match((await firstDifference(one, other)) ?? '', /^only one has .*1\.log$/);
    await write(other, 1, 'mere');
    assert.match((await firstDifference(one, other)) ?? '', /1\.log, 4 and 4 bytes, at 1$/);
    await write(other, 1, `more${'.'.repeat(4096)}`);
    assert.equal(await firstDifference(one, other), null);
    await write(other, 1, `more${'.'.repeat(4097)}`);
    assert.match((await firstDifference(one, other)) ?? '', /1\.log, 4 and 4101 bytes, at 4$/);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
