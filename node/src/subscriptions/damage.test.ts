/** Damage and faults under subscriptions: nothing wrong is shown, who cannot be served is told, all others go on. */
import assert from 'node:assert/strict';
import test from 'node:test';

import type { Random } from '../../../common/random.ts';
import { seeds, underSeed } from '../../../common/testing/seeds.ts';
import type { SimulatedFileSystem } from '../engine/testing/simulated-disk.ts';
import { withoutTimers } from '../engine/testing/without-timers.ts';
import { HurtRun } from './testing/hurt-run.ts';

const FILE = 'node/src/subscriptions/damage.test.ts';
const HEADER_BYTES = 52 + 6 * 3;

/** A sealed segment: the last one of each bucket is still being written. */
function drawSealed(disk: SimulatedFileSystem, random: Random): { path: string; bucket: number } {
  const sealed = disk.paths().flatMap((path) => {
    const found = /^(.*buckets\/(\d+)\/.*)\.partitions$/.exec(path);
    return found === null ? [] : [{ path: `${found[1]!}.log`, bucket: Number(found[2]) }];
  });
  assert(sealed.length > 3, 'there is history in sealed segments');
  return sealed[random.below(sealed.length)]!;
}

function flipFrameBit(disk: SimulatedFileSystem, random: Random): [path: string, bucket: number] {
  const { path, bucket } = drawSealed(disk, random);
  const frames = disk.bytes(path).length - HEADER_BYTES;
  disk.flip(path, HEADER_BYTES + random.below(frames), random.below(8));
  return [path, bucket];
}

test('a bit of a sealed segment is wrong', async (t) => {
  for (const seed of seeds(8, 10)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, async () => {
        const report = await withoutTimers(() =>
          new HurtRun(seed).run((disk, random) => flipFrameBit(disk, random)[1]),
        );
        assert(report.failed > 0, 'who needs the frame is told');
        assert(report.failed < report.subscriptions, 'others go on');
      }),
    );
  }
});

test('a bit is wrong and the index files are gone, so that nobody knows what stood there', async (t) => {
  for (const seed of seeds(8, 10)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, async () => {
        await withoutTimers(() =>
          new HurtRun(seed).run(async (disk, random) => {
            const [path, bucket] = flipFrameBit(disk, random);
            for (const end of ['streams', 'partitions', 'events']) {
              await disk.remove(path.replace(/log$/, end));
            }
            return bucket;
          }),
        );
      }),
    );
  }
});

test('reads of a bucket fail for a while', async (t) => {
  let failed = 0;
  for (const seed of seeds(8, 10)) {
    await t.test(`seed ${seed}`, () =>
      underSeed(FILE, seed, async () => {
        const hurt = seed % 2;
        const report = await withoutTimers(() =>
          new HurtRun(seed).run(
            () => hurt,
            (disk) => {
              const path = new RegExp(`buckets/0000${hurt}/.*\\.log$`);
              const fault = disk.failNext({ operation: 'read', path, skip: seed % 3, times: 20 });
              return () => {
                fault.end();
              };
            },
          ),
        );
        failed += report.failed;
        assert(report.failed < report.subscriptions, 'others go on');
      }),
    );
  }
  // Not every seed reads from that bucket's files while they fail.
  assert(failed > 0 || process.env['SEED'] !== undefined, 'who needs what cannot be read is told');
});
