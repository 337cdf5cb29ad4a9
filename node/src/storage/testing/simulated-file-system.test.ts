import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { seededRandom } from '../../../../common/random.ts';
import { type FileSystem, replaceFile } from '../file-system.ts';
import { testFileSystem } from './file-system-suite.ts';
import { SimulatedFileSystem } from './simulated-file-system.ts';

const PAGE = 4096;
const SEEDS = Array.from({ length: Number(process.env['SEEDS'] ?? 200) }, (_, index) => index + 1);

for (const pace of ['immediate', 'microtask'] as const) {
  describe(`simulated file system, ${pace}`, () => {
    testFileSystem(async () => {
      const files = new SimulatedFileSystem({ seed: 1, pace });
      await files.makeDirectory('/data');
      return { files, folder: '/data', close: () => Promise.resolve() };
    });
  });
}

const page = (letter: string, pages = 1): Buffer => Buffer.alloc(PAGE * pages, letter);

/** A disk on which `/a` holds `content` durably, with its name. */
function diskWith(content: Uint8Array, seed = 1): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed });
  disk.plant('/a', content);
  return disk;
}

/** Which letters stand at the start of each page of `/a`, `.` for zeros. */
function letters(disk: SimulatedFileSystem): string {
  const bytes = disk.bytes('/a');
  let found = '';
  for (let at = 0; at < bytes.length; at += PAGE) {
    found += bytes[at] === 0 ? '.' : String.fromCharCode(bytes[at] ?? 0);
  }
  return found;
}

/** All that `look` finds on the disks that power cuts by many seeds leave. */
function outcomes(
  disk: SimulatedFileSystem,
  look: (disk: SimulatedFileSystem) => string,
): string[] {
  const found = new Set(SEEDS.map((seed) => look(disk.afterPowerCut({ seed }))));
  return [...found].sort();
}

const namesOf = (disk: SimulatedFileSystem): string => disk.paths().join(' ');

describe('a power cut', () => {
  test('unsynced pages are lost one by one', async () => {
    const disk = diskWith(page('o', 3));
    await (await disk.open('/a', 'open')).write(page('n', 3), 0);
    assert.equal(letters(disk.afterPowerCut({ unsynced: 'lost' })), 'ooo');
    assert.equal(letters(disk.afterPowerCut({ unsynced: 'kept' })), 'nnn');
    assert.deepEqual(outcomes(disk, letters), [
      'nnn',
      'nno',
      'non',
      'noo',
      'onn',
      'ono',
      'oon',
      'ooo',
    ]);
  });

  test('a torn page mixes old and new by whole sectors', async () => {
    const disk = diskWith(page('o'));
    await (await disk.open('/a', 'open')).write(page('n'), 0);
    let mixed = 0;
    for (const seed of SEEDS) {
      const bytes = disk.afterPowerCut({ seed }).bytes('/a').toString('latin1');
      assert.match(bytes, /^(o{512}|n{512}){8}$/);
      if (bytes.includes('o') && bytes.includes('n')) mixed += 1;
    }
    assert.ok(mixed > 0);
  });

  test('a page written twice may keep the version in between', async () => {
    const found = new Set<string>();
    for (const seed of SEEDS) {
      const disk = diskWith(page('o'), seed);
      const file = await disk.open('/a', 'open');
      await file.write(page('1'), 0);
      await file.write(page('2'), 0);
      found.add(letters(disk.afterPowerCut()));
    }
    assert.deepEqual([...found].sort(), ['1', '2', 'o']);
  });

  test('an unsynced extension has any length, and zeros where a page is lost', async () => {
    const disk = diskWith(page('o'));
    await (await disk.open('/a', 'open')).write(page('n', 2), PAGE);
    const lengths = new Set<number>();
    for (const seed of SEEDS) {
      const cut = disk.afterPowerCut({ seed });
      const bytes = cut.bytes('/a');
      lengths.add(bytes.length);
      assert.match(bytes.toString('latin1'), /^o{4096}[n\0]*$/);
    }
    assert.ok(lengths.has(PAGE) && lengths.has(3 * PAGE) && lengths.size > 2);
  });

  test('an unsynced truncation happened or not', async () => {
    const disk = diskWith(page('o', 2));
    const file = await disk.open('/a', 'open');
    await file.truncate(0);
    const lengths = new Set(SEEDS.map((seed) => disk.afterPowerCut({ seed }).bytes('/a').length));
    assert.ok(lengths.has(0) && lengths.has(2 * PAGE));
    await file.sync();
    assert.deepEqual(
      outcomes(disk, (cut) => String(cut.bytes('/a').length)),
      ['0'],
    );
  });

  test('what was synced stays', async () => {
    const disk = diskWith(page('o', 2));
    const file = await disk.open('/a', 'open');
    await file.write(page('n', 3), 0);
    await file.sync();
    assert.deepEqual(outcomes(disk, letters), ['nnn']);
  });

  test('a durable write stays, and its neighbours on the page need not', async () => {
    const disk = diskWith(Buffer.from('oooo'));
    const file = await disk.open('/a', 'open');
    await file.write(Buffer.from('nnnn'), 0);
    await file.writeDurably(Buffer.from('DDDD'), 4);
    const look = (cut: SimulatedFileSystem): string => cut.bytes('/a').toString('latin1');
    assert.deepEqual(outcomes(disk, look), ['nnnnDDDD', 'ooooDDDD']);
  });

  test('a durable write stays where a truncation before it was not synced', async () => {
    const disk = diskWith(Buffer.from('oooooo'));
    const file = await disk.open('/a', 'open');
    await file.truncate(1);
    await file.writeDurably(Buffer.from('DD'), 1);
    for (const found of outcomes(disk, (cut) => cut.bytes('/a').toString('latin1'))) {
      assert.match(found, /^oDD/);
    }
  });

  test('a created file is missing until its folder is synced', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    const file = await disk.open('/new', 'create');
    await file.write(Buffer.from('x'), 0);
    await file.sync();
    assert.deepEqual(outcomes(disk, namesOf), ['', '/new']);
    await disk.syncDirectory('/');
    assert.deepEqual(outcomes(disk, namesOf), ['/new']);
  });

  test('a file in a folder that is not durable is lost with the folder', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    await disk.makeDirectory('/folder');
    await (await disk.open('/folder/new', 'create')).sync();
    await disk.syncDirectory('/folder');
    assert.deepEqual(outcomes(disk, namesOf), ['', '/folder/new']);
    await disk.syncDirectory('/');
    assert.deepEqual(outcomes(disk, namesOf), ['/folder/new']);
  });

  test('an unsynced rename leaves the old names or the new', async () => {
    const disk = diskWith(Buffer.from('target'));
    disk.plant('/b', Buffer.from('source'));
    await disk.rename('/b', '/a');
    const look = (cut: SimulatedFileSystem): string =>
      `${namesOf(cut)} ${cut.bytes('/a').toString()}`;
    assert.deepEqual(outcomes(disk, look), ['/a /b target', '/a source']);
  });

  test('a file renamed before its data was synced may be empty under the new name', async () => {
    const disk = diskWith(Buffer.from('old'));
    const file = await disk.open('/a.tmp', 'create');
    await file.write(Buffer.from('new'), 0);
    await disk.rename('/a.tmp', '/a');
    await disk.syncDirectory('/');
    assert.ok(outcomes(disk, (cut) => cut.bytes('/a').toString()).includes(''));
  });

  test('synced changes of one name end with the last', async () => {
    const disk = diskWith(Buffer.from('first'));
    await disk.remove('/a');
    await (await disk.open('/a', 'create')).writeDurably(Buffer.from('second'), 0);
    await (await disk.open('/b', 'create')).writeDurably(Buffer.from('third'), 0);
    await disk.rename('/b', '/a');
    await disk.syncDirectory('/');
    assert.deepEqual(
      outcomes(disk, (cut) => `${namesOf(cut)} ${cut.bytes('/a').toString()}`),
      ['/a third'],
    );
  });

  test('an unsynced removal may be undone', async () => {
    const disk = diskWith(page('o'));
    await disk.remove('/a');
    assert.deepEqual(outcomes(disk, namesOf), ['', '/a']);
    await disk.syncDirectory('/');
    assert.deepEqual(outcomes(disk, namesOf), ['']);
  });
});

describe('a process crash', () => {
  test('leaves written bytes visible but not durable', async () => {
    const disk = diskWith(page('o'));
    await (await disk.open('/a', 'open')).write(page('n'), 0);
    disk.crash();
    const next = disk.afterProcessCrash();
    assert.equal(letters(next), 'n');
    assert.equal(letters(next.afterPowerCut({ unsynced: 'lost' })), 'o');
    await (await next.open('/a', 'open')).sync();
    assert.equal(letters(next.afterPowerCut({ unsynced: 'lost' })), 'n');
  });

  test('drops locks', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    await disk.lock('/');
    await (await disk.afterProcessCrash().lock('/')).release();
  });

  test('answers nothing any more', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    disk.crashAfter(1);
    let answered = false;
    const note = (): void => {
      answered = true;
    };
    file.write(page('n'), 0).then(note, note);
    assert.deepEqual(await disk.crashed, { kind: 'write', path: '/a' });
    disk.readFile('/a').then(note, note);
    await new Promise(setImmediate);
    assert.equal(answered, false);
  });

  test('leaves a write under way done, done up to some byte, or not done', async () => {
    const found = new Set<string>();
    for (const seed of SEEDS) {
      const disk = diskWith(page('o', 2), seed);
      const file = await disk.open('/a', 'open');
      disk.crashAfter(1);
      void file.writeDurably(page('n', 2), 0);
      await disk.crashed;
      const bytes = disk.afterProcessCrash().bytes('/a').toString('latin1');
      assert.match(bytes, /^n*o*$/);
      found.add(bytes.startsWith('o') ? 'none' : bytes.endsWith('n') ? 'all' : 'part');
      assert.equal(disk.afterPowerCut().bytes('/a').length, 2 * PAGE);
    }
    assert.deepEqual([...found].sort(), ['all', 'none', 'part']);
  });

  test('meets every operation under way, not only the one counted', async () => {
    const found = new Set<string>();
    for (const seed of SEEDS) {
      const disk = new SimulatedFileSystem({ seed });
      disk.plant('/a', Buffer.from('.'));
      disk.plant('/b', Buffer.from('.'));
      const [a, b] = await Promise.all([disk.open('/a', 'open'), disk.open('/b', 'open')]);
      disk.crashAfter(1);
      void a.write(Buffer.from('x'), 0);
      void b.write(Buffer.from('x'), 0);
      await disk.crashed;
      const next = disk.afterProcessCrash();
      found.add(next.bytes('/a').toString() + next.bytes('/b').toString());
    }
    assert.deepEqual([...found].sort(), ['..', '.x', 'x.', 'xx']);
  });

  test('replaceFile leaves the old file or the new one at every crash', async () => {
    for (const seed of SEEDS.slice(0, 50)) {
      for (let count = 1; ; count += 1) {
        const disk = diskWith(Buffer.from('old'), seed);
        disk.crashAfter(count);
        const done = replaceFile(disk, '/', 'a', Buffer.from('new')).then(() => 'done' as const);
        const ended = await Promise.race([done, disk.crashed]);
        const allowed = ended === 'done' ? ['new'] : ['old', 'new'];
        for (const next of [disk.afterProcessCrash(), disk.afterPowerCut()]) {
          const content = next.bytes('/a').toString();
          assert.ok(allowed.includes(content), `seed ${String(seed)}, crash ${String(count)}`);
        }
        if (ended === 'done') break;
      }
    }
  });
});

describe('a fault', () => {
  test('a failed sync that marks pages clean: no later sync saves them', async () => {
    const disk = diskWith(page('o', 2));
    const file = await disk.open('/a', 'open');
    await file.write(page('n', 2), 0);
    const fault = disk.failNext({ operation: 'sync', path: '/a' });
    await assert.rejects(file.sync(), { code: 'EIO' });
    await file.sync();
    assert.equal(fault.metCount, 1);
    assert.equal(letters(disk), 'nn');
    assert.deepEqual(outcomes(disk, letters), ['oo']);
    await file.write(page('n'), 0);
    await file.sync();
    assert.deepEqual(outcomes(disk, letters), ['no']);
  });

  test('a failed sync that leaves pages dirty: the next sync saves them', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    await file.write(page('n'), 0);
    disk.failNext({ operation: 'sync', marksClean: false });
    await assert.rejects(file.sync(), { code: 'EIO' });
    await file.sync();
    assert.deepEqual(outcomes(disk, letters), ['n']);
  });

  test('a failed durable write may be seen and never be durable', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    disk.failNext({ operation: 'writeDurably', writtenBytes: PAGE });
    await assert.rejects(file.writeDurably(page('n'), 0), { code: 'EIO' });
    await file.sync();
    assert.equal(letters(disk), 'n');
    assert.deepEqual(outcomes(disk, letters), ['o']);
  });

  test('a short write leaves its first bytes', async () => {
    const disk = diskWith(Buffer.from('oooo'));
    const file = await disk.open('/a', 'open');
    disk.failNext({ operation: 'write', writtenBytes: 2 });
    await assert.rejects(file.write(Buffer.from('nnnn'), 0), { code: 'EIO' });
    assert.equal(disk.bytes('/a').toString(), 'nnoo');
  });

  test('a full disk refuses what does not fit, until it is given room', async () => {
    const disk = new SimulatedFileSystem({ seed: 1, capacityBytes: 6 });
    const file = await disk.open('/a', 'create');
    await file.write(Buffer.from('four'), 0);
    await assert.rejects(file.write(Buffer.from('four'), 4), { code: 'ENOSPC' });
    await file.write(Buffer.from('FOUR'), 0);
    assert.deepEqual(await disk.space('/'), { freeBytes: 0, totalBytes: 6 });
    disk.capacityBytes = 100;
    await file.write(Buffer.from('four'), 4);
    assert.equal(disk.bytes('/a').toString(), 'FOURfour');
  });

  test('a hanging sync hangs until it is released', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    await file.write(page('n'), 0);
    const hanging = disk.hangNext({ operation: 'sync' });
    let synced = false;
    const sync = file.sync().then(() => {
      synced = true;
    });
    await hanging.fired;
    assert.equal((await disk.readFile('/a')).length, PAGE);
    assert.equal(synced, false);
    hanging.end();
    await sync;
    assert.deepEqual(outcomes(disk, letters), ['n']);
  });

  test('a late operation waits for others, and runs at last where there are none', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    disk.delayNext({ operation: 'write' }, 20);
    const order: string[] = [];
    const late = file.write(page('n'), 0).then(() => order.push('late'));
    for (let i = 0; i < 3; i += 1) await file.size().then(() => order.push('other'));
    await late;
    assert.deepEqual(order, ['other', 'other', 'other', 'late']);
    disk.delayNext({ operation: 'write' }, 1000);
    await file.write(page('n'), 0);
  });

  test('skip and times choose which operations are met', async () => {
    const disk = diskWith(page('o'));
    const file = await disk.open('/a', 'open');
    disk.failNext({ operation: ['read', 'sync'], skip: 1, times: 2, path: /a$/ });
    const results: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      await file.sync().then(
        () => results.push('done'),
        () => results.push('failed'),
      );
    }
    assert.deepEqual(results, ['done', 'failed', 'failed', 'done']);
  });
});

describe('damage on the medium', () => {
  test('a flipped bit is seen, and survives a power cut', () => {
    const disk = diskWith(Buffer.of(0, 0b1000, 0));
    disk.flip('/a', 1, 3);
    disk.flip('/a', 2, 0);
    assert.deepEqual([...disk.bytes('/a')], [0, 0, 1]);
    assert.deepEqual([...disk.afterPowerCut().bytes('/a')], [0, 0, 1]);
  });

  test('a random flip changes one bit and says which', () => {
    const disk = diskWith(page('o'));
    disk.plant('/b', page('o'));
    const hit = disk.corruptRandom(7, /b/);
    assert.equal(hit?.path, '/b');
    const bytes = disk.bytes('/b');
    assert.equal(bytes[hit.offset], 'o'.charCodeAt(0) ^ (1 << hit.bit));
    assert.equal(bytes.filter((byte) => byte !== 'o'.charCodeAt(0)).length, 1);
    assert.ok(disk.bytes('/a').equals(page('o')));
  });

  test('overwriting and cutting work on both layers', () => {
    const disk = diskWith(Buffer.from('abcdef'));
    disk.overwrite('/a', 2, Buffer.from('XX'));
    disk.truncateRaw('/a', 5);
    assert.equal(disk.bytes('/a').toString(), 'abXXe');
    assert.equal(disk.afterPowerCut({ unsynced: 'lost' }).bytes('/a').toString(), 'abXXe');
  });
});

/** Two writers with their own random calls; what they see depends on the order in which the disk runs them. */
async function randomWork(disk: FileSystem, seed: number): Promise<void> {
  const work = async (path: string, random = seededRandom(seed)): Promise<void> => {
    const file = await disk.open(path, 'create');
    for (let i = 0; i < 10; i += 1) {
      await file.write(Buffer.of(random.below(256)), random.below(3 * PAGE));
      if (random.below(3) === 0) await file.sync();
      if (random.below(3) === 0) await disk.syncDirectory('/');
    }
  };
  await Promise.all([work('/a'), work('/b')]);
}

describe('determinism', () => {
  test('the same seed gives the same order and the same damage', async () => {
    const fingerprint = async (seed: number): Promise<string> => {
      const disk = new SimulatedFileSystem({ seed });
      disk.crashAfter(25);
      void randomWork(disk, 5);
      await disk.crashed;
      const next = disk.afterPowerCut();
      return JSON.stringify([
        disk.history,
        next.paths().map((path) => next.bytes(path).toString('base64')),
      ]);
    };
    assert.equal(await fingerprint(3), await fingerprint(3));
    assert.notEqual(await fingerprint(3), await fingerprint(4));
  });

  test('concurrent operations run in every order', async () => {
    const orders = new Set<string>();
    for (const seed of SEEDS) {
      const disk = new SimulatedFileSystem({ seed });
      await Promise.all(['/x', '/y', '/z'].map((path) => disk.open(path, 'create')));
      orders.add(disk.history.map(({ path }) => path).join(''));
    }
    assert.equal(orders.size, 6);
  });

  test('a clone goes its own way', async () => {
    const disk = diskWith(page('o'));
    const twin = disk.clone();
    await (await disk.open('/a', 'open')).write(page('n'), 0);
    await twin.remove('/a');
    assert.equal(letters(disk), 'n');
    assert.deepEqual(twin.paths(), []);
  });
});
