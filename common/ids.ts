/**
 * Identifiers: UUIDs as 16 bytes, the partition hash cut out of them, default partition keys and new event ids.
 * Rules and test vectors: the wire protocol, sections 2.1, 2.3 and 6.
 *
 * On hot paths a UUID stays 16 bytes inside a larger buffer and is printed as ASCII straight into a reply; the `uuid`
 * package does what happens once per stream (version-5 keys).
 */
import { v5 as uuidV5 } from 'uuid';

import type { Clock } from './clock.ts';
import { type Random, systemRandom } from './random.ts';

export const UUID_BYTES = 16;

/** Namespace of default partition keys: the version-5 UUID of `sierradb.tqwewe.com` in the DNS namespace. */
export const partitionKeyNamespace: Uint8Array = Buffer.from(
  '219bd637e27953e99e2beabe5d9120cc',
  'hex',
);

const HEX_DIGITS = Buffer.from('0123456789abcdef', 'latin1');
const HEX_VALUES = new Int8Array(256).fill(-1);
for (let i = 0; i < 16; i += 1) {
  const digit = HEX_DIGITS[i] ?? 0;
  HEX_VALUES[digit] = i;
  if (i > 9) HEX_VALUES[digit - 32] = i;
}

/** Where the 32 digits of the hyphenated form stand, in byte order: high digit of byte i at 2i, low at 2i + 1. */
const HYPHENATED = Uint8Array.of(
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  9,
  10,
  11,
  12,
  14,
  15,
  16,
  17,
  19,
  20,
  21,
  22,
  24,
  25,
  26,
  27,
  28,
  29,
  30,
  31,
  32,
  33,
  34,
  35,
);
const HYPHEN = 0x2d;

const isBlank = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/** Reads 32 hex digits from `text` at `at`, with or without hyphens, into `target`; false if they are not there. */
function readDigits(text: Uint8Array, at: number, hyphens: boolean, target: Uint8Array): boolean {
  if (hyphens) {
    for (const place of [8, 13, 18, 23]) if (text[at + place] !== HYPHEN) return false;
  }
  for (let i = 0; i < UUID_BYTES; i += 1) {
    const first = hyphens ? (HYPHENATED[2 * i] ?? 0) : 2 * i;
    const second = hyphens ? (HYPHENATED[2 * i + 1] ?? 0) : 2 * i + 1;
    const high = HEX_VALUES[text[at + first] ?? 0] ?? -1;
    const low = HEX_VALUES[text[at + second] ?? 0] ?? -1;
    if (high < 0 || low < 0) return false;
    target[i] = (high << 4) | low;
  }
  return true;
}

const URN = 'urn:uuid:';

/**
 * Parses a UUID: blanks around it, then the hyphenated form, 32 digits, `{…}` or `urn:uuid:…`, any case, any version.
 * Returns 16 new bytes, or null.
 */
export function parseUuid(text: Uint8Array): Buffer | null {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start] ?? 0)) start += 1;
  while (end > start && isBlank(text[end - 1] ?? 0)) end -= 1;
  const target = Buffer.allocUnsafe(UUID_BYTES);
  const length = end - start;
  if (length === 36) return readDigits(text, start, true, target) ? target : null;
  if (length === 32) return readDigits(text, start, false, target) ? target : null;
  if (length === 38 && text[start] === 0x7b && text[end - 1] === 0x7d) {
    return readDigits(text, start + 1, true, target) ? target : null;
  }
  if (length === 45) {
    const prefix = Buffer.from(text.subarray(start, start + 9)).toString('latin1');
    return prefix === URN && readDigits(text, start + 9, true, target) ? target : null;
  }
  return null;
}

/** The two digits of every byte. */
const HIGH_DIGITS = new Uint8Array(256);
const LOW_DIGITS = new Uint8Array(256);
for (let i = 0; i < 256; i += 1) {
  HIGH_DIGITS[i] = HEX_DIGITS[i >> 4] ?? 0;
  LOW_DIGITS[i] = HEX_DIGITS[i & 15] ?? 0;
}

function printBytes(
  source: Uint8Array,
  from: number,
  count: number,
  target: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < count; i += 1) {
    const byte = source[from + i] as number;
    target[at + 2 * i] = HIGH_DIGITS[byte] as number;
    target[at + 2 * i + 1] = LOW_DIGITS[byte] as number;
  }
}

/** Writes the 36 ASCII characters of the UUID at `source[from]` to `target[at]`; returns the offset behind them. */
export function printUuid(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  at: number,
): number {
  printBytes(source, from, 4, target, at);
  target[at + 8] = HYPHEN;
  printBytes(source, from + 4, 2, target, at + 9);
  target[at + 13] = HYPHEN;
  printBytes(source, from + 6, 2, target, at + 14);
  target[at + 18] = HYPHEN;
  printBytes(source, from + 8, 2, target, at + 19);
  target[at + 23] = HYPHEN;
  printBytes(source, from + 10, 6, target, at + 24);
  return at + 36;
}

/** The UUID at `source[from]` in lower-case hyphenated form. */
export function uuidText(source: Uint8Array, from = 0): string {
  const text = Buffer.allocUnsafe(36);
  printUuid(source, from, text, 0);
  return text.toString('latin1', 0, 36);
}

/** The 16 bits behind the variant bits of the UUID at `uuid[from]`: bits 61..46 of the 128-bit number. */
export function partitionHash(uuid: Uint8Array, from = 0): number {
  const eight = uuid[from + 8] ?? 0;
  const nine = uuid[from + 9] ?? 0;
  const ten = uuid[from + 10] ?? 0;
  return ((eight & 0x3f) << 10) | (nine << 2) | (ten >> 6);
}

/** The partition key of a stream that names none: the version-5 UUID of its id. 2 µs; remember it per stream. */
export function defaultPartitionKey(streamId: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(UUID_BYTES);
  uuidV5(streamId, partitionKeyNamespace, key);
  return key;
}

/** Draws new event ids. Random bytes are taken from a pool, because a system call per id would cost 1 µs. */
export class EventIdSource {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #pool = Buffer.allocUnsafe(8192);
  #used = this.#pool.length;

  constructor(clock: Clock, random: Random = systemRandom) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Writes a new id to `target[at]`: 48 bits of milliseconds, 12 random bits, `0111`, `10`, the partition hash, 46
   * random bits (wire protocol 6.2; not RFC 9562's version 7, the nibble stands elsewhere).
   */
  draw(hash: number, target: Uint8Array, at: number): void {
    if (this.#used + 8 > this.#pool.length) {
      this.#random.fill(this.#pool);
      this.#used = 0;
    }
    const pool = this.#pool;
    const used = this.#used;
    this.#used = used + 8;
    writeEventId(this.#clock.now(), hash, pool, used, target, at);
  }

  /** A new id in a buffer of its own. */
  next(hash: number): Buffer {
    const id = Buffer.allocUnsafe(UUID_BYTES);
    this.draw(hash, id, 0);
    return id;
  }
}

/** Composes an event id from its parts; `random[from..from+8]` gives the 58 random bits (two bits are left over). */
export function writeEventId(
  milliseconds: number,
  hash: number,
  random: Uint8Array,
  from: number,
  target: Uint8Array,
  at: number,
): void {
  const high = Math.floor(milliseconds / 2 ** 16);
  target[at] = high >>> 24;
  target[at + 1] = high >>> 16;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = (milliseconds % 2 ** 16) >>> 8;
  target[at + 5] = milliseconds % 2 ** 8;
  target[at + 6] = random[from] ?? 0;
  target[at + 7] = ((random[from + 1] ?? 0) & 0xf0) | 0x07;
  target[at + 8] = 0x80 | (hash >> 10);
  target[at + 9] = hash >> 2;
  target[at + 10] = ((hash & 3) << 6) | ((random[from + 2] ?? 0) & 0x3f);
  for (let i = 0; i < 5; i += 1) target[at + 11 + i] = random[from + 3 + i] ?? 0;
}
