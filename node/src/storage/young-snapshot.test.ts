import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { hashBytes, hashUuid } from './hash.ts';
import { FRAME_EVENTS_OFFSET } from './frame-format.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { segmentsFolder } from './names.ts';
import { copyTree, FilledDirectory, type FilledEvent } from './testing/filled-directory.ts';
import { verifyDirectory } from './verify.ts';
import type { StreamRun } from './young-index.ts';
import { readYoungSnapshot } from './young-snapshot.ts';

const DIRECTORY = '/data';
const snapshotPath = (bucket: number): string => `${segmentsFolder(DIRECTORY, bucket)}/young.index`;

/** Counts how often segment files are read. */
class CountingFiles extends MemoryFileSystem {
  reads = 0;

  override async open(
    ...given: Parameters<MemoryFileSystem['open']>
  ): ReturnType<MemoryFileSystem['open']> {
    const handle = await super.open(...given);
    if (!given[0].endsWith('.log')) return handle;
    const { read } = handle;
    handle.read = (target, position): Promise<number> => {
      if (position > 0) this.reads += 1;
      return read.call(handle, target, position);
    };
    return handle;
  }
}

interface Closed {
  readonly files: CountingFiles;
  readonly directory: FilledDirectory;
  readonly events: readonly FilledEvent[];
}

async function closed(events = 60): Promise<Closed> {
  const files = new CountingFiles();
  const directory = await FilledDirectory.open(files, DIRECTORY);
  await directory.append(events);
  await directory.close();
  files.reads = 0;
  return { files, directory, events: directory.events };
}

/** What the young indexes of an opened directory answer for every event; places only. */
async function answers(
  directory: FilledDirectory,
  events: readonly FilledEvent[],
): Promise<unknown[]> {
  return events.map(({ partition, streamId, sequence }) => {
    const log = directory.storage.logs[partition % 2];
    const index = log?.young.at(-1)?.index;
    assert.ok(index);
    const runs: StreamRun[] = [];
    const name = Buffer.from(streamId);
    index.findStream(hashBytes(name, 0, name.length), runs);
    return [
      runs.map((run) => [run, [...index.streamPositions(run.run, 0, 1000)]]),
      index.partitionRuns(partition),
      [...index.partitionPositions(partition, sequence, 5)],
      log.nextSequence(partition),
      index.eventCount,
    ];
  });
}

describe('the snapshot of young indexes', () => {
  it('answers like the index that reading the segment gives, also behind further appends', async () => {
    const { files, events } = await closed();
    const plain = new MemoryFileSystem();
    await copyTree(files, plain, DIRECTORY);
    for (const bucket of [0, 1]) await plain.remove(snapshotPath(bucket));
    const fast = await FilledDirectory.open(files, DIRECTORY);
    const slow = await FilledDirectory.open(plain, DIRECTORY);
    assert.deepEqual(await answers(fast, events), await answers(slow, events));
    await fast.append(0);
    assert.equal(files.reads, 0, 'no segment was read');
    await fast.close();
    await slow.close();
  });

  it('finds events by id', async () => {
    const { files } = await closed();
    const opened = await FilledDirectory.open(files, DIRECTORY);
    const log = opened.storage.logs[0];
    const last = log?.young.at(-1);
    assert.ok(log && last);
    const frame = { bytes: Buffer.alloc(0), at: 0 };
    const [position] = last.index.partitionPositions(0, log.nextSequence(0) - 1, 1);
    await log.frame(last.number, position ?? 0, frame);
    const found: number[] = [];
    last.index.findEvent(hashUuid(frame.bytes, frame.at + FRAME_EVENTS_OFFSET), found);
    assert.ok(found.includes(position ?? -1));
    await opened.close();
  });

  it('still fits after a start that ended in a crash before its first append', async () => {
    const { files } = await closed();
    const again = await FilledDirectory.open(files, DIRECTORY);
    const crashed = new CountingFiles();
    await copyTree(files, crashed, DIRECTORY);
    await again.close();
    const opened = await FilledDirectory.open(crashed, DIRECTORY);
    assert.equal(crashed.reads, 0);
    await opened.close();
  });

  it('the log has gone on and the process crashed: the older one plus the journal, or the segment', async () => {
    for (const count of [1, 30, 200]) {
      const { files, directory } = await closed();
      const again = await FilledDirectory.open(files, DIRECTORY, {
        after: directory.events,
        seed: count,
      });
      await again.append(count);
      const crashed = new CountingFiles();
      await copyTree(files, crashed, DIRECTORY);
      const plain = new MemoryFileSystem();
      await copyTree(files, plain, DIRECTORY);
      for (const bucket of [0, 1]) await plain.remove(snapshotPath(bucket));
      const fast = await FilledDirectory.open(crashed, DIRECTORY);
      const slow = await FilledDirectory.open(plain, DIRECTORY);
      assert.deepEqual(await answers(fast, again.events), await answers(slow, again.events));
      for (const opened of [again, fast, slow]) await opened.close();
      assert.ok((await verifyDirectory(crashed, DIRECTORY)).clean);
    }
  });

  it('a bit that flipped, a cut, garbage: it is not believed', async () => {
    const { files } = await closed();
    const path = snapshotPath(1);
    const whole = Buffer.from(await files.readFile(path));
    const random = seededRandom(3);
    const put = async (bytes: Buffer): Promise<void> => {
      const file = await files.open(path, 'open');
      await file.truncate(0);
      await file.write(bytes, 0);
      await file.close();
    };
    const opened = await FilledDirectory.open(files, DIRECTORY);
    const { end } = opened.storage.logs[1]?.checkpoint() ?? {};
    assert.ok(end);
    await opened.close();
    const read = (): ReturnType<typeof readYoungSnapshot> =>
      readYoungSnapshot(files, segmentsFolder(DIRECTORY, 1), end, 2);
    await put(whole);
    assert.notEqual(await read(), null);
    for (let i = 0; i < 200; i += 1) {
      const bytes = Buffer.from(whole);
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      await put(random.below(4) === 0 ? bytes.subarray(0, at) : bytes);
      assert.equal(await read(), null);
    }
    for (const other of [
      { ...end, index: end.index + 1 },
      { ...end, crc: end.crc ^ 1 },
      { ...end, offset: end.offset + 1 },
      { ...end, segment: end.segment + 1 },
    ]) {
      await put(whole);
      assert.equal(await readYoungSnapshot(files, segmentsFolder(DIRECTORY, 1), other, 2), null);
    }
    await files.remove(path);
    assert.equal(await read(), null);
  });
});
