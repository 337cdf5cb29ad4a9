import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import type { EventView } from '../engine/types.ts';
import { EncodedEvents } from './encoded-events.ts';
import { writeEvent } from './event-reply.ts';
import { ReplyWriter } from './replies.ts';

/** An event that is told by its partition and sequence, with a payload of this many bytes. */
function eventOf(partition: number, sequence: number, payloadBytes: number): EventView {
  const payload = Buffer.alloc(payloadBytes, `${partition}/${sequence} `);
  const bytes = Buffer.concat([Buffer.alloc(32, sequence), Buffer.from('stream'), payload]);
  return {
    bytes,
    eventIdAt: 0,
    partitionKeyAt: 16,
    partition,
    transactionId: Buffer.alloc(16, partition),
    sequence,
    version: sequence,
    timestamp: 1_700_000_000_000,
    streamIdAt: 32,
    eventNameAt: 36,
    metadataAt: 38,
    payloadAt: 38,
    payloadEnd: bytes.length,
  };
}

function encode(event: EventView): Buffer {
  const writer = new ReplyWriter(16);
  writeEvent(writer, event);
  return Buffer.from(writer.content());
}

function write(events: EncodedEvents, event: EventView): Buffer {
  const writer = new ReplyWriter(16);
  writer.simple('in front');
  const before = writer.length;
  events.write(writer, event);
  return Buffer.from(writer.content().subarray(before));
}

/** The same for the same event: mostly small, some that fill the ring quickly, some too large to be kept. */
const sizeOf = (partition: number, sequence: number): number => {
  const choice = (partition * 7 + sequence * 13) % 50;
  return choice === 0 ? 20_000 : choice < 5 ? 10_000 : 10 + choice * 7;
};

describe('event maps written again', () => {
  const seed = Number(process.env['SEED'] ?? 4);

  test(`are the same, whatever was written in between, seed ${seed}`, () => {
    const random = seededRandom(seed);
    const events = new EncodedEvents();
    // Readers of several partitions, each at a place of its own, some behind others.
    const readers = Array.from({ length: 12 }, () => ({ partition: random.below(3), next: 0 }));
    for (let i = 0; i < 20_000; i += 1) {
      const reader = readers[random.below(readers.length)]!;
      const { partition, next } = reader;
      const event = eventOf(partition, next, sizeOf(partition, next));
      assert.deepEqual(write(events, event), encode(event));
      reader.next = random.below(500) === 0 ? random.below(next + 1) : next + 1;
    }
  });

  test('of numbers that share a place', () => {
    const events = new EncodedEvents();
    const sequences = [1, 4097, 2 ** 32 + 1, 2 ** 52 + 1];
    const partitions = [0, 4096, 8192];
    for (let round = 0; round < 4; round += 1) {
      for (const sequence of sequences) {
        for (const partition of partitions) {
          const event = eventOf(partition, sequence, sequence % 1000);
          for (let i = 0; i < 3; i += 1) assert.deepEqual(write(events, event), encode(event));
        }
      }
    }
  });

  test('are copies: the event is not looked at any more', () => {
    const events = new EncodedEvents();
    const event = eventOf(1, 2, 100);
    const first = write(events, event);
    write(events, event);
    event.bytes.fill(0);
    assert.deepEqual(write(events, event), first);
  });

  test('are not kept for a lone reader', () => {
    const events = new EncodedEvents();
    const before = eventOf(0, 0, 100);
    write(events, before);
    for (let i = 1; i < 100; i += 1) write(events, eventOf(0, i, 100));
    before.bytes.fill(1);
    assert.deepEqual(write(events, before), encode(before));
  });
});
