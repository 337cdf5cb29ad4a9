import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { defaultPartitionKey, uuidText } from '../../../common/ids.ts';
import { ArrayStore } from '../resp/testing/array-store.ts';
import { DefaultKeys } from './default-keys.ts';
import { Router } from './router.ts';

const nothing = (): boolean => true;

describe('router', () => {
  test('finds the partition of a key', () => {
    const router = new Router(new ArrayStore({ partitionCount: 1024 }));
    const key = router.defaultKey(Buffer.from('user-123'));
    assert.equal(uuidText(key), '7e124fe8-fe28-5398-bb95-53973100148f');
    assert.equal(router.partitionOf(key), 597);
  });

  test('refuses partitions that do not exist', () => {
    const router = new Router(new ArrayStore({ partitionCount: 4 }));
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
        assert.equal(keys.of(name), keys.of(name));
        assert(keys.size <= 20);
      }
    }
  });

  test('tell apart ids that differ in bytes above 127', () => {
    const keys = new DefaultKeys();
    assert.notDeepEqual(keys.of(Buffer.from('é')), keys.of(Buffer.from('è')));
  });
});
