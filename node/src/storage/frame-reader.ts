/**
 * Reads one frame at a time by its position: from the tail in memory, from cached blocks, or from disk. What comes from
 * disk is believed only after its checksum and its place were checked; once per cached block.
 *
 * The caller's duty: the frame is valid until the end of the turn in which it was handed out (`block-cache.ts`).
 */
import { BLOCK_BYTES, type BlockCache } from './block-cache.ts';
import type { CachedFile } from './cached-file.ts';
import { DamageError } from './errors.ts';
import { FRAME_HEADER_BYTES, frameFault, frameLength } from './frame-format.ts';

/** Where a frame stands in memory. Filled anew for every frame. */
export interface FrameRef {
  bytes: Buffer;
  at: number;
}

/**
 * Puts the frame at `offset` of a segment into `ref` if everything needed is in memory; false where it is not.
 * Throws {@link DamageError}.
 */
export function tryReadFrame(
  cache: BlockCache,
  file: CachedFile,
  segment: number,
  offset: number,
  ref: FrameRef,
): boolean {
  const within = offset % BLOCK_BYTES;
  const headEnd = within + FRAME_HEADER_BYTES;
  if (headEnd > BLOCK_BYTES) return trySpanning(cache, file, segment, offset, ref);
  const number = (offset - within) / BLOCK_BYTES;
  if (offset + FRAME_HEADER_BYTES > file.length) throw tooShort(segment, offset);
  const block = cache.peek(file, number, headEnd);
  if (block === undefined) return false;
  const length = frameLength(block.bytes, within);
  if (within + length > BLOCK_BYTES) return trySpanning(cache, file, segment, offset, ref);
  if (within + length > block.length) {
    if (offset + length > file.length) throw tooShort(segment, offset);
    return false;
  }
  if (!block.isVerified(within)) {
    const fault = frameFault(block.bytes, within, within + length, segment, offset);
    if (fault !== null) throw new DamageError(segment, offset, fault);
    block.markVerified(within);
  }
  ref.bytes = block.bytes;
  ref.at = within;
  return true;
}

/** The same, reading from disk. */
export async function readFrame(
  cache: BlockCache,
  file: CachedFile,
  segment: number,
  offset: number,
  ref: FrameRef,
): Promise<void> {
  if (offset + FRAME_HEADER_BYTES > file.length) throw tooShort(segment, offset);
  const number = Math.floor(offset / BLOCK_BYTES);
  const within = offset - number * BLOCK_BYTES;
  const wanted = Math.min(within + FRAME_HEADER_BYTES, BLOCK_BYTES);
  const block = await cache.load(file, number, wanted);
  if (within + FRAME_HEADER_BYTES <= BLOCK_BYTES) {
    const length = frameLength(block.bytes, within);
    if (offset + length > file.length) throw tooShort(segment, offset);
    if (within + length <= BLOCK_BYTES) await cache.load(file, number, within + length);
    if (tryReadFrame(cache, file, segment, offset, ref)) return;
  }
  await readSpanning(cache, file, segment, offset, ref);
}

function trySpanning(
  cache: BlockCache,
  file: CachedFile,
  segment: number,
  offset: number,
  ref: FrameRef,
): boolean {
  if (offset + FRAME_HEADER_BYTES > file.length) throw tooShort(segment, offset);
  const header = cache.readRange(file, offset, FRAME_HEADER_BYTES);
  if (!Buffer.isBuffer(header)) {
    header.catch(() => undefined);
    return false;
  }
  const length = frameLength(header, 0);
  if (length < FRAME_HEADER_BYTES || offset + length > file.length) throw tooShort(segment, offset);
  const bytes = cache.readRange(file, offset, length);
  if (!Buffer.isBuffer(bytes)) {
    bytes.catch(() => undefined);
    return false;
  }
  return accept(bytes, segment, offset, ref);
}

async function readSpanning(
  cache: BlockCache,
  file: CachedFile,
  segment: number,
  offset: number,
  ref: FrameRef,
): Promise<void> {
  const header = await cache.readRange(file, offset, FRAME_HEADER_BYTES);
  const length = frameLength(header, 0);
  if (length < FRAME_HEADER_BYTES || offset + length > file.length) throw tooShort(segment, offset);
  accept(await cache.readRange(file, offset, length), segment, offset, ref);
}

function accept(bytes: Buffer, segment: number, offset: number, ref: FrameRef): boolean {
  const fault = frameFault(bytes, 0, bytes.length, segment, offset);
  if (fault !== null) throw new DamageError(segment, offset, fault);
  ref.bytes = bytes;
  ref.at = 0;
  return true;
}

const tooShort = (segment: number, offset: number): DamageError =>
  new DamageError(segment, offset, 'the segment ends inside this frame');
