import assert from 'node:assert/strict';
import test from 'node:test';

import { scanJournal } from './journal-scan.ts';
import { eventsOnDisk, FilledDirectory, type FilledEvent } from './testing/filled-directory.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';

async function survivors(disk: SimulatedFileSystem): Promise<FilledEvent[]> {
  const directory = await FilledDirectory.open(disk, '/data');
  await directory.close();
  const buckets = [0, 1].map((bucket) => eventsOnDisk(disk, '/data', bucket));
  return (await Promise.all(buckets)).flat();
}

const bySequence = (events: readonly FilledEvent[]): string[] =>
  events.map(({ partition, sequence, payload }) => `${partition}:${sequence}:${payload}`).sort();

test('a checkpoint claims nothing that is not synced', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const directory = await FilledDirectory.open(disk, '/data');
  const hang = disk.hangNext({ operation: 'sync', path: /\.log$/, times: 1000 });
  for (let lap = 1; lap < 3;) {
    await directory.append(1);
    lap = (await scanJournal(disk.clone(), '/data/journal')).lastLap;
  }
  await hang.fired;
  await directory.append(3);
  disk.crash();
  const after = disk.afterPowerCut({ unsynced: 'lost' });
  assert.deepEqual(bySequence(await survivors(after)), bySequence(directory.events));
});

test('a folder in the folder above which nobody has synced is there after a power cut', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const directory = await FilledDirectory.open(disk, '/var/lib/data');
  await directory.append(5);
  disk.crash();
  const after = disk.afterPowerCut({ unsynced: 'lost' });
  const again = await FilledDirectory.open(after, '/var/lib/data');
  await again.close();
  const found = await Promise.all([0, 1].map((b) => eventsOnDisk(after, '/var/lib/data', b)));
  assert.deepEqual(bySequence(found.flat()), bySequence(directory.events));
});

test('a failed opening gives the lock free', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const directory = await FilledDirectory.open(disk, '/data');
  await directory.close();
  disk.failNext({ operation: 'rename' });
  await assert.rejects(FilledDirectory.open(disk, '/data'), { code: 'EIO' });
  await (await FilledDirectory.open(disk, '/data')).close();
});

test('a directory that is open is refused to others', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const directory = await FilledDirectory.open(disk, '/data');
  await assert.rejects(FilledDirectory.open(disk, '/data'), {
    reason: 'locked',
    message: '/data is in use by another process',
  });
  await directory.close();
});
