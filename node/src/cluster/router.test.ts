import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { defaultPartitionKey, uuidText } from '../../../common/ids.ts';
import type { EventStore } from '../engine/types.ts';
import { DefaultKeys } from './default-keys.ts';
import { Router } from './router.ts';

const nothing = (): boolean => true;

/** As much of a store as the router asks for here. */
const storeOf = (partitionCount: number): EventStore =>
  ({
    facts: { partitionCount },
    partitionSequence: () => null,
    readPartition: () => ({ hasMore: false }),
  }) as unknown as EventStore;

describe('router', () => {
  test('finds the partition of a key', () => {
    const router = new Router(storeOf(1024));
    const key = router.defaultKey(Buffer.from('user-123'));
    assert.equal(uuidText(key), '7e124fe8-fe28-5398-bb95-53973100148f');
    assert.equal(router.partitionOf(key), 597);
  });

  test('refuses partitions that do not exist', () => {
    const router = new Router(storeOf(4));
    const unavailable = { code: 'CLUSTERDOWN', message: 'partition unavailable' };
    assert.throws(() => router.partitionSequence(4), unavailable);
    assert.throws(
      () => router.readPartition({ partition: 4, from: 0, to: 1 }, nothing),
      unavailable,
    );
    assert.equal(router.partitionSequence(3), null);
  });
});

describe('default keys', () => {
  test('are right whether remembered, forgotten or new, and bounded', () => {
    const keys = new DefaultKeys(10);
    for (let round = 0; round < 3; round += 1) {
      for (let i = 0; i < 35; i += 1) {
        const name = Buffer.from(`stream-${i}`);
        assert.deepEqual(keys.of(name), defaultPartitionKey(name));
        assert.deepEqual(keys.of(name), defaultPartitionKey(name));
        assert(keys.size <= 20);
      }
    }
  });

  test('tell apart ids that differ in any byte or in length', () => {
    const keys = new DefaultKeys();
    const texts = ['é', 'è', 'a', 'aa', 'a'.repeat(64), 'a'.repeat(65), 'a\0', ''];
    const ids = texts.map((text) => Buffer.from(text));
    for (const id of [...ids, ...ids.toReversed()]) {
      assert.deepEqual(keys.of(id), defaultPartitionKey(id));
    }
  });
});
