/** One test per row of the tables in `journal-scan.ts`, by its label. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { PAGE_BYTES } from './journal-format.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';
import { FOLDER, replayed, roundPlaces, scan, TestJournal } from './testing/test-journal.ts';

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** A journal of `count` rounds with an entry each, whose segments hold nothing yet. */
async function written(count: number): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk, { entryBytes: 5000 });
  journal.gate = new Promise(() => undefined);
  await journal.appendAlone(count);
  assert.equal(journal.durable, count);
  disk.crash();
  return disk.afterPowerCut({ unsynced: 'lost' });
}

test('clean end', async () => {
  const disk = await written(3);
  const found = await scan(disk);
  assert.deepEqual([found.end, found.tornBytes, found.refusal], ['clean end', 0, null]);
  assert.deepEqual([found.lastRound, found.lastLap], [4, 1]);
  assert.deepEqual(await replayed(disk, found), numbers(3));
});

test('next file', async () => {
  const disk = await written(8);
  const found = await scan(disk);
  assert.deepEqual(
    found.laps.map(({ lap }) => lap),
    [1, 2],
  );
  assert.equal(found.refusal, null);
  assert.deepEqual(await replayed(disk, found), numbers(8));
});

test('torn tail', async () => {
  for (const sector of [0, 1, 5]) {
    const disk = await written(3);
    const last = (await roundPlaces(disk, await scan(disk))).at(-1)!;
    disk.overwrite(last.path, last.at + sector * 512, Buffer.alloc(512));
    const found = await scan(disk);
    assert.equal(found.refusal, null);
    // Where the round's first sector is missing, nothing tells that there was to be one.
    assert.equal(found.end, sector === 0 ? 'clean end' : 'torn tail');
    assert.equal(found.tornBytes, sector === 0 ? 0 : last.length);
    assert.deepEqual(await replayed(disk, found), numbers(2));
  }
});

test('damaged round', async () => {
  const whole = await written(8);
  const places = await roundPlaces(whole, await scan(whole));
  for (const { path, at, length, number } of places.slice(0, -1)) {
    for (const offset of [0, 8, length - 1]) {
      const disk = whole.clone();
      disk.flip(path, at + offset, 3);
      const { refusal } = await scan(disk);
      // A lap whose first round is unreadable is not there at all.
      const expected = number === 1 ? 'missing lap' : 'damaged round';
      assert.equal(refusal?.kind, expected, `round ${number}, byte ${offset}`);
    }
  }
});

test('damaged round: several in a row, as long as one behind them is whole', async () => {
  const disk = await written(8);
  const places = await roundPlaces(disk, await scan(disk));
  for (const { path, at } of places.slice(2, -1)) disk.overwrite(path, at, Buffer.alloc(5000));
  const { refusal } = await scan(disk);
  assert.equal(refusal?.kind, 'damaged round');
  assert.match(refusal.detail, /^round 3 is damaged, but round \d+ behind it is whole$/);
});

test('cut file', async () => {
  for (const [name, length] of [
    ['0000.journal', 64 * 1024 - 1],
    ['0000.journal', 3 * PAGE_BYTES],
    ['0001.journal', PAGE_BYTES],
  ] as const) {
    const disk = await written(3);
    disk.truncateRaw(`${FOLDER}/${name}`, length);
    const { refusal } = await scan(disk);
    assert.equal(refusal?.kind, 'cut file', `${name} cut at ${length}`);
    assert.equal(refusal.detail, `${name} has ${length} bytes of 65536`);
  }
});

test('damaged header', async () => {
  const disk = await written(8);
  disk.flip(`${FOLDER}/0000.journal`, 9, 0);
  assert.equal((await scan(disk)).refusal, null, 'the second copy serves');
  disk.flip(`${FOLDER}/0000.journal`, PAGE_BYTES / 2 + 9, 0);
  assert.equal((await scan(disk)).refusal?.kind, 'damaged header');
});

test('missing lap', async () => {
  const disk = await written(8);
  const [first] = await roundPlaces(disk, await scan(disk));
  await disk.remove(first!.path);
  const { refusal } = await scan(disk);
  assert.equal(refusal?.kind, 'missing lap');
  assert.equal(refusal.detail, 'lap 1 is needed, the oldest readable one is 2');
});

test('no journal', async () => {
  const disk = await written(3);
  for (const slot of ['0000', '0001']) {
    disk.overwrite(`${FOLDER}/${slot}.journal`, PAGE_BYTES, Buffer.alloc(60 * 1024));
  }
  assert.equal((await scan(disk)).refusal?.kind, 'no journal');
});

test('what an earlier lap left in a file is not taken for a later round', async () => {
  const disk = new SimulatedFileSystem({ seed: 2 });
  const journal = await TestJournal.open(disk, { entryBytes: 5000 });
  for (let i = 0; i < 200; i += 1) {
    await journal.appendAlone(1);
    const found = await scan(disk.clone());
    assert.equal(found.refusal, null);
    const behind = await replayed(disk.clone(), found);
    assert.equal(behind.at(-1), journal.durable);
  }
  assert((await scan(disk.clone())).lastLap > 10);
  await journal.journal!.close();
});
