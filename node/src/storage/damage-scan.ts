/**
 * Walks a segment file frame by frame and goes on behind damage: a frame knows its own place, so the next whole one can
 * be found. Used at start for segments without index files, and by `verify`. (`segment-scan.ts`, for building index
 * files, stops at the first fault instead.)
 */
import type { FileSystem } from './file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameFault,
  frameIndex,
  frameLength,
  frameOffset,
  framePrevious,
  frameSegment,
} from './frame-format.ts';

export interface DamagedRange {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export interface ScanStart {
  readonly segment: number;
  /** Offset of the first frame: the header's length. */
  readonly offset: number;
  /** Index and CRC of the frame before it. */
  readonly index: number;
  readonly crc: number;
}

export interface ScanResult {
  readonly frames: number;
  readonly lastIndex: number;
  readonly lastCrc: number;
  readonly damage: readonly DamagedRange[];
}

/** Is shown a whole frame: `bytes[at..]`, which stands at `offset` in the segment. */
export type WholeFrameVisitor = (bytes: Buffer, at: number, offset: number) => void;

const READ_BYTES = 1024 * 1024;

/** Shows each whole frame of the file up to `end` to `visit`, in order. */
export async function scanPastDamage(
  files: FileSystem,
  path: string,
  start: ScanStart,
  end: number,
  visit: WholeFrameVisitor,
): Promise<ScanResult> {
  const file = await files.open(path, 'read');
  try {
    const read: Read = (target, position) => file.read(target, position);
    return await scanReads(read, start, end, visit);
  } finally {
    await file.close();
  }
}

/** As of a `FileHandle`: fills `target`, resolves with fewer bytes only at the end of the file. */
export type Read = (target: Buffer, position: number) => Promise<number>;

/** The same for any source of bytes, in pieces of at least `pieceBytes`; what `read` rejects with comes through. */
export function scanReads(
  read: Read,
  start: ScanStart,
  end: number,
  visit: WholeFrameVisitor,
  pieceBytes: number = READ_BYTES,
): Promise<ScanResult> {
  return new DamageScan(start, end, visit, read, pieceBytes).run();
}

class DamageScan {
  readonly #segment: number;
  readonly #end: number;
  readonly #visit: WholeFrameVisitor;
  readonly #read: Read;
  readonly #pieceBytes: number;
  readonly #damage: DamagedRange[] = [];
  #frames = 0;
  #index: number;
  #crc: number;
  #offset: number;
  /** `#buffer[0]` is the byte at `#base`; `#filled` bytes are valid. */
  #buffer: Buffer;
  #base: number;
  #filled = 0;
  /** Nothing more will be read: the buffer reaches the end. */
  #exhausted = false;

  constructor(
    start: ScanStart,
    end: number,
    visit: WholeFrameVisitor,
    read: Read,
    pieceBytes: number,
  ) {
    this.#pieceBytes = pieceBytes;
    this.#buffer = Buffer.allocUnsafe(2 * pieceBytes);
    this.#segment = start.segment;
    this.#offset = start.offset;
    this.#base = start.offset;
    this.#index = start.index;
    this.#crc = start.crc;
    this.#end = end;
    this.#visit = visit;
    this.#read = read;
  }

  async run(): Promise<ScanResult> {
    while (this.#offset < this.#end) {
      const stop = this.#takeBuffered();
      if (typeof stop === 'number') await this.#fill(stop);
      else await this.#skipDamage(stop);
    }
    return {
      frames: this.#frames,
      lastIndex: this.#index,
      lastCrc: this.#crc,
      damage: this.#damage,
    };
  }

  /**
   * Shows whole frames as long as they are in the buffer: without a promise per frame, because millions of them stand
   * between a start and its first append. Returns what stopped it: a fault, or how many bytes it needs.
   */
  #takeBuffered(): string | number {
    let behindDamage = this.#damage.at(-1)?.to === this.#offset;
    while (this.#offset < this.#end) {
      const needed = this.#bytesNeeded();
      if (needed > 0) return needed;
      const at = this.#offset - this.#base;
      const fault = frameFault(this.#buffer, at, this.#filled, this.#segment, this.#offset);
      if (fault !== null) return fault;
      const chained =
        framePrevious(this.#buffer, at) === this.#crc &&
        frameIndex(this.#buffer, at) === this.#index + 1;
      // Behind damage the chain starts anew.
      if (!chained && !behindDamage) return 'does not follow the frame before it';
      behindDamage = false;
      this.#take(at);
    }
    return this.#pieceBytes;
  }

  /** How many bytes from the present offset on are needed to judge the frame there, or 0: all are here, or will never be. */
  #bytesNeeded(): number {
    const available = this.#available();
    const left = this.#end - this.#offset;
    if (available < FRAME_HEADER_BYTES) return this.#exhausted ? 0 : FRAME_HEADER_BYTES;
    const length = frameLength(this.#buffer, this.#offset - this.#base);
    if (length <= available || length > left || this.#exhausted) return 0;
    return length;
  }

  #available(): number {
    return this.#filled - (this.#offset - this.#base);
  }

  #take(at: number): void {
    const buffer = this.#buffer;
    this.#visit(buffer, at, this.#offset);
    this.#frames += 1;
    this.#index = frameIndex(buffer, at);
    this.#crc = frameCrc(buffer, at);
    this.#offset += frameLength(buffer, at);
  }

  /** Finds the next place where a whole frame believes to stand. */
  async #skipDamage(reason: string): Promise<void> {
    const from = this.#offset;
    this.#offset += 1;
    while (this.#offset < this.#end && !this.#findWhole()) {
      const needed = this.#bytesNeeded();
      if (needed > 0) await this.#fill(needed);
      else this.#offset += 1;
    }
    this.#damage.push({ segment: this.#segment, from, to: this.#offset, reason });
  }

  /** Moves on to a whole frame; false at the first place that cannot be judged yet. */
  #findWhole(): boolean {
    const last = Math.min(this.#base + this.#filled, this.#end) - FRAME_HEADER_BYTES;
    for (; this.#offset <= last; this.#offset += 1) {
      const at = this.#offset - this.#base;
      if (frameOffset(this.#buffer, at) !== this.#offset) continue;
      if (frameSegment(this.#buffer, at) !== this.#segment) continue;
      if (this.#bytesNeeded() > 0) return false;
      if (frameFault(this.#buffer, at, this.#filled, this.#segment, this.#offset) === null) {
        return true;
      }
    }
    return false;
  }

  /** Brings `needed` bytes from the present offset on into the buffer, and as many more as fit. */
  async #fill(needed: number): Promise<void> {
    const rest = Math.max(this.#available(), 0);
    const from = this.#offset - this.#base;
    const roomy = needed + this.#pieceBytes <= this.#buffer.length;
    const buffer = roomy ? this.#buffer : Buffer.allocUnsafe(needed + this.#pieceBytes);
    this.#buffer.copy(buffer, 0, from, from + rest);
    this.#buffer = buffer;
    this.#base = this.#offset;
    this.#filled = rest;
    const wanted = Math.min(buffer.length, this.#end - this.#base);
    while (this.#filled < wanted) {
      const got = await this.#read(
        buffer.subarray(this.#filled, wanted),
        this.#base + this.#filled,
      );
      if (got === 0) {
        this.#exhausted = true;
        return;
      }
      this.#filled += got;
    }
    if (this.#base + this.#filled >= this.#end) this.#exhausted = true;
  }
}
