/**
 * Situations in which a cluster without terms, log matching and commit indexes loses, freezes or forks what was acknowledged:
 * leaders that fall silent with an append under way, and come back without having been restarted.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { firstAssignment } from '../../../common/assignment.ts';
import { SierraError } from '../../../common/errors.ts';
import { replicaText } from '../replication/message-format.ts';
import { MemberDirectory } from './member-directory.ts';
import { MemoryCluster, type TestMember } from './testing/memory-cluster.ts';
import {
  append,
  collect,
  draft,
  rangeOf,
  streamOfBucket,
  turn,
  versionOf,
} from './testing/routed-events.ts';

const BUCKET = 0;

interface Scene {
  readonly stream: string;
  readonly leader: TestMember;
  readonly others: readonly [TestMember, TestMember];
}

async function scene(cluster: MemoryCluster): Promise<Scene> {
  await cluster.led();
  const leader = cluster.leader(BUCKET);
  assert(leader !== null);
  const others = cluster.members.filter((member) => member !== leader);
  const stream = streamOfBucket(leader.router, BUCKET);
  return { stream, leader, others: others as [TestMember, TestMember] };
}

const codeOf = (answer: Promise<unknown>): Promise<string> =>
  answer.then(
    () => 'done',
    (error: unknown) => (error instanceof SierraError ? error.code : String(error)),
  );

/** What each member has: as its leader says, and in its own copy once that has come as far. */
async function allSeen(cluster: MemoryCluster, stream: string, count: number): Promise<string[][]> {
  const seen: string[][] = [];
  for (const { router } of cluster.members) {
    const [told, own]: [string[], string[]] = [[], []];
    await router.readStream(rangeOf(router, stream), collect(told));
    while ((await versionOf(router.readOnly, stream)) !== count - 1) await turn();
    await router.readOnly.readStream(rangeOf(router, stream), collect(own));
    seen.push(told, own);
  }
  return seen;
}

async function assertSame(cluster: MemoryCluster, stream: string, count: number): Promise<void> {
  const [first, ...others] = await allSeen(cluster, stream, count);
  assert.equal(first?.length, count);
  for (const other of others) assert.deepEqual(other, first);
}

describe('an append without a majority', () => {
  test('blocks nobody when the others are back, and is there once at most', async () => {
    await using cluster = await MemoryCluster.open({ requestTimeoutMs: 300 });
    const { stream, leader, others } = await scene(cluster);
    await append(leader.router, draft(stream));
    for (const other of others) other.isCutOff = true;
    // The leader has it, and nobody else: whether it will be committed is not known.
    const orphan = codeOf(append(leader.router, draft(stream, 'orphan')));
    while (leader.store.group(BUCKET)?.state === 'leading') await turn();
    assert.equal(await orphan, 'QUORUMFAILED');
    for (const other of others) other.isCutOff = false;
    await cluster.led();
    const { events } = await append(others[0].router, draft(stream, 'next'));
    const count = (events[0]?.version ?? 0) + 1;
    assert(count === 2 || count === 3);
    await assertSame(cluster, stream, count);
  });
});

describe('who lacks what was acknowledged', () => {
  test('does not lead, and gets it', async () => {
    await using cluster = await MemoryCluster.open();
    const { stream, leader, others } = await scene(cluster);
    const [behind, other] = others;
    behind.isCutOff = true;
    await append(leader.router, draft(stream));
    leader.isCutOff = true;
    behind.isCutOff = false;
    // Of the two that are left one has the event; the other one asks to be elected first, and more often.
    const holder = other.store.group(BUCKET);
    assert(holder !== undefined);
    holder.core.isReluctant = true;
    await cluster.led();
    assert.equal(cluster.leader(BUCKET), other);
    await append(behind.router, draft(stream));
    leader.isCutOff = false;
    await assertSame(cluster, stream, 2);
  });
});

describe('a leader that was cut off', () => {
  test('acknowledges and shows nothing meanwhile, and follows without a restart', async () => {
    await using cluster = await MemoryCluster.open({ requestTimeoutMs: 400 });
    const { stream, leader, others } = await scene(cluster);
    await append(leader.router, draft(stream));
    leader.isCutOff = true;
    // It still takes itself for the leader: there are two for a moment.
    assert.equal(leader.store.group(BUCKET)?.state, 'leading');
    const forked = Array.from({ length: 10 }, () => codeOf(append(leader.router, draft(stream))));
    const read = codeOf(Promise.resolve(versionOf(leader.router, stream)));
    await cluster.led();
    for (let i = 0; i < 10; i += 1) await append(others[i % 2]?.router as never, draft(stream));
    assert.deepEqual(new Set(await Promise.all(forked)), new Set(['QUORUMFAILED']));
    assert.equal(await read, 'TRYAGAIN');
    leader.isCutOff = false;
    // Its own copy comes to what the others have acknowledged.
    await assertSame(cluster, stream, 11);
    await append(leader.router, draft(stream));
    await assertSame(cluster, stream, 12);
  });

  test('before it has told of a commit: it is visible everywhere without a further append', async () => {
    await using cluster = await MemoryCluster.open();
    const { stream, leader } = await scene(cluster);
    await append(leader.router, draft(stream));
    // In the same turn: nobody has been told that a majority has it.
    leader.isCutOff = true;
    await cluster.led();
    for (const { router } of cluster.members.filter((member) => member !== leader)) {
      assert.equal(await versionOf(router, stream), 0);
      while ((await versionOf(router.readOnly, stream)) === null) await turn();
    }
    leader.isCutOff = false;
    await assertSame(cluster, stream, 1);
  });
});

test('whom an assignment names as holders, and what members open, is the same', () => {
  for (let nodes = 1; nodes <= 9; nodes += 1) {
    for (let factor = 1; factor <= nodes; factor += 1) {
      for (const bucketCount of [1, 4, 8, 64]) {
        const members = Array.from({ length: nodes }, (_, index) => ({
          ...{ id: `m${String(index)}`, index, address: `h:${String(index)}` },
        }));
        const counts = { bucketCount, partitionCount: bucketCount, factor };
        const assignment = firstAssignment('c', counts, members);
        const directories = members.map(({ id }) => new MemberDirectory(assignment, id));
        const opened = directories.flatMap((directory) =>
          directory.plans().map(({ bucket, replicaId }) => `${bucket} ${replicaText(replicaId)}`),
        );
        const named = assignment.buckets.flatMap((_, bucket) =>
          directories[0]?.assigned(bucket).map((replica) => `${bucket} ${replica}`),
        );
        assert.deepEqual(opened.sort(), named.sort());
        assert.equal(opened.length, bucketCount * factor);
      }
    }
  }
});
