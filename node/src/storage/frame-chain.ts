import { frameIndex, frameOffset, framePrevious, frameSegment } from './frame-format.ts';
import type { LogPosition } from './journal-format.ts';

/**
 * What is wrong with the frame at `bytes[at]` as the next of a log that ends at `end`, or null: its index, the checksum it
 * names, its place. `headerBytes` is where frames begin in a segment.
 */
export function chainFault(
  end: LogPosition,
  headerBytes: number,
  bytes: Uint8Array,
  at: number,
): string | null {
  const index = frameIndex(bytes, at);
  if (index !== end.index + 1) return `frame ${String(index)} follows frame ${String(end.index)}`;
  if (framePrevious(bytes, at) !== end.crc) {
    return `frame ${String(index)} does not continue the chain of checksums`;
  }
  const segment = frameSegment(bytes, at);
  const offset = frameOffset(bytes, at);
  const here = segment === end.segment && offset === end.offset;
  const next = segment === end.segment + 1 && offset === headerBytes;
  return here || next ? null : `frame ${String(index)} stands in a wrong place`;
}
