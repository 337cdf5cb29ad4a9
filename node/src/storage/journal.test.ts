import assert from 'node:assert/strict';
import test from 'node:test';

import { seeds } from '../../../common/testing/seeds.ts';
import { seededRandom } from '../../../common/random.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';
import { replayed, scan, TestJournal } from './testing/test-journal.ts';

test('an entry that comes alone is synced at once, without a timer', async () => {
  const journal = await TestJournal.open(new SimulatedFileSystem({ seed: 1 }));
  const before = journal.rounds.length;
  journal.append();
  await journal.journal!.flushed();
  assert.equal(journal.durable, 1);
  assert.equal(journal.rounds.length, before + 1);
  await journal.journal!.close();
});

test('what arrives while a round is being synced shares the next one', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk);
  const hang = disk.hangNext({ operation: 'writeDurably' });
  journal.append();
  await hang.fired;
  const other = journal.party();
  for (let i = 0; i < 20; i += 1) journal.append(i % 2 === 0 ? other : undefined);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(journal.durable, 0, 'nothing is durable before the sync returns');
  hang.end();
  await journal.journal!.flushed();
  assert.deepEqual(
    journal.rounds.slice(-2).map(({ entries }) => entries),
    [1, 20],
  );
  assert.equal(journal.durable, 21);
  await journal.journal!.close();
});

test('a round is bounded; a larger entry has one of its own', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk, { entryBytes: 5000 });
  for (let i = 0; i < 12; i += 1) journal.append();
  await journal.journal!.flushed();
  for (const { bytes } of journal.rounds) assert(bytes <= 20 * 1024, `${bytes} bytes`);
  assert.equal(journal.durable, 12);
  await journal.journal!.close();
  const large = await TestJournal.open(new SimulatedFileSystem({ seed: 2 }), {
    entryBytes: 20_000,
  });
  for (let i = 0; i < 6; i += 1) large.append();
  await large.journal!.flushed();
  assert.equal(large.durable, 6);
  await large.journal!.close();
});

test('a round asks about other buckets only where its file is nearly full', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk, { fileBytes: 4 * 1024 * 1024 });
  const before = journal.checkpoints;
  await journal.appendAlone(500);
  assert(journal.checkpoints - before <= 2, `asked ${journal.checkpoints - before} times`);
  await journal.journal!.close();
});

test('what is not committed always finds room in the file that has begun', async () => {
  for (const seed of seeds(8)) {
    const disk = new SimulatedFileSystem({ seed });
    const random = seededRandom(seed);
    const fileBytes = 256 * 1024;
    const journal = await TestJournal.open(disk, { fileBytes, entryBytes: 2000 });
    for (let i = 0; i < 200; i += 1) {
      // Older files are released late, too, when this one is nearly full.
      const ms = random.below(8);
      journal.gate = new Promise((resolve) => setTimeout(resolve, ms));
      for (let more = random.below(8); more >= 0; more -= 1) journal.append();
      await journal.journal!.flushed();
      journal.uncommitted = Math.min(20, journal.uncommitted + random.below(8));
      if (random.below(20) === 0) journal.uncommitted = 0;
      if (random.below(20) === 0) await journal.journal!.checkpoint();
    }
    for (const path of disk.paths()) {
      const bytes = await disk.sizeOf(path);
      assert.equal(bytes, fileBytes, `seed ${seed}: nothing is written behind the end of ${path}`);
    }
    await journal.journal!.close();
  }
});

test('a ring whose older laps are not settled grows to its limit, then appends wait', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk, { entryBytes: 5000, filesMax: 4 });
  const gate = Promise.withResolvers<void>();
  journal.gate = gate.promise;
  for (let i = 0; i < 100; i += 1) journal.append();
  await idle(disk);
  const held = journal.durable;
  assert(held > 0 && held < 100, `${held} entries fit`);
  assert.equal(journal.journal!.fill, 1);
  assert.equal(disk.paths().length, 4, 'the ring has as many files as it may');
  await idle(disk);
  assert.equal(journal.durable, held);
  journal.gate = null;
  gate.resolve();
  await journal.journal!.flushed();
  assert.equal(journal.durable, 100);
  assert.equal(disk.paths().length, 4);
  await journal.journal!.close();
});

test('a ring that the disk has no room to grow goes on with the files it has', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk, { entryBytes: 5000, filesMax: 8 });
  disk.capacityBytes = 150 * 1024;
  await journal.appendAlone(60);
  assert.equal(journal.durable, 60);
  assert.deepEqual(journal.failures, []);
  assert.deepEqual(
    disk.paths().filter((path) => path.endsWith('.tmp')),
    [],
    'what did not fit takes no space',
  );
  await journal.journal!.close();
});

test('after a failed round nothing more is written, and the owner hears it once', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk);
  await journal.appendAlone(2);
  disk.failNext({ operation: 'writeDurably', writtenBytes: 1 << 20 });
  for (let i = 0; i < 5; i += 1) journal.append();
  await journal.journal!.flushed();
  const { length } = disk.history;
  journal.append();
  await idle(disk);
  assert.equal(disk.history.length, length);
  assert.equal(journal.durable, 2);
  assert.equal(journal.failures.length, 1);
  await journal.journal!.close();
});

test('a close leaves a journal from which nothing has to be replayed', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const journal = await TestJournal.open(disk);
  await journal.appendAlone(5);
  await journal.journal!.close();
  const found = await scan(disk.afterPowerCut({ unsynced: 'lost' }));
  assert.equal(found.checkpoint?.buckets[0]?.end.index, 5);
  assert.equal(found.checkpoint.oldestLap, found.lastLap);
});

test('whenever the power goes, what was durable is settled or replayed', async () => {
  for (const seed of seeds(150)) {
    const disk = new SimulatedFileSystem({ seed });
    const random = seededRandom(seed);
    if (random.below(2) === 0) disk.delayNext({ operation: ['create', 'sync'], times: 99 }, 30);
    disk.crashAfter(1 + random.below(120));
    let journal: TestJournal | null = null;
    const work = async (): Promise<void> => {
      const filesMax = 2 + random.below(3);
      journal = await TestJournal.open(disk, { filesMax, entryBytes: 3000 + random.below(9000) });
      for (;;) {
        for (let i = random.below(6); i >= 0; i -= 1) journal.append();
        if (random.below(3) > 0) await journal.journal!.flushed();
        if (random.below(2) === 0) journal.gate = new Promise((resolve) => setTimeout(resolve, 1));
        if (random.below(2) === 0) journal.late = random.below(4);
      }
    };
    await Promise.race([work(), disk.crashed]);
    const after = random.below(2) === 0 ? disk.afterPowerCut() : disk.afterProcessCrash();
    const opened = journal as TestJournal | null;
    if (opened === null) continue;
    const found = await scan(after);
    assert.equal(found.refusal, null, `seed ${seed}: ${found.refusal?.detail}`);
    const settled = found.checkpoint!.buckets[0]!.end.index;
    const shown = (await replayed(after, found)).filter((number) => number > settled);
    const expected = Array.from({ length: shown.length }, (_, i) => settled + 1 + i);
    assert.deepEqual(shown, expected, `seed ${seed}: no gap`);
    const last = settled + shown.length;
    assert(last >= opened.durable, `seed ${seed}: ${last} of ${opened.durable} are there`);
    assert(settled <= opened.settled, `seed ${seed}: claims ${settled} of ${opened.settled}`);
  }
});

/** Resolves when the disk has had nothing to do for a while. */
async function idle(disk: SimulatedFileSystem): Promise<void> {
  for (let quiet = 0, seen = -1; quiet < 20; quiet += 1) {
    if (disk.history.length !== seen) quiet = 0;
    seen = disk.history.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
