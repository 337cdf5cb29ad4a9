import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  type Assignment,
  firstAssignment,
  type Member,
  replicaIdOf,
} from '../../../common/assignment.ts';
import { seededRandom } from '../../../common/random.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { readAssignment } from './assignment-file.ts';
import { ClusterNode, type GroupStore } from './cluster-node.ts';
import { ClusterRefusal, type Sender } from './types.ts';

const counts = { bucketCount: 2, partitionCount: 8 };
// Nobody listens there: port 1 needs rights, and no test gives any.
const peers = ['127.0.0.1:1', '127.0.0.1:1', '127.0.0.1:1'];

interface Bench {
  readonly files: MemoryFileSystem;
  readonly node: ClusterNode;
  readonly members: readonly Member[];
  readonly assignment: Assignment;
  readonly log: string[];
}

/** Node 1 of three; the others are only spoken of. */
async function open(
  files: MemoryFileSystem = new MemoryFileSystem(),
  given: readonly string[] = peers,
): Promise<Bench> {
  const log: string[] = [];
  const write = (_facts: object, sentence: string): void => void log.push(sentence);
  const node = await ClusterNode.open({
    ...{
      directory: '/d',
      index: 1,
      peers: given,
      factor: 3,
      counts,
      secret: null,
      version: '1.0.0',
    },
    ...{ files, random: seededRandom(3), log: { info: write, warn: write, error: write } },
    state: () => 'forming',
  });
  const { member } = node.status();
  const members = peers.map((address, index) => ({
    ...{ id: index === 1 ? member : `other-${index}`, index, address },
  }));
  const assignment = firstAssignment('c', { ...counts, factor: 3 }, members);
  return { files, node, members, assignment, log };
}

const sender = (member: string, changes: Partial<Sender> = {}): Sender => ({
  ...{ member, cluster: 'c', boot: 3, ...counts },
  ...changes,
});

function refuses(action: () => void, reason: RegExp): void {
  assert.throws(action, (error) => error instanceof ClusterRefusal && reason.test(error.message));
}

describe('a member', () => {
  it('is fresh, then of the cluster that took it in, also after a restart', async () => {
    const { node, assignment, files } = await open();
    assert.deepEqual(
      [node.status().cluster, node.status().assignment, node.status().state],
      [null, null, 'forming'],
    );
    const formed = node.formed();
    await node.putAssignment({ replaces: 0, assignment });
    await formed;
    assert.equal(node.status().cluster, 'c');
    assert.deepEqual(await readAssignment(files, '/d'), assignment);
    await node.close();

    const { node: again } = await open(files);
    await again.formed();
    assert.deepEqual([again.assignment, again.self.index], [assignment, 1]);
    await again.close();
  });

  it('never forms by itself where it knows no peers', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { node, assignment, files, log } = await open(undefined, []);
    const formed = node.formed();
    t.mock.timers.tick(60_000);
    assert.deepEqual(log, ['this disk is fresh: the operator is to send an assignment']);
    const { member, index, cluster, state } = node.status();
    assert.deepEqual([index, cluster, state], [1, null, 'forming']);
    assert.equal(assignment.members[1]?.id, member);
    await node.putAssignment({ replaces: 0, assignment });
    await formed;
    await node.close();

    const { node: again, log: said } = await open(files, []);
    await again.formed();
    assert.equal(again.assignment.clusterId, 'c');
    assert.deepEqual(said, []);
    await again.close();
  });

  it('ends the wait for an operator when it is closed', async () => {
    const { node } = await open(undefined, []);
    const formed = node.formed();
    await node.close();
    await assert.rejects(formed);
  });

  it('follows nothing that is not durable', async () => {
    const { node, assignment, files } = await open();
    const taking = node.putAssignment({ replaces: 0, assignment });
    assert.equal(node.status().cluster, null);
    await taking;
    assert.deepEqual(await readAssignment(files, '/d'), assignment);
    await node.close();
  });

  it('takes one of two that come at the same time', async () => {
    const { node, assignment } = await open();
    const other = { ...assignment, clusterId: 'd' };
    const results = await Promise.allSettled([
      node.putAssignment({ replaces: 0, assignment }),
      node.putAssignment({ replaces: 0, assignment: other }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected'],
    );
    assert.equal(node.assignment.clusterId, 'c');
    await node.close();
  });

  it('refuses what is no assignment', async () => {
    const { node } = await open();
    const update = { replaces: 0, assignment: { clusterId: 'c' } as unknown as Assignment };
    await assert.rejects(node.putAssignment(update), { message: 'it is no assignment' });
    await node.close();
  });

  it('ends its wait for a cluster when it is closed', async () => {
    const { node } = await open();
    const formed = node.formed();
    await node.close();
    await assert.rejects(formed);
  });
});

describe('who is let in', () => {
  it('is everybody while the disk is fresh, and fresh disks later', async () => {
    const { node, assignment } = await open();
    node.admit(sender('anybody', { cluster: 'x' }));
    await node.putAssignment({ replaces: 0, assignment });
    node.admit(sender('anybody', { cluster: null, boot: 0 }));
    await node.close();
  });

  it('are members of this cluster, with its counts, whose starts only grow', async () => {
    const { node, assignment } = await open();
    await node.putAssignment({ replaces: 0, assignment });
    node.admit(sender('other-0'));
    node.admit(sender('other-0', { boot: 5 }));
    refuses(() => node.admit(sender('other-0', { boot: 4 })), /start 4 after start 5/);
    node.admit(sender('other-2', { boot: 1 }));
    refuses(() => node.admit(sender('other-2', { cluster: 'x' })), /belongs to cluster x/);
    refuses(() => node.admit(sender('anybody')), /^member anybody is not in assignment 1$/);
    refuses(() => node.admit(sender('other-2', { bucketCount: 3 })), /has 3 buckets/);
    await node.close();
  });
});

/** A group of which only the leader matters. */
function groupOf(bucket: number, group: { state: string; leader: string | null }): RaftGroup {
  const log = { bucket, quarantined: false };
  const core = { configuration: { voters: ['own'], outgoing: [], learners: [] } };
  return { ...group, replicaId: 'own', log, core, tick: () => undefined } as unknown as RaftGroup;
}

describe('the leader of a bucket', () => {
  it('is who the group follows, or this member when it answers', async () => {
    const { node, assignment, members } = await open();
    await node.putAssignment({ replaces: 0, assignment });
    const replica = assignment.buckets[0]?.replicas.find(({ member }) => member === 'other-2');
    assert.ok(replica !== undefined);
    const other = replicaIdOf('c', 0, replica).toString('hex');
    let group = { state: 'following', leader: null as string | null };
    const store: GroupStore = {
      group: (bucket) => (bucket === 0 ? groupOf(bucket, group) : undefined),
      groups: () => [],
      addReplica: () => assert.fail('not asked for'),
      removeReplica: () => assert.fail('not asked for'),
    };
    await node.openStore(() => Promise.resolve(store));
    assert.equal(node.leaderOf(0), null);
    const changed = node.leaderChange(0, new AbortController().signal);
    group = { state: 'following', leader: other };
    node.receive(Buffer.alloc(0));
    await changed;
    assert.equal(node.leaderOf(0), 'other-2');
    group = { state: 'following', leader: 'own' };
    assert.equal(node.leaderOf(0), null);
    group = { state: 'leading', leader: 'own' };
    assert.equal(node.leaderOf(0), members[1]?.id);
    // One that was damaged when it was opened hears of nobody.
    group = { state: 'starting', leader: null };
    assert.equal(node.leaderOf(0), assignment.buckets[0]?.preferred);
    assert(node.lacksBuckets);
    // No replica of it is here, and nobody has told of a leader.
    assert.equal(node.leaderOf(1), assignment.buckets[1]?.preferred);
    await node.close();
  });
});
