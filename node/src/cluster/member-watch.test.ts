/** Who is sent the assignment, and what is said of those who do not take it. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { type Assignment, digestOf, firstAssignment } from '../../../common/assignment.ts';
import type { AssignmentUpdate, NodeStatus } from '../../../common/cluster-contract.ts';
import type { ClusterNode } from './cluster-node.ts';
import { MemberWatch } from './member-watch.ts';

const members = [0, 1].map((index) => ({ id: `m${index}`, index, address: `h:${index}` }));
const counts = { bucketCount: 1, partitionCount: 1, factor: 2 };
const first = firstAssignment('c', counts, members);
const second: Assignment = { ...first, version: 2 };
const others: Assignment = { ...second, removed: ['m7'] };

type Refused = Promise<never>;

/** What m0, which has the second assignment, does about m1, which has `theirs`. */
async function look(theirs: Assignment): Promise<{ sent: AssignmentUpdate[]; told: string[] }> {
  const { epoch, version } = theirs;
  const assignment = { epoch, version, digest: digestOf(theirs) };
  const status: Partial<NodeStatus> = { member: 'm1', assignment, buckets: [] };
  const sent: AssignmentUpdate[] = [];
  const told: string[] = [];
  const looked = Promise.withResolvers<void>();
  const peers = {
    get: () => Promise.resolve(Buffer.from(JSON.stringify(status))),
    put: (...[, , body]: [string, string, Buffer]) => {
      sent.push(JSON.parse(body.toString()) as AssignmentUpdate);
      return Promise.resolve();
    },
    run: (): Refused => assert.fail('not asked for'),
  };
  const node = { assignment: second, self: members[0], peers, lacksBuckets: false };
  const log = {
    info: () => undefined,
    warn: () => undefined,
    error: (facts: object) => void told.push((facts as { reason: string }).reason),
  };
  const events = { learnt: () => looked.resolve(), refused: () => assert.fail('nobody refuses') };
  const watch = new MemberWatch(node as unknown as ClusterNode, log, events);
  watch.expect(second);
  watch.start();
  await looked.promise;
  watch.stop();
  return { sent, told };
}

test('a member with an older assignment is sent the present one', async () => {
  const { sent, told } = await look(first);
  assert.deepEqual(sent, [{ replaces: 1, assignment: second }]);
  assert.deepEqual(told, []);
});

test('one that has it, or a newer one, is left alone', async () => {
  for (const theirs of [second, { ...second, version: 3 }]) {
    assert.deepEqual(await look(theirs), { sent: [], told: [] });
  }
});

test('that another one of the same version is followed is told as an error', async () => {
  const { sent, told } = await look(others);
  assert.deepEqual(sent, []);
  assert.match(told.join(), /^node 1 at h:1 follows another assignment of version 2: [0-9a-f]{64}/);
});
