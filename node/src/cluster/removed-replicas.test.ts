import assert from 'node:assert/strict';
import test from 'node:test';

import { OpenError } from '../storage/errors.ts';
import { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import { RemovedReplicas } from './removed-replicas.ts';

async function disk(): Promise<SimulatedFileSystem> {
  const files = new SimulatedFileSystem({ seed: 1 });
  await files.makeDirectory('/d');
  await files.syncDirectory('/');
  return files;
}

test('what has ended has ended also after a power cut', async () => {
  const files = await disk();
  const removed = await RemovedReplicas.read(files, '/d');
  assert.deepEqual([removed.since(3), removed.buckets], [0, []]);
  await removed.note(3, 2);
  await removed.note(3, 1);
  await removed.note(12, 4);
  files.crash();
  const again = await RemovedReplicas.read(files.afterPowerCut({ unsynced: 'lost' }), '/d');
  assert.deepEqual([again.since(3), again.since(12), again.since(0)], [2, 4, 0]);
});

test('a damaged file is refused', async () => {
  const files = await disk();
  const removed = await RemovedReplicas.read(files, '/d');
  await removed.note(3, 2);
  const file = await files.open('/d/removed.json', 'open');
  const text = (await files.readFile('/d/removed.json')).toString().replace('"3": 2', '"3": 0');
  await file.write(Buffer.from(text), 0);
  await file.close();
  await assert.rejects(RemovedReplicas.read(files, '/d'), OpenError);
});
