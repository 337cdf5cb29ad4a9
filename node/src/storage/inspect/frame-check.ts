/** Whether the frames of a bucket, each whole by itself, tell one gapless story. */
import {
  EVENT_HEADER_BYTES,
  eventLength,
  eventStreamIdLength,
  eventVersion,
  FRAME_EVENTS_OFFSET,
  frameEventCount,
  frameFirstSequence,
  frameKind,
  frameKindOf,
  frameLength,
  framePartition,
} from '../frame-format.ts';
import { StreamVersions } from './stream-versions.ts';

/** Shows the events of an events frame; what is wrong with their lengths, or null. */
export function visitEvents(
  bytes: Uint8Array,
  at: number,
  visit: (eventAt: number) => void,
): string | null {
  const end = at + frameLength(bytes, at);
  const count = frameEventCount(bytes, at);
  let event = at + FRAME_EVENTS_OFFSET;
  for (let i = 0; i < count; i += 1) {
    const next = event + EVENT_HEADER_BYTES <= end ? event + eventLength(bytes, event) : Infinity;
    if (next > end) return 'its events are longer than the frame';
    visit(event);
    event = next;
  }
  return event === end ? null : 'its events are shorter than the frame';
}

export class FrameCheck {
  readonly nextSequences: number[];
  eventCount = 0;
  readonly #bucket: number;
  readonly #bucketCount: number;
  readonly #versions = new StreamVersions();

  constructor(bucket: number, bucketCount: number, slots: number) {
    this.#bucket = bucket;
    this.#bucketCount = bucketCount;
    this.nextSequences = new Array<number>(slots).fill(0);
  }

  /** Place of a partition in the segment header's list; not a whole number below its length for a foreign one. */
  slot(partition: number): number {
    return (partition - this.#bucket) / this.#bucketCount;
  }

  /** Takes in the next frame of the log; what is wrong with it, or null. */
  take(bytes: Uint8Array, at: number): string | null {
    if (frameKindOf(bytes, at) !== frameKind.events) return null;
    const partition = framePartition(bytes, at);
    const slot = this.slot(partition);
    const next = this.nextSequences[slot];
    if (next === undefined) return `partition ${String(partition)} is not one of this bucket`;
    const first = frameFirstSequence(bytes, at);
    const count = frameEventCount(bytes, at);
    this.nextSequences[slot] = first + count;
    this.eventCount += count;
    let fault =
      first === next
        ? null
        : `sequence ${String(first)} of partition ${String(partition)} where ${String(next)} is due`;
    const lengths = visitEvents(bytes, at, (event) => {
      const from = event + EVENT_HEADER_BYTES;
      const to = from + eventStreamIdLength(bytes, event);
      const version = eventVersion(bytes, event);
      const expected = this.#versions.take(bytes, from, to, version);
      if (expected === version) return;
      const stream = JSON.stringify(Buffer.from(bytes.subarray(from, to)).toString('utf8'));
      fault ??= `version ${String(version)} of stream ${stream} where ${String(expected)} is due`;
    });
    return lengths ?? fault;
  }
}
