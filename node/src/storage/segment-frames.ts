/** Asks whether frames of the journal also stand in segment files, one after the other as a replay meets them. */
import type { FileHandle, FileSystem } from './file-system.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameFault,
  frameLength,
  frameOffset,
  frameSegment,
} from './frame-format.ts';
import { segmentFileName } from './names.ts';

interface OpenSegment {
  readonly segment: number;
  readonly file: FileHandle | null;
}

export class SegmentFrames {
  readonly #files: FileSystem;
  readonly #folderOf: (bucket: number) => string;
  readonly #open = new Map<number, OpenSegment>();
  /**
   * Where a bucket's segment has been found to end: nothing is in it from there on. Frames that a leader has replaced may
   * reach further than those that took their place, which may for their part have gone on in the next segment.
   */
  readonly #ended = new Map<number, { readonly segment: number; readonly offset: number }>();

  constructor(files: FileSystem, folderOf: (bucket: number) => string) {
    this.#files = files;
    this.#folderOf = folderOf;
  }

  /** Whether the frame at `bytes[at]` stands in its place in its segment, whole and the same. */
  async has(bucket: number, bytes: Buffer, at: number): Promise<boolean> {
    const segment = frameSegment(bytes, at);
    const offset = frameOffset(bytes, at);
    const end = this.#ended.get(bucket);
    if (segment === end?.segment && offset >= end.offset) return false;
    const { file } = await this.#segment(bucket, segment);
    const answer = file === null ? 'ended' : await compare(file, bytes, at);
    if (answer === 'ended') this.#ended.set(bucket, { segment, offset });
    return answer === 'same';
  }

  async close(): Promise<void> {
    for (const { file } of this.#open.values()) await file?.close();
    this.#open.clear();
  }

  async #segment(bucket: number, segment: number): Promise<OpenSegment> {
    const known = this.#open.get(bucket);
    if (known?.segment === segment) return known;
    await known?.file?.close();
    const path = `${this.#folderOf(bucket)}/${segmentFileName(segment)}`;
    const exists = (await this.#files.sizeOf(path)) !== null;
    const opened = { segment, file: exists ? await this.#files.open(path, 'read') : null };
    this.#open.set(bucket, opened);
    return opened;
  }
}

async function compare(
  file: FileHandle,
  bytes: Buffer,
  at: number,
): Promise<'same' | 'other' | 'ended'> {
  const offset = frameOffset(bytes, at);
  const stored = Buffer.alloc(frameLength(bytes, at));
  const read = await file.read(stored, offset);
  if (read < FRAME_HEADER_BYTES) return 'ended';
  if (frameCrc(stored, 0) !== frameCrc(bytes, at)) return 'other';
  return frameFault(stored, 0, read, frameSegment(bytes, at), offset) === null ? 'same' : 'other';
}
