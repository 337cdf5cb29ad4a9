/** What a leader had in flight when it was replaced is forgotten where nobody has committed it. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { SierraError } from '../../../common/errors.ts';
import { MemoryCluster } from './testing/memory-cluster.ts';
import { append, draft, turn } from './testing/routed-events.ts';

test('a stream stands where it was when what was in flight came to nothing', async () => {
  await using cluster = await MemoryCluster.open({ bucketCount: 1 });
  await cluster.led();
  const leader = cluster.leader(0);
  assert(leader !== null);
  await append(leader.router, draft('a'));
  leader.isCutOff = true;
  await assert.rejects(
    append(leader.router, draft('a', 'in flight')),
    (error) => error instanceof SierraError && error.code === 'QUORUMFAILED',
  );
  while (cluster.leader(0) === null) await turn();
  leader.isCutOff = false;
  const replica = leader.store.group(0)?.replicaId ?? assert.fail();
  while (cluster.leader(0) !== leader) {
    cluster.leader(0)?.store.group(0)?.transfer(replica);
    await turn();
  }
  const { events } = await append(leader.router, draft('a', 'after it', { expected: 0 }));
  assert.equal(events[0]?.version, 1);
});
