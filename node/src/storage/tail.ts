/**
 * The end of a bucket's log in memory: everything not yet written to segments, and the latest of what was, as chunks that
 * are exact images of the segment's bytes. Frames are built here in place, the journal copies them, segments are written
 * and followers are served from here.
 *
 * Invariants: chunks are in log order; a chunk belongs to one segment; a frame never spans two chunks; bytes below
 * `used` never change, not even when frames are cut away: what follows goes to a new chunk.
 */
import { frameCrc, frameLength, frameTerm } from './frame-format.ts';
import type { LogPosition } from './journal-format.ts';
import type { UncommittedRoom } from './uncommitted-room.ts';

const CHUNK_BYTES = 256 * 1024;

export interface Chunk {
  readonly segment: number;
  /** Offset in the segment of the chunk's first byte. */
  readonly start: number;
  readonly buffer: Buffer;
  /** Log index of its first frame. */
  readonly firstIndex: number;
  /** Where in `buffer` its frames begin. */
  readonly frames: number[];
  used: number;
  /** Nothing is added any more. */
  isClosed: boolean;
}

/** Frames that stand back to back. */
export interface FrameRange {
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  readonly lastIndex: number;
}

export class Tail {
  readonly #chunks: Chunk[] = [];
  readonly #room: UncommittedRoom;

  constructor(room: UncommittedRoom) {
    this.#room = room;
  }

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.buffer.length, 0);
  }

  /** Index of the first frame that is here, or null where there is none. */
  get firstIndex(): number | null {
    return this.#chunks[0]?.firstIndex ?? null;
  }

  /** Shows where the frames behind `index` stand, in order. Those before it cost nothing: every round of the journal asks. */
  eachAfter(index: number, visit: (chunk: Chunk, at: number) => void): void {
    for (const chunk of this.#chunks) {
      const { frames, firstIndex } = chunk;
      for (let i = Math.max(0, index + 1 - firstIndex); i < frames.length; i += 1) {
        visit(chunk, frames[i] as number);
      }
    }
  }

  /** A chunk with room for frame `index` of `length` bytes at `segment`:`offset`, which must be the log's end. */
  reserve(segment: number, offset: number, length: number, index: number): Chunk {
    const last = this.#chunks.at(-1);
    if (
      last?.segment === segment &&
      !last.isClosed &&
      last.start + last.used === offset &&
      last.used + length <= last.buffer.length
    ) {
      return last;
    }
    const chunk = {
      segment,
      start: offset,
      buffer: Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length)),
      firstIndex: index,
      frames: [],
      used: 0,
      isClosed: false,
    };
    this.#chunks.push(chunk);
    return chunk;
  }

  /** The chunk that holds `segment`:`offset`, or null: then the segment's file does. */
  find(segment: number, offset: number): Chunk | null {
    for (let i = this.#chunks.length - 1; i >= 0; i -= 1) {
      const chunk = this.#chunks[i] as Chunk;
      if (chunk.segment < segment) return null;
      if (chunk.segment === segment && offset >= chunk.start) {
        return offset < chunk.start + chunk.used ? chunk : null;
      }
    }
    return null;
  }

  /** The chunk with frame `index`, or null. */
  chunkOf(index: number): Chunk | null {
    for (let i = this.#chunks.length - 1; i >= 0; i -= 1) {
      const chunk = this.#chunks[i] as Chunk;
      if (index >= chunk.firstIndex) {
        return index < chunk.firstIndex + chunk.frames.length ? chunk : null;
      }
    }
    return null;
  }

  /** Where the log goes on behind frame `index`; null where that frame is not here. */
  positionAfter(index: number): LogPosition | null {
    const chunk = this.chunkOf(index);
    if (chunk === null) return null;
    const { segment, buffer, start, frames, firstIndex } = chunk;
    const at = frames[index - firstIndex] as number;
    const offset = start + at + frameLength(buffer, at);
    return { segment, offset, index, term: frameTerm(buffer, at), crc: frameCrc(buffer, at) };
  }

  /** Frames from `index` on that stand together, of at most `maxBytes` but one at least; null where they are not here. */
  frames(index: number, maxBytes: number): FrameRange | null {
    const chunk = this.chunkOf(index);
    if (chunk === null) return null;
    const first = index - chunk.firstIndex;
    const from = chunk.frames[first] as number;
    let last = first;
    while (last + 1 < chunk.frames.length && this.#endOf(chunk, last + 1) - from <= maxBytes)
      last += 1;
    const to = this.#endOf(chunk, last);
    return { bytes: chunk.buffer, from, to, lastIndex: chunk.firstIndex + last };
  }

  /** A frame of `length` bytes stands at the end of a chunk. */
  added(chunk: Chunk, at: number, length: number): void {
    chunk.frames.push(at);
    chunk.used += length;
    this.#room.bytes += length;
  }

  /** A frame of `length` bytes was committed. */
  committed(length: number): void {
    this.#room.bytes -= length;
  }

  /** Forgets the frames behind `index`, none of which is committed. */
  cut(index: number): void {
    this.eachAfter(index, ({ buffer }, at) => {
      this.#room.bytes -= frameLength(buffer, at);
    });
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      if (last.firstIndex <= index) break;
      this.#chunks.pop();
    }
    const chunk = this.#chunks.at(-1);
    if (chunk === undefined) return;
    const kept = index - chunk.firstIndex + 1;
    if (kept >= chunk.frames.length) return;
    chunk.used = chunk.frames[kept] as number;
    chunk.frames.length = kept;
    chunk.isClosed = true;
  }

  /**
   * Forgets chunks that lie before `segment`:`offset` as a whole, but for the last `retainBytes` of them, and not the last
   * one: it may still grow.
   */
  release(segment: number, offset: number, retainBytes: number): void {
    let count = 0;
    while (count < this.#chunks.length - 1) {
      const chunk = this.#chunks[count] as Chunk;
      const before =
        chunk.segment < segment ||
        (chunk.segment === segment && chunk.start + chunk.used <= offset);
      if (!before) break;
      count += 1;
    }
    for (let retained = 0; count > 0; count -= 1) {
      retained += (this.#chunks[count - 1] as Chunk).used;
      if (retained > retainBytes) break;
    }
    this.#chunks.splice(0, count);
  }

  #endOf(chunk: Chunk, frame: number): number {
    return chunk.frames[frame + 1] ?? chunk.used;
  }
}
