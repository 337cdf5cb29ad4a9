import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';

import {
  CheckpointError,
  type CheckpointStore,
  FileCheckpointStore,
  InvalidArgumentError,
  MemoryCheckpointStore,
} from './index.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sierradb-checkpoints-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const stores: readonly (readonly [string, () => CheckpointStore])[] = [
  ['in memory', () => new MemoryCheckpointStore()],
  ['in files', () => new FileCheckpointStore(join(directory, 'deep', 'er'))],
];

for (const [what, open] of stores) {
  describe(`checkpoints ${what}`, () => {
    it('are what was saved last, each under its name', async () => {
      const store = open();
      assert.equal(await store.load('a'), null);
      await store.save('a', { streams: { s: 1, __proto__x: 2 } });
      await store.save('a/../b', { partitions: { 0: 7 } });
      await Promise.all([1, 2, 3].map((n) => store.save('a', { streams: { s: n } })));
      assert.deepEqual(await store.load('a'), { streams: { s: 3 } });
      assert.deepEqual(await store.load('a/../b'), { partitions: { 0: 7 } });
    });

    it('are values of their own', async () => {
      const store = open();
      const streams = { s: 1 };
      await store.save('a', { streams });
      streams.s = 2;
      assert.deepEqual(await store.load('a'), { streams: { s: 1 } });
    });
  });
}

describe('checkpoint files', () => {
  it('are read by the next process; drafts do not stay', async () => {
    await new FileCheckpointStore(directory).save('totals', { partitions: { 3: 9 } });
    assert.deepEqual(await new FileCheckpointStore(directory).load('totals'), {
      partitions: { 3: 9 },
    });
    assert.deepEqual(await readdir(directory), ['totals.json']);
    assert.equal(
      await readFile(join(directory, 'totals.json'), 'utf8'),
      '{"partitions":{"3":9}}\n',
    );
  });

  for (const [what, text] of [
    ['empty', ''],
    ['cut short', '{"partitions":{"3":'],
    ['of something else', '{"hello":{}}'],
    ['no object', '[]'],
    ['of text', '{"streams":{"a":"1"}}'],
    ['of negative places', '{"streams":{"a":-1}}'],
    ['of both kinds', '{"streams":{},"partitions":{}}'],
  ] as const) {
    it(`that are ${what} are an error that names the file`, async () => {
      await writeFile(join(directory, 'totals.json'), text);
      await assert.rejects(new FileCheckpointStore(directory).load('totals'), (error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, /totals\.json is damaged/);
        return true;
      });
    });
  }

  it('need a name', async () => {
    const store = new FileCheckpointStore(directory);
    await assert.rejects(store.load(''), InvalidArgumentError);
  });

  it('that cannot be written reject, and later ones are written', async () => {
    await writeFile(join(directory, 'file'), '');
    const bad = new FileCheckpointStore(join(directory, 'file'));
    await assert.rejects(bad.save('a', { streams: {} }));
    const store = new FileCheckpointStore(directory);
    const tooLong = store.save('n'.repeat(300), { streams: {} });
    const fine = store.save('a', { streams: { a: 1 } });
    await assert.rejects(tooLong);
    await fine;
    assert.deepEqual(await store.load('a'), { streams: { a: 1 } });
  });
});
