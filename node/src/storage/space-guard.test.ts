import assert from 'node:assert/strict';
import test from 'node:test';

import { MemoryFileSystem } from './memory-file-system.ts';
import { SpaceGuard } from './space-guard.ts';

async function guarded(
  capacityBytes: number,
  reserveBytes: number,
): Promise<{ files: MemoryFileSystem; guard: SpaceGuard }> {
  const files = new MemoryFileSystem({ capacityBytes });
  await files.makeDirectory('/data');
  const guard = new SpaceGuard(files, '/data', reserveBytes);
  await guard.refresh();
  return { files, guard };
}

test('takes frames, with their share of indexes, until the reserve is reached', async () => {
  const { guard } = await guarded(10_000, 4990);
  let taken = 0;
  while (guard.take(100)) taken += 1;
  assert.equal(taken, 40);
  assert(!guard.full, 'a smaller frame may fit');
  guard.close();
});

test('is full when less than the reserve is free, and asks the disk before it says otherwise', async () => {
  const { files, guard } = await guarded(10_000, 5000);
  const file = await files.open('/data/other', 'create');
  await file.write(Buffer.alloc(6000), 0);
  await guard.refresh();
  assert(guard.full);
  await file.truncate(0);
  assert(!guard.take(1), 'what it knows is from before');
  await guard.refresh();
  assert(guard.take(1));
  guard.close();
});

test('after a write that did not fit nothing is taken until the disk has room again', async () => {
  const { guard } = await guarded(10_000, 0);
  guard.noteFull();
  assert(guard.full);
  assert(!guard.take(1));
  await guard.refresh();
  assert(!guard.full);
  assert(guard.take(1));
  guard.close();
});

test('a disk that does not answer changes nothing', async () => {
  const { files, guard } = await guarded(10_000, 0);
  files.space = () => Promise.reject(new Error('EIO'));
  await guard.refresh();
  assert(guard.take(1));
  guard.close();
});
