import assert from 'node:assert/strict';
import test from 'node:test';

import { FRAME_EVENTS_OFFSET, frameKind, writeFrameHeader } from '../storage/frame-format.ts';
import { hashBytes } from '../storage/hash.ts';
import { frameBytes, writeEvent, writePartitionKey } from './frame-encoder.ts';
import { type Head, Heads, keyText } from './heads.ts';
import type { EventDraft } from './types.ts';

const MAX = 16;

class Streams {
  applied = 0;
  readonly heads = new Heads(MAX, () => this.applied);

  get(name: string): Head | undefined {
    const id = Buffer.from(name);
    return this.heads.get(hashBytes(id, 0, id.length), id);
  }

  add(name: string, version = 0): Head {
    const id = Buffer.from(name);
    return this.heads.add(hashBytes(id, 0, id.length), id, version, null);
  }

  /** Makes everything old twice over. */
  flood(prefix: string): void {
    for (let i = 0; i < 3 * MAX; i += 1) this.add(`${prefix}-${i}`);
  }
}

test('a head is there until others have been used more lately', () => {
  const streams = new Streams();
  const head = streams.add('a', 7);
  assert.equal(streams.get('a'), head);
  assert.deepEqual([head.version, head.appliedVersion, head.lastIndex, head.pins], [7, 7, 0, 0]);
  streams.flood('other');
  assert.equal(streams.get('a'), undefined);
});

test('a stream that is used stays, and stays the same object', () => {
  const streams = new Streams();
  const head = streams.add('hot');
  for (let i = 0; i < 20 * MAX; i += 1) {
    streams.add(`cold-${i}`);
    if (i % (MAX / 2) === 0) assert.equal(streams.get('hot'), head);
  }
});

test('memory is bounded by two generations', () => {
  const streams = new Streams();
  for (let i = 0; i < 50; i += 1) {
    streams.flood(`round-${i}`);
    assert(streams.heads.size <= 2 * MAX, `${streams.heads.size} heads`);
  }
});

test('a pinned head stays until it is not pinned any more', () => {
  const streams = new Streams();
  const head = streams.add('pinned');
  head.pins += 1;
  for (let i = 0; i < 5; i += 1) streams.flood(`round-${i}`);
  assert.equal(streams.get('pinned'), head);
  head.pins -= 1;
  for (let i = 0; i < 2; i += 1) streams.flood(`late-${i}`);
  assert.equal(streams.get('pinned'), undefined);
});

test('a head with a frame in flight stays until that is applied', () => {
  const streams = new Streams();
  const head = streams.add('in flight');
  head.lastIndex = 9;
  streams.applied = 8;
  for (let i = 0; i < 5; i += 1) streams.flood(`round-${i}`);
  assert.equal(streams.get('in flight'), head);
  streams.applied = 9;
  for (let i = 0; i < 2; i += 1) streams.flood(`late-${i}`);
  assert.equal(streams.get('in flight'), undefined);
});

test('a head that had to be forgotten can be added again', () => {
  const streams = new Streams();
  streams.add('again', 1);
  streams.flood('other');
  assert.equal(streams.get('again'), undefined);
  const head = streams.add('again', 5);
  assert.equal(streams.get('again'), head);
});

test('keys of all bytes are told apart as text', () => {
  const keys = Array.from({ length: 256 }, (_, byte) => keyText(Uint8Array.of(byte, 255 - byte)));
  assert.equal(new Set(keys).size, 256);
  assert.deepEqual(
    Buffer.from(keyText(Buffer.from([0, 128, 255])), 'latin1'),
    Buffer.from([0, 128, 255]),
  );
});

test('a head that is being read from the disk is known from what is applied meanwhile', () => {
  const streams = new Streams();
  const event: EventDraft = {
    ...{ streamId: Buffer.from('s'), eventName: Buffer.from('Happened'), eventId: null },
    ...{ timestamp: null, metadata: Buffer.alloc(0), payload: Buffer.alloc(0) },
    expectedVersion: 'any',
  };
  const length = frameBytes([event]);
  const bytes = Buffer.alloc(length);
  const key = Buffer.alloc(16, 7);
  writeFrameHeader(bytes, 0, {
    kind: frameKind.events,
    ...{ length, previousCrc: 0, segment: 0, offset: 0, index: 9 },
    ...{ term: 1, partition: 0, firstSequence: 5, eventCount: 1 },
  });
  writePartitionKey(bytes, 0, key);
  writeEvent(bytes, FRAME_EVENTS_OFFSET, event, 4, 0);
  streams.heads.follow(bytes, 0, () => false);
  assert.equal(streams.get('s'), undefined);
  streams.heads.follow(bytes, 0, (streamId) => Buffer.from(streamId).toString() === 's');
  const head = streams.get('s');
  assert.deepEqual(
    [head?.version, head?.appliedVersion, head?.lastIndex, head?.appliedPartitionKey],
    [4, 4, 9, keyText(key)],
  );
});
