import assert from 'node:assert/strict';
import { test } from 'node:test';

import { linesOf } from './lines.ts';
import { UsageError } from './usage-error.ts';

async function lines(bytes: Buffer, pieceBytes: number): Promise<string[]> {
  const list: string[] = [];
  const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
    bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
  );
  async function* input(): AsyncGenerator<Buffer, void, undefined> {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  for await (const line of linesOf(input())) list.push(line);
  return list;
}

test('lines are the same in whatever pieces they come', async () => {
  const text = Buffer.from('one\r\nzwei größer\n\n🙂 four\nlast');
  for (const pieceBytes of [1, 2, 3, 5, 100]) {
    assert.deepEqual(await lines(text, pieceBytes), ['one', 'zwei größer', '', '🙂 four', 'last']);
  }
  assert.deepEqual(await lines(Buffer.from('a\n'), 1), ['a']);
  assert.deepEqual(await lines(Buffer.alloc(0), 1), []);
});

test('what is no UTF-8 is refused', async () => {
  for (const bytes of [Buffer.of(0x61, 0xff, 0x0a), Buffer.of(0x61, 0xc3)]) {
    await assert.rejects(lines(bytes, 1), (error) => error instanceof UsageError);
  }
});
