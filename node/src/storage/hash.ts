/**
 * One 53-bit hash per key: a whole number that a double holds exactly, so that it lives in a Float64Array and sorts
 * natively. Its low 32 bits and high 21 bits (mixed again) serve as the two independent hashes of bloom filters.
 *
 * MurmurHash3's 32-bit mixing (Austin Appleby, public domain) run as two lanes with different constants. Not keyed:
 * who chooses colliding names makes look-ups of those names slower, never wrong, because every hit is compared with the
 * key's bytes.
 */
const finish = (hash: number): number => {
  let h = hash;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

/** Hash of `bytes[from..to)`, 0 to 2^53 - 1. */
export function hashBytes(bytes: Uint8Array, from: number, to: number): number {
  let a = 0x9747b28c;
  let b = 0x1b873593;
  let at = from;
  for (; at + 4 <= to; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    let k = Math.imul(word, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    a ^= Math.imul(k, 0x1b873593);
    a = (a << 13) | (a >>> 19);
    a = (Math.imul(a, 5) + 0xe6546b64) | 0;
    k = Math.imul(word, 0x239b961b);
    k = (k << 16) | (k >>> 16);
    b ^= Math.imul(k, 0xab0e9789);
    b = (b << 17) | (b >>> 15);
    b = (Math.imul(b, 5) + 0x561ccd1b) | 0;
  }
  let rest = to - from;
  for (; at < to; at += 1) rest = Math.imul(rest ^ (bytes[at] as number), 0x01000193);
  a = finish(a ^ rest);
  b = finish(b ^ Math.imul(rest, 0x9e3779b1) ^ a);
  return (b & 0x1fffff) * 2 ** 32 + a;
}

/** Hash of the UUID at `bytes[at]`. */
export const hashUuid = (bytes: Uint8Array, at: number): number => hashBytes(bytes, at, at + 16);

/** The two 32-bit halves that filters use. */
export const hashLow = (hash: number): number => hash >>> 0;
export const hashHigh = (hash: number): number => finish(Math.floor(hash / 2 ** 32) ^ 0x5bd1e995);
