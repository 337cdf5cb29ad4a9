import {
  EVENT_HEADER_BYTES,
  eventStreamIdLength,
  eventVersion,
  frameEventCount,
  frameFirstSequence,
  frameIndex,
  frameKind,
  frameKindOf,
  framePartition,
} from '../frame-format.ts';
import type { LogPosition } from '../journal-format.ts';
import { visitEvents } from './frame-check.ts';
import { type Loss, LOST_STREAMS_MAX, type LostSequences, type LostVersions } from './report.ts';

/** Counts what stands behind the end of what a bucket can keep. */
export class LossCount {
  readonly #indexes = new Set<number>();
  /** Partition → sequence behind the last one known to have existed. */
  readonly #nextSequences = new Map<number, number>();
  readonly #streams = new Map<string, LostVersions>();
  readonly #omitted = new Set<string>();
  #lastIndex = 0;

  /** A frame that can be read and is lost. */
  note(bytes: Buffer, at: number): void {
    const index = frameIndex(bytes, at);
    if (this.#indexes.has(index)) return;
    this.#indexes.add(index);
    this.noteIndex(index);
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    this.noteSequence(
      framePartition(bytes, at),
      frameFirstSequence(bytes, at) + frameEventCount(bytes, at),
    );
    visitEvents(bytes, at, (event) => {
      const from = event + EVENT_HEADER_BYTES;
      const to = from + eventStreamIdLength(bytes, event);
      this.#noteVersion(bytes.toString('utf8', from, to), eventVersion(bytes, event));
    });
  }

  /** The log is known to have reached this frame. */
  noteIndex(index: number): void {
    this.#lastIndex = Math.max(this.#lastIndex, index);
  }

  /** A partition is known to have had events before sequence `next`. */
  noteSequence(partition: number, next: number): void {
    const known = this.#nextSequences.get(partition) ?? 0;
    this.#nextSequences.set(partition, Math.max(known, next));
  }

  /** The loss of a log that is cut at `end`; `kept` is the next sequence of a partition there. */
  total(bucket: number, end: LogPosition, kept: (partition: number) => number): Loss {
    const frames = Math.max(this.#lastIndex - end.index, 0);
    const partitions: LostSequences[] = [];
    for (const [partition, next] of [...this.#nextSequences].sort(([a], [b]) => a - b)) {
      const from = kept(partition);
      if (next > from) partitions.push({ partition, from, to: next - 1 });
    }
    return {
      bucket,
      end,
      frames,
      framesUnread: Math.max(frames - this.#indexes.size, 0),
      events: partitions.reduce((sum, { from, to }) => sum + to - from + 1, 0),
      partitions,
      streams: [...this.#streams.values()],
      streamsOmitted: this.#omitted.size,
    };
  }

  #noteVersion(streamId: string, version: number): void {
    const known = this.#streams.get(streamId);
    if (known === undefined && this.#streams.size >= LOST_STREAMS_MAX) {
      this.#omitted.add(streamId);
      return;
    }
    const from = Math.min(known?.from ?? version, version);
    const to = Math.max(known?.to ?? version, version);
    this.#streams.set(streamId, { streamId, from, to });
  }
}
