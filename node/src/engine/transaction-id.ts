/**
 * Transaction ids are derived, not stored: 16 bytes saved per frame. The id of a frame is a one-to-one mix of its
 * group's id (random, in every segment's header) and its log index, in the form of a version-4 UUID. As in 0.3.1 the top
 * bit of byte 8 is cleared when the transaction holds several events.
 *
 * Unique within a bucket because bytes 0–5 are a permutation of the index for a given group; different between buckets
 * and clusters by the group id, as surely as random UUIDs are.
 */
import { readUint32 } from '../storage/bytes.ts';

const mix = (value: number): number => {
  let h = value;
  h ^= h >>> 16;
  h = Math.imul(h, 0x7feb352d);
  h ^= h >>> 15;
  h = Math.imul(h, 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Every frame that is read gets its id: a third of the time of `writeUInt32BE`, which checks what is certain here. */
function putBigEndian(value: number, target: Uint8Array, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

/** Writes the 16 bytes of the transaction id to `target`. */
export function writeTransactionId(
  groupId: Uint8Array,
  index: number,
  eventCount: number,
  target: Buffer,
): void {
  const low = index >>> 0;
  const high = Math.floor(index / 2 ** 32);
  // Each step is a bijection of the 48-bit index: 32 bits mixed, then 16 bits masked by them.
  const a = mix(low ^ readUint32(groupId, 0));
  const b = (high ^ (mix(a ^ readUint32(groupId, 4)) >>> 16)) & 0xffff;
  const c = mix(a ^ b ^ readUint32(groupId, 8));
  const d = mix(c ^ readUint32(groupId, 12));
  putBigEndian(a, target, 0);
  putBigEndian((b << 16) | (c >>> 16), target, 4);
  putBigEndian(d, target, 8);
  putBigEndian(mix(d ^ a), target, 12);
  target[6] = ((target[6] as number) & 0x0f) | 0x40;
  target[8] = ((target[8] as number) & 0x3f) | (eventCount > 1 ? 0 : 0x80);
}
