import assert from 'node:assert/strict';
import { test } from 'node:test';

import { defaultPartitionKey } from '../../../common/ids.ts';
import { seededRandom } from '../../../common/random.ts';
import { PAGE_BYTES, ROUND_HEADER_BYTES, sealRound } from '../storage/journal-format.ts';
import { scanJournal } from '../storage/journal-scan.ts';
import { journalFileName } from '../storage/names.ts';
import { SimulatedFileSystem } from '../storage/testing/simulated-file-system.ts';
import { openStore, type Store } from './index.ts';

const options = {
  bucketCount: 1,
  partitionCount: 1,
  journalFileBytes: 2 * 1024 * 1024,
  appendMaxBytes: 512 * 1024,
  diskReserveBytes: 0,
};

/** The image of a round of the far future, as a client that guessed the salt would write it. */
function futureRound(salt: number): Buffer {
  const round = Buffer.alloc(ROUND_HEADER_BYTES);
  sealRound(round, salt, {
    length: ROUND_HEADER_BYTES,
    previousCrc: 0,
    number: 2 ** 40,
    lap: 1,
    entryCount: 0,
  });
  return round;
}

/** Copies of an image at every distance from a page's start: wherever the payload comes to stand, one begins a page. */
function everywhere(image: Buffer): Buffer {
  const payload = Buffer.alloc((image.length + 1) * 2 * PAGE_BYTES);
  for (let shift = 0; shift < image.length; shift += 1) {
    const from = shift * 2 * PAGE_BYTES + shift;
    for (let at = from; at < from + 2 * PAGE_BYTES - image.length; at += image.length) {
      image.copy(payload, at);
    }
  }
  return payload;
}

function append(store: Store, streamId: Buffer, payload: Buffer): Promise<void> {
  const event = {
    streamId,
    eventName: Buffer.from('E'),
    eventId: null,
    expectedVersion: 'any' as const,
    timestamp: null,
    metadata: Buffer.alloc(0),
    payload,
  };
  return new Promise((resolve, reject) => {
    void store.append({ partitionKey: defaultPartitionKey(streamId), events: [event] }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

test('a payload full of images of rounds is data, also behind a torn round', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 });
  const environment = { files: disk, random: seededRandom(7) };
  const store = await openStore('/data', options, environment);
  const stream = Buffer.from('s');
  await append(store, stream, Buffer.from('before'));
  await append(store, stream, everywhere(futureRound(0)));
  disk.crash();
  const after = disk.afterPowerCut();
  // The last round is torn: what recovery finds behind its missing head is the payload.
  const last = (await scanJournal(after.clone(), '/data/journal')).laps.at(-1);
  assert.ok(last !== undefined);
  after.overwrite(
    `/data/journal/${journalFileName(last.slot)}`,
    last.lastRoundAt,
    Buffer.alloc(ROUND_HEADER_BYTES),
  );
  await using reopened = await openStore('/data', options, { ...environment, files: after });
  assert.equal(await reopened.streamVersion(stream, defaultPartitionKey(stream)), 0);
});
