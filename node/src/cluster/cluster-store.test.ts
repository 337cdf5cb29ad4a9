import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { SierraError } from '../../../common/errors.ts';
import type { Appended, EventDraft } from '../engine/types.ts';
import type { Router } from './router.ts';
import { MemoryCluster } from './testing/memory-cluster.ts';
import {
  draft,
  append,
  bucketOf,
  collect,
  rangeOf,
  versionOf,
  streamOfBucket,
  streams,
  turn,
  targetOf,
  plain,
} from './testing/routed-events.ts';

describe('through every member', () => {
  let cluster: MemoryCluster;
  before(async () => {
    cluster = await MemoryCluster.open();
    await cluster.led();
  });
  after(() => cluster[Symbol.asyncDispose]());

  test('appends are taken and every read answers the same', async () => {
    const { members } = cluster;
    const ids: Buffer[] = [];
    for (let i = 0; i < 48; i += 1) {
      const { router } = members[i % 3] as (typeof members)[0];
      const stream = streams[i % streams.length] as string;
      const appended = await append(router, draft(stream, `payload ${String(i)}`), draft(stream));
      ids.push(Buffer.from(appended.events[1]?.eventId as Uint8Array));
      assert.equal(appended.events[1]?.version, Math.floor(i / streams.length) * 2 + 1);
    }
    const seen = await Promise.all(members.map(({ router }) => everything(router, ids)));
    assert.equal((seen[0] as string[]).length, 48 + 8 * 12 + 96 + 8);
    assert.deepEqual(seen[1], seen[0]);
    assert.deepEqual(seen[2], seen[0]);
  });

  async function everything(router: Router, ids: readonly Buffer[]): Promise<string[]> {
    const seen: string[] = [];
    for (const id of ids) assert.equal(await router.readEvent(id, collect(seen)), true);
    for (const stream of streams) {
      const end = await router.readStream(rangeOf(router, stream), collect(seen));
      assert.equal(end.hasMore, false);
      seen.push(String(await versionOf(router, stream)));
    }
    for (let partition = 0; partition < router.facts.partitionCount; partition += 1) {
      const events: string[] = [];
      await router.readPartition({ partition, from: 0, to: Infinity }, collect(events));
      const sequence = await router.partitionSequence(partition);
      assert.equal(sequence, events.length === 0 ? null : events.length - 1);
      seen.push(...events);
    }
    return seen;
  }

  test('pages end where the visitor says, whatever the size of the events', async () => {
    const writer = cluster.member(0).router;
    for (let i = 0; i < 40; i += 1) await append(writer, draft('large', 'x'.repeat(30_000)));
    for (const { router } of cluster.members) {
      for (const count of [0, 1, 7, 39, 40]) {
        const seen: string[] = [];
        const end = await router.readStream(rangeOf(router, 'large'), collect(seen, count));
        assert.deepEqual([seen.length, end.hasMore], [count, count < 40]);
      }
      const seen: string[] = [];
      const end = await router.readStream(rangeOf(router, 'large', 5, 9), collect(seen));
      assert.deepEqual([seen.length, end.hasMore], [5, false]);
    }
  });

  test('what is not there is not there', async () => {
    for (const { router } of cluster.members) {
      assert.equal(await router.readEvent(Buffer.alloc(16, 3), collect([])), false);
      assert.equal(await versionOf(router, 'nobody'), null);
      assert.throws(() => router.partitionSequence(16), { code: 'CLUSTERDOWN' });
      assert.throws(() => router.streamVersion(Buffer.alloc(65), Buffer.alloc(16)), {
        code: 'INVALIDARG',
      });
    }
  });

  test('refusals keep their code and their text', async () => {
    const key = Buffer.alloc(16, 7);
    const texts = new Set<string>();
    await append(cluster.member(0).router, draft('refused'));
    for (const { router } of cluster.members) {
      const expected = append(router, draft('refused', '', { expected: 7 }));
      await assert.rejects(expected, (error: SierraError) => {
        texts.add(error.message);
        return error.code === 'WRONGVER';
      });
      const huge = draft('refused', '', { expected: 2n ** 63n });
      await assert.rejects(append(router, huge), {
        code: 'WRONGVER',
        message: /9223372036854775808/,
      });
      const late: EventDraft = { ...draft('refused'), timestamp: 10_000_000_000_000 };
      await assert.rejects(append(router, late), { code: 'INVALIDARG' });
      await assert.rejects(append(router, draft('refused', 'x'.repeat(17 * 1024 * 1024))), {
        code: 'INVALIDARG',
        message: 'events exceed append.max_bytes (16777216)',
      });
    }
    assert.equal(texts.size, 1);
    assert.equal(key.length, 16);
  });

  test('a duplicate is answered as the original was', async () => {
    const id = Buffer.alloc(16, 9);
    const [first, ...others] = await Promise.all(
      cluster.members.map(({ router }) => append(router, draft('twice', 'p', { id }))),
    );
    for (const other of others) assert.deepEqual(plain(other), plain(first as Appended));
    assert.equal(await versionOf(cluster.member(1).router, 'twice'), 0);
  });

  test('appends of one caller keep their order', async () => {
    for (const { router } of cluster.members) {
      const stream = `ordered-${String(cluster.members.findIndex((m) => m.router === router))}`;
      const answers = Array.from({ length: 300 }, (_, i) =>
        append(router, draft(stream, String(i), { expected: i === 0 ? 'empty' : i - 1 })),
      );
      const appended = await Promise.all(answers);
      assert.deepEqual(
        appended.map(({ events }) => events[0]?.version),
        Array.from({ length: 300 }, (_, i) => i),
      );
    }
  });

  test('what is forwarded while a request is under way goes with the next one', async () => {
    const leader = cluster.leader(bucketOf(cluster.member(0).router, 'batched'));
    assert(leader !== null);
    const follower = cluster.members.find((member) => member !== leader);
    assert(follower !== undefined);
    const before = leader.requests;
    await Promise.all(Array.from({ length: 500 }, () => append(follower.router, draft('batched'))));
    assert(leader.requests - before <= 2, `${String(leader.requests - before)} requests`);
  });

  test('READONLY reads this member’s own copy, which follows', async () => {
    const stream = 'read-only';
    const leader = cluster.leader(bucketOf(cluster.member(0).router, stream));
    assert(leader !== null);
    await append(leader.router, draft(stream));
    const before = cluster.members.map(({ requests }) => requests);
    for (const { router } of cluster.members) {
      while ((await versionOf(router.readOnly, stream)) === null) await turn();
      const seen: string[] = [];
      await router.readOnly.readStream(rangeOf(router, stream), collect(seen));
      assert.equal(seen.length, 1);
    }
    assert.deepEqual(
      cluster.members.map(({ requests }) => requests),
      before,
    );
  });

  test('LATEST is the leader’s', async () => {
    const stream = 'latest';
    const target = targetOf(cluster.member(0).router, stream);
    for (let i = 1; i <= 20; i += 1) {
      await append(cluster.member(i % 3).router, draft(stream));
      for (const { router } of cluster.members) {
        const watcher = { advanced: (): void => undefined };
        const feed = await router.openFeed(target, watcher);
        assert.equal(await feed.latest?.(), i);
        feed.close(watcher);
      }
    }
  });
});

describe('without an answer', () => {
  test('nobody leads: not done, once the time is over', async () => {
    await using cluster = await MemoryCluster.open({ requestTimeoutMs: 300 });
    await cluster.led();
    const { router, store } = cluster.member(0);
    const own = store.group(0);
    assert(own !== undefined);
    while (cluster.leader(0) !== cluster.member(0)) {
      const leading = cluster.leader(0)?.store.group(0);
      if (leading?.core.isHandingOver === false) leading.transfer(own.replicaId);
      await turn();
    }
    while (cluster.leader(1) === cluster.member(0)) {
      if (store.group(1)?.core.isHandingOver === false) cluster.transfer(1);
      await turn();
    }
    await cluster.led();
    cluster.member(1).isCutOff = true;
    cluster.member(2).isCutOff = true;
    while (streams.some((stream) => leads(cluster, stream))) await turn();
    // Who has led until the others fell silent knows why nobody leads.
    const ledHere = append(router, draft(streamOfBucket(router, 0)));
    const elsewhere = append(router, draft(streamOfBucket(router, 1)));
    await assert.rejects(ledHere, {
      code: 'INSUFFICIENTREPLICAS',
      message: 'insufficient healthy replicas for write quorum (1/2 replicas available)',
    });
    await assert.rejects(elsewhere, { code: 'TRYAGAIN' });
    await assert.rejects(async () => versionOf(router, 'a'), { code: 'TRYAGAIN' });
    await assert.rejects(router.readEvent(Buffer.alloc(16), collect([])) as Promise<boolean>, {
      code: 'TRYAGAIN',
    });
    cluster.member(1).isCutOff = false;
    await cluster.led();
    await append(router, draft('a'));
  });

  const leads = (cluster: MemoryCluster, stream: string): boolean => {
    const { router, store } = cluster.member(0);
    return store.group(bucketOf(router, stream))?.state === 'leading';
  };

  test('an answer that is lost costs a second attempt, never a second event', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const bucket = bucketOf(cluster.member(0).router, 'lost');
    const leader = cluster.leader(bucket);
    assert(leader !== null);
    const { router } = cluster.members.find((member) => member !== leader) ?? leader;
    leader.losesAnswers = true;
    const drafts = [draft('lost'), draft('lost', '', { id: Buffer.alloc(16, 5) }), draft('lost')];
    const answers = drafts.map((event) => append(router, event));
    while ((await versionOf(leader.router, 'lost')) !== 2) await turn();
    const { requests } = leader;
    while (leader.requests < requests + 2) await turn();
    leader.losesAnswers = false;
    const appended = await Promise.all(answers);
    assert.deepEqual(
      appended.map(({ events }) => events[0]?.version),
      [0, 1, 2],
    );
    assert.equal(await versionOf(router, 'lost'), 2);
    const again = await append(router, draft('lost', '', { id: Buffer.alloc(16, 5) }));
    assert.deepEqual(plain(again), plain(appended[1] as Appended));
    // An id that was drawn is not the client's: it does not take part in idempotency.
    const id = Buffer.from(appended[0]?.events[0]?.eventId as Uint8Array);
    assert.equal((await append(router, draft('lost', '', { id }))).events[0]?.version, 3);
  });

  test('an answer that stays away is unknown', async () => {
    await using cluster = await MemoryCluster.open({ requestTimeoutMs: 300 });
    await cluster.led();
    const leader = cluster.leader(bucketOf(cluster.member(0).router, 'lost'));
    assert(leader !== null);
    leader.losesAnswers = true;
    for (const { router, self } of cluster.members) {
      if (self === leader.self) continue;
      await assert.rejects(append(router, draft('lost')), { code: 'QUORUMFAILED' });
    }
    assert.equal(await versionOf(leader.router, 'lost'), 1);
  });
});
