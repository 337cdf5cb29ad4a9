/** Groups of three members over real HTTP: what the parts below promise, put together. */
import assert from 'node:assert/strict';
import test from 'node:test';

import type { RaftGroup } from '../replication/raft-group.ts';
import { listSegments, readSegment } from '../replication/segment-serving.ts';
import { TestMembers } from './testing/members.ts';

const BUCKETS = [0, 1];
const KIB = 1024;
const keyOf = (n: number): Buffer => Buffer.alloc(16, n);

const small = { bucketCount: 2, partitionCount: 8, segmentBytes: 128 * KIB };

async function everyBucketLeads(members: TestMembers): Promise<void> {
  await members.until(() => BUCKETS.every((bucket) => members.leader(bucket) !== undefined));
}

async function append(members: TestMembers, count: number, payloadBytes: number): Promise<void> {
  const payload = Buffer.alloc(payloadBytes, 'x');
  await Promise.all(
    Array.from({ length: 16 }, async (_, client) => {
      for (let i = 0; i < count / 16; i += 1) await members.append(keyOf(client), payload);
    }),
  );
}

/** Everything committed, as it stands in the files. */
async function contents(group: RaftGroup): Promise<Buffer> {
  const { log } = group;
  // Segments hold what is committed, and durable here.
  await group.durable(log.committedIndex);
  await log.settle();
  const parts: Buffer[] = [];
  for (const { segment, bytes } of listSegments(log)) {
    parts.push((await readSegment(log, segment, 0, bytes)) ?? assert.fail());
  }
  return Buffer.concat(parts);
}

async function assertSameLogs(members: TestMembers): Promise<void> {
  for (const bucket of BUCKETS) {
    const groups = members.groups(bucket);
    await members.until(() => new Set(groups.map(({ log }) => log.committedIndex)).size === 1);
    const [first, ...others] = await Promise.all(groups.map(contents));
    assert(first !== undefined && first.length > 0);
    for (const other of others) assert(first.equals(other), `bucket ${String(bucket)} differs`);
  }
}

test('three members elect, append, go on without one, and end with the same bytes', async () => {
  const members = await TestMembers.open({ count: 3, ...small });
  try {
    await everyBucketLeads(members);
    await append(members, 160, 100);
    await assertSameLogs(members);

    await members.stop('m0');
    await everyBucketLeads(members);
    await append(members, 160, 100);
    await members.start('m0');
    await assertSameLogs(members);
  } finally {
    await members.close();
  }
});

test('a member that was away for many segments copies them', async () => {
  const members = await TestMembers.open({ count: 3, ...small });
  try {
    await everyBucketLeads(members);
    await append(members, 160, 100);
    await members.stop('m1');
    await everyBucketLeads(members);
    await append(members, 3200, 2 * KIB);
    const { network } = await members.start('m1');
    await assertSameLogs(members);
    assert(network.copies.bytes > 3000 * KIB, 'it copied');
    assert.equal(network.copies.failures, 0);
    await append(members, 160, 100);
    await assertSameLogs(members);
  } finally {
    await members.close();
  }
});
