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
  const refused = codes.filter((code) => code === 'BUFFERFULL').length;
  assert(refused >= 30, `${String(refused)} of 40 were refused: ${codes.join(' ')}`);
  assert(!codes.includes('ok'), 'nothing is acknowledged without a majority');
  for (const member of cluster.members) member.isCutOff = false;
  await cluster.led();
  const after = await append(cluster.member(0).router, draft('after'));
  assert.equal(after.events[0]?.version, 0);
});
