/**
 * Builds replies as bytes, in RESP3 or, by the table of wire protocol 1.2, in RESP2.
 *
 * Invariants: the reply stands in `bytes[start..end]`; nothing from a request reaches a line (simple string, error)
 * without its control characters replaced, so a reply can't be made to look like two.
 */
import { printUuid } from '../../../common/ids.ts';
import { writeDecimal } from './decimal.ts';

export type ProtocolVersion = 2 | 3;

const CR = 0x0d;
const LF = 0x0a;

/** Room for a type byte, any number and its line end. */
const NUMBER_LINE_BYTES = 24;

// eslint-disable-next-line no-control-regex -- they are what is replaced
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** Text for a line of its own: control characters become blanks. */
export function cleanLine(text: string): string {
  return text.replace(CONTROLS, ' ');
}

/** Copies a short constant; below some 40 bytes a loop beats the call into the runtime. */
function copyShort(source: Uint8Array, target: Uint8Array, at: number): void {
  for (let i = 0; i < source.length; i += 1) target[at + i] = source[i] as number;
}

export class ReplyWriter {
  bytes: Buffer;
  start = 0;
  end = 0;
  version: ProtocolVersion = 3;

  constructor(capacity: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity);
  }

  get length(): number {
    return this.end - this.start;
  }

  content(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  /** Makes room for `count` more bytes, doubling when it must grow. */
  reserve(count: number): void {
    const needed = this.end + count;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.bytes.length));
    this.bytes.copy(grown, this.start, this.start, this.end);
    this.bytes = grown;
  }

  /** Appends what another writer holds. */
  append(other: ReplyWriter): void {
    this.reserve(other.length);
    other.bytes.copy(this.bytes, this.end, other.start, other.end);
    this.end += other.length;
  }

  /** Bytes that are RESP already. */
  raw(constant: Uint8Array): void {
    this.reserve(constant.length);
    if (constant.length <= 40) copyShort(constant, this.bytes, this.end);
    else this.bytes.set(constant, this.end);
    this.end += constant.length;
  }

  /** `text` must be free of control characters; ours is. */
  simple(text: string): void {
    this.#line('+', text);
  }

  /** `message` may hold anything. */
  error(code: string, message: string): void {
    this.#line('-', cleanLine(`${code} ${message}`));
  }

  integer(value: number): void {
    this.#numberLine(0x3a, value);
  }

  double(value: number): void {
    if (this.version === 3) this.#line(',', String(value));
    else this.blobText(String(value));
  }

  boolean(value: boolean): void {
    if (this.version === 3) this.#line('#', value ? 't' : 'f');
    else this.integer(value ? 1 : 0);
  }

  null(): void {
    if (this.version === 3) this.#line('_', '');
    else this.#line('$', '-1');
  }

  /** Begins a map; `pairs` keys and values follow. */
  map(pairs: number): void {
    if (this.version === 3) this.#numberLine(0x25, pairs);
    else this.#numberLine(0x2a, 2 * pairs);
  }

  /** Begins an array; `count` elements follow. */
  array(count: number): void {
    this.#numberLine(0x2a, count);
  }

  blob(value: Uint8Array): void {
    this.#numberLine(0x24, value.length);
    this.reserve(value.length + 2);
    this.bytes.set(value, this.end);
    this.end += value.length;
    this.#lineEnd();
  }

  blobText(text: string): void {
    this.blob(Buffer.from(text));
  }

  /** A UUID of 16 bytes as a simple string. */
  uuid(source: Uint8Array, from = 0): void {
    this.reserve(39);
    this.bytes[this.end] = 0x2b;
    this.end = printUuid(source, from, this.bytes, this.end + 1);
    this.#lineEnd();
  }

  #numberLine(type: number, value: number): void {
    this.reserve(NUMBER_LINE_BYTES);
    this.bytes[this.end] = type;
    this.end = writeDecimal(value, this.bytes, this.end + 1);
    this.#lineEnd();
  }

  #line(type: string, text: string): void {
    const line = type + text;
    this.reserve(3 * line.length + 2);
    this.end += this.bytes.write(line, this.end);
    this.#lineEnd();
  }

  /** Room must have been made. */
  #lineEnd(): void {
    this.bytes[this.end] = CR;
    this.bytes[this.end + 1] = LF;
    this.end += 2;
  }
}

/** The reply of ESVER and EPSEQ. */
export function writeNumberOrNull(
  value: number | null | Promise<number | null>,
  reply: ReplyWriter,
): void | Promise<void> {
  if (value instanceof Promise) {
    return value.then((late) => {
      if (late === null) reply.null();
      else reply.integer(late);
    });
  }
  if (value === null) reply.null();
  else reply.integer(value);
}
