/** The young index against plain maps, for random transactions of many streams and partitions. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeUint48 } from './bytes.ts';
import {
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  frameKind,
  writeFrameHeader,
} from './frame-format.ts';
import { hashBytes, hashUuid } from './hash.ts';
import { YoungIndex } from './young-index.ts';
import type { StreamRun } from './young-index.ts';

interface TestEvent {
  readonly streamId: string;
  readonly version: number;
  readonly id: Buffer;
}

function frameOf(partition: number, firstSequence: number, events: readonly TestEvent[]): Buffer {
  const lengths = events.map(({ streamId }) => EVENT_HEADER_BYTES + streamId.length);
  const length = lengths.reduce((sum, bytes) => sum + bytes, FRAME_EVENTS_OFFSET);
  const bytes = Buffer.alloc(length);
  writeFrameHeader(bytes, 0, {
    length,
    previousCrc: 0,
    segment: 0,
    offset: 0,
    index: 1,
    term: 1,
    kind: frameKind.events,
    partition,
    firstSequence,
    eventCount: events.length,
  });
  let at = FRAME_EVENTS_OFFSET;
  for (const { streamId, version, id } of events) {
    id.copy(bytes, at);
    writeUint48(bytes, at + 16, version);
    bytes[at + 28] = streamId.length;
    bytes.write(streamId, at + EVENT_HEADER_BYTES, 'latin1');
    at += EVENT_HEADER_BYTES + streamId.length;
  }
  return bytes;
}

const hashOf = (streamId: string): number => hashBytes(Buffer.from(streamId), 0, streamId.length);

function runsOf(index: YoungIndex, streamId: string): StreamRun[] {
  const runs: StreamRun[] = [];
  index.findStream(hashOf(streamId), runs);
  return runs;
}

test('finds events, streams and partitions where they were added', () => {
  const random = seededRandom(1);
  const index = new YoungIndex();
  const streams = new Map<string, number[]>();
  const partitions = new Map<number, number[]>();
  const ids: [Buffer, number][] = [];
  for (let position = 100; position < 100 + 3000 * 7; position += 7) {
    const partition = random.below(5);
    const sequences = partitions.get(partition) ?? [];
    partitions.set(partition, sequences);
    const firstSequence = sequences.length;
    const events = Array.from({ length: 1 + random.below(3) }, () => {
      const hot = random.below(3) > 0;
      const streamId = hot ? `hot-${random.below(3)}` : `cold-${random.below(4000)}`;
      const versions = streams.get(streamId) ?? [];
      streams.set(streamId, versions);
      const id = Buffer.alloc(16);
      random.fill(id);
      ids.push([id, position]);
      versions.push(position);
      sequences.push(position);
      return { streamId, version: versions.length - 1, id };
    });
    index.add(frameOf(partition, firstSequence, events), 0, position);
  }
  assert.equal(index.eventCount, ids.length);
  for (const [id, position] of ids) {
    const found: number[] = [];
    index.findEvent(hashUuid(id, 0), found);
    assert(found.includes(position));
    assert(!index.lacksEvent(hashUuid(id, 0)));
  }
  for (const [streamId, versions] of streams) {
    const [run, ...others] = runsOf(index, streamId);
    assert.deepEqual(others, []);
    assert.deepEqual([run!.first, run!.count], [0, versions.length]);
    const from = random.below(versions.length);
    const max = 1 + random.below(versions.length);
    const positions = [...index.streamPositions(run!.run, from, max)];
    assert.deepEqual(positions, versions.slice(from, from + max));
  }
  for (const [partition, sequences] of partitions) {
    assert.deepEqual(index.partitionRuns(partition), [{ first: 0, count: sequences.length }]);
    const from = random.below(sequences.length);
    assert.deepEqual(
      [...index.partitionPositions(partition, from, 300)],
      sequences.slice(from, from + 300),
    );
    assert.equal(index.partitionPositions(partition, sequences.length, 1).length, 0);
  }
  assert(index.lacksStream(hashOf('never seen')));
});

test('a gap left by damage starts a new run', () => {
  const index = new YoungIndex();
  const add = (version: number, sequence: number, position: number): void => {
    const event = { streamId: 's', version, id: Buffer.alloc(16, version) };
    index.add(frameOf(3, sequence, [event]), 0, position);
  };
  add(4, 10, 100);
  add(5, 11, 200);
  add(9, 20, 300);
  add(10, 21, 400);
  const runs = runsOf(index, 's').sort((a, b) => a.first - b.first);
  assert.deepEqual(
    runs.map(({ first, count }) => [first, count]),
    [
      [4, 2],
      [9, 2],
    ],
  );
  assert.deepEqual([...index.streamPositions(runs[1]!.run, 0, 9)], [300, 400]);
  assert.deepEqual(index.partitionRuns(3), [
    { first: 10, count: 2 },
    { first: 20, count: 2 },
  ]);
  assert.deepEqual([...index.partitionPositions(3, 20, 9)], [300, 400]);
  assert.equal(index.partitionPositions(3, 15, 9).length, 0);
});

test('versions above 32 bits keep their value', () => {
  const index = new YoungIndex();
  const first = 2 ** 40 + 5;
  for (let i = 0; i < 3; i += 1) {
    const event = { streamId: 'old', version: first + i, id: Buffer.alloc(16, i) };
    index.add(frameOf(0, 2 ** 41 + i, [event]), 0, 50 + i);
  }
  assert.deepEqual(runsOf(index, 'old')[0]!.first, first);
  assert.deepEqual(index.partitionRuns(0), [{ first: 2 ** 41, count: 3 }]);
});

test("a leader's entry is in no index", () => {
  const index = new YoungIndex();
  const bytes = frameOf(0, 0, []);
  bytes[30] = frameKind.leader;
  index.add(bytes, 0, 70);
  assert.equal(index.eventCount, 0);
  assert.deepEqual(index.partitionRuns(0), []);
});
