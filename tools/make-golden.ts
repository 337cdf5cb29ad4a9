/**
 * Makes the golden data directory of a format version: `node tools/make-golden.ts v1`. Done once, when a version is
 * released; `node/src/engine/golden.test.ts` then opens it for ever. A format that changes before its release is made anew:
 * remove its folder first.
 *
 * Two directories from one run: `closed`, left by a clean stop, and `crashed`, as it stood while the store was open. And
 * `events.jsonl`: what must be read from either.
 */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seededRandom } from '../common/random.ts';
import { openStore, type Store } from '../node/src/engine/index.ts';
import { eventsOf } from '../node/src/engine/testing/golden-events.ts';

const [version] = process.argv.slice(2);
if (version === undefined || !/^v\d+$/.test(version)) throw new Error('usage: make-golden.ts vN');

const folder = join(import.meta.dirname, '../node/src/storage/testing/golden', version);
const random = seededRandom(1);
let now = 1_700_000_000_000;

await mkdir(folder);
const closed = join(folder, 'closed');
const store = await openStore(
  closed,
  {
    bucketCount: 2,
    partitionCount: 4,
    segmentBytes: 16 * 1024,
    journalFileBytes: 64 * 1024,
    appendMaxBytes: 16 * 1024,
    scrubBytesPerSecond: 0,
  },
  { random, clock: { now: () => now, monotonic: () => performance.now() } },
);
for (let i = 0; i < 250; i += 1) {
  now += random.below(1000);
  await append(store, i);
}
const lines = (await eventsOf(store)).map((event) => JSON.stringify(event));
await writeFile(join(folder, 'events.jsonl'), `${lines.join('\n')}\n`);
await cp(closed, join(folder, 'crashed'), { recursive: true });
await store.close();
for (const directory of ['closed', 'crashed']) await rm(join(folder, directory, 'lock'));

/** A transaction of one to three events; one id in three is the client's. */
async function append(target: Store, i: number): Promise<void> {
  const partitionKey = Buffer.alloc(16);
  seededRandom(i % 16).fill(partitionKey);
  const text = (value: string): Buffer => Buffer.from(value, 'utf8');
  const events = Array.from({ length: 1 + random.below(3) }, (_, j) => ({
    streamId: text(`stream-${String(i % 16)}-${String(random.below(3))}-ä`),
    eventName: text(`Event${String(j)}`),
    eventId: random.below(3) === 0 ? drawId() : null,
    expectedVersion: 'any' as const,
    timestamp: random.below(4) === 0 ? random.below(2 ** 31) : null,
    metadata: Buffer.alloc(random.below(12), 7),
    payload: text('x'.repeat(random.below(120))),
  }));
  await new Promise<void>((resolve, reject) => {
    void target.append({ partitionKey, events }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function drawId(): Buffer {
  const id = Buffer.alloc(16);
  random.fill(id);
  return id;
}
