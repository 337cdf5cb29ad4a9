/** Walks the frames of a sealed segment from end to end, in large reads, and verifies all of it. */
import { DamageError } from './errors.ts';
import type { FileHandle } from './file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameFault,
  frameIndex,
  frameLength,
  framePrevious,
  frameTerm,
} from './frame-format.ts';
import type { SegmentIdentity } from './index-format.ts';
import { decodeSegmentHeader, type SegmentHeader, segmentHeaderBytes } from './segment-format.ts';

const READ_BYTES = 1 << 20;
/** A frame fits in a quarter of the largest journal file. A damaged length must not make us allocate more. */
const FRAME_BYTES_MAX = 1 << 28;
/** More than the header of a bucket with all 65,535 partitions. */
const HEADER_BYTES_MAX = 1 << 19;

/** Is shown a verified frame: `bytes[at..at + length)`, which stands at `offset` in the segment. */
export type FrameVisitor = (bytes: Buffer, at: number, length: number, offset: number) => void;

/** A part of a file that moves forward, at least as long as the frame being looked at. */
class Window {
  readonly #file: FileHandle;
  readonly #end: number;
  #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** Offset in the file of the buffer's first byte. */
  #start = 0;
  #length = 0;

  constructor(file: FileHandle, end: number) {
    this.#file = file;
    this.#end = end;
  }

  get bytes(): Buffer {
    return this.#buffer;
  }

  /** Place of `offset` in `bytes`. */
  at(offset: number): number {
    return offset - this.#start;
  }

  /** Bytes at hand from `offset` on. */
  available(offset: number): number {
    return this.#start + this.#length - offset;
  }

  /** Brings at least `length` bytes from `offset` on into `bytes`, or as many as there are up to the end. */
  async fill(offset: number, length: number): Promise<void> {
    const kept = this.available(offset);
    const from = this.at(offset);
    const source = this.#buffer;
    if (length > source.length) this.#buffer = Buffer.allocUnsafeSlow(length + READ_BYTES);
    source.copy(this.#buffer, 0, from, from + kept);
    this.#start = offset;
    this.#length = kept;
    const wanted = Math.min(this.#buffer.length, this.#end - offset);
    while (this.#length < wanted) {
      const target = this.#buffer.subarray(this.#length, wanted);
      const read = await this.#file.read(target, offset + this.#length);
      if (read === 0) return;
      this.#length += read;
    }
  }
}

/**
 * Shows all frames up to `end` in order. Rejects with {@link DamageError} where the header, a frame, or the chain from
 * frame to frame is not what was written; what `visit` throws comes through.
 */
export async function scanSegment(
  file: FileHandle,
  segment: number,
  end: number,
  visit: FrameVisitor,
): Promise<Omit<SegmentIdentity, 'eventCount'>> {
  const window = new Window(file, end);
  const header = await readHeader(window, segment);
  let offset = segmentHeaderBytes(header.nextSequences.length);
  let lastIndex = header.firstIndex - 1;
  let lastTerm = 0;
  let lastCrc = header.previousCrc;
  while (offset < end) {
    const at = await frameAt(window, segment, offset);
    const bytes = window.bytes;
    if (framePrevious(bytes, at) !== lastCrc || frameIndex(bytes, at) !== lastIndex + 1) {
      throw new DamageError(segment, offset, 'frame does not follow the one before');
    }
    const length = frameLength(bytes, at);
    visit(bytes, at, length, offset);
    lastIndex += 1;
    lastTerm = frameTerm(bytes, at);
    lastCrc = frameCrc(bytes, at);
    offset += length;
  }
  const { bucket, firstIndex } = header;
  return { bucket, segment, end, firstIndex, lastIndex, lastTerm, lastCrc };
}

async function readHeader(window: Window, segment: number): Promise<SegmentHeader> {
  await window.fill(0, HEADER_BYTES_MAX);
  const header = decodeSegmentHeader(window.bytes.subarray(0, window.available(0)));
  if (typeof header === 'string') throw new DamageError(segment, 0, header);
  if (header.segment !== segment) {
    throw new DamageError(segment, 0, `is the file of segment ${String(header.segment)}`);
  }
  return header;
}

/** Place of the whole, verified frame at `offset`. */
async function frameAt(window: Window, segment: number, offset: number): Promise<number> {
  if (window.available(offset) < FRAME_HEADER_BYTES) await window.fill(offset, FRAME_HEADER_BYTES);
  if (window.available(offset) >= FRAME_HEADER_BYTES) {
    const length = frameLength(window.bytes, window.at(offset));
    if (window.available(offset) < length && length <= FRAME_BYTES_MAX) {
      await window.fill(offset, length);
    }
  }
  const at = window.at(offset);
  const fault = frameFault(window.bytes, at, at + window.available(offset), segment, offset);
  if (fault !== null) throw new DamageError(segment, offset, fault);
  return at;
}
