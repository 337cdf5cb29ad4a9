/** Reading a command's arguments: their types and the errors of wire protocol 2.1 and 2.2. */
import { isUtf8 } from 'node:buffer';

import type { SierraError } from '../../../common/errors.ts';
import { parseUuid } from '../../../common/ids.ts';
import { streamIdFault } from '../engine/rules.ts';
import type { ExpectedVersion } from '../engine/types.ts';
import { argumentErrors } from './errors.ts';

const ZERO = 0x30;
const NINE = 0x39;
const PLUS = 0x2b;
const MINUS = 0x2d;

const U64_MAX = 2n ** 64n - 1n;
/** Numbers of up to this many digits are below 2^53. */
const SAFE_DIGITS = 15;

/**
 * An unsigned 64-bit number: digits behind an optional plus, leading zeros allowed. A `bigint` if it is above 2^53 - 1;
 * null if it is no such number.
 */
export function parseUnsigned(text: Uint8Array): number | bigint | null {
  const start = text[0] === PLUS ? 1 : 0;
  if (text.length === start) return null;
  let value = 0;
  for (let at = start; at < text.length; at += 1) {
    const byte = text[at] as number;
    if (byte < ZERO || byte > NINE) return null;
    value = value * 10 + (byte - ZERO);
  }
  if (text.length - start <= SAFE_DIGITS || value <= Number.MAX_SAFE_INTEGER) return value;
  // The sum above is only an estimate here; more than 20 digits without the zeros in front are too many.
  const digits = Buffer.from(text.subarray(start)).toString('latin1').replace(/^0+/, '');
  if (digits.length > 20) return null;
  const exact = BigInt(digits);
  if (exact > U64_MAX) return null;
  return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
}

/** An upper-case keyword, prepared for {@link isKeyword}. */
export const keyword = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Whether `argument` is the keyword, in any case. */
export function isKeyword(argument: Uint8Array, word: Buffer): boolean {
  if (argument.length !== word.length) return false;
  for (let i = 0; i < word.length; i += 1) {
    const byte = argument[i] as number;
    const upper = byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte;
    if (upper !== word[i]) return false;
  }
  return true;
}

const ANY = keyword('ANY');
const EXISTS = keyword('EXISTS');
const EMPTY = keyword('EMPTY');

/** A range's bounds, both inclusive. `to` is `Infinity` for `+`; `from` is `Infinity` where nothing can be. */
export interface RequestedRange {
  readonly from: number;
  readonly to: number;
}

/** A partition by its number or by a key of 16 bytes. */
export type PartitionSelector = { readonly id: number } | { readonly key: Buffer };

/** The largest partition id that can be written; whether the partition exists is another question. */
export const PARTITION_ID_MAX = 65_535;

/** Walks over the arguments behind the command's name; each method takes the next one or throws `INVALIDARG`. */
export class ArgumentReader {
  readonly #args: readonly Buffer[];
  #at = 1;

  constructor(args: readonly Buffer[]) {
    this.#args = args;
  }

  get more(): boolean {
    return this.#at < this.#args.length;
  }

  /** Takes the next argument as it is; `expected` names it in the error when there is none. */
  bytes(expected: string): Buffer {
    const argument = this.#args[this.#at];
    if (argument === undefined) throw argumentErrors.missing(expected);
    this.#at += 1;
    return argument;
  }

  /** Whether the next argument is this keyword. */
  nextIs(word: Buffer): boolean {
    const argument = this.#args[this.#at];
    return argument !== undefined && isKeyword(argument, word);
  }

  /** Takes the next argument if it is this keyword. */
  takes(word: Buffer): boolean {
    if (!this.nextIs(word)) return false;
    this.#at += 1;
    return true;
  }

  /** Refuses what is left over; `expected` is what could have stood there. */
  end(expected = 'end of input'): void {
    if (this.more) throw argumentErrors.unexpected(expected);
  }

  /** The refusal of the argument that stands next. */
  unexpected(expected: string): SierraError {
    return argumentErrors.unexpected(expected);
  }

  text(expected: string): Buffer {
    const argument = this.bytes(expected);
    if (!isUtf8(argument)) throw argumentErrors.unexpected(expected);
    return argument;
  }

  /** A stream id as the engine will check it again for appends; reads have no other check. */
  streamId(): Buffer {
    const argument = this.text('stream id');
    const fault = streamIdFault(argument);
    if (fault !== null) throw fault;
    return argument;
  }

  uuid(what: string): Buffer {
    const uuid = parseUuid(this.bytes(what));
    if (uuid === null) throw argumentErrors.invalid(what);
    return uuid;
  }

  unsigned(): number | bigint {
    const value = parseUnsigned(this.bytes('number'));
    if (value === null) throw argumentErrors.unexpected('number');
    return value;
  }

  /** A number of events; numbers too large to count to are `Infinity`. */
  count(): number {
    const value = this.unsigned();
    return typeof value === 'bigint' ? Infinity : value;
  }

  expectedVersion(): ExpectedVersion {
    const argument = this.bytes('expected version');
    const value = parseUnsigned(argument);
    if (value !== null) return value;
    if (isKeyword(argument, ANY)) return 'any';
    if (isKeyword(argument, EXISTS)) return 'exists';
    if (isKeyword(argument, EMPTY)) return 'empty';
    throw argumentErrors.expectedVersion();
  }

  /** Start and end of a scan; `what` is `version` or `sequence`. */
  range(what: string): RequestedRange {
    const from = this.#rangeValue();
    if (from === '+') throw argumentErrors.rangeStart(what);
    const to = this.#rangeValue();
    if (to === '-') throw argumentErrors.rangeEnd(what);
    return { from: from === '-' ? 0 : from, to: to === '+' ? Infinity : to };
  }

  partitionSelector(): PartitionSelector {
    const expected = 'partition id or key';
    const argument = this.bytes(expected);
    const key = parseUuid(argument);
    if (key !== null) return { key };
    const id = parseUnsigned(argument);
    if (id === null || id > PARTITION_ID_MAX) throw argumentErrors.unexpected(expected);
    return { id: Number(id) };
  }

  #rangeValue(): number | '-' | '+' {
    const expected = 'range value (-, +, or number)';
    const argument = this.bytes(expected);
    if (argument.length === 1 && argument[0] === MINUS) return '-';
    if (argument.length === 1 && argument[0] === PLUS) return '+';
    const value = parseUnsigned(argument);
    if (value === null) throw argumentErrors.unexpected(expected);
    // No event has a number above 2^53 - 1: as a start nothing follows, as an end nothing is cut off.
    return typeof value === 'bigint' ? Infinity : value;
  }
}
