/** What a member without a majority takes must fit a checkpoint of its journal, whatever clients send. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { SierraError } from '../../../common/errors.ts';
import { MemoryCluster } from './testing/memory-cluster.ts';
import { append, draft, streams } from './testing/routed-events.ts';

const PAYLOAD = 'x'.repeat(512 * 1024);

test('a leader that reaches nobody refuses more than a checkpoint could repeat', async () => {
  await using cluster = await MemoryCluster.open({ bucketCount: 1, requestTimeoutMs: 2_000 });
  await cluster.led();
  const leader = cluster.leader(0);
  assert(leader !== null);
  for (const member of cluster.members) member.isCutOff = member !== leader;
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      append(leader.router, draft(streams[i % streams.length] as string, PAYLOAD)).catch(
        (error: unknown) => error,
      ),
    ),
  );
  const codes = outcomes.map((outcome) => (outcome instanceof SierraError ? outcome.code : 'ok'));
  const begun = codes.filter((code) => code === 'QUORUMFAILED').length;
  assert(begun <= 10, `${String(begun)} of 40 were begun: ${codes.join(' ')}`);
  assert(!codes.includes('ok'), 'nothing is acknowledged without a majority');
  for (const member of cluster.members) member.isCutOff = false;
  await cluster.led();
  const after = await append(cluster.member(0).router, draft('after'));
  assert.equal(after.events[0]?.version, 0);
});

test('the largest append waits its turn among others, on every bucket', async () => {
  await using cluster = await MemoryCluster.open({ bucketCount: 4 });
  await cluster.led();
  const { router } = cluster.member(0);
  // A quarter of the journal's file is 4 MiB; the frame has some bytes besides.
  const largest = 'y'.repeat(4 * 1024 * 1024 - 1024);
  let isDone = false;
  const small = streams.map(async (stream) => {
    let count = 0;
    for (; !isDone; count += 1) await append(router, draft(stream, 'x'.repeat(100)));
    return count;
  });
  const versions: (number | undefined)[] = [];
  for (let i = 0; i < 3; i += 1) {
    const appended = await Promise.all(
      ['large-a', 'large-b', 'large-c'].map((stream) => append(router, draft(stream, largest))),
    );
    versions.push(...appended.map(({ events }) => events[0]?.version));
  }
  isDone = true;
  assert.deepEqual(versions, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
  assert((await Promise.all(small)).every((count) => count > 0));
});
