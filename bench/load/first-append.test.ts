import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeServer } from '../testing/fake-server.ts';
import { firstAppend } from './first-append.ts';

test('an append goes from node to node until one takes it, with one id', async () => {
  await using refusing = await FakeServer.start('-TRYAGAIN no leader\r\n');
  await using taking = await FakeServer.start('+OK\r\n');
  // The second one is asked first.
  const attempts = await firstAppend([taking.port, refusing.port], 'stream', 10_000);
  assert.equal(attempts, 2);
  assert.deepEqual(refusing.received, taking.received);
});

test('an append that nobody takes fails with the reason', async () => {
  await using refusing = await FakeServer.start('-TRYAGAIN no leader\r\n');
  await assert.rejects(firstAppend([refusing.port], 'stream', 20), /no append .* TRYAGAIN/);
});
