import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeUint48 } from './bytes.ts';
import { DamageError } from './errors.ts';
import { FRAME_EVENTS_OFFSET, frameLength, sealFrame } from './frame-format.ts';
import { MemoryFileSystem } from './memory-file-system.ts';
import { buildSegmentIndexes } from './segment-index-builder.ts';
import { segmentHeaderBytes } from './segment-format.ts';
import { type MadeSegment, SegmentMaker, writeSegment } from './testing/segment-maker.ts';

const FOLDER = '/segments';
const HEADER_BYTES = segmentHeaderBytes(4);

async function build(made: MadeSegment, end = made.bytes.length): Promise<MemoryFileSystem> {
  const files = new MemoryFileSystem();
  await writeSegment(files, FOLDER, made);
  await buildSegmentIndexes(files, FOLDER, made.segment, end);
  return files;
}

/** The segment with its bytes changed. */
function altered(made: MadeSegment, change: (bytes: Buffer) => void): MadeSegment {
  const bytes = Buffer.from(made.bytes);
  change(bytes);
  return { ...made, bytes };
}

test('a summary says what the segment holds', async () => {
  const maker = new SegmentMaker({ seed: 1 });
  for (const segment of [4, 5]) {
    const made = maker.next(segment, 700);
    const files = new MemoryFileSystem();
    await writeSegment(files, FOLDER, made);
    const summary = await buildSegmentIndexes(files, FOLDER, segment, made.bytes.length);
    assert.deepEqual(
      { ...summary, lastTerm: 0 },
      {
        bucket: 3,
        segment,
        end: made.bytes.length,
        eventCount: made.events.length,
        streamCount: new Set(made.events.map(({ streamId }) => streamId)).size,
        firstIndex: made.firstIndex,
        lastIndex: made.lastIndex,
        lastTerm: 0,
        lastCrc: made.lastCrc,
      },
    );
    assert.equal(summary.lastTerm, 1 + Math.floor(made.lastIndex / 100));
  }
});

test('bytes behind the end are not looked at', async () => {
  const made = new SegmentMaker({ seed: 2 }).next(1, 50);
  const longer = { ...made, bytes: Buffer.concat([made.bytes, Buffer.alloc(999, 0xff)]) };
  await build(longer, made.bytes.length);
});

test('the same segment gives the same files, byte by byte', async () => {
  const made = new SegmentMaker({ seed: 3 }).next(1, 400);
  const [one, two] = [await build(made), await build(made)];
  const names = await one.list(FOLDER);
  assert.equal(names.length, 4);
  for (const name of names) {
    const bytes = await one.readFile(`${FOLDER}/${name}`);
    assert.ok(bytes.equals(await two.readFile(`${FOLDER}/${name}`)), name);
  }
});

test('a frame longer than what is read at once', async () => {
  const maker = new SegmentMaker({ seed: 4, payloadBytes: 1_500_000, transactionMax: 2 });
  const made = maker.next(1, 6);
  const files = new MemoryFileSystem();
  await writeSegment(files, FOLDER, made);
  const { eventCount } = await buildSegmentIndexes(files, FOLDER, 1, made.bytes.length);
  assert.equal(eventCount, made.events.length);
});

test('any flipped byte is damage, at the frame that holds it, and leaves no index file', async () => {
  const made = new SegmentMaker({ seed: 5 }).next(1, 60);
  const starts = [0, HEADER_BYTES];
  for (let at = HEADER_BYTES; at < made.bytes.length; at += frameLength(made.bytes, at)) {
    starts.push(at + frameLength(made.bytes, at));
  }
  const random = seededRandom(6);
  for (let i = 0; i < 400; i += 1) {
    const place = i < 76 ? i : random.below(made.bytes.length);
    const bad = altered(made, (bytes) => {
      bytes[place] = (bytes[place] as number) ^ (1 + random.below(255));
    });
    const files = new MemoryFileSystem();
    await writeSegment(files, FOLDER, bad);
    await assert.rejects(
      buildSegmentIndexes(files, FOLDER, 1, made.bytes.length),
      (error) =>
        error instanceof DamageError &&
        error.segment === 1 &&
        error.offset === starts.findLast((start) => start <= place),
      `byte ${String(place)}`,
    );
    assert.deepEqual(await files.list(FOLDER), ['0000000001.log']);
  }
});

test('an end inside a frame, a file too short, another segment: all damage', async () => {
  const made = new SegmentMaker({ seed: 7 }).next(1, 60);
  await assert.rejects(build(made, made.bytes.length - 1), DamageError);
  await assert.rejects(build(made, made.bytes.length + 1), DamageError);
  await assert.rejects(build(made, 10), DamageError);
  await assert.rejects(build({ ...made, segment: 2 }), DamageError);
});

test('a frame with a valid checksum that does not continue its stream or partition is damage', async () => {
  const made = new SegmentMaker({ seed: 8, streams: 1, transactionMax: 1 }).next(1, 40);
  const lastFrame = made.events.at(-1)?.offset as number;
  const changes: Record<string, (bytes: Buffer) => void> = {
    'the stream version': (bytes) => writeUint48(bytes, lastFrame + FRAME_EVENTS_OFFSET + 16, 99),
    'the partition sequence': (bytes) => writeUint48(bytes, lastFrame + 34, 99),
    'the log index': (bytes) => writeUint48(bytes, lastFrame + 20, 99),
    'the frame before': (bytes) => bytes.writeUInt32LE(99, lastFrame + 8),
    'more events than there are': (bytes) => bytes.writeUInt32LE(2, lastFrame + 40),
    'fewer events than there are': (bytes) => bytes.writeUInt32LE(0, lastFrame + 40),
    'a name too long': (bytes) => (bytes[lastFrame + FRAME_EVENTS_OFFSET + 29] = 255),
  };
  for (const [what, change] of Object.entries(changes)) {
    const bad = altered(made, (bytes) => {
      change(bytes);
      sealFrame(bytes, lastFrame, frameLength(bytes, lastFrame));
    });
    await assert.rejects(
      build(bad),
      (error) => error instanceof DamageError && error.offset === lastFrame,
      what,
    );
  }
});

test('a segment without events has indexes too', async () => {
  const made = new SegmentMaker({ seed: 9 }).next(1, 0);
  const files = new MemoryFileSystem();
  await writeSegment(files, FOLDER, made);
  const summary = await buildSegmentIndexes(files, FOLDER, 1, made.bytes.length);
  assert.equal(summary.eventCount, 0);
  assert.equal(summary.lastIndex, summary.firstIndex - 1);
});
