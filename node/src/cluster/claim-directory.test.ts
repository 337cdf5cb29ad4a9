import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { firstAssignment } from '../../../common/assignment.ts';
import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import { readIdentity, writeIdentity } from '../storage/identity.ts';
import { inlineIndexBuilds } from '../storage/index-builds.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { silentObserver } from '../storage/observer.ts';
import { Storage } from '../storage/storage.ts';
import { FilledDirectory, smallSettings } from '../storage/testing/filled-directory.ts';
import { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import { ASSIGNMENT_FILE, readAssignment, writeAssignment } from './assignment-file.ts';
import { claimDirectory, type DirectoryClaim, refuseMember } from './claim-directory.ts';
import { DIRECTORY, MemberDisk } from './testing/member-disk.ts';

const peers = ['a:0', 'a:1', 'a:2'];

class Bench {
  readonly files = new MemoryFileSystem();

  claim(index: number, changes: Partial<DirectoryClaim> = {}): ReturnType<typeof claimDirectory> {
    const claim = { directory: '/d', index, peers, counts: {}, random: seededRandom(7) };
    return claimDirectory({ ...claim, files: this.files, ...changes });
  }

  /** As a node that was started, and stopped. */
  async once(index: number): Promise<string> {
    const { identity, lock } = await this.claim(index);
    await lock.release();
    return identity.memberId;
  }

  /** As node 1 of a cluster. */
  async form(member: string): Promise<void> {
    const members = peers.map((address, index) => ({
      id: index === 1 ? member : `other-${index}`,
      index,
      address,
    }));
    const counts = { bucketCount: 4, partitionCount: 32, factor: 3 };
    await writeAssignment(this.files, '/d', firstAssignment('c', counts, members));
  }
}

describe('a directory', () => {
  it('keeps the member id that was drawn when it was new', async () => {
    const bench = new Bench();
    const member = await bench.once(1);
    const { identity, assignment, lock } = await bench.claim(1);
    assert.deepEqual([identity.memberId, identity.clusterId, assignment], [member, null, null]);
    await lock.release();
  });

  it('stays what it was claimed as, also in a power cut after the crash that made it so', async () => {
    const claim = { directory: '/d', index: 1, peers, counts: {}, random: seededRandom(5) };
    let disk = new SimulatedFileSystem({ seed: 5 });
    const first = await claimDirectory({ ...claim, files: disk });
    await disk.syncDirectory('/');
    // The start is counted, but the rename is not synced when the process dies.
    const started = { ...first.identity, bootCount: 1 };
    disk.failNext({ operation: 'syncDirectory', marksClean: false });
    await assert.rejects(writeIdentity(disk, '/d', started), { code: 'EIO' });
    disk.crash();
    disk = disk.afterProcessCrash();
    const claimed = await claimDirectory({ ...claim, files: disk });
    assert.equal(claimed.identity.bootCount, 1);
    disk.crash();
    for (let seed = 1; seed <= 16; seed += 1) {
      const cut = disk.afterPowerCut({ seed });
      assert.deepEqual(await readIdentity(cut, '/d'), started, `seed ${String(seed)}`);
    }
  });

  it('is claimed by one process', async () => {
    const bench = new Bench();
    const { lock } = await bench.claim(0);
    await assert.rejects(bench.claim(0), { reason: 'locked' });
    await lock.release();
  });

  it('stays locked when the store takes it over', async () => {
    const bench = new Bench();
    const { identity, lock } = await bench.claim(1);
    const { files } = bench;
    const storage = await Storage.open(
      '/d',
      { ...smallSettings, ...identity },
      {
        ...{ files, lock, clock: systemClock, random: seededRandom(1), observer: silentObserver },
        ...{ builds: inlineIndexBuilds(files), replicas: [], onFatal: () => undefined },
      },
    );
    await assert.rejects(files.lock('/d'), { code: 'ELOCKED' });
    await storage.close();
    await (await files.lock('/d')).release();
  });

  it('of a single node is none of a member', async () => {
    const bench = new Bench();
    await bench.once(0);
    const identity = await readIdentity(bench.files, '/d');
    assert.ok(identity !== null);
    await writeIdentity(bench.files, '/d', { ...identity, clusterId: 'x' });
    await assert.rejects(bench.claim(0), {
      reason: 'mismatch',
      message:
        '/d holds the data of a single node and cannot become one of 3; start it as what it is: sierradb --dir /d --node-count 1',
    });
  });

  it('of a member is none of a single node, nor of another index', async () => {
    const bench = new Bench();
    await bench.form(await bench.once(1));
    const command = 'start it as what it is: sierradb --dir /d --node-index 1 --node-count 3';
    await assert.rejects(refuseMember(bench.files, '/d'), {
      reason: 'mismatch',
      message: `/d is of node 1 of a cluster and cannot be a single node; ${command}`,
    });
    await assert.rejects(bench.claim(2), {
      message: `/d is of node 1 and cannot be node 2; ${command}`,
    });
    const { assignment, lock } = await bench.claim(1);
    assert.equal(assignment?.clusterId, 'c');
    await lock.release();
  });

  it('is told to be an operator’s where it is one', async () => {
    const bench = new Bench();
    const member = await bench.once(1);
    await bench.form(member);
    await assert.rejects(bench.claim(102, { peers: [] }), {
      message:
        '/d is of node 1 and cannot be node 102; start it as what it is: sierradb --dir /d --node-index 1 --set cluster.forming=operator',
    });
    const [first, second] = ['a:1', 'a:2'].map((address, at) => ({
      ...{ id: at === 0 ? member : 'other', index: 100 * (at + 1), address },
    }));
    const counts = { bucketCount: 4, partitionCount: 32, factor: 2 };
    await writeAssignment(bench.files, '/d', firstAssignment('c', counts, [first!, second!]));
    await assert.rejects(refuseMember(bench.files, '/d'), {
      message:
        '/d is of node 100 of a cluster and cannot be a single node; start it as what it is: sierradb --dir /d --node-index 100 --set cluster.forming=operator',
    });
    await (await bench.claim(100, { peers: [] })).lock.release();
  });

  it('of a member that has lost its assignment.json is nothing else', async () => {
    const files = new MemoryFileSystem();
    const member = await MemberDisk.open(files);
    await member.fill(3);
    await member.close();
    await files.remove(`${DIRECTORY}/${ASSIGNMENT_FILE}`);
    const message =
      '/data is of a member of a cluster, but its assignment.json is missing; copy that of any other member into it: it is the same on all of them';
    const claim = { directory: DIRECTORY, index: 1, peers, counts: {} };
    const random = seededRandom(1);
    await assert.rejects(claimDirectory({ ...claim, files, random }), { message });
    await refuseMember(files, DIRECTORY);
    await assert.rejects(FilledDirectory.open(files, DIRECTORY), { message });
    await writeAssignment(files, DIRECTORY, member.assignment);
    const { lock } = await claimDirectory({ ...claim, files, random });
    await lock.release();
  });

  it('with an assignment of others was put together from copies', async () => {
    const bench = new Bench();
    await bench.once(1);
    await bench.form('somebody');
    await assert.rejects(bench.claim(1), /is not in its assignment\.json/);
  });

  it('has the counts that it was made with', async () => {
    const bench = new Bench();
    await bench.once(1);
    await assert.rejects(
      bench.claim(1, { counts: { bucketCount: 8 } }),
      /was made with bucket\.count 4/,
    );
  });
});

describe('assignment.json', () => {
  it('is refused when anything in it was changed', async () => {
    const bench = new Bench();
    await bench.form(await bench.once(1));
    const whole = await readAssignment(bench.files, '/d');
    assert.equal(whole?.version, 1);
    const path = `/d/${ASSIGNMENT_FILE}`;
    const text = (await bench.files.readFile(path)).toString('utf8');
    for (const changed of [text.replace('a:2', 'a:3'), text.slice(0, 100), '']) {
      await bench.files.remove(path);
      const file = await bench.files.open(path, 'create');
      await file.write(Buffer.from(changed), 0);
      await file.close();
      await assert.rejects(readAssignment(bench.files, '/d'), {
        reason: 'damaged',
        message: '/d/assignment.json is damaged',
      });
    }
  });
});
