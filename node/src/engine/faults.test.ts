/** A disk that fails: writes, syncs, space. What was answered stays; what was not is said to be unknown; nobody waits for ever. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import type { FailureOptions } from '../storage/testing/disk-fault.ts';
import { tinyStore } from './testing/crash-runner.ts';
import { seeds } from '../../../common/testing/seeds.ts';
import { FaultRun, withinSeconds } from './testing/fault-run.ts';

const journal = /\.journal$/;
const segment = /\.log$/;

const failures: readonly (FailureOptions & { readonly name: string })[] = [
  { name: 'a journal round that fails', operation: 'writeDurably', path: journal },
  {
    name: 'a journal round that fails half written',
    operation: 'writeDurably',
    path: journal,
    writtenBytes: 3000,
  },
  {
    name: 'a journal round that fails although it is all there',
    operation: 'writeDurably',
    path: journal,
    writtenBytes: 1 << 20,
    marksClean: false,
  },
  { name: 'a failed write to a segment', operation: 'write', path: segment },
  { name: 'a short write to a segment', operation: 'write', path: segment, writtenBytes: 700 },
  {
    name: 'a failed sync of a segment that marks its pages clean',
    operation: 'sync',
    path: segment,
  },
  {
    name: 'a failed sync of a segment that leaves its pages dirty',
    operation: 'sync',
    path: segment,
    marksClean: false,
  },
  { name: 'a failed sync of a segments folder', operation: 'syncDirectory', path: 'segments' },
  { name: 'a failed sync of an index file', operation: 'sync', path: /\.(streams|events)/ },
];

for (const { name, ...failure } of failures) {
  for (const skip of [0, 3]) {
    test(`${name} stops the store (after ${skip} others)`, async () => {
      const run = new FaultRun(new SimulatedFileSystem({ seed: 7 + skip }));
      await run.open();
      run.disk.failNext({ ...failure, skip });
      await withinSeconds(20, run.workUntilFatal());
      assert.equal(run.fatal.length, 1, 'onFatal is called once');
      assert.equal(await run.refusal(), 'TRYAGAIN');
      await run.readsGoOn();
      await withinSeconds(20, run.close());
      for (const disk of [
        run.disk.afterProcessCrash(),
        run.disk.afterPowerCut({ unsynced: 'lost' }),
        run.disk.afterPowerCut(),
      ]) {
        await run.checkOn(disk);
      }
    });
  }
}

test('whatever fails first, opening fails in clear words or all that was answered is there', async () => {
  for (let skip = 0; skip < 60; skip += process.env['SEEDS'] === undefined ? 4 : 1) {
    const first = new FaultRun(new SimulatedFileSystem({ seed: 100 + skip }));
    await first.open();
    await first.work(40);
    first.disk.crash();
    const disk = first.disk.afterProcessCrash();
    disk.failNext({
      operation: ['write', 'writeDurably', 'sync', 'create', 'rename', 'truncate', 'syncDirectory'],
      skip,
    });
    const second = first.continuedOn(disk);
    try {
      await withinSeconds(20, second.open());
      await withinSeconds(20, second.workUntilFatal());
      await withinSeconds(20, second.close());
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EIO', String(error));
    }
    await second.checkOn(disk.afterPowerCut());
  }
});

test('an append whose frame was not durable when the disk failed is unknown, and its retry settles it', async () => {
  const run = new FaultRun(new SimulatedFileSystem({ seed: 3 }));
  await run.open();
  await run.work(20);
  run.disk.failNext({ operation: 'writeDurably', path: journal, writtenBytes: 1 << 20 });
  const codes = await run.sendTogether(10);
  assert.deepEqual(new Set(codes), new Set(['QUORUMFAILED']));
  await run.checkOn(run.disk.afterPowerCut({ unsynced: 'lost' }));
  await run.checkOn(run.disk.afterProcessCrash());
});

for (const seed of seeds(8, 20)) {
  test(`a full disk refuses appends, serves reads, and recovers by itself (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const disk = new SimulatedFileSystem({ seed });
    const run = new FaultRun(disk, { ...tinyStore, journalFilesMax: 4 });
    await run.open();
    await run.work(random.below(40));
    disk.capacityBytes = usedBytes(disk) + random.below(60_000);
    await withinSeconds(30, run.workUntilFull());
    await run.readsGoOn();
    if (seed % 2 === 0) {
      await withinSeconds(10, run.close());
      const again = run.continuedOn(disk.afterProcessCrash());
      again.disk.capacityBytes = disk.capacityBytes + (seed % 4 === 0 ? 0 : 200_000);
      const opening = again.open().then(
        () => null,
        (error: unknown) => error,
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      again.disk.capacityBytes = 2 ** 40;
      const refused = await withinSeconds(10, opening);
      if (refused !== null) {
        assert.equal((refused as NodeJS.ErrnoException).code, 'ENOSPC');
        await withinSeconds(10, again.open());
      }
      await withinSeconds(10, again.workUntilDone(40));
      await again.close();
      await again.checkOn(again.disk.afterPowerCut({ unsynced: 'lost' }));
    } else {
      disk.capacityBytes = 2 ** 40;
      await withinSeconds(10, run.workUntilDone(40));
      assert.deepEqual(run.fatal, []);
      await withinSeconds(10, run.close());
      await run.checkOn(disk.afterPowerCut({ unsynced: 'lost' }));
    }
  });
}

test('appends stop while the reserve is still there', async () => {
  const disk = new SimulatedFileSystem({ seed: 5 });
  const run = new FaultRun(disk, {
    ...tinyStore,
    segmentBytes: 64 * 1024,
    diskReserveBytes: 200_000,
  });
  disk.capacityBytes = 800_000;
  await run.open();
  await withinSeconds(30, run.workUntilFull());
  const { freeBytes } = await disk.space('/data');
  assert(freeBytes >= 100_000 && freeBytes < 500_000, `${freeBytes} bytes are free`);
  await run.readsGoOn();
  await withinSeconds(10, run.close());
  const again = run.continuedOn(disk.afterProcessCrash());
  await withinSeconds(10, again.open());
  assert.equal(await again.refusal(), 'DISKFULL');
  await again.close();
});

function usedBytes(disk: SimulatedFileSystem): number {
  return disk.paths().reduce((sum, path) => sum + disk.bytes(path).length, 0);
}
