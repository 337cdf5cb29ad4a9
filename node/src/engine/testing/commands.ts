/** Random appends for tests: few streams and keys, so that they meet; every option; retries; all sizes. */
import { partitionHash } from '../../../../common/ids.ts';
import type { Random } from '../../../../common/random.ts';
import type { AppendRequest, EventDraft, ExpectedVersion } from '../types.ts';
import type { ModelOptions, StoreModel } from './model.ts';

export interface CommandOptions {
  /** Share, in percent, of appends that are far larger than the rest. Default 5. */
  readonly largePercent?: number;
  /** Bytes of payload and metadata of most appends, at most. Default 400. */
  readonly smallBytes?: number;
}

interface Sent {
  readonly request: AppendRequest;
}

const KEYS = 6;
const STREAMS_PER_KEY = 4;
const REMEMBERED = 64;

export class RandomCommands {
  readonly #random: Random;
  readonly #model: StoreModel;
  readonly #options: ModelOptions;
  readonly #largePercent: number;
  readonly #smallBytes: number;
  readonly #sent: Sent[] = [];
  readonly keys: readonly Buffer[];
  #count = 0;

  constructor(random: Random, model: StoreModel, options: CommandOptions = {}) {
    this.#random = random;
    this.#model = model;
    this.#options = model.options;
    this.#largePercent = options.largePercent ?? 5;
    this.#smallBytes = options.smallBytes ?? 400;
    this.keys = Array.from({ length: KEYS }, () => this.uuid());
  }

  below(limit: number): number {
    return this.#random.below(limit);
  }

  chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  uuid(): Buffer {
    const bytes = Buffer.alloc(16);
    this.#random.fill(bytes);
    return bytes;
  }

  /** A stream that may exist, with the key it would be asked under; sometimes a wrong one. */
  stream(): { streamId: Buffer; partitionKey: Buffer } {
    const key = this.below(KEYS);
    const other = this.chance(5) ? this.below(KEYS) : key;
    return { streamId: this.#streamOf(key), partitionKey: this.keys[other]! };
  }

  /** An append; about one in eight is a retry of an earlier one. */
  append(): AppendRequest {
    const earlier = this.chance(12)
      ? this.#sent[this.below(Math.max(1, this.#sent.length))]
      : undefined;
    if (earlier !== undefined) return copyOf(this.#retryOf(earlier.request));
    const key = this.below(KEYS);
    const count = this.chance(70) ? 1 : 1 + this.below(5);
    const large = this.chance(this.#largePercent);
    const events = Array.from({ length: count }, () => this.#event(key, large && count === 1));
    const partitionKey = this.keys[this.chance(4) ? this.below(KEYS) : key]!;
    const request = { partitionKey, events };
    if (events.every(({ eventId }) => eventId !== null)) this.#remember(request);
    return copyOf(request);
  }

  /** A version for a range's end: mostly of an event that may exist. */
  position(length: number): number {
    return this.chance(10) ? length + this.below(3) : this.below(Math.max(1, length));
  }

  #remember(request: AppendRequest): void {
    this.#sent.push({ request: copyOf(request) });
    if (this.#sent.length > REMEMBERED) this.#sent.shift();
  }

  #retryOf(request: AppendRequest): AppendRequest {
    const events = request.events.map((event) => ({ ...event, payload: this.#text(20) }));
    const draw = this.below(8);
    if (draw === 0) return { ...request, events: events.slice(0, 1) };
    if (draw === 1) return { ...request, events: events.toReversed() };
    if (draw === 2)
      return { ...request, events: [...events, this.#event(this.below(KEYS), false)] };
    if (draw === 3) return { ...request, events: [...events, ...events.slice(0, 1)] };
    return { ...request, events };
  }

  #event(key: number, large: boolean): EventDraft {
    this.#count += 1;
    const streamId = this.chance(2) ? Buffer.alloc(this.below(70), 120) : this.#streamOf(key);
    return {
      streamId,
      eventName: this.chance(1) ? Buffer.alloc(250 + this.below(10), 110) : this.#text(12),
      eventId: this.chance(40) ? this.#eventId() : null,
      expectedVersion: this.#expectedVersion(streamId, this.keys[key]!),
      timestamp: this.#timestamp(),
      metadata: this.chance(30) ? this.#text(this.#smallBytes / 4) : Buffer.alloc(0),
      payload: large ? this.#large() : this.#text(this.#smallBytes),
    };
  }

  #eventId(): Buffer {
    const used = this.chance(5)
      ? this.#sent[this.below(Math.max(1, this.#sent.length))]
      : undefined;
    return (used?.request.events[0]?.eventId as Buffer | undefined) ?? this.uuid();
  }

  #streamOf(key: number): Buffer {
    const fresh = this.chance(15);
    const number = fresh ? `${this.#count}` : `${this.below(STREAMS_PER_KEY)}`;
    return Buffer.from(`${fresh ? 'new' : 'stream'}-${key}-${number}`);
  }

  #expectedVersion(streamId: Buffer, key: Buffer): ExpectedVersion {
    const current = this.#model.stream(streamId, key).length - 1;
    const draw = this.below(20);
    if (draw < 12) return 'any';
    if (draw < 16) return current < 0 ? 'empty' : current;
    if (draw === 16) return 'exists';
    if (draw === 17) return 'empty';
    return draw === 18 ? this.below(5) : 2n ** 60n;
  }

  #timestamp(): number | bigint | null {
    if (this.chance(80)) return null;
    return this.chance(5) ? 9_223_372_036_855n : 1_600_000_000_000 + this.below(2 ** 31);
  }

  /** Unlike any other, so that an event in a wrong place is noticed. */
  #text(most: number): Buffer {
    this.#count += 1;
    return Buffer.from(`${this.#count}.`.padEnd(this.below(Math.floor(most) + 1), 'abcdefgh'));
  }

  #large(): Buffer {
    const { appendMaxBytes } = this.#options;
    this.#count += 1;
    const bytes = this.chance(5) ? appendMaxBytes : this.below(appendMaxBytes - 256);
    return Buffer.from(`${this.#count}.`.padEnd(bytes, 'ijklmnop'));
  }
}

/** Buffers of its own, that the test may scribble over. */
export function copyOf({ partitionKey, events }: AppendRequest): AppendRequest {
  const copy = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  return {
    partitionKey: copy(partitionKey),
    events: events.map((event) => ({
      ...event,
      streamId: copy(event.streamId),
      eventName: copy(event.eventName),
      eventId: event.eventId === null ? null : copy(event.eventId),
      metadata: copy(event.metadata),
      payload: copy(event.payload),
    })),
  };
}

/** The engine keeps nothing of the caller's buffers: what it would still read of them is wrong from now on. */
export function scribbleOver({ partitionKey, events }: AppendRequest): void {
  for (const event of events) {
    for (const bytes of [event.streamId, event.eventName, event.metadata, event.payload]) {
      bytes.fill(0xee);
    }
    event.eventId?.fill(0xee);
  }
  partitionKey.fill(0xee);
}

/** A key whose partition belongs to `bucket`. */
export function keyInBucket(random: Random, options: ModelOptions, bucket: number): Buffer {
  for (;;) {
    const key = Buffer.alloc(16);
    random.fill(key);
    if ((partitionHash(key) % options.partitionCount) % options.bucketCount === bucket) return key;
  }
}
