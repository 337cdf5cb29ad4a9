/** A repair that a crash ends anywhere is run again, and comes to the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import type { FileSystem } from './file-system.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { repairDirectory } from './repair.ts';
import {
  eventsOnDisk,
  FilledDirectory,
  type FilledEvent,
  pathsBelow,
} from './testing/filled-directory.ts';
import { SimulatedFileSystem } from './testing/simulated-file-system.ts';
import { formatReport, verifyDirectory } from './verify.ts';

const DIRECTORY = '/data';
const segment = (bucket: number, number: number): string =>
  `${DIRECTORY}/buckets/0000${bucket}/segments/000000000${number}.log`;

const damages: Readonly<Record<string, (disk: SimulatedFileSystem) => Promise<void> | void>> = {
  'a frame in the middle': (disk) => {
    disk.flip(segment(0, 1), 3000, 2);
  },
  'a header, and a frame that the journal has': (disk) => {
    disk.flip(segment(0, 1), 20, 2);
    const last = disk.paths().findLast((path) => path.endsWith('.log')) ?? '';
    disk.flip(last, disk.bytes(last).length - 50, 1);
  },
  'a round in the middle of the journal': (disk) => {
    const [file = ''] = disk.paths().filter((path) => path.endsWith('.journal'));
    disk.flip(file, 4096 * 3 + 100, 1);
  },
  'no journal, and a segment cut short': async (disk) => {
    for (const path of disk.paths().filter((name) => name.endsWith('.journal'))) {
      await disk.remove(path);
    }
    await disk.syncDirectory(`${DIRECTORY}/journal`);
    disk.truncateRaw(segment(1, 1), 5000);
  },
};

const repair = (files: FileSystem): Promise<unknown> =>
  repairDirectory(files, DIRECTORY, {
    apply: true,
    clock: systemClock,
    random: seededRandom(9),
    journalFileBytes: 64 * 1024,
  });

/** A directory that was closed, and one whose process crashed, on the simulated disk. */
async function diskWithEvents(seed: number, closed: boolean): Promise<SimulatedFileSystem> {
  const files = new MemoryFileSystem();
  const directory = await FilledDirectory.open(files, DIRECTORY, { seed });
  await directory.append(140);
  if (closed) await directory.close();
  const disk = new SimulatedFileSystem({ seed });
  for (const path of await pathsBelow(files, DIRECTORY)) {
    disk.plant(path, await files.readFile(path));
  }
  if (!closed) await directory.close();
  return disk;
}

async function kept(files: FileSystem): Promise<FilledEvent[][]> {
  const report = await verifyDirectory(files, DIRECTORY);
  assert.ok(report.clean, formatReport(report));
  const opened = await FilledDirectory.open(files, DIRECTORY);
  assert.ok(opened.storage.logs.every((log) => !log.quarantined));
  await opened.close();
  return [await eventsOnDisk(files, DIRECTORY, 0), await eventsOnDisk(files, DIRECTORY, 1)];
}

describe('a repair that is interrupted', () => {
  const first = Number(process.env['SEED'] ?? 1);
  // Each seed is some twenty walks through a directory: a tenth of what is asked of others.
  const seeds = Math.ceil(Number(process.env['SEEDS'] ?? 30) / 10);
  const count = process.env['SEED'] === undefined ? seeds : 1;
  for (const [name, damage] of Object.entries(damages)) {
    it(`${name}: is done by the next one`, async () => {
      for (let seed = first; seed < first + count; seed += 1) {
        try {
          await interrupt(damage, seed);
        } catch (error) {
          throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }
});

async function interrupt(
  damage: (disk: SimulatedFileSystem) => Promise<void> | void,
  seed: number,
): Promise<void> {
  const random = seededRandom(seed);
  const damaged = await diskWithEvents(seed, random.below(2) === 0);
  await damage(damaged);
  const whole = damaged.clone();
  await repair(whole);
  const operations = whole.history.length;
  const wanted = await kept(whole.clone());
  assert.deepEqual(await kept(whole.afterPowerCut()), wanted);
  for (let i = 0; i < 4; i += 1) {
    const disk = damaged.clone({ seed: seed + i });
    disk.crashAfter(1 + random.below(operations));
    await Promise.race([repair(disk), disk.crashed]);
    const next = random.below(2) === 0 ? disk.afterPowerCut() : disk.afterProcessCrash();
    await repair(next);
    assert.deepEqual(await kept(next), wanted);
  }
}
