import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ByteReader, ByteWriter } from './wire-bytes.ts';

test('every field is written whole where the buffer grows for it', () => {
  for (let capacity = 1; capacity <= 64; capacity += 1) {
    const writer = new ByteWriter(capacity);
    writer.u8(0x12).u16(0x3456).u32(0x789abcde).u48(0x123456789abc).u64(0x123456789abcdef0n);
    writer.text('text').raw(Buffer.from('raw')).u16(0xfedc).u64(1n).u8(0xff);
    const reader = new ByteReader(writer.done());
    assert.deepEqual(
      [reader.u8(), reader.u16(), reader.u32(), reader.u48(), reader.u64()],
      [0x12, 0x3456, 0x789abcde, 0x123456789abc, 0x123456789abcdef0n],
      `capacity ${capacity}`,
    );
    assert.deepEqual(
      [reader.text(), reader.raw(3).toString(), reader.u16(), reader.u64(), reader.u8()],
      ['text', 'raw', 0xfedc, 1n, 0xff],
      `capacity ${capacity}`,
    );
    assert.equal(reader.hasMore, false);
  }
});
