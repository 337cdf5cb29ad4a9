/** Makes valid segments with random transactions from a seed, and says what is in them. */
import { hashBytes, hashUuid } from '../hash.ts';
import { seededRandom } from '../../../../common/random.ts';
import { writeUint32, writeUint48 } from '../bytes.ts';
import type { FileSystem } from '../file-system.ts';
import {
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  frameKind,
  sealFrame,
  writeFrameHeader,
} from '../frame-format.ts';
import { segmentFileName } from '../names.ts';
import { encodeSegmentHeader } from '../segment-format.ts';

export interface MadeEvent {
  readonly streamId: string;
  readonly version: number;
  readonly idHash: number;
  readonly partition: number;
  readonly sequence: number;
  /** Offset of its frame. */
  readonly offset: number;
}

export interface MadeSegment {
  readonly segment: number;
  readonly bytes: Buffer;
  readonly events: readonly MadeEvent[];
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastCrc: number;
}

export interface SegmentMakerOptions {
  readonly seed: number;
  /** Existing streams an event is drawn from; 0: each event begins a stream. Default 50. */
  readonly streams?: number;
  readonly payloadBytes?: number;
  /** Most events of a transaction. Default 3. */
  readonly transactionMax?: number;
  /** One event in so many has the id of an earlier one. Default: none has. */
  readonly idRepeatEvery?: number;
}

const BUCKET = 3;
const PARTITIONS = [3, 7, 11, 15];
const LEADER_EVERY = 17;

export const streamHash = (streamId: string): number => {
  const bytes = Buffer.from(streamId);
  return hashBytes(bytes, 0, bytes.length);
};

/** 20 bytes. */
const streamName = (stream: number): string => `stream-${String(stream).padStart(13, '0')}`;

export class SegmentMaker {
  readonly #options: Required<SegmentMakerOptions>;
  readonly #random;
  readonly #versions = new Map<string, number>();
  readonly #sequences = new Map<number, number>(PARTITIONS.map((partition) => [partition, 0]));
  #created = 0;
  readonly #repeatedId = Buffer.alloc(16);
  #index = 1;
  #crc = 0;

  constructor(options: SegmentMakerOptions) {
    this.#options = {
      streams: 50,
      payloadBytes: 20,
      transactionMax: 3,
      idRepeatEvery: Infinity,
      ...options,
    };
    this.#random = seededRandom(options.seed);
  }

  /** The next segment of the log, with `eventCount` events or a few more. */
  next(segment: number, eventCount: number): MadeSegment {
    const header = encodeSegmentHeader({
      bucket: BUCKET,
      segment,
      firstIndex: this.#index,
      groupId: Buffer.alloc(16, 1),
      previousCrc: this.#crc,
      nextSequences: PARTITIONS.map((partition) => this.#sequences.get(partition) ?? 0),
    });
    const firstIndex = this.#index;
    const parts = [header];
    const events: MadeEvent[] = [];
    let offset = header.length;
    while (events.length < eventCount) {
      const frame = this.#frame(segment, offset, events);
      parts.push(frame);
      offset += frame.length;
    }
    const lastIndex = this.#index - 1;
    const bytes = Buffer.concat(parts);
    return { segment, bytes, events, firstIndex, lastIndex, lastCrc: this.#crc };
  }

  #frame(segment: number, offset: number, events: MadeEvent[]): Buffer {
    const isLeader = this.#index % LEADER_EVERY === 0;
    const partition = PARTITIONS[this.#random.below(PARTITIONS.length)] as number;
    const firstSequence = this.#sequences.get(partition) as number;
    const eventCount = isLeader ? 0 : 1 + this.#random.below(this.#options.transactionMax);
    const bodies: Buffer[] = [];
    for (let i = 0; i < eventCount; i += 1) {
      bodies.push(this.#event(partition, firstSequence + i, offset, events));
    }
    this.#sequences.set(partition, firstSequence + eventCount);
    const start = isLeader ? 44 : FRAME_EVENTS_OFFSET;
    const length = start + bodies.reduce((sum, body) => sum + body.length, 0);
    const frame = Buffer.alloc(length);
    Buffer.concat(bodies).copy(frame, start);
    writeFrameHeader(frame, 0, {
      length,
      previousCrc: this.#crc,
      segment,
      offset,
      index: this.#index,
      term: 1 + Math.floor(this.#index / 100),
      kind: isLeader ? frameKind.leader : frameKind.events,
      partition: isLeader ? 0 : partition,
      firstSequence: isLeader ? 0 : firstSequence,
      eventCount,
    });
    this.#crc = sealFrame(frame, 0, length);
    this.#index += 1;
    return frame;
  }

  #event(partition: number, sequence: number, offset: number, events: MadeEvent[]): Buffer {
    const { streams, payloadBytes } = this.#options;
    const stream = streams === 0 ? this.#created : this.#random.below(streams);
    this.#created += 1;
    const streamId = streamName(stream);
    const version = this.#versions.get(streamId) ?? 0;
    // Each event of a new stream would fill this map for nothing.
    if (streams > 0) this.#versions.set(streamId, version + 1);
    const name = Buffer.from(streamId);
    const body = Buffer.alloc(EVENT_HEADER_BYTES + name.length + 20 + payloadBytes);
    this.#eventId(body);
    writeUint48(body, 16, version);
    body[28] = name.length;
    body[29] = 20;
    writeUint32(body, 34, payloadBytes);
    name.copy(body, EVENT_HEADER_BYTES);
    events.push({ streamId, version, idHash: hashUuid(body, 0), partition, sequence, offset });
    return body;
  }

  #eventId(target: Buffer): void {
    if (this.#created % this.#options.idRepeatEvery === 0) this.#repeatedId.copy(target);
    else this.#random.fill(target.subarray(0, 16));
    if (this.#random.below(5) === 0) target.copy(this.#repeatedId, 0, 0, 16);
  }
}

/** Puts a made segment into `folder`. */
export async function writeSegment(
  files: FileSystem,
  folder: string,
  { segment, bytes }: MadeSegment,
): Promise<void> {
  await files.makeDirectory(folder);
  const path = `${folder}/${segmentFileName(segment)}`;
  await files.remove(path);
  const file = await files.open(path, 'create');
  await file.write(bytes, 0);
  await file.sync();
  await file.close();
}
