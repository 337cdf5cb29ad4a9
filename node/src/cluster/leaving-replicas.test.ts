/** What is under way at a replica when it leaves is answered by those that stay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Feed, FeedTarget, FeedWatcher } from '../engine/types.ts';
import { encodeBatch, encodeRead, type ReadCommand } from './forwarding.ts';
import { MemoryCluster, type TestMember } from './testing/memory-cluster.ts';
import {
  append,
  bucketOf,
  collect,
  draft,
  rangeOf,
  streamOfBucket,
  targetOf,
  turn,
  versionOf,
} from './testing/routed-events.ts';

const BUCKET = 1;
const ID = Buffer.alloc(16, 5);

/** Three events are everywhere; the member that is to leave follows. */
async function scene(cluster: MemoryCluster): Promise<{ leaving: TestMember; stream: string }> {
  await cluster.led();
  const { router } = cluster.member(0);
  const stream = streamOfBucket(router, BUCKET);
  assert.equal(bucketOf(router, stream), BUCKET);
  for (const id of [ID, undefined, undefined]) {
    await append(router, draft(stream, 'payload', id === undefined ? {} : { id }));
  }
  for (const member of cluster.members) {
    while ((await versionOf(member.router.readOnly, stream)) !== 2) await turn();
  }
  const leaving = cluster.members.find((member) => member !== cluster.leader(BUCKET));
  assert(leaving !== undefined);
  return { leaving, stream };
}

const nobody: FeedWatcher = { advanced: () => undefined };

test('reads of a copy that leaves meanwhile are answered elsewhere, once', async () => {
  await using cluster = await MemoryCluster.open();
  const { leaving, stream } = await scene(cluster);
  const { readOnly } = leaving.router;
  const partition = readOnly.partitionOf(readOnly.defaultKey(Buffer.from(stream)));
  const ofStream: string[] = [];
  const ofPartition: string[] = [];
  const byId: string[] = [];
  const reads: Promise<unknown>[] = [
    Promise.resolve(readOnly.readStream(rangeOf(readOnly, stream), collect(ofStream))),
    Promise.resolve(readOnly.readPartition({ partition, from: 0, to: 2 }, collect(ofPartition))),
    Promise.resolve(readOnly.readEvent(ID, collect(byId))),
    Promise.resolve(versionOf(readOnly, stream)),
    Promise.resolve(readOnly.partitionSequence(partition)),
  ];
  const left = leaving.store.removeReplica(BUCKET);
  const [, , isFound, version, sequence] = await Promise.all(reads);
  await left;
  assert.deepEqual([isFound, version, sequence], [true, 2, 2]);
  assert.deepEqual([ofStream.length, ofPartition.length, byId.length], [3, 3, 1]);
});

test('a copy that leaves amid a page is gone on with where it has ended', async () => {
  await using cluster = await MemoryCluster.open();
  const { leaving, stream } = await scene(cluster);
  const { store, router } = leaving;
  const readStream = store.readStream.bind(store);
  store.readStream = async (range, visit) => {
    await readStream({ ...range, to: range.from }, visit);
    await store.removeReplica(BUCKET);
    throw new Error('the file is closed');
  };
  const seen: string[] = [];
  const end = await router.readOnly.readStream(rangeOf(router, stream), collect(seen));
  assert.deepEqual([seen.length, new Set(seen).size, end.hasMore], [3, 3, false]);
});

test('a copy that leaves while it is asked for others says neither yes nor no', async () => {
  await using cluster = await MemoryCluster.open();
  const { leaving, stream } = await scene(cluster);
  const { router, runner, store } = leaving;
  const ask = async (command: ReadCommand): Promise<string> => {
    const answer = runner.run(BUCKET, encodeBatch([encodeRead(command)]));
    return (await answer).toString('hex');
  };
  const { streamId, partitionKey } = rangeOf(router, stream);
  const version = { kind: 'streamVersion', anyCopy: true, streamId, partitionKey } as const;
  const event = { kind: 'readEvent', anyCopy: true, eventId: ID, buckets: [BUCKET] } as const;
  const asked = [ask(version), ask(event)];
  await store.removeReplica(BUCKET);
  assert.deepEqual(await Promise.all(asked), [await ask(version), await ask(event)]);
});

const limits = { timeout: 20_000 };

test('a feed that is being opened when its copy leaves goes on at the leader', limits, async () => {
  await using cluster = await MemoryCluster.open();
  const { leaving, stream } = await scene(cluster);
  const { store, router } = leaving;
  const gate = Promise.withResolvers<void>();
  const openFeed = store.openFeed.bind(store);
  store.openFeed = async (target: FeedTarget, watcher: FeedWatcher): Promise<Feed> => {
    const opened = await openFeed(target, watcher);
    await gate.promise;
    return opened;
  };
  let grown = Promise.withResolvers<void>();
  const opening = router.openFeed(targetOf(router, stream), { advanced: () => grown.resolve() });
  await store.removeReplica(BUCKET);
  gate.resolve();
  const feed = await opening;
  while (feed.end < 3) await turn();
  grown = Promise.withResolvers();
  await append(router, draft(stream));
  await grown.promise;
  const seen: string[] = [];
  await feed.read(0, 4, collect(seen));
  assert.deepEqual([feed.end, seen.length], [4, 4]);
  feed.close(nobody);
});
