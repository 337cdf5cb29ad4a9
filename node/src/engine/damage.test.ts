/** Damage to a data directory: never wrong data, never silent loss. More of it at random: `npm run fuzz -- recovery`. */
import assert from 'node:assert/strict';
import test from 'node:test';

import type { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import { type Damage, DamageRun, removeDurably } from './testing/damage-run.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';

const FILE = 'node/src/engine/damage.test.ts';
const segments = '/data/buckets/00000/segments';

/** The case runs on several disks; `expected` is what must come of it on each. */
async function eachDisk(
  hurt: (disk: SimulatedFileSystem) => Damage | Promise<Damage>,
  expected: RegExp,
): Promise<void> {
  for (const seed of [1, 2, 3, 4]) {
    const run = await DamageRun.prepare(seed);
    assert.match(await run.check(seed, hurt), expected);
  }
}

const cut = (path: string, keep: (bytes: number) => number) => (disk: SimulatedFileSystem) => {
  disk.truncateRaw(path, keep(disk.bytes(path).length));
  return { path, description: `${path} is cut` };
};

test('random damage', async (t) => {
  for (const seed of seeds(10, 20)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, async () => {
        const run = await DamageRun.prepare(seed);
        for (let i = 0; i < 10; i += 1) await run.check(seed * 1000 + i);
      }),
    );
  }
});

test('index files that are missing are built again, and nobody notices', () =>
  eachDisk(async (disk) => {
    const derived = disk.paths().filter((path) => /\.(streams|partitions|events)$/.test(path));
    assert(derived.length > 0);
    for (const path of derived) await removeDurably(disk, path);
    return { path: derived[0]!, description: 'no index files' };
  }, /0 lost of 0 losable, 0 reads refused, quarantined: -$/));

test('a missing segment quarantines its bucket; the rest is served', () =>
  eachDisk(async (disk) => {
    const path = `${segments}/0000000000.log`;
    await removeDurably(disk, path);
    return { path, description: `${path} is missing` };
  }, /0 lost of 0 losable, [1-9]\d* reads refused, quarantined: 0$/));

test('a segment cut between two frames is noticed, with its index files and without', async () => {
  for (const without of [false, true]) {
    await eachDisk(async (disk) => {
      const path = `${segments}/0000000000.log`;
      const bytes = disk.bytes(path);
      let end = 52 + 6 * 3;
      let before = end;
      for (; end < bytes.length; end += bytes.readUInt32LE(end)) before = end;
      disk.truncateRaw(path, before);
      const derived = disk.paths().filter((name) => /\d\.(streams|partitions|events)$/.test(name));
      for (const name of without ? derived : []) await removeDurably(disk, name);
      return { path, description: `${path} lacks its last frame` };
    }, /0 lost of 0 losable, [1-9]\d* reads refused, quarantined: 0$/);
  }
});

test('stray segments behind the log are removed', () =>
  eachDisk((disk) => {
    const last = disk.paths().filter((path) => path.startsWith(segments)).length + 10;
    const path = `${segments}/${String(last).padStart(10, '0')}.log`;
    disk.plant(path, Buffer.alloc(5000, 1));
    disk.plant(`${segments}/notes.txt`, Buffer.from('not ours'));
    return { path: `${segments}/notes.txt`, description: 'a stray segment' };
  }, /0 lost of 0 losable, 0 reads refused, quarantined: -$/));

test('a journal file that is cut short is refused', () =>
  eachDisk(
    cut('/data/journal/0001.journal', (bytes) => bytes - 1),
    /refused: the journal in \/data is damaged \(cut file\)/,
  ));

test('a damaged header of a journal file costs nothing', () =>
  eachDisk((disk) => {
    disk.flip('/data/journal/0000.journal', 3, 1);
    return { path: '/data/journal/0000.journal', description: 'a bit of the header' };
  }, /0 lost of 0 losable, 0 reads refused, quarantined: -$|refused: the journal/));

test('an identity of which a single bit is wrong is refused', async () => {
  const run = await DamageRun.prepare(1);
  const bytes = run.disk.bytes('/data/identity.json');
  for (let offset = 0; offset < bytes.length; offset += 1) {
    await run.check(offset, (disk) => {
      disk.flip('/data/identity.json', offset, offset % 8);
      return { path: '/data/identity.json', description: `bit ${offset % 8} of byte ${offset}` };
    });
  }
});

test('a directory without its identity is not taken for a new one', () =>
  eachDisk(async (disk) => {
    await removeDurably(disk, '/data/identity.json');
    return { path: '/data/identity.json', description: 'no identity' };
  }, /refused: .* holds buckets and journal but no identity.json: it is damaged, not new$/));
