/**
 * What has happened, as an outside observer knows it: each bucket's log as it was first committed anywhere, and what follows
 * from it. Every later commit, on any member, is held against it.
 */
import assert from 'node:assert/strict';

import type { Random } from '../../common/random.ts';
import {
  eventLength,
  EVENT_HEADER_BYTES,
  eventNameLength,
  eventMetadataLength,
  eventStreamIdLength,
  eventTimestamp,
  eventVersion,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameCrc,
  frameEventCount,
  frameFirstSequence,
  frameIndex,
  frameKind,
  frameKindOf,
  frameLength,
  framePartition,
  frameTerm,
} from '../../node/src/storage/frame-format.ts';

export interface TrueEvent {
  readonly eventId: string;
  readonly partition: number;
  readonly partitionKey: string;
  readonly sequence: number;
  readonly streamId: string;
  readonly version: number;
  readonly timestamp: number;
  readonly payload: string;
  /** Of its frame. */
  readonly index: number;
  /** When it was first committed anywhere, simulated ms. */
  readonly atMs: number;
}

export interface TrueFrame {
  readonly bytes: Buffer;
  readonly crc: number;
  readonly term: number;
  readonly segment: number;
  readonly offset: number;
  readonly events: readonly TrueEvent[];
}

export class Truth {
  /** By bucket; frame `index` stands at `index - 1`. */
  readonly logs: readonly TrueFrame[][];
  readonly partitions: Map<number, TrueEvent[]> = new Map();
  readonly streams: Map<string, TrueEvent[]> = new Map();
  /** Events by their payload, which is unlike any other's. */
  readonly byPayload: Map<string, TrueEvent[]> = new Map();
  readonly #leaders = new Map<string, string>();
  readonly #now: () => number;

  constructor(bucketCount: number, now: () => number) {
    this.logs = Array.from({ length: bucketCount }, () => []);
    this.#now = now;
  }

  /** A member has applied a frame. */
  committed(
    member: number,
    bucket: number,
    source: Buffer,
    at: number,
    segment: number,
    offset: number,
  ): void {
    const index = frameIndex(source, at);
    const log = this.logs[bucket] as TrueFrame[];
    const known = log[index - 1];
    const length = frameLength(source, at);
    const where = `frame ${String(index)} of bucket ${String(bucket)} on member ${String(member)}`;
    if (known !== undefined) {
      assert(
        known.bytes.compare(source, at, at + length) === 0,
        `${where} is not the one that was committed before`,
      );
      assert.deepEqual([segment, offset], [known.segment, known.offset], `the place of ${where}`);
      return;
    }
    assert.equal(index, log.length + 1, `${where} is committed out of order`);
    const bytes = Buffer.from(source.subarray(at, at + length));
    const events = frameKindOf(bytes, 0) === frameKind.events ? this.#events(bytes) : [];
    log.push({
      ...{ bytes, crc: frameCrc(bytes, 0), term: frameTerm(bytes, 0) },
      ...{ segment, offset, events },
    });
    for (const event of events) this.#add(event, where);
  }

  /** A member has opened its directory, and knows that much to be committed. */
  opened(member: number, bucket: number, end: { index: number; crc: number }): void {
    const { index, crc } = end;
    if (index === 0) return;
    const known = (this.logs[bucket] as TrueFrame[])[index - 1];
    const where = `member ${String(member)} opens bucket ${String(bucket)} at frame ${String(index)}`;
    assert(known !== undefined, `${where}, which nobody has committed`);
    assert.equal(crc, known.crc, `${where}, which is another one than was committed`);
  }

  /** True when that is news. */
  leads(replica: string, bucket: number, term: number): boolean {
    const key = `${String(bucket)}:${String(term)}`;
    const known = this.#leaders.get(key);
    assert(
      known === undefined || known === replica,
      `replicas ${String(known)} and ${replica} lead bucket ${String(bucket)} in term ${String(term)}`,
    );
    this.#leaders.set(key, replica);
    return known === undefined;
  }

  /** The versions that a stream has had from one moment to another; -1: empty. */
  versions(streamId: string, fromMs: number, toMs: number): number[] {
    const events = this.streams.get(streamId) ?? [];
    const versions: number[] = [];
    let before = -1;
    for (const { version, atMs } of events) {
      if (atMs <= fromMs) before = version;
      else if (atMs <= toMs) versions.push(version);
    }
    return [before, ...versions];
  }

  /** A partition of those that have events. */
  anyPartition(random: Random): number | null {
    const known = [...this.partitions.keys()];
    return known[random.below(Math.max(1, known.length))] ?? null;
  }

  #events(frame: Buffer): TrueEvent[] {
    const events: TrueEvent[] = [];
    let at = FRAME_EVENTS_OFFSET;
    const partitionKey = frame.toString('hex', FRAME_HEADER_BYTES, FRAME_EVENTS_OFFSET);
    for (let i = 0; i < frameEventCount(frame, 0); i += 1) {
      const streamAt = at + EVENT_HEADER_BYTES;
      const nameAt = streamAt + eventStreamIdLength(frame, at);
      const payloadAt = nameAt + eventNameLength(frame, at) + eventMetadataLength(frame, at);
      const end = at + eventLength(frame, at);
      events.push({
        eventId: frame.toString('hex', at, at + 16),
        partition: framePartition(frame, 0),
        partitionKey,
        sequence: frameFirstSequence(frame, 0) + i,
        streamId: frame.toString('latin1', streamAt, nameAt),
        version: eventVersion(frame, at),
        timestamp: eventTimestamp(frame, at),
        payload: frame.toString('latin1', payloadAt, end),
        index: frameIndex(frame, 0),
        atMs: this.#now(),
      });
      at = end;
    }
    return events;
  }

  #add(event: TrueEvent, where: string): void {
    const partition = entryOf(this.partitions, event.partition);
    const stream = entryOf(this.streams, event.streamId);
    assert.equal(event.sequence, partition.length, `${where}: sequences have no gaps`);
    assert.equal(
      event.version,
      stream.length,
      `${where}: versions of ${event.streamId} have no gaps`,
    );
    partition.push(event);
    stream.push(event);
    entryOf(this.byPayload, event.payload).push(event);
  }
}

function entryOf<K, V>(map: Map<K, V[]>, key: K): V[] {
  let entry = map.get(key);
  if (entry === undefined) map.set(key, (entry = []));
  return entry;
}
