import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { replaceFile } from '../file-system.ts';
import { FaultyFileSystem, type Omission } from './faulty-file-system.ts';
import { testFileSystem } from './file-system-suite.ts';
import { SimulatedFileSystem } from './simulated-file-system.ts';

/** Whether `replaceFile`, with these calls dropped, keeps its promise over power cuts by many seeds. */
async function survives(omission: Omission): Promise<boolean> {
  for (let seed = 1; seed <= 50; seed += 1) {
    const disk = new SimulatedFileSystem({ seed });
    disk.plant('/a', Buffer.from('old'));
    const faulty = new FaultyFileSystem(disk, [omission]);
    await replaceFile(faulty, '/', 'a', Buffer.from('new'));
    assert.equal(faulty.droppedCount, 1);
    const cut = disk.afterPowerCut();
    if (cut.bytes('/a').toString() !== 'new') return false;
  }
  return true;
}

describe('faulty file system', () => {
  testFileSystem(async () => {
    const files = new FaultyFileSystem(new SimulatedFileSystem({ seed: 1 }), [
      { call: 'sync', path: /no such file/ },
    ]);
    await files.makeDirectory('/data');
    return { files, folder: '/data', close: () => Promise.resolve() };
  });

  test('a dropped sync is noticed', async () => {
    assert.equal(await survives({ call: 'sync', path: /a\.tmp$/ }), false);
  });

  test('a dropped sync of the folder is noticed', async () => {
    assert.equal(await survives({ call: 'syncDirectory' }), false);
  });

  test('a dropped rename is noticed', async () => {
    assert.equal(await survives({ call: 'rename' }), false);
  });

  test('a weakened durable write is seen but not durable', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    disk.plant('/a', Buffer.from('old'));
    const faulty = new FaultyFileSystem(disk, [{ call: 'writeDurably', how: 'weaken' }]);
    const file = await faulty.open('/a', 'open');
    await file.writeDurably(Buffer.from('new'), 0);
    assert.equal(disk.bytes('/a').toString(), 'new');
    assert.equal(disk.afterPowerCut({ unsynced: 'lost' }).bytes('/a').toString(), 'old');
  });

  test('a call answered early still happens', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    disk.plant('/a', Buffer.from('old'));
    const faulty = new FaultyFileSystem(disk, [{ call: 'writeDurably', how: 'later' }]);
    const file = await faulty.open('/a', 'open');
    await file.writeDurably(Buffer.from('new'), 0);
    assert.equal(disk.bytes('/a').toString(), 'old');
    await file.close();
    assert.equal(disk.bytes('/a').toString(), 'new');
  });
});
