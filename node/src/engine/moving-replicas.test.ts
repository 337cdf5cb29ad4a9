/** Replicas that come and go while the store is open. */
import { createHash } from 'node:crypto';
import assert from 'node:assert/strict';
import test from 'node:test';

import { aloneConfiguration } from '../storage/configuration-format.ts';
import { openMemoryStore, type Store } from './index.ts';

const options = { bucketCount: 2, partitionCount: 4, journalFileBytes: 16 * 1024 * 1024 };

/** Spread over the partitions. */
const keyOf = (i: number): Buffer => createHash('md5').update(String(i)).digest();

function append(store: Store, partitionKey: Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const event = {
    ...{ streamId: Buffer.from(partitionKey.toString('hex')), eventName: Buffer.from('E') },
    ...({ eventId: null, expectedVersion: 'any', timestamp: null } as const),
    ...{ metadata: Buffer.alloc(0), payload: Buffer.alloc(10) },
  };
  try {
    void store.append({ partitionKey, events: [event] }, (error) => {
      resolve(error?.code ?? 'done');
    });
  } catch (error) {
    resolve((error as { code: string }).code);
  }
  return promise;
}

/** Codes of one append to each of many keys. */
const appendAll = async (store: Store): Promise<Set<string>> =>
  new Set(await Promise.all(Array.from({ length: 40 }, (_, i) => append(store, keyOf(i)))));

test('a replica that leaves takes nothing any more; the next one begins empty', async () => {
  await using store = await openMemoryStore(options);
  assert.deepEqual(await appendAll(store), new Set(['done']));
  const removed: number[] = [];
  store.onRemoved = (bucket): void => void removed.push(bucket);
  await store.removeReplica(1);
  assert.deepEqual([removed, store.group(1), [...store.groups()].length], [[1], undefined, 1]);
  assert.deepEqual(await appendAll(store), new Set(['done', 'CLUSTERDOWN']));

  const replicaId = Buffer.alloc(8, 7);
  const configuration = aloneConfiguration(replicaId);
  const group = await store.addReplica({
    bucket: 1,
    replicaId,
    groupId: Buffer.alloc(16, 1),
    configuration,
  });
  assert.equal(group.state, 'leading');
  assert.deepEqual(await appendAll(store), new Set(['done']));
  const events = [1, 3].map((partition) => store.partitionSequence(partition) ?? -1);
  assert(
    events.every((last) => last < 20),
    'it holds the new events alone',
  );
});

test('appends that a leaving replica has taken are answered', async () => {
  await using store = await openMemoryStore(options);
  const answers = appendAll(store);
  await store.removeReplica(1);
  assert((await answers).has('done'));
});
