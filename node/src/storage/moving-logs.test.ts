/** Logs that are added and removed while the storage is open. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { encodeConfiguration } from './configuration-format.ts';
import { segmentsFolder } from './names.ts';
import type { ReplicaPlan } from './storage.ts';
import { eventsOnDisk, FilledDirectory } from './testing/filled-directory.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';

const NOBODY = encodeConfiguration({ voters: [], outgoing: [], learners: [] });

const plan = (bucket: number, stay: number): ReplicaPlan => ({
  bucket,
  replicaId: Buffer.alloc(8, stay),
  groupId: Buffer.alloc(16, bucket),
  configuration: NOBODY,
});

const DIRECTORY = '/data';
const limits = { timeout: 20_000 };
const open = (disk: SimulatedFileSystem): Promise<FilledDirectory> =>
  FilledDirectory.open(disk, DIRECTORY);
const openAgain = (disk: SimulatedFileSystem): Promise<FilledDirectory> =>
  FilledDirectory.open(disk, DIRECTORY, { isMember: true });

async function remove({ storage }: FilledDirectory, bucket: number): Promise<void> {
  const log = storage.logs.find((each) => each.bucket === bucket);
  assert(log !== undefined);
  await storage.removeLog(log);
}

const buckets = ({ storage }: FilledDirectory): number[] =>
  storage.logs.map(({ bucket }) => bucket).sort();

test('a log that is removed leaves nothing, and the others go on', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const directory = await open(disk);
  await directory.append(200);
  await remove(directory, 1);
  assert.deepEqual(await disk.list(segmentsFolder(DIRECTORY, 1)), []);
  await directory.append(200, 0);
  await directory.close();

  const again = await openAgain(disk);
  assert.deepEqual(buckets(again), [0]);
  await again.close();
  const kept = directory.events.filter(({ partition }) => partition % 2 === 0);
  assert.equal((await eventsOnDisk(disk, DIRECTORY, 0)).length, kept.length);
});

test('a later stay begins empty, whatever the journal still holds of the earlier one', async () => {
  const disk = new SimulatedFileSystem({ seed: 2 });
  const directory = await open(disk);
  await directory.append(20);
  await remove(directory, 1);
  const log = await directory.storage.addLog(plan(1, 7));
  assert.equal(log.endIndex, 0);
  disk.crash();

  const after = disk.afterPowerCut({ unsynced: 'lost' });
  const again = await openAgain(after);
  const found = again.storage.logs.find(({ bucket }) => bucket === 1);
  assert(found !== undefined);
  assert.deepEqual(found.replicaId, Buffer.alloc(8, 7));
  assert.equal(found.endIndex, 0);
  await again.append(50, again.storage.logs.indexOf(found));
  await again.close();
  assert.equal((await eventsOnDisk(after, DIRECTORY, 1)).length, 50);
});

test('many laps of the journal pass by without the log that was removed', async () => {
  const disk = new SimulatedFileSystem({ seed: 3 });
  const directory = await open(disk);
  for (let stay = 1; stay < 8; stay += 1) {
    await directory.append(120);
    const removing = remove(directory, 1);
    await directory.append(60, 0);
    await removing;
    await directory.storage.addLog(plan(1, stay));
    const added = directory.storage.logs.find(({ bucket }) => bucket === 1);
    if (added !== undefined) added.onDurable = (index): void => added.commit(index);
  }
  await directory.close();
  await (await openAgain(disk)).close();
});

test(
  'a log can be removed while the disk is full, and makes room for the others',
  limits,
  async () => {
    const disk = new SimulatedFileSystem({ seed: 4 });
    const directory = await open(disk);
    await directory.append(300);
    disk.capacityBytes -= (await disk.space(DIRECTORY)).freeBytes;
    // When a lap ends, segments are written: there is no room for that.
    while (!directory.storage.space.full) await directory.append(1, 0);
    await remove(directory, 1);
    await directory.append(200, 0);
    await directory.close();
    disk.capacityBytes *= 2;
    const again = await openAgain(disk);
    assert.deepEqual(buckets(again), [0]);
    await again.close();
  },
);

test('after a power cut at any operation a log is there, or not, and the rest is whole', async () => {
  for (let operations = 1; operations < 60; operations += 1) {
    const disk = new SimulatedFileSystem({ seed: operations });
    const directory = await open(disk);
    await directory.append(30);
    await directory.storage.journal.flushed();
    const kept = directory.events.filter(({ partition }) => partition % 2 === 0);
    disk.crashAfter(operations);
    const moving = remove(directory, 1).then(() => directory.storage.addLog(plan(1, 7)));
    await Promise.race([moving.catch(() => undefined), disk.crashed]);

    const after = disk.afterPowerCut({ seed: operations });
    const again = await openAgain(after);
    const log = again.storage.logs.find(({ bucket }) => bucket === 1);
    if (log === undefined) await again.storage.clearBucket(1);
    else if (log.replicaId[0] === 7) assert.equal(log.endIndex, 0);
    await again.close();
    assert.equal((await eventsOnDisk(after, DIRECTORY, 0)).length, kept.length);
  }
});
