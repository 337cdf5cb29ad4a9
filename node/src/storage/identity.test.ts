import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { OpenError } from './errors.ts';
import {
  checkCounts,
  claimIdentity,
  drawIdentity,
  drawUuid,
  readIdentity,
  writeIdentity,
} from './identity.ts';
import { MemoryFileSystem } from './memory-file-system.ts';

const random = seededRandom(1);
const identity = { ...drawIdentity(random, 4, 32), clusterId: drawUuid(random) };

async function written(
  change: (text: string) => string = (text) => text,
): Promise<MemoryFileSystem> {
  const files = new MemoryFileSystem();
  await files.makeDirectory('/data');
  await writeIdentity(files, '/data', identity);
  const text = (await files.readFile('/data/identity.json')).toString();
  await files.remove('/data/identity.json');
  const file = await files.open('/data/identity.json', 'create');
  await file.write(Buffer.from(change(text)), 0);
  await file.close();
  return files;
}

async function refusal(change: (text: string) => string): Promise<OpenError> {
  const files = await written(change);
  const error: unknown = await readIdentity(files, '/data').then(
    () => null,
    (reason: unknown) => reason,
  );
  assert(error instanceof OpenError, String(error));
  return error;
}

test('what is written is read', async () => {
  assert.deepEqual(await readIdentity(await written(), '/data'), identity);
});

test('member and cluster have version-4 UUIDs of their own', () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(identity.memberId, uuid);
  assert.match(identity.clusterId, uuid);
  assert.notEqual(identity.memberId, identity.clusterId);
});

test('a new directory gets one, which no cluster has yet, and keeps it', async () => {
  const files = new MemoryFileSystem();
  await files.makeDirectory('/data');
  const counts = { bucketCount: 4, partitionCount: 32 };
  const claimed = await claimIdentity(files, '/data', random, counts, () => null);
  assert.deepEqual([claimed.clusterId, claimed.initialized], [null, false]);
  assert.deepEqual(await claimIdentity(files, '/data', random, counts, () => null), claimed);
});

test('data without an identity are no new directory', async () => {
  const files = new MemoryFileSystem();
  await files.makeDirectory('/data/journal');
  const counts = { bucketCount: 4, partitionCount: 32 };
  await assert.rejects(
    claimIdentity(files, '/data', random, counts, () => null),
    {
      reason: 'damaged',
      message: '/data holds journal but no identity.json: it is damaged, not new',
    },
  );
});

test('a directory without one has none', async () => {
  const files = new MemoryFileSystem();
  await files.makeDirectory('/data');
  assert.equal(await readIdentity(files, '/data'), null);
});

test('a changed member, a missing one, half a file and no JSON are damage', async () => {
  for (const change of [
    (text: string) => text.replace(identity.memberId, identity.clusterId),
    (text: string) => text.replace('"partitionCount": 32', '"partitionCount": 33'),
    (text: string) => text.replace(/ {2}"checksum".*\n/, '').replace('false,', 'false'),
    (text: string) => text.slice(0, text.length / 2),
    () => '',
  ]) {
    const { reason, message } = await refusal(change);
    assert.deepEqual([reason, message], ['damaged', '/data/identity.json is damaged']);
  }
});

test('another format version is refused by its number', async () => {
  const error = await refusal((text) => text.replace('"formatVersion": 1', '"formatVersion": 2'));
  assert.equal(error.reason, 'version');
  assert.equal(error.message, '/data has format version 2, this program reads version 1');
});

test('other counts are refused, all of them in one sentence', () => {
  checkCounts('/data', identity, 4, 32);
  assert.throws(
    () => {
      checkCounts('/data', identity, 8, 64);
    },
    {
      reason: 'mismatch',
      message:
        '/data was made with bucket.count 4 and cannot be opened with 8, ' +
        'partition.count 32 and cannot be opened with 64',
    },
  );
});
