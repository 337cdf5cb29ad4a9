/** One survivor's directory becomes a cluster of one, whatever interrupts it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import type { FileSystem } from '../storage/file-system.ts';
import { readIdentity } from '../storage/identity.ts';
import { RECOVER_FILE } from '../storage/names.ts';
import {
  eventsOnDisk,
  FilledDirectory,
  type FilledEvent,
} from '../storage/testing/filled-directory.ts';
import { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import { formatReport, verifyDirectory } from '../storage/verify.ts';
import { readAssignment } from './assignment-file.ts';
import { claimDirectory, refuseMember } from './claim-directory.ts';
import { recoverDirectory, type RecoverOptions, type RecoverResult } from './recover.ts';
import { DIRECTORY, MemberDisk } from './testing/member-disk.ts';

const recover = (
  files: FileSystem,
  options: Partial<RecoverOptions> = {},
): Promise<RecoverResult> =>
  recoverDirectory(files, DIRECTORY, {
    ...{ apply: true, loseMissing: false, clock: systemClock, random: seededRandom(9) },
    ...options,
  });

interface Survivor {
  readonly disk: SimulatedFileSystem;
  /** By bucket. */
  readonly events: FilledEvent[][];
  readonly uncommitted: readonly number[];
}

/** The disk of a member that was stopped, killed, or lost its power. */
async function survivor(
  seed: number,
  end: 'stopped' | 'killed' | 'power cut' = 'stopped',
  factor: number = 3,
  last: 'as it is' | 'replaced' | 'unsynced' = 'as it is',
  frames: number = 160,
): Promise<Survivor> {
  const live = new SimulatedFileSystem({ seed });
  const member = await MemberDisk.open(live, { seed, factor });
  await member.fill(frames);
  if (last === 'replaced') await member.replaceTails();
  if (last === 'unsynced') await member.leaveUnsynced();
  const events = [member.events(0), member.events(1)];
  const uncommitted = [member.uncommitted(0), member.uncommitted(1)];
  if (end === 'stopped') await member.close();
  const disk = end === 'power cut' ? live.afterPowerCut() : live.afterProcessCrash();
  if (end !== 'stopped') await member.close();
  return { disk, events, uncommitted };
}

/** What a lone node finds on the disk, after it has appended and was started again. */
async function opened(files: FileSystem): Promise<FilledEvent[][]> {
  await refuseMember(files, DIRECTORY);
  const report = await verifyDirectory(files, DIRECTORY);
  assert.ok(report.clean, formatReport(report));
  const before = await FilledDirectory.open(files, DIRECTORY);
  assert.ok(before.storage.logs.every((log) => log.isAlone && !log.quarantined));
  assert.ok(before.storage.logs.every((log) => log.committedIndex === log.endIndex));
  const found = [await eventsOnDisk(files, DIRECTORY, 0), await eventsOnDisk(files, DIRECTORY, 1)];
  await before.append(20);
  await before.close();
  const after = await FilledDirectory.open(files, DIRECTORY);
  await after.close();
  const all = [await eventsOnDisk(files, DIRECTORY, 0), await eventsOnDisk(files, DIRECTORY, 1)];
  assert.equal(all.flat().length, found.flat().length + 20);
  return found;
}

describe('a survivor', () => {
  for (const end of ['stopped', 'killed', 'power cut'] as const) {
    it(`that was ${end} keeps every frame, and says which were not known to be committed`, async () => {
      for (let seed = 1; seed <= 3; seed += 1) {
        const { disk, events, uncommitted } = await survivor(seed, end);
        const { buckets, missing, applied } = await recover(disk);
        assert.deepEqual([missing, applied], [[], true]);
        assert.deepEqual(
          buckets.map((bucket) => bucket.events),
          events.map((list) => list.length),
          `SEED=${seed}`,
        );
        const atLeast = buckets.every((each, i) => each.uncommitted >= (uncommitted[i] ?? 0));
        assert.ok(atLeast, `SEED=${seed}`);
        if (end === 'stopped') {
          assert.deepEqual(
            buckets.map((bucket) => bucket.uncommitted),
            uncommitted,
            `SEED=${seed}`,
          );
        }
        assert.deepEqual(await opened(disk.afterPowerCut()), events, `SEED=${seed}`);
      }
    });
  }

  it('does not miss frames that a leader has replaced', async () => {
    const { disk, events, uncommitted } = await survivor(1, 'killed', 3, 'replaced');
    assert.deepEqual(uncommitted, [1, 1]);
    await recover(disk);
    assert.deepEqual(await opened(disk), events);
  });

  it('keeps what nobody had synced', async () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const { disk, events } = await survivor(seed, 'killed', 3, 'unsynced');
      await recover(disk);
      assert.deepEqual(await opened(disk.afterPowerCut()), events, `SEED=${seed}`);
    }
  });

  it('is another cluster, in a new epoch, without the others', async () => {
    const { disk } = await survivor(1);
    const before = await readAssignment(disk, DIRECTORY);
    assert.ok(before !== null);
    const { newCluster, lostMembers } = await recover(disk);
    const identity = await readIdentity(disk, DIRECTORY);
    const after = await readAssignment(disk, DIRECTORY);
    assert.ok(after !== null && identity !== null);
    assert.notEqual(newCluster, before.clusterId);
    assert.deepEqual([identity.clusterId, after.clusterId], [newCluster, newCluster]);
    assert.deepEqual([after.epoch, after.version], [2, 2]);
    assert.deepEqual(after.members, [{ id: identity.memberId, index: 0, address: 'a:1' }]);
    assert.deepEqual(
      [after.removed, lostMembers],
      [
        ['other-0', 'other-2'],
        ['other-0', 'other-2'],
      ],
    );
    assert.deepEqual(after.buckets[0]?.origin, before.clusterId);
    const copy = await readAssignment(disk, DIRECTORY, 'assignment.json.before-recover');
    assert.deepEqual(copy, before);
    await assert.rejects(recover(disk), /is of a cluster of one: it needs nobody else/);
  });

  it('starts with others named, too, as what it is', async () => {
    const { disk } = await survivor(1);
    const { newCluster } = await recover(disk);
    const claim = { directory: DIRECTORY, index: 0, peers: ['a:1', 'a:2'], counts: {} };
    const claimed = await claimDirectory({ ...claim, files: disk, random: seededRandom(1) });
    assert.equal(claimed.assignment?.clusterId, newCluster);
    await claimed.lock.release();
  });

  it('is left as it is until it is told to', async () => {
    const { disk, events } = await survivor(1, 'killed');
    const contents = (): Buffer[] => disk.paths().map((path) => disk.bytes(path));
    const before = contents();
    const { applied, newCluster, buckets } = await recover(disk, { apply: false });
    assert.deepEqual([applied, newCluster], [false, null]);
    assert.deepEqual(
      buckets.map((bucket) => bucket.events),
      events.map((list) => list.length),
    );
    assert.deepEqual(contents(), before);
  });

  it('gives up buckets that it does not hold only when told so', async () => {
    const { disk, events } = await survivor(1, 'stopped', 1);
    assert.deepEqual(events[0], []);
    const { missing } = await recover(disk, { apply: false });
    assert.deepEqual(missing, [0]);
    await assert.rejects(recover(disk), /does not hold bucket 0, .* say --lose-missing/);
    const { applied } = await recover(disk, { loseMissing: true });
    assert.ok(applied);
    const assignment = await readAssignment(disk, DIRECTORY);
    assert.deepEqual(
      assignment?.buckets.map(({ origin }) => origin),
      [undefined, 'old-cluster'],
    );
    assert.deepEqual(await opened(disk), events);
  });

  it('does not hold a bucket of whose group it has never heard', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    const member = await MemberDisk.open(disk, { seed: 1, factor: 1 });
    await member.fill(40);
    await member.begin(0);
    await member.close();
    await assert.rejects(recover(disk), /does not hold bucket 0, .* say --lose-missing/);
    const { missing, buckets } = await recover(disk, { loseMissing: true });
    assert.deepEqual([missing, buckets.map(({ bucket }) => bucket)], [[0], [1]]);
    assert.deepEqual(await opened(disk), [[], member.events(1)]);
  });

  it('says where it has been a learner, or has left', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 });
    const member = await MemberDisk.open(disk, { seed: 1, factor: 1 });
    await member.begin(0);
    const roles = ['nobody', 'learner', 'voter', 'left'] as const;
    const told: (boolean | undefined)[] = [];
    for (const role of roles) {
      if (role === 'nobody') await member.fill(20);
      else await member.configure(0, role);
      const left = disk.afterProcessCrash();
      const { buckets } = await recover(left, { apply: false });
      told.push(buckets.find(({ bucket }) => bucket === 0)?.isLearner);
    }
    await member.close();
    assert.deepEqual(told, [true, true, false, true]);
  });

  it('is refused when it is none', async () => {
    const lone = new SimulatedFileSystem({ seed: 1 });
    const directory = await FilledDirectory.open(lone, DIRECTORY);
    await directory.close();
    await assert.rejects(recover(lone), /holds no assignment\.json/);
    const { disk } = await survivor(1);
    disk.flip(`${DIRECTORY}/buckets/00000/segments/0000000000.log`, 600, 1);
    for (const path of disk.paths().filter((name) => name.endsWith('.journal'))) {
      await disk.remove(path);
    }
    await assert.rejects(recover(disk), /is damaged, and part of its events would be lost/);
  });
});

describe('a recovery that is interrupted', () => {
  const first = Number(process.env['SEED'] ?? 1);
  // Each seed is some hundred walks through a directory: a thirtieth of what is asked of others.
  const seeds = Math.ceil(Number(process.env['SEEDS'] ?? 30) / 30);
  const count = process.env['SEED'] === undefined ? seeds : 1;

  for (const factor of [3, 1]) {
    it(`at any operation is finished by the next one: factor ${factor}`, async () => {
      for (let seed = first; seed < first + count; seed += 1) {
        try {
          await interruptEverywhere(seed, factor);
        } catch (error) {
          throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
        }
      }
    });
  }
});

async function interruptEverywhere(seed: number, factor: number): Promise<void> {
  const { disk, events } = await survivor(seed, 'killed', factor, 'as it is', 80);
  const whole = disk.clone();
  await recover(whole, { loseMissing: true });
  const operations = whole.history.length;
  for (let at = 1; at <= operations; at += 1) {
    const crashing = disk.clone({ seed: seed + at });
    crashing.crashAfter(at);
    await Promise.race([recover(crashing, { loseMissing: true }), crashing.crashed]);
    const left = at % 2 === 0 ? crashing.afterPowerCut() : crashing.afterProcessCrash();
    await finish(left, events, `crash at ${at} of ${operations}`);
  }
}

/** What is left is the old member, or half a recovery that no node takes for anything else, or a cluster of one. */
async function finish(
  left: SimulatedFileSystem,
  events: readonly FilledEvent[][],
  where: string,
): Promise<void> {
  const begun = await readAssignment(left, DIRECTORY, RECOVER_FILE);
  const assignment = await readAssignment(left, DIRECTORY);
  if (begun !== null) {
    const start = FilledDirectory.open(left, DIRECTORY);
    await assert.rejects(start, /is half of what "sierradb cluster recover" makes of it/, where);
    const { isResumed, newCluster } = await recover(left);
    assert.deepEqual([isResumed, newCluster], [true, begun.clusterId], where);
  } else if (assignment?.members.length === 3) {
    await recover(left, { loseMissing: true });
  }
  assert.deepEqual(await opened(left), events, where);
}
