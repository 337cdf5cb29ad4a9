/**
 * Frames out of what arrives on a stream, however it is cut.
 *
 * Invariants
 * - A frame that lies whole in one chunk is a view of it; one that does not gathers in a buffer of its own, once.
 * - What is held is at most one frame, and a frame is at most as long as was agreed.
 */
import { readUint32 } from '../storage/bytes.ts';
import { FRAME_HEAD_BYTES, STREAM_FRAME_BYTES_MAX, type StreamFrame } from './stream-format.ts';

const LENGTH_BYTES = 4;

export class StreamReader {
  readonly #bytesMax: number;
  /** The beginning of a frame's head. */
  readonly #head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  #headFilled = 0;
  /** The body that gathers. */
  #body: Buffer | null = null;
  #bodyFilled = 0;

  constructor(bytesMax: number = STREAM_FRAME_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** The frames that end in this chunk. Throws a `RangeError` where a frame is empty or too long. */
  *read(chunk: Buffer): Generator<StreamFrame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headFilled === 0) {
        const end = this.#wholeEnd(chunk, at);
        if (end !== 0) {
          yield { kind: chunk[at + LENGTH_BYTES] as number, body: viewOf(chunk, at, end) };
          at = end;
          continue;
        }
      }
      at = this.#gather(chunk, at);
      const body = this.#body;
      if (body === null || this.#bodyFilled < body.length) continue;
      this.#body = null;
      this.#headFilled = 0;
      yield { kind: this.#head[LENGTH_BYTES] as number, body };
    }
  }

  /** Where the frame that begins at `at` ends, or 0 where it does not lie whole in the chunk. */
  #wholeEnd(chunk: Buffer, at: number): number {
    if (at + FRAME_HEAD_BYTES > chunk.length) return 0;
    const end = at + LENGTH_BYTES + this.#length(chunk, at);
    return end <= chunk.length ? end : 0;
  }

  /** Takes what belongs to the frame that is under way; returns where that ends. */
  #gather(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#headFilled < FRAME_HEAD_BYTES) {
      const copied = chunk.copy(this.#head, this.#headFilled, at);
      this.#headFilled += copied;
      at += copied;
      if (this.#headFilled < FRAME_HEAD_BYTES) return at;
      this.#body = Buffer.allocUnsafe(this.#length(this.#head, 0) - 1);
      this.#bodyFilled = 0;
    }
    const body = this.#body as Buffer;
    const copied = chunk.copy(body, this.#bodyFilled, at);
    this.#bodyFilled += copied;
    return at + copied;
  }

  #length(bytes: Buffer, at: number): number {
    const length = readUint32(bytes, at);
    if (length === 0 || length > this.#bytesMax) {
      throw new RangeError(`a frame of ${String(length)} bytes`);
    }
    return length;
  }
}

const viewOf = (chunk: Buffer, at: number, end: number): Buffer =>
  chunk.subarray(at + FRAME_HEAD_BYTES, end);
