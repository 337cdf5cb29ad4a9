/**
 * Finds where a request ends, before anything is allocated for it.
 *
 * A state machine over bytes that may arrive in any pieces. It looks at each byte of a header once and steps over
 * payloads, so its cost is linear in what arrives and independent of how it is cut; it keeps a few numbers and no bytes.
 *
 * Invariants: every count and length is compared with its limit when its last digit is known, before the bytes behind it
 * are looked at; `size` never falls behind the bytes that the frame has announced; after a fault nothing is scanned.
 */
import type { RespLimits } from './limits.ts';

/** What a frame is: a command array, an inline command, another RESP type (answered with an error), or nothing. */
export type FrameKind = 'command' | 'inline' | 'stray' | 'empty';

const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const ASTERISK = 0x2a;
const DOLLAR = 0x24;
const PLUS = 0x2b;
const COLON = 0x3a;

/** More digits than any allowed count or length has; a longer number is refused unread. */
const DIGITS_MAX = 15;
/** A signed 64-bit integer has at most 19 digits. */
const INTEGER_DIGITS_MAX = 19;

const phase = {
  start: 0,
  number: 1,
  numberEnd: 2,
  elementType: 3,
  payload: 4,
  payloadCr: 5,
  payloadLf: 6,
  text: 7,
  integer: 8,
  textEnd: 9,
  inline: 10,
  strayLine: 11,
  strayPayload: 12,
} as const;
type Phase = (typeof phase)[keyof typeof phase];

const purpose = { count: 0, length: 1, strayLength: 2 } as const;
type Purpose = (typeof purpose)[keyof typeof purpose];

const STRAY_LINES = new Set(Buffer.from('+-:_#,(%~>|'));
const STRAY_BLOBS = new Set(Buffer.from('$=!'));

/** A byte of the request as it may stand in an error. */
function printable(byte: number): string {
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

export class FrameScanner {
  readonly #limits: RespLimits;
  #phase: Phase = phase.start;
  #purpose: Purpose = purpose.count;
  #number = 0;
  #digits = 0;
  /** Elements of the command that are still to come. */
  #elements = 0;
  /** Bytes of the current payload that are still to come. */
  #payload = 0;
  /** Where the current line began, as a size of the frame. */
  #lineStart = 0;
  /** Size of the frame in earlier chunks, minus the place where it goes on in this one. */
  #base = 0;
  #size = 0;
  #ended = false;

  /** Kind of the frame that is being scanned or has just ended. */
  kind: FrameKind = 'empty';
  /** The command is above `commandBytesMax`: it is scanned to its end, but need not be kept. */
  oversized = false;
  /** The text of a protocol error, or null. The connection cannot go on behind one. */
  fault: string | null = null;

  constructor(limits: RespLimits) {
    this.#limits = limits;
  }

  /** Bytes of the frame so far. */
  get size(): number {
    return this.#size;
  }

  /**
   * Scans `chunk` from `from`; returns the offset behind the end of the current frame, or -1 if the chunk ends first
   * (then the next call goes on with the next chunk) or a fault was found.
   */
  scan(chunk: Uint8Array, from: number): number {
    if (this.#ended) this.#reset();
    this.#base = this.#size - from;
    let at = from;
    while (at < chunk.length && !this.#ended && this.fault === null) at = this.#step(chunk, at);
    this.#size = this.#base + at;
    if (this.fault !== null) return -1;
    return this.#ended ? at : -1;
  }

  #reset(): void {
    this.#phase = phase.start;
    this.#size = 0;
    this.#ended = false;
    this.kind = 'empty';
    this.oversized = false;
  }

  #step(chunk: Uint8Array, at: number): number {
    switch (this.#phase) {
      case phase.start:
        return this.#start(chunk[at] as number, at);
      case phase.number:
        return this.#readNumber(chunk, at);
      case phase.numberEnd:
        return this.#numberEnd(chunk[at] as number, at);
      case phase.elementType:
        return this.#elementType(chunk[at] as number, at);
      case phase.payload:
      case phase.strayPayload:
        return this.#skipPayload(chunk, at);
      case phase.payloadCr:
        return this.#expect(
          chunk[at] as number,
          CR,
          at,
          phase.payloadLf,
          'missing blob terminator',
        );
      case phase.payloadLf:
        return this.#payloadEnd(chunk[at] as number, at);
      case phase.text:
      case phase.integer:
        return this.#readText(chunk, at);
      case phase.textEnd:
        if (chunk[at] !== LF) return this.#fail('missing line feed', at);
        return this.#elementDone(at + 1);
      case phase.inline:
      case phase.strayLine:
        return this.#readLine(chunk, at);
    }
  }

  #start(byte: number, at: number): number {
    if (byte === ASTERISK) {
      this.kind = 'command';
      return this.#expectNumber(purpose.count, at + 1);
    }
    if (STRAY_BLOBS.has(byte)) {
      this.kind = 'stray';
      return this.#expectNumber(purpose.strayLength, at + 1);
    }
    this.#phase = STRAY_LINES.has(byte) ? phase.strayLine : phase.inline;
    this.kind = this.#phase === phase.strayLine ? 'stray' : 'inline';
    this.#lineStart = 0;
    return at;
  }

  #expectNumber(kind: Purpose, at: number): number {
    this.#phase = phase.number;
    this.#purpose = kind;
    this.#number = 0;
    this.#digits = 0;
    return at;
  }

  #numberFault(): string {
    return this.#purpose === purpose.count ? 'invalid multibulk length' : 'invalid bulk length';
  }

  #readNumber(chunk: Uint8Array, at: number): number {
    let place = at;
    while (place < chunk.length) {
      const byte = chunk[place] as number;
      if (byte >= ZERO && byte <= NINE && this.#digits < DIGITS_MAX) {
        this.#number = this.#number * 10 + (byte - ZERO);
        this.#digits += 1;
        place += 1;
      } else if (byte === CR && this.#digits > 0) {
        return this.#checkNumber(place + 1);
      } else if (byte === MINUS && this.#purpose === purpose.strayLength && this.#digits === 0) {
        // A null of RESP2 outside a command: its line is all there is.
        this.#phase = phase.strayLine;
        this.#lineStart = this.#base + place;
        return place;
      } else {
        return this.#fail(this.#numberFault(), place);
      }
    }
    return place;
  }

  #checkNumber(at: number): number {
    const limits = this.#limits;
    const max = this.#purpose === purpose.count ? limits.argumentsMax : limits.blobBytesMax;
    if (this.#number > max) return this.#fail(this.#numberFault(), at);
    this.#phase = phase.numberEnd;
    return at;
  }

  #numberEnd(byte: number, at: number): number {
    if (byte !== LF) return this.#fail(this.#numberFault(), at);
    if (this.#purpose === purpose.count) {
      this.#elements = this.#number;
      if (this.#number > 0) this.#phase = phase.elementType;
      else this.#end('empty');
      return at + 1;
    }
    this.#payload = this.#number;
    if (this.#purpose === purpose.strayLength) {
      this.#phase = this.#payload > 0 ? phase.strayPayload : phase.payloadCr;
      return at + 1;
    }
    this.#phase = this.#payload > 0 ? phase.payload : phase.payloadCr;
    this.#announce(this.#base + at + 1 + this.#payload + 2);
    return at + 1;
  }

  /** The frame will have at least `size` bytes. */
  #announce(size: number): void {
    if (size > this.#limits.commandBytesMax) this.oversized = true;
  }

  #elementType(byte: number, at: number): number {
    switch (byte) {
      case DOLLAR:
        return this.#expectNumber(purpose.length, at + 1);
      case PLUS:
        this.#phase = phase.text;
        break;
      case COLON:
        this.#phase = phase.integer;
        this.#digits = 0;
        break;
      default:
        return this.#fail(`expected '$', got '${printable(byte)}'`, at);
    }
    this.#lineStart = this.#base + at;
    return at + 1;
  }

  #skipPayload(chunk: Uint8Array, at: number): number {
    const taken = Math.min(this.#payload, chunk.length - at);
    this.#payload -= taken;
    if (this.#payload === 0) this.#phase = phase.payloadCr;
    return at + taken;
  }

  #payloadEnd(byte: number, at: number): number {
    if (byte !== LF) return this.#fail('missing blob terminator', at);
    if (this.kind === 'command') return this.#elementDone(at + 1);
    this.#end('stray');
    return at + 1;
  }

  #elementDone(at: number): number {
    this.#announce(this.#base + at);
    this.#elements -= 1;
    if (this.#elements === 0) this.#end('command');
    else this.#phase = phase.elementType;
    return at;
  }

  /** A simple string or an integer inside a command, up to its CR. */
  #readText(chunk: Uint8Array, at: number): number {
    const integer = this.#phase === phase.integer;
    let place = at;
    while (place < chunk.length && chunk[place] !== CR) {
      if (integer && !this.#takeIntegerByte(chunk[place] as number, place)) {
        return this.#fail('invalid integer', place);
      }
      place += 1;
    }
    if (this.#base + place - this.#lineStart > this.#limits.lineBytesMax) {
      return this.#fail('too big simple string', place);
    }
    if (place === chunk.length) return place;
    if (integer && this.#digits === 0) return this.#fail('invalid integer', place);
    this.#phase = phase.textEnd;
    return place + 1;
  }

  /** Digits, behind an optional minus. A plus would be legal RESP, but no client sends it and the parser misreads it. */
  #takeIntegerByte(byte: number, place: number): boolean {
    const first = this.#base + place === this.#lineStart + 1;
    if (byte === MINUS) return first;
    this.#digits += 1;
    return byte >= ZERO && byte <= NINE && this.#digits <= INTEGER_DIGITS_MAX;
  }

  /** An inline command or the line of a stray frame, up to its LF. */
  #readLine(chunk: Uint8Array, at: number): number {
    const found = chunk.indexOf(LF, at);
    const end = found < 0 ? chunk.length : found;
    if (this.#base + end - this.#lineStart > this.#limits.lineBytesMax) {
      const inline = this.#phase === phase.inline;
      return this.#fail(inline ? 'too big inline request' : 'too big line', end);
    }
    if (found < 0) return end;
    this.#end(this.kind);
    return end + 1;
  }

  #expect(byte: number, wanted: number, at: number, next: Phase, fault: string): number {
    if (byte !== wanted) return this.#fail(fault, at);
    this.#phase = next;
    return at + 1;
  }

  #end(kind: FrameKind): void {
    this.kind = kind;
    this.#ended = true;
  }

  #fail(text: string, at: number): number {
    this.fault = text;
    return at;
  }
}
