import assert from 'node:assert/strict';
import test from 'node:test';

import { UncommittedRoom } from './uncommitted-room.ts';

const FILE_BYTES = 1024 * 1024;
const FRAME_BYTES = 1024;

/** What one leader appends without an answer. */
function filled(leaders: number): number {
  const room = new UncommittedRoom(FILE_BYTES);
  room.leaders = leaders;
  while (room.takesOwn(FRAME_BYTES)) room.bytes += FRAME_BYTES;
  return room.bytes;
}

test('a follower has room for what all other members have appended without an answer', () => {
  for (let leaders = 1; leaders <= 9; leaders += 1) {
    const follower = new UncommittedRoom(FILE_BYTES);
    follower.leaders = leaders;
    follower.bytes = filled(leaders);
    for (let other = 1; other < leaders; other += 1) {
      const sent = filled(leaders);
      assert(follower.takesSent(sent), `${String(leaders)} members`);
      follower.bytes += sent;
    }
  }
  assert(filled(3) > 0.24 * FILE_BYTES);
});

test('a frame without room has its turn when what is there is committed; others come behind it', async () => {
  const room = new UncommittedRoom(FILE_BYTES);
  const large = FILE_BYTES / 4;
  assert.equal(room.wait(large), null, 'alone it need not wait');
  room.bytes = 10 * FRAME_BYTES;
  assert.equal(room.wait(FRAME_BYTES), null);
  const order: string[] = [];
  const turn = room.wait(large)?.then(() => order.push('large'));
  const behind = room.wait(FRAME_BYTES)?.then(() => order.push('behind'));
  assert(turn !== undefined && behind !== undefined);
  room.bytes -= 5 * FRAME_BYTES;
  assert.notEqual(room.wait(FRAME_BYTES), null);
  room.bytes -= 5 * FRAME_BYTES;
  assert.equal(room.wait(large), null);
  await Promise.all([turn, behind]);
  assert.deepEqual(order, ['large', 'behind']);
});

test('a turn that does not come ends after a while, and nobody waits until something is committed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const room = new UncommittedRoom(FILE_BYTES);
  room.bytes = FRAME_BYTES;
  const turn = room.wait(FILE_BYTES / 4);
  assert(turn !== null);
  t.mock.timers.tick(1000);
  await turn;
  assert.equal(room.wait(FILE_BYTES / 4), null);
  assert(!room.takesOwn(FILE_BYTES / 4));
  room.bytes += FRAME_BYTES;
  room.bytes -= FRAME_BYTES;
  assert.notEqual(room.wait(FILE_BYTES / 4), null);
  room.endTurn();
});

test('a turn ends with the leadership that it was asked for', async () => {
  const room = new UncommittedRoom(FILE_BYTES);
  room.bytes = FRAME_BYTES;
  const turn = room.wait(FILE_BYTES / 4);
  assert(turn !== null);
  room.endTurn();
  await turn;
});
