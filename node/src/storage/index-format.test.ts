import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  directoryBitsFor,
  type IndexHeader,
  indexMagic,
  INDEX_HEADER_BYTES,
  keyBytesFor,
  keySpan,
  readIndexHeader,
  readKey,
  writeIndexHeader,
  writeKey,
} from './index-format.ts';

test('a hash is its directory slot and its key, whatever their widths', () => {
  for (let bits = 0; bits <= 21; bits += 1) {
    const keyBytes = keyBytesFor(bits);
    const span = keySpan(bits);
    for (const hash of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 45 + 12_345, 2 ** 53 - 2, 2 ** 53 - 1]) {
      const bytes = Buffer.alloc(keyBytes + 2, 0xaa);
      writeKey(bytes, 1, hash % span, keyBytes);
      assert.equal(Math.floor(hash / span) * span + readKey(bytes, 1, keyBytes), hash);
      assert.equal(bytes[0], 0xaa);
      assert.equal(bytes[keyBytes + 1], 0xaa);
    }
  }
});

test('directory slots hold 64 to 128 entries', () => {
  assert.equal(directoryBitsFor(0), 0);
  for (const entries of [128, 1000, 65_536, 681_000, 21_000_000]) {
    const perSlot = entries / 2 ** directoryBitsFor(entries);
    assert.ok(perSlot >= 64 && perSlot < 128, `${String(entries)}: ${String(perSlot)}`);
  }
});

test('a header is read as it was written', () => {
  const header: IndexHeader = {
    magic: indexMagic.events,
    bucket: 255,
    segment: 4_000_000_000,
    end: 2 ** 31,
    eventCount: 700_000,
    firstIndex: 2 ** 47 + 1,
    lastIndex: 2 ** 48 - 1,
    lastTerm: 2 ** 32 - 1,
    lastCrc: 0xdeadbeef,
    entryCount: 699_999,
    directoryBits: 13,
    keyBytes: 5,
    filter: { blocks: 200, blockBytes: 4092, hashes: 8 },
    pages: 3000,
  };
  const content = Buffer.alloc(INDEX_HEADER_BYTES);
  writeIndexHeader(content, header);
  assert.deepEqual(readIndexHeader(content, indexMagic.events), header);
  assert.equal(
    readIndexHeader(content, indexMagic.streams),
    'not an index file of this format version',
  );
});
