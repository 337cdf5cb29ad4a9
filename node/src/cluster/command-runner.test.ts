import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { EventIdSource } from '../../../common/ids.ts';
import { systemClock } from '../../../common/clock.ts';
import type { AppendRequest } from '../engine/types.ts';
import {
  type Answer,
  decodeAnswers,
  encodeAppend,
  encodeBatch,
  encodeRead,
  readAppended,
  readNumberOrNull,
} from './forwarding.ts';
import { MemoryCluster, type TestMember } from './testing/memory-cluster.ts';
import { ClusterRefusal } from './types.ts';

const ids = new EventIdSource(systemClock);
const streamId = Buffer.from('stream');

describe('forwarded commands', () => {
  let cluster: MemoryCluster;
  let bucket: number;
  let partitionKey: Buffer;
  before(async () => {
    cluster = await MemoryCluster.open();
    await cluster.led();
    const { router } = cluster.member(0);
    partitionKey = Buffer.from(router.defaultKey(streamId));
    bucket = router.partitionOf(partitionKey) % router.facts.bucketCount;
  });
  after(() => cluster[Symbol.asyncDispose]());

  const appendOf = (): Buffer => {
    const empty = Buffer.alloc(0);
    const request: AppendRequest = {
      partitionKey,
      events: [
        {
          ...{ streamId, eventName: Buffer.from('E'), eventId: null, expectedVersion: 'any' },
          ...{ timestamp: null, metadata: empty, payload: empty },
        },
      ],
    };
    return encodeAppend(request, ids);
  };
  const versionOf = (anyCopy: boolean): Buffer =>
    encodeRead({ kind: 'streamVersion', streamId, partitionKey, anyCopy });
  const findOf = (): Buffer =>
    encodeRead({ kind: 'readEvent', eventId: ids.next(0), buckets: [bucket], anyCopy: false });

  const run = async ({ runner }: TestMember, ...commands: Buffer[]): Promise<Answer[]> =>
    decodeAnswers(await runner.run(bucket, encodeBatch(commands)), commands.length);

  const leader = (): TestMember => {
    const found = cluster.leader(bucket);
    assert(found !== null);
    return found;
  };

  test('are run by the leader, in their order', async () => {
    const answers = await run(leader(), appendOf(), appendOf(), findOf());
    const versions = answers.slice(0, 2).map((answer) => {
      assert(answer.kind === 'done');
      return readAppended(answer.body).events[0]?.version;
    });
    assert.deepEqual(versions, [0, 1]);
    const [answer] = await run(leader(), versionOf(false));
    assert(answer?.kind === 'done');
    assert.equal(readNumberOrNull(answer.body), 1);
  });

  test('are turned away by others, but for reads of any copy', async () => {
    const follower = cluster.members.find((member) => member !== leader());
    assert(follower !== undefined);
    const answers = await run(follower, appendOf(), versionOf(false), versionOf(true), findOf());
    assert.deepEqual(
      answers.map(({ kind }) => kind),
      ['notLeader', 'notLeader', 'done', 'done'],
    );
    const [, , , found] = answers;
    assert(found?.kind === 'done');
    assert.equal(found.body.u16(), 0, 'no bucket may say no');
  });

  test('a leader that nobody hears of any more answers nothing', async () => {
    const cut = leader();
    cut.isCutOff = true;
    const answers = await run(cut, versionOf(false), findOf(), appendOf());
    cut.isCutOff = false;
    assert.equal(answers[0]?.kind, 'notLeader');
    assert(answers[1]?.kind === 'done');
    assert.equal(answers[1].body.u16(), 0, 'no bucket may say no');
    assert(answers[2]?.kind === 'refused');
    assert.equal(answers[2].error.code, 'QUORUMFAILED');
  });

  test('what are no commands is refused', async () => {
    const { runner } = cluster.member(0);
    const bodies = [
      '',
      '\x02',
      '\x01\xff\xff\xff\xff',
      '\x01\x02\0\0\0\x63\0',
      '\x01\x02\0\0\0\x01\0',
    ];
    for (const body of bodies) {
      await assert.rejects(runner.run(bucket, Buffer.from(body, 'latin1')), ClusterRefusal);
    }
  });
});
