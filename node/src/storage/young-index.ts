/**
 * Index of one segment while it has no index files: streams, partitions and event ids of its committed frames, in typed
 * arrays. A position is the offset of a frame in the segment; the reader finds the event inside the frame.
 *
 * Invariants
 * - Frames are added in log order, each once, only when committed: what is not committed cannot be found here.
 * - A run lists positions of consecutive versions (of one stream) or sequences (of one partition) without a gap. A
 *   gap, left by damage, or another stream with the same hash starts a new run. So a look-up may meet several runs and
 *   must compare stream ids before it believes one.
 */
import {
  eventLength,
  eventStreamIdLength,
  eventVersion,
  EVENT_HEADER_BYTES,
  frameEventCount,
  FRAME_EVENTS_OFFSET,
  frameFirstSequence,
  frameKind,
  frameKindOf,
  framePartition,
} from './frame-format.ts';
import { FingerprintTable } from './fingerprint-table.ts';
import { GrowableUint32 } from './growable.ts';
import { hashBytes, hashHigh, hashLow, hashUuid } from './hash.ts';
import { largeWords, listWords, type WordReader } from './words.ts';

/** Consecutive positions: version or sequence `first + i` stands in the frame at position `i`. */
export interface PositionRun {
  readonly first: number;
  readonly count: number;
}

export interface StreamRun extends PositionRun {
  /** Number of the run inside this index. */
  readonly run: number;
}

/** First blocks are small, because most streams are short. A block is: run of the block before, count, positions. */
const BLOCK_HEADER = 3;
const FIRST_BLOCK = 4;
const LARGEST_BLOCK = 512;

interface PartitionRun {
  readonly first: number;
  readonly positions: GrowableUint32;
}

export class YoungIndex {
  #events = new FingerprintTable();
  #streams = new FingerprintTable();
  /** Per run, four words: high hash bits, first version (low, high), event count; and the latest block or position. */
  #runs = new GrowableUint32(5 * 64);
  /** Blocks of positions: block before + 1, ordinal of its first position, capacity, positions. */
  #blocks = new GrowableUint32(1024);
  readonly #partitions = new Map<number, PartitionRun[]>();
  eventCount = 0;
  streamRunCount = 0;

  /** Adds the frame at `bytes[at]`, which stands at `position` of the segment. */
  add(bytes: Uint8Array, at: number, position: number): void {
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    const count = frameEventCount(bytes, at);
    this.#addToPartition(framePartition(bytes, at), frameFirstSequence(bytes, at), count, position);
    let event = at + FRAME_EVENTS_OFFSET;
    for (let i = 0; i < count; i += 1) {
      this.#events.add(hashLow(hashUuid(bytes, event)), position);
      const streamAt = event + EVENT_HEADER_BYTES;
      const hash = hashBytes(bytes, streamAt, streamAt + eventStreamIdLength(bytes, event));
      this.#addToStream(hash, eventVersion(bytes, event), position);
      event += eventLength(bytes, event);
    }
    this.eventCount += count;
  }

  /** Positions that may hold an event with this id hash, oldest first, into `out`. */
  findEvent(hash: number, out: number[]): void {
    const fingerprint = hashLow(hash);
    const start = out.length;
    for (
      let position = this.#events.find(fingerprint, -1);
      position >= 0;
      position = this.#events.find(fingerprint, this.#events.place)
    ) {
      out.push(position);
    }
    if (out.length > start + 1) {
      out.splice(start, out.length - start, ...out.slice(start).sort((a, b) => a - b));
    }
  }

  /** Runs of streams with this hash, into `out`. */
  findStream(hash: number, out: StreamRun[]): void {
    const fingerprint = hashLow(hash);
    const high = hashHigh(hash);
    for (
      let run = this.#streams.find(fingerprint, -1);
      run >= 0;
      run = this.#streams.find(fingerprint, this.#streams.place)
    ) {
      if (this.#runs.get(5 * run) !== high) continue;
      out.push({ run, first: this.#firstVersion(run), count: this.#runs.get(5 * run + 3) });
    }
  }

  /** True where no stream with this hash can be here. */
  lacksStream(hash: number): boolean {
    return this.#streams.find(hashLow(hash), -1) < 0;
  }

  /** True where no event with this id hash can be here. */
  lacksEvent(hash: number): boolean {
    return this.#events.find(hashLow(hash), -1) < 0;
  }

  /** Up to `max` positions of a run, from its `ordinal`-th on, in order. */
  streamPositions(run: number, ordinal: number, max: number): Uint32Array<ArrayBuffer> {
    const count = Math.min(max, this.#runs.get(5 * run + 3) - ordinal);
    const positions = new Uint32Array(Math.max(count, 0));
    if (this.#runs.get(5 * run + 3) === 1) {
      if (count > 0) positions[0] = this.#runs.get(5 * run + 4);
      return positions;
    }
    const blocks = this.#blocks;
    let end = this.#runs.get(5 * run + 3);
    for (let block = this.#runs.get(5 * run + 4); end > ordinal;) {
      const first = blocks.get(block + 1);
      for (let i = Math.max(first, ordinal); i < Math.min(end, ordinal + count); i += 1) {
        positions[i - ordinal] = blocks.get(block + BLOCK_HEADER + i - first);
      }
      end = first;
      block = blocks.get(block) - 1;
    }
    return positions;
  }

  partitionRuns(partition: number): readonly PositionRun[] {
    return (this.#partitions.get(partition) ?? []).map(({ first, positions }) => ({
      first,
      count: positions.length,
    }));
  }

  /** Up to `max` positions of the partition's events from sequence `from` on, which one of its runs must hold. */
  partitionPositions(partition: number, from: number, max: number): Uint32Array<ArrayBuffer> {
    for (const { first, positions } of this.#partitions.get(partition) ?? []) {
      if (from >= first && from < first + positions.length) {
        return positions.slice(from - first, Math.min(positions.length, from - first + max));
      }
    }
    return new Uint32Array(0);
  }

  /** Its words, not copied; {@link decode} makes the same index of them. */
  encode(): Uint32Array[] {
    const partitions = [...this.#partitions].flatMap(([partition, runs]) => [
      Uint32Array.of(partition, runs.length),
      ...runs.flatMap(({ first, positions }) => [
        Uint32Array.from(largeWords(first)),
        ...listWords(positions.values),
      ]),
    ]);
    return [
      Uint32Array.of(this.eventCount, this.streamRunCount),
      ...this.#events.encode(),
      ...this.#streams.encode(),
      ...listWords(this.#runs.values),
      ...listWords(this.#blocks.values),
      Uint32Array.of(this.#partitions.size),
      ...partitions,
    ];
  }

  static decode(words: WordReader): YoungIndex {
    const index = new YoungIndex();
    index.eventCount = words.next();
    index.streamRunCount = words.next();
    index.#events = FingerprintTable.decode(words);
    index.#streams = FingerprintTable.decode(words);
    index.#runs = GrowableUint32.from(words.nextList());
    index.#blocks = GrowableUint32.from(words.nextList());
    const partitions = words.next();
    for (let i = 0; i < partitions; i += 1) {
      const partition = words.next();
      const runs = Array.from({ length: words.next() }, () => ({
        first: words.nextLarge(),
        positions: GrowableUint32.from(words.nextList()),
      }));
      index.#partitions.set(partition, runs);
    }
    return index;
  }

  /** Bytes of memory that this index occupies, roughly. */
  get bytes(): number {
    let bytes =
      this.#events.bytes +
      this.#streams.bytes +
      this.#runs.capacityBytes +
      this.#blocks.capacityBytes;
    for (const runs of this.#partitions.values()) {
      for (const { positions } of runs) bytes += positions.capacityBytes;
    }
    return bytes;
  }

  #firstVersion(run: number): number {
    return this.#runs.get(5 * run + 1) + this.#runs.get(5 * run + 2) * 2 ** 32;
  }

  #addToPartition(partition: number, first: number, count: number, position: number): void {
    let runs = this.#partitions.get(partition);
    if (runs === undefined) {
      runs = [];
      this.#partitions.set(partition, runs);
    }
    let run = runs.at(-1);
    if (run === undefined || run.first + run.positions.length !== first) {
      run = { first, positions: new GrowableUint32(16) };
      runs.push(run);
    }
    for (let i = 0; i < count; i += 1) run.positions.push(position);
  }

  #addToStream(hash: number, version: number, position: number): void {
    const run = this.#runToExtend(hash, version);
    if (run < 0) {
      this.#startRun(hash, version, position);
      return;
    }
    const count = this.#runs.get(5 * run + 3);
    this.#runs.set(5 * run + 3, count + 1);
    let block = this.#runs.get(5 * run + 4);
    if (count === 1) {
      const only = block;
      block = this.#newBlock(0, 0, FIRST_BLOCK);
      this.#blocks.set(block + BLOCK_HEADER, only);
      this.#runs.set(5 * run + 4, block);
    } else if (count - this.#blocks.get(block + 1) === this.#blocks.get(block + 2)) {
      const capacity = Math.min(2 * this.#blocks.get(block + 2), LARGEST_BLOCK);
      block = this.#newBlock(block + 1, count, capacity);
      this.#runs.set(5 * run + 4, block);
    }
    this.#blocks.set(block + BLOCK_HEADER + count - this.#blocks.get(block + 1), position);
  }

  #runToExtend(hash: number, version: number): number {
    const fingerprint = hashLow(hash);
    const high = hashHigh(hash);
    for (
      let run = this.#streams.find(fingerprint, -1);
      run >= 0;
      run = this.#streams.find(fingerprint, this.#streams.place)
    ) {
      const next = this.#firstVersion(run) + this.#runs.get(5 * run + 3);
      if (this.#runs.get(5 * run) === high && next === version) return run;
    }
    return -1;
  }

  #startRun(hash: number, version: number, position: number): void {
    const at = this.#runs.extend(5);
    this.#runs.set(at, hashHigh(hash));
    this.#runs.set(at + 1, version % 2 ** 32);
    this.#runs.set(at + 2, Math.floor(version / 2 ** 32));
    this.#runs.set(at + 3, 1);
    this.#runs.set(at + 4, position);
    this.#streams.add(hashLow(hash), at / 5);
    this.streamRunCount += 1;
  }

  #newBlock(before: number, firstOrdinal: number, capacity: number): number {
    const block = this.#blocks.extend(BLOCK_HEADER + capacity);
    this.#blocks.set(block, before);
    this.#blocks.set(block + 1, firstOrdinal);
    this.#blocks.set(block + 2, capacity);
    return block;
  }
}
