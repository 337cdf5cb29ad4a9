import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { firstAssignment } from '../../../common/assignment.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { MemberDirectory } from './member-directory.ts';
import { Senders } from './senders.ts';
import { ClusterRefusal, RolledBackRefusal, type Sender, UnknownMemberRefusal } from './types.ts';

const counts = { bucketCount: 2, partitionCount: 8 };
const members = [0, 1, 2].map((index) => ({ id: `m${String(index)}`, index, address: '' }));
const directory = new MemberDirectory(
  firstAssignment('c', { ...counts, factor: 3 }, members),
  'm0',
);

/** A disk's start `boot`, with the ids of its last starts. */
const started = (boot: number, ...starts: string[]): Sender => ({
  ...{ member: 'm1', cluster: 'c', boot, starts },
  ...counts,
});

async function open(files: MemoryFileSystem): Promise<Senders> {
  await files.makeDirectory('/d');
  return Senders.read(files, '/d', (error) => assert.fail(String(error)));
}

/** Resolves when what was seen is durable. */
async function noted(senders: Senders): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  senders.hold(0, resolve);
  await promise;
}

const refuses = (senders: Senders, sender: Sender, reason: RegExp): void => {
  assert.throws(
    () => senders.admit(sender, directory),
    (error) => error instanceof RolledBackRefusal && reason.test(error.message),
  );
};

describe('starts of other disks', () => {
  it('are remembered by one that starts again', async () => {
    const files = new MemoryFileSystem();
    const senders = await open(files);
    senders.admit(started(6, 'a', 'b'), directory);
    await noted(senders);
    const again = await open(files);
    refuses(again, started(5, 'a'), /copied or rolled back: it comes with start 5 after start 6/);
    again.admit(started(6, 'a', 'b'), directory);
    again.admit(started(7, 'a', 'b', 'c'), directory);
  });

  it('count only when they are durable', async () => {
    const senders = await open(new MemoryFileSystem());
    const taken: number[] = [];
    assert(!senders.isBehind);
    senders.admit(started(1, 'a'), directory);
    assert(senders.isBehind);
    for (const n of [1, 2]) senders.hold(1, () => void taken.push(n));
    assert.deepEqual(taken, []);
    await noted(senders);
    assert.deepEqual(taken, [1, 2]);
    senders.admit(started(1, 'a'), directory);
    assert(!senders.isBehind);
  });

  it('do not count where they could not be written', async () => {
    const files = new MemoryFileSystem();
    await files.makeDirectory('/d');
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const senders = await Senders.read(files, '/gone', resolve);
    senders.admit(started(1, 'a'), directory);
    senders.hold(1, () => assert.fail('it was taken'));
    assert(/ENOENT/.test(String(await promise)));
    assert(senders.isBehind);
  });

  it('are another disk’s where an older state counts on under other ids', async () => {
    const senders = await open(new MemoryFileSystem());
    senders.admit(started(6, 'a', 'b'), directory);
    // The same number of starts, and after some more: it may be tried often before it is heard.
    refuses(senders, started(6, 'a', 'x'), /its start 6 was another one/);
    refuses(senders, started(8, 'a', 'x', 'y', 'z'), /its start 6 was another one/);
    senders.admit(started(8, 'b', 'c', 'd'), directory);
    // It names no starts, or all that it names are later: then the number has to do.
    senders.admit(started(9), directory);
    senders.admit(started(12, 'p', 'q'), directory);
  });

  it('are not asked of those who have no place here', async () => {
    const senders = await open(new MemoryFileSystem());
    assert.throws(() => senders.admit({ ...started(1), member: 'm9' }, directory), /is not in/);
    assert.throws(() => senders.admit({ ...started(1), cluster: 'x' }, directory), /belongs to/);
    assert(!senders.isBehind);
  });

  it('are strangers’ where the assignment may be older than they are, not where they have left', async () => {
    const senders = await open(new MemoryFileSystem());
    const left = new MemberDirectory({ ...directory.assignment, removed: ['m9'] }, 'm0');
    const faultOf = (known: MemberDirectory): unknown => {
      try {
        senders.admit({ ...started(1), member: 'm9' }, known);
      } catch (error) {
        return error;
      }
      return null;
    };
    assert(faultOf(directory) instanceof UnknownMemberRefusal);
    assert(faultOf(left) instanceof ClusterRefusal);
    assert(!(faultOf(left) instanceof UnknownMemberRefusal));
  });
});
