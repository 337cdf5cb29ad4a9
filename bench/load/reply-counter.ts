/**
 * Counts complete replies in a stream of RESP2 or RESP3 bytes without building any of them, so that the load generator
 * costs less than the server it measures.
 *
 * Invariants: `#owed` is the number of values that the current top-level reply still lacks, at least 1; a value is paid
 * for when its last byte was seen; an aggregate adds its elements to the debt. Nesting therefore needs no stack.
 * Streamed RESP3 types (`$?`, `*?`) are not understood: neither server sends them.
 */

const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ERROR_TEXT_BYTES_MAX = 200;

/** How the length behind each type byte counts. */
const Shape = { line: 0, blob: 1, list: 2, pairs: 3, attribute: 4, unknown: 5 } as const;
type Shape = (typeof Shape)[keyof typeof Shape];

const shapes = new Uint8Array(256).fill(Shape.unknown);
for (const [types, shape] of [
  ['+-:_#,(', Shape.line],
  ['$=!', Shape.blob],
  ['*~>', Shape.list],
  ['%', Shape.pairs],
  ['|', Shape.attribute],
] as const) {
  for (const type of types) shapes[type.charCodeAt(0)] = shape;
}

export class ReplyCounter {
  /** Complete top-level replies; pushes do not count. */
  replies = 0;
  /** Blob strings and nulls written as `$-1`, at any depth. */
  blobs = 0;
  /** Error values at any depth. */
  errors = 0;
  /** The text of the first error, for the report. */
  firstError: string | null = null;

  #owed = 1;
  /** Type byte of the value whose line is being read; 0 between values. */
  #type = 0;
  #length = 0;
  #negative = false;
  /** Bytes of a blob and its CR LF still to be stepped over. */
  #skip = 0;
  #isPush = false;
  #errorText = '';

  /** Reads all of `chunk`; returns how many top-level replies it completed. */
  feed(chunk: Uint8Array, end: number = chunk.length): number {
    const before = this.replies;
    let at = 0;
    while (at < end) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, end - at);
        this.#skip -= step;
        at += step;
        if (this.#skip === 0) this.#pay();
      } else if (this.#type === 0) {
        this.#begin(chunk[at] as number);
        at += 1;
      } else {
        at = this.#readLine(chunk, at, end);
      }
    }
    return this.replies - before;
  }

  #begin(type: number): void {
    if (shapes[type] === Shape.unknown) throw new Error(`not RESP: byte 0x${type.toString(16)}`);
    this.#type = type;
    this.#length = 0;
    this.#negative = false;
    if (type === 0x3e && this.#owed === 1) this.#isPush = true;
  }

  #readLine(chunk: Uint8Array, from: number, end: number): number {
    let at = from;
    if (shapes[this.#type] === Shape.line) {
      while (at < end && chunk[at] !== LF) at += 1;
      if (this.#type === MINUS) this.#keepErrorText(chunk, from, at);
    } else {
      let length = this.#length;
      while (at < end) {
        const byte = chunk[at] as number;
        if (byte === LF) break;
        if (byte === MINUS) this.#negative = true;
        else if (byte !== CR) length = length * 10 + byte - 0x30;
        at += 1;
      }
      this.#length = length;
    }
    if (at === end) return at;
    this.#endLine();
    return at + 1;
  }

  #endLine(): void {
    const type = this.#type;
    const length = this.#negative ? 0 : this.#length;
    this.#type = 0;
    switch (shapes[type] as Shape) {
      case Shape.blob:
        this.blobs += 1;
        if (type === 0x21) this.#countError('a blob error');
        if (this.#negative) this.#pay();
        else this.#skip = length + 2;
        return;
      case Shape.list:
        this.#owed += length;
        break;
      case Shape.pairs:
        this.#owed += 2 * length;
        break;
      case Shape.attribute:
        // An attribute stands before the value it describes and is not a value itself.
        this.#owed += 2 * length + 1;
        break;
      case Shape.line:
        if (type === MINUS) this.#countError(this.#errorText);
        break;
      case Shape.unknown:
        break;
    }
    this.#pay();
  }

  #pay(): void {
    this.#owed -= 1;
    if (this.#owed > 0) return;
    this.#owed = 1;
    if (this.#isPush) this.#isPush = false;
    else this.replies += 1;
  }

  #keepErrorText(chunk: Uint8Array, from: number, to: number): void {
    if (this.firstError !== null) return;
    const text = Buffer.from(chunk.subarray(from, to)).toString('latin1');
    this.#errorText = (this.#errorText + text).slice(0, ERROR_TEXT_BYTES_MAX);
  }

  #countError(text: string): void {
    this.errors += 1;
    this.firstError ??= text.trimEnd();
  }
}
