/** When a copy is removed. Moves as a whole: `http/moves.test.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';

import {
  type Assignment,
  firstAssignment,
  type Member,
  replicaIdOf,
} from '../../../common/assignment.ts';
import type { ReplicaStatus } from '../../../common/cluster-contract.ts';
import { replicaText } from '../replication/message-format.ts';
import type { PeerRequests } from '../replication/peer-requests.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import type { ReplicaPlan } from '../storage/storage.ts';
import { MemberDirectory } from './member-directory.ts';
import { MoveDriver } from './move-driver.ts';
import { RemovedReplicas } from './removed-replicas.ts';

const members: readonly Member[] = ['a', 'b', 'c', 'd'].map((id, index) => ({
  ...{ id, index, address: `x:${String(index)}` },
}));
const counts = { bucketCount: 1, partitionCount: 1, factor: 3 };
const first = firstAssignment('cluster', counts, members);
const idOf = (member: string, since = 1): string =>
  replicaText(replicaIdOf('cluster', 0, { member, since }));
/** `a` holds the bucket no more. */
const second = {
  ...first,
  version: 2,
  buckets: [
    {
      preferred: 'b',
      replicas: [
        { member: 'b', since: 1 },
        { member: 'c', since: 1 },
        { member: 'd', since: 2 },
      ],
    },
  ],
};

const group = (
  ids: readonly string[],
): { voters: readonly string[]; outgoing: []; learners: [] } => ({
  ...{ voters: ids, outgoing: [], learners: [] },
});
const before = group([idOf('a'), idOf('b'), idOf('c')]);
const after = group([idOf('b'), idOf('c'), idOf('d', 2)]);

interface Scene {
  /** Configurations in a's own log, by index. */
  readonly own: readonly (readonly [number, typeof before])[];
  readonly told: ReplicaStatus['committed'];
  readonly isAssigned?: boolean;
}

/** Whether `a` removes its copy. */
async function isRemoved({ own, told, isAssigned = false }: Scene): Promise<boolean> {
  const configurations = own.map(([index, configuration]) => ({ index, configuration }));
  const a = { log: { bucket: 0 }, replicaId: idOf('a'), core: { configurations } };
  let isHere = true;
  const files = new MemoryFileSystem();
  await files.makeDirectory('/d');
  const removed = await RemovedReplicas.read(files, '/d');
  const directory = new MemberDirectory(isAssigned ? first : second, 'a');
  const status = { member: 'b', cluster: 'cluster', buckets: [{ bucket: 0, committed: told }] };
  const get = (): Promise<Buffer> => Promise.resolve(Buffer.from(JSON.stringify(status)));
  const driver = new MoveDriver({
    ...{
      directory: () => directory,
      isWilling: () => true,
      removed,
      peers: { get } as unknown as PeerRequests,
    },
    log: {
      info: () => undefined,
      warn: () => undefined,
      error: () => assert.fail('nothing fails'),
    },
    store: {
      group: () => (isHere ? (a as unknown as RaftGroup) : undefined),
      groups: () => [],
      addReplica: () => assert.fail('not asked for'),
      removeReplica: () => {
        assert.equal(removed.since(0), 1, 'it is noted first');
        isHere = false;
        return Promise.resolve();
      },
    },
  });
  driver.tend();
  await driver.idle();
  return removed.since(0) === 1;
}

const without = { index: 20, replicas: after.voters };

test('a copy goes when a later committed configuration without it is told', async () => {
  assert.equal(await isRemoved({ own: [[0, before]], told: without }), true);
});

test('a copy stays while every committed configuration that is told names it, or none is told', async () => {
  const names = { index: 20, replicas: before.voters };
  assert.equal(await isRemoved({ own: [[0, before]], told: names }), false);
  assert.equal(await isRemoved({ own: [[0, before]], told: undefined }), false);
});

test('one that has heard of no leader is told nothing by another one that has not', async () => {
  const nobody = { index: 0, replicas: [] };
  assert.equal(await isRemoved({ own: [[0, group([])]], told: nobody }), false);
});

test('a copy stays when its own log knows a later configuration that names it', async () => {
  const own = [[0, before] as const, [30, before] as const];
  assert.equal(await isRemoved({ own, told: without }), false);
});

test('a copy goes when its own log has committed a configuration without it', async () => {
  assert.equal(await isRemoved({ own: [[20, after]], told: undefined }), true);
  const own = [[20, after] as const, [30, before] as const];
  assert.equal(await isRemoved({ own, told: without }), false);
});

test('a copy stays while the assignment names it', async () => {
  assert.equal(await isRemoved({ own: [[0, before]], told: without, isAssigned: true }), false);
});

test('a stay that is taken back begins, where the directory was made while it was not asked for', async () => {
  const files = new MemoryFileSystem();
  await files.makeDirectory('/d');
  const removed = await RemovedReplicas.read(files, '/d');
  const made: ReplicaPlan[] = [];
  const driverOf = (assignment: Assignment): MoveDriver => {
    const directory = new MemberDirectory(assignment, 'a');
    return new MoveDriver({
      ...{ directory: () => directory, isWilling: () => true, removed },
      peers: {} as PeerRequests,
      log: { info: () => undefined, warn: () => undefined, error: () => assert.fail() },
      store: {
        group: () => undefined,
        groups: () => [],
        addReplica: (plan) => {
          made.push(plan);
          return Promise.resolve(null as unknown as RaftGroup);
        },
        removeReplica: () => assert.fail('there is none'),
      },
    });
  };
  const tended = async (assignment: Assignment): Promise<void> => {
    const driver = driverOf(assignment);
    driver.tend();
    await driver.idle();
  };
  await tended(second);
  assert.deepEqual(made, []);
  await tended({ ...first, version: 3 });
  assert.deepEqual(
    // Whom its group consists of it learns from a leader: no voters are given to it.
    made.map(({ bucket, replicaId, configuration }) => [
      ...[bucket, replicaText(replicaId), configuration[0]],
    ]),
    [[0, idOf('a'), 0]],
  );
});

test('only replicas of the first assignment know who belongs to their group', () => {
  const votersOf = (directory: MemberDirectory): number | undefined =>
    directory.planOf(0)?.configuration[0];
  assert.equal(votersOf(new MemberDirectory(first, 'a')), 3);
  assert.equal(votersOf(new MemberDirectory(second, 'd')), 0);
  assert.equal(votersOf(new MemberDirectory(second, 'b')), 0);
});
