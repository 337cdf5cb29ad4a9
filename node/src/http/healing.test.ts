/** Damaged replicas heal from the others over real HTTP, while the members serve. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { partitionHash } from '../../../common/ids.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import { listSegments, readSegment } from '../replication/segment-serving.ts';
import type { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { segmentFileName, segmentsFolder } from '../storage/names.ts';
import { TestMembers } from './testing/members.ts';

const KIB = 1024;
const FOLDER = segmentsFolder('/disk', 0);
const PARTITIONS = 4;
const keyOf = (n: number): Buffer => Buffer.alloc(16, n);

async function append(members: TestMembers, count: number): Promise<void> {
  const payload = Buffer.alloc(2 * KIB, 'x');
  await Promise.all(
    Array.from({ length: 8 }, async (_, client) => {
      for (let i = 0; i < count / 8; i += 1) await members.append(keyOf(client), payload);
    }),
  );
}

const groupOf = (members: TestMembers, name: string): RaftGroup =>
  members.members.get(name)?.store.group(0) ?? assert.fail(`${name} is not there`);

const hasLeader = (members: TestMembers) => (): boolean => members.leader(0) !== undefined;

/** Everything committed, as it stands in the files. */
async function contents(group: RaftGroup): Promise<Buffer> {
  await group.durable(group.log.committedIndex);
  await group.log.settle();
  const parts: Buffer[] = [];
  for (const { segment, bytes } of listSegments(group.log)) {
    parts.push((await readSegment(group.log, segment, 0, bytes)) ?? assert.fail());
  }
  return Buffer.concat(parts);
}

async function assertSameLogs(members: TestMembers): Promise<void> {
  const groups = members.groups(0);
  await members.until(() => new Set(groups.map(({ log }) => log.committedIndex)).size === 1);
  const [first, ...others] = await Promise.all(groups.map(contents));
  for (const other of others) assert(first?.equals(other), 'the logs differ');
}

/** Reads every event, through the indexes; returns what the store says of its streams and partitions. */
async function assertReadable(members: TestMembers, name: string, each: number): Promise<void> {
  const { store } = members.members.get(name) ?? assert.fail();
  const { partitionCount } = members.options;
  const events = new Map<number, number>();
  for (let client = 0; client < 8; client += 1) {
    const partitionKey = keyOf(client);
    const streamId = Buffer.from(partitionKey.toString('hex'));
    const partition = partitionHash(partitionKey) % partitionCount;
    events.set(partition, (events.get(partition) ?? 0) + each);
    assert.equal(await store.streamVersion(streamId, partitionKey), each - 1);
    let found = 0;
    for (let more = true; more;) {
      const range = { streamId, partitionKey, from: found, to: each };
      ({ hasMore: more } = await store.readStream(range, () => {
        found += 1;
        return true;
      }));
    }
    assert.equal(found, each);
  }
  for (const [partition, count] of events) {
    assert.equal(store.partitionSequence(partition), count - 1);
  }
}

async function flipByte(files: MemoryFileSystem, segment: number, offset: number): Promise<void> {
  const file = await files.open(`${FOLDER}/${segmentFileName(segment)}`, 'open');
  const byte = Buffer.alloc(1);
  await file.read(byte, offset);
  await file.write(Buffer.of((byte[0] as number) ^ 1), offset);
  await file.close();
}

/** What a stop leaves beside the segments would hide the damage from the start. */
async function removeDerived(files: MemoryFileSystem): Promise<void> {
  for (const name of await files.list(FOLDER)) {
    if (!name.endsWith('.log')) await files.remove(`${FOLDER}/${name}`);
  }
}

async function withMembers(run: (members: TestMembers) => Promise<void>): Promise<void> {
  const members = await TestMembers.open({
    ...{ count: 3, bucketCount: 1, partitionCount: PARTITIONS, segmentBytes: 128 * KIB },
  });
  try {
    await members.until(hasLeader(members));
    await append(members, 320);
    await run(members);
  } finally {
    await members.close();
  }
}

type Hurt = (files: MemoryFileSystem, last: number) => Promise<void>;

const hurts: Record<string, Hurt> = {
  'a changed byte in a sealed segment': async (files) => flipByte(files, 1, 5000),
  'a changed byte in the last segment': async (files, last) => flipByte(files, last, 300),
  'a changed byte in the header of the last segment': async (files, last) =>
    flipByte(files, last, 30),
  'segments that are missing': async (files) => {
    for (const segment of [0, 2]) await files.remove(`${FOLDER}/${segmentFileName(segment)}`);
  },
  'all segments missing': async (files, last) => {
    for (let segment = 0; segment <= last; segment += 1) {
      await files.remove(`${FOLDER}/${segmentFileName(segment)}`);
    }
  },
  'a segment that was cut short': async (files) => {
    const file = await files.open(`${FOLDER}/${segmentFileName(2)}`, 'open');
    await file.truncate(7000);
    await file.close();
  },
};

for (const [what, hurt] of Object.entries(hurts)) {
  test(`${what}, found at the start: the replica heals and takes part`, () =>
    withMembers(async (members) => {
      const { segment: last } = groupOf(members, 'm1').log.committedEnd;
      await members.stop('m1');
      const files = members.disk('m1');
      await hurt(files, last);
      await removeDerived(files);
      await members.until(hasLeader(members));
      const { store } = await members.start('m1');
      assert(groupOf(members, 'm1').log.quarantined, 'the start has found it');
      // What is looked up while damage hides events is not believed later.
      for (let client = 0; client < 8; client += 1) {
        const key = keyOf(client);
        const version = async (): Promise<unknown> =>
          store.streamVersion(Buffer.from(key.toString('hex')), key);
        await version().catch((error: unknown) => assert.match(String(error), /damaged part/));
      }
      await members.until(() => groupOf(members, 'm1').state !== 'starting');
      assert(!groupOf(members, 'm1').log.quarantined);
      assert(!groupOf(members, 'm1').log.hidesFrames);
      await assertSameLogs(members);
      await assertReadable(members, 'm1', 40);
      await append(members, 80);
      await assertSameLogs(members);
      await assertReadable(members, 'm1', 50);
    }));
}

test('damage that a reader meets: a leader steps down, heals, and is a voter again', () =>
  withMembers(async (members) => {
    // What is in memory is not read from the files.
    await append(members, 480);
    const leader = members.leader(0) ?? assert.fail();
    const name = members.names.find((one) => groupOf(members, one) === leader) ?? assert.fail();
    await leader.log.settle();
    await members.until(() => leader.log.sealed.segments.length > 2);
    await flipByte(members.disk(name), 1, 5000);
    await assert.rejects(assertReadable(members, name, 100), { code: 'READERR' });
    assert(leader.log.quarantined);
    await members.until(() => leader.state !== 'leading');
    await members.until(() => !leader.log.quarantined && hasLeader(members)());
    // It counts: with another one away, it is needed for the majority.
    await members.stop(members.names.find((one) => one !== name) ?? assert.fail());
    await members.until(hasLeader(members));
    await append(members, 80);
    await assertSameLogs(members);
    await assertReadable(members, name, 110);
  }));
