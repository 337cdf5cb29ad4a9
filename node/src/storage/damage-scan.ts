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
    return await new DamageScan(start, end, visit, (target, position) =>
      file.read(target, position),
    ).run();
  } finally {
    await file.close();
  }
}

type Read = (target: Buffer, position: number) => Promise<number>;

class DamageScan {
  readonly #segment: number;
  readonly #end: number;
  readonly #visit: WholeFrameVisitor;
  readonly #read: Read;
  readonly #damage: DamagedRange[] = [];
  #frames = 0;
  #index: number;
  #crc: number;
  #offset: number;
  /** `#buffer[0]` is the byte at `#base`; `#filled` bytes are valid. */
  #buffer = Buffer.allocUnsafe(2 * READ_BYTES);
  #base: number;
  #filled = 0;

  constructor(start: ScanStart, end: number, visit: WholeFrameVisitor, read: Read) {
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
      const fault = await this.#faultHere();
      if (fault === null) this.#take();
      else await this.#skipDamage(fault);
    }
    return {
      frames: this.#frames,
      lastIndex: this.#index,
      lastCrc: this.#crc,
      damage: this.#damage,
    };
  }

  #at(): number {
    return this.#offset - this.#base;
  }

  #available(): number {
    return this.#filled - this.#at();
  }

  /** What is wrong with the frame at the present offset, or null. Behind damage the chain starts anew. */
  async #faultHere(): Promise<string | null> {
    const fault = await this.#frameFaultHere();
    if (fault !== null) return fault;
    const behindDamage = this.#damage.at(-1)?.to === this.#offset;
    const at = this.#at();
    const chained =
      framePrevious(this.#buffer, at) === this.#crc &&
      frameIndex(this.#buffer, at) === this.#index + 1;
    return behindDamage || chained ? null : 'does not follow the frame before it';
  }

  async #frameFaultHere(): Promise<string | null> {
    await this.#fill(FRAME_HEADER_BYTES);
    if (this.#available() < FRAME_HEADER_BYTES) return 'shorter than a frame header';
    const length = frameLength(this.#buffer, this.#at());
    if (length >= FRAME_HEADER_BYTES && this.#offset + length <= this.#end)
      await this.#fill(length);
    return frameFault(this.#buffer, this.#at(), this.#filled, this.#segment, this.#offset);
  }

  #take(): void {
    const at = this.#at();
    this.#visit(this.#buffer, at, this.#offset);
    this.#frames += 1;
    this.#index = frameIndex(this.#buffer, at);
    this.#crc = frameCrc(this.#buffer, at);
    this.#offset += frameLength(this.#buffer, at);
  }

  /** Finds the next place where a whole frame believes to stand. */
  async #skipDamage(reason: string): Promise<void> {
    const from = this.#offset;
    do {
      this.#offset += 1;
    } while (this.#offset < this.#end && !(await this.#wholeFrameHere()));
    this.#damage.push({ segment: this.#segment, from, to: this.#offset, reason });
  }

  async #wholeFrameHere(): Promise<boolean> {
    if (this.#available() < FRAME_HEADER_BYTES) await this.#fill(FRAME_HEADER_BYTES);
    if (this.#available() < FRAME_HEADER_BYTES) return false;
    const at = this.#at();
    if (frameSegment(this.#buffer, at) !== this.#segment) return false;
    if (frameOffset(this.#buffer, at) !== this.#offset) return false;
    return (await this.#frameFaultHere()) === null;
  }

  /** Makes `needed` bytes from the present offset on available, unless the file ends before. */
  async #fill(needed: number): Promise<void> {
    if (this.#available() >= needed) return;
    const rest = Math.max(this.#available(), 0);
    const roomy = needed + READ_BYTES <= this.#buffer.length;
    const buffer = roomy ? this.#buffer : Buffer.allocUnsafe(needed + READ_BYTES);
    this.#buffer.copy(buffer, 0, this.#at(), this.#at() + rest);
    this.#buffer = buffer;
    this.#base = this.#offset;
    this.#filled = rest;
    const wanted = Math.min(buffer.length, this.#end - this.#base);
    while (this.#filled < wanted) {
      const got = await this.#read(
        buffer.subarray(this.#filled, wanted),
        this.#base + this.#filled,
      );
      if (got === 0) return;
      this.#filled += got;
    }
  }
}
