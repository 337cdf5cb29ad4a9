/**
 * The end of a bucket's log in memory: everything not yet written to segments, as chunks that are exact images of the
 * segment's bytes. Frames are built here in place, the journal copies them, segments are written from here.
 *
 * Invariants: chunks are in log order; a chunk belongs to one segment; a frame never spans two chunks; bytes below
 * `used` never change.
 */
const CHUNK_BYTES = 256 * 1024;

export interface Chunk {
  readonly segment: number;
  /** Offset in the segment of the chunk's first byte. */
  readonly start: number;
  readonly buffer: Buffer;
  used: number;
}

export class Tail {
  readonly #chunks: Chunk[] = [];

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.buffer.length, 0);
  }

  /** A chunk with room for `length` bytes at `segment`:`offset`, which must be the log's end. */
  reserve(segment: number, offset: number, length: number): Chunk {
    const last = this.#chunks.at(-1);
    if (
      last?.segment === segment &&
      last.start + last.used === offset &&
      last.used + length <= last.buffer.length
    ) {
      return last;
    }
    const chunk = {
      segment,
      start: offset,
      buffer: Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length)),
      used: 0,
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

  /** Forgets chunks that lie before `segment`:`offset` as a whole, but not the last one: it may still grow. */
  release(segment: number, offset: number): void {
    let count = 0;
    while (count < this.#chunks.length - 1) {
      const chunk = this.#chunks[count] as Chunk;
      const before =
        chunk.segment < segment ||
        (chunk.segment === segment && chunk.start + chunk.used <= offset);
      if (!before) break;
      count += 1;
    }
    this.#chunks.splice(0, count);
  }
}
