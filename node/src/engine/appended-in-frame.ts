import { UUID_BYTES } from '../../../common/ids.ts';
import { EVENT_HEADER_BYTES, eventStreamIdLength } from '../storage/frame-format.ts';
import type { AppendedEvent } from './types.ts';

/** An event's reply, read from the frame when it is asked for: most replies do not name the stream. */
export class AppendedInFrame implements AppendedEvent {
  readonly version: number;
  readonly timestamp: number;
  readonly #bytes: Buffer;
  readonly #at: number;

  constructor(bytes: Buffer, at: number, version: number, timestamp: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.version = version;
    this.timestamp = timestamp;
  }

  get eventId(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#at + UUID_BYTES);
  }

  get streamId(): Uint8Array {
    const at = this.#at + EVENT_HEADER_BYTES;
    return this.#bytes.subarray(at, at + eventStreamIdLength(this.#bytes, this.#at));
  }
}
