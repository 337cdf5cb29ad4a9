import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { LogCopies, type SegmentSource } from './log-copies.ts';
import type { ReplicaId } from './raft/types.ts';
import { type DifferingSegment, SegmentDigests } from './segment-digests.ts';
import { listSegments, readSegment } from './segment-serving.ts';
import { TestGroup } from './testing/test-group.ts';

const [LEADER, FOLLOWER, OTHER] = ['01'.repeat(8), '02'.repeat(8), '03'.repeat(8)] as const;

const sourceOf = ({ group }: TestGroup): SegmentSource => ({
  segments: () => Promise.resolve(listSegments(group.log)),
  read: async (_member, _bucket, segment, from, to) =>
    (await readSegment(group.log, segment, from, to)) ?? assert.fail('no such segment'),
});

const memberOf = (_bucket: number, replica: ReplicaId): string | null =>
  replica === LEADER ? 'leader' : null;

/** 500 frames, of which the 200th may be another one; four segments, of which three are sealed. */
async function written(fill: string): Promise<TestGroup> {
  const replica = await TestGroup.open(LEADER, [LEADER]);
  await replica.append(199, 'a');
  await replica.append(1, fill);
  await replica.append(300, 'a');
  await sealed(replica);
  return replica;
}

async function sealed({ group }: TestGroup): Promise<void> {
  while (group.log.young.length > 1) await new Promise(setImmediate);
}

/** A replica that has copied everything of `source`, and follows the leader. */
async function followerOf(source: TestGroup): Promise<TestGroup> {
  const follower = await TestGroup.open(FOLLOWER, [FOLLOWER, LEADER, OTHER]);
  const { group } = follower;
  const copies = new LogCopies(sourceOf(source), () => 'leader');
  copies.begin(group, LEADER, source.group.log.committedIndex);
  while (copies.active > 0) await new Promise(setImmediate);
  await group.log.settle();
  await sealed(follower);
  const { term } = group.core;
  const ids = { from: LEADER, to: FOLLOWER, term } as const;
  const bytes = Buffer.alloc(0);
  const message = { kind: 'heartbeat', ...ids, commit: 0, round: 1 } as const;
  group.receive({ bucket: 0, message, bytes, framesAt: 0, framesEnd: 0 });
  assert.equal(group.leader, LEADER);
  return follower;
}

interface Compared {
  readonly digests: SegmentDigests;
  readonly found: DifferingSegment[];
}

async function compared(follower: TestGroup, leader: TestGroup, times: number): Promise<Compared> {
  const found: DifferingSegment[] = [];
  const digests = new SegmentDigests(sourceOf(leader), memberOf, {
    random: seededRandom(1),
    now: () => 5000,
    onDiffers: (one) => found.push(one),
  });
  for (let i = 0; i < times; i += 1) await digests.compareNext([follower.group]);
  await digests.close();
  return { digests, found };
}

test('replicas with the same events do not differ', async () => {
  const leader = await written('a');
  const follower = await followerOf(leader);
  assert(follower.group.log.sealed.segments.length >= 3);
  const { digests, found } = await compared(follower, leader, 3);
  assert.deepEqual(found, []);
  const { comparisons, mismatches, differing, comparedAtMs } = digests;
  assert.deepEqual([comparisons, mismatches, differing, comparedAtMs], [3, 0, 0, 5000]);
  await Promise.all([leader.close(), follower.close()]);
});

test('a whole frame that is another one is told of once, and counts', async () => {
  const [leader, other] = await Promise.all([written('a'), written('b')]);
  const follower = await followerOf(other);
  const { digests, found } = await compared(follower, leader, 3);
  // The checksums are chained: what follows differs, too.
  assert.deepEqual(
    found.map(({ bucket, segment, member }) => [bucket, segment, member]),
    [
      [0, 1, 'leader'],
      [0, 2, 'leader'],
    ],
  );
  const { mismatches, differing, comparisons } = digests;
  assert.deepEqual([mismatches, differing, comparisons], [2, 2, 3]);
  await Promise.all([leader.close(), other.close(), follower.close()]);
});

test('who does not answer, or has no digests, says nothing', async () => {
  const leader = await written('a');
  const follower = await followerOf(leader);
  const answers: SegmentSource['segments'][] = [
    () => Promise.reject(new Error('away')),
    () =>
      Promise.resolve(listSegments(leader.group.log).map(({ segment }) => ({ segment, bytes: 1 }))),
  ];
  const found: DifferingSegment[] = [];
  const digests = new SegmentDigests(
    { segments: (...asked) => (answers.shift() ?? assert.fail())(...asked) },
    memberOf,
    { random: seededRandom(1), now: () => 5000, onDiffers: (one) => found.push(one) },
  );
  await digests.compareNext([follower.group]);
  assert.equal(digests.comparisons, 0);
  await digests.compareNext([follower.group]);
  assert.deepEqual([digests.comparisons, found.length], [1, 0]);
  await Promise.all([leader.close(), follower.close()]);
});
