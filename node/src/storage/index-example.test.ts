import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { MemoryFileSystem } from './memory-file-system.ts';
import { buildSegmentIndexes } from './segment-index-builder.ts';
import { SegmentMaker, writeSegment } from './testing/segment-maker.ts';

const PAGE = new URL('../../../docs/formats/index-files.md', import.meta.url);
const ROW = /^ *(\d+) {2}((?:[0-9a-f]{2} ){16})/;

/** The files that the page shows: name → bytes. */
function shownFiles(text: string): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  let current = Buffer.alloc(0);
  for (const line of text.split('\n')) {
    const title = /^(\d{10}\.\w+), (\d+) bytes$/.exec(line);
    if (title !== null) {
      current = Buffer.alloc(Number(title[2]));
      files.set(title[1] as string, current);
    }
    const row = ROW.exec(`${line} `);
    if (row !== null) current.write((row[2] as string).replaceAll(' ', ''), Number(row[1]), 'hex');
  }
  return files;
}

test('the worked example in docs/formats/index-files.md is what is built', async () => {
  const files = new MemoryFileSystem();
  const made = new SegmentMaker({ seed: 2, streams: 2, transactionMax: 2 }).next(7, 3);
  await writeSegment(files, '/s', made);
  await buildSegmentIndexes(files, '/s', 7, made.bytes.length);
  const shown = shownFiles(await readFile(PAGE, 'utf8'));
  assert.deepEqual([...shown.keys()], ['0000000007.streams', '0000000007.partitions']);
  for (const [name, bytes] of shown) {
    assert.ok(bytes.equals(await files.readFile(`/s/${name}`)), name);
  }
});
