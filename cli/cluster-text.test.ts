import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { NodeStatus, ReplicaStatus } from '../common/cluster-contract.ts';
import type { MemberStatus } from './cluster-requests.ts';
import { clusterJson, clusterTable } from './cluster-text.ts';

const members = [0, 1, 2].map((index) => ({
  id: `m${index}`,
  index,
  address: `127.0.0.1:919${index}`,
}));

function replica(changes: Partial<ReplicaStatus>): ReplicaStatus {
  return {
    ...{ bucket: 0, replica: 'r', role: 'follower', term: 3, leader: 'm1' },
    ...{ commit: 1200, applied: 1200, last: 1200, health: 'ok' },
    ...{ voters: ['m0', 'm1', 'm2'], learners: [], lag: {} },
    ...changes,
  };
}

function status(index: number, buckets: readonly ReplicaStatus[]): NodeStatus {
  return {
    ...{ member: `m${index}`, index, cluster: 'c', version: '1.0.0', boot: 4, state: 'serving' },
    assignment: { epoch: 1, version: 1, digest: 'd' },
    ...{ members, bucketCount: 1, partitionCount: 32, buckets },
  };
}

/** Node 1 leads, node 2 is away, node 0 is behind and still thinks that it leads. */
function cluster(): [NodeStatus, MemberStatus[]] {
  const first = status(0, [replica({ role: 'leader', term: 2, commit: 1000 })]);
  const leader = status(1, [
    replica({ role: 'leader', lag: { m0: 1200, m2: 0 }, progress: { m0: 'copy', m2: 'stream' } }),
  ]);
  const statuses = [first, leader, null];
  const told = members.map((member, index) => ({
    ...member,
    status: statuses[index] ?? null,
    error: index === 2 ? 'refused' : null,
  }));
  return [first, told];
}

describe('the state of a cluster', () => {
  it('is a table', () => {
    assert.equal(
      clusterTable(...cluster()),
      `cluster     c
assignment  version 1, epoch 1
partitions  32 in 1 buckets

node  address         state                 leads   behind  start  version  member
0     127.0.0.1:9190  serving               0 of 1  1,200   4      1.0.0    m0
1     127.0.0.1:9191  serving               1 of 1  0       4      1.0.0    m1
2     127.0.0.1:9192  unreachable: refused          0                       m2

bucket  leader  term  committed  behind  replicas
0       node 1  3     1,200      1,200   node 0 (copies segments, 1,200 behind), node 1, node 2 (unreachable)`,
    );
  });

  it('is JSON', () => {
    const { cluster: id, buckets } = JSON.parse(clusterJson(...cluster())) as {
      cluster: string;
      buckets: unknown[];
    };
    assert.equal(id, 'c');
    assert.deepEqual(buckets, [
      {
        ...{ bucket: 0, leader: 'm1', term: 3, commit: 1200 },
        replicas: [
          { member: 'm0', role: 'leader', lag: 1200, progress: 'copy', health: 'ok' },
          { member: 'm1', role: 'leader', lag: 0, progress: null, health: 'ok' },
          { member: 'm2', role: 'unreachable', lag: 0, progress: 'stream', health: null },
        ],
      },
    ]);
  });

  it('may be that there is none yet', () => {
    const forming: NodeStatus = {
      ...{ ...status(0, []), cluster: null, assignment: null, state: 'forming' },
    };
    const table = clusterTable(forming, [
      { ...members[0], status: forming, error: null } as MemberStatus,
    ]);
    assert.match(table, /^cluster {5}none yet: the nodes are forming\n/);
    assert.match(table, /127\.0\.0\.1:9190 {2}forming {2}0 of 0/);
  });
});
