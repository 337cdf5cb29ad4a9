/**
 * Takes the bytes of a connection with subscriptions apart, as far as is needed to count events and to know when they
 * came, and builds nothing: the generator must cost less than the server that it measures.
 *
 * An event push of our server is stepped over by the lengths of its constant pieces; what is looked at are its numbers,
 * the lengths of its byte strings, and a byte here and there that says that this is such a push. Anything else, and a push
 * with its pairs in another order, is walked value by value.
 *
 * Invariant: `#carry` holds the beginning of one value, and less than all of it.
 */

const CR = 0x0d;
const LF = 0x0a;
const MINUS = 0x2d;
const COLON = 0x3a;
const DOLLAR = 0x24;
const PUSH = 0x3e;
const BANG = 0x21;
const PERCENT = 0x25;
const ARRAY = 0x2a;
/** Longer than any value that a benchmark's event makes. */
const CARRY_BYTES = 64 * 1024;
const UUID_BYTES = 36;

const lengthOf = (text: string): number => Buffer.byteLength(text);
const MESSAGE = Buffer.from('>4\r\n+message\r\n+');
const ERROR_PUSH = Buffer.from('>3\r\n+error\r\n');
/** The offset of the cursor's first digit. */
const CURSOR_AT = MESSAGE.length + UUID_BYTES + lengthOf('\r\n:');
/** From behind one number to the first digit of the next one. */
const TO_PARTITION =
  lengthOf('\r\n%11\r\n+event_id\r\n+\r\n+partition_key\r\n+\r\n+partition_id\r\n:') +
  2 * UUID_BYTES;
const TO_SEQUENCE = lengthOf('\r\n+transaction_id\r\n+\r\n+partition_sequence\r\n:') + UUID_BYTES;
const TO_VERSION = lengthOf('\r\n+stream_version\r\n:');
const TO_TIMESTAMP = lengthOf('\r\n+timestamp\r\n:');
/** From behind the timestamp, or behind the bytes before, to the first digit of a length. */
const TO_STREAM_ID = lengthOf('\r\n+stream_id\r\n$');
const TO_EVENT_NAME = lengthOf('\r\n+event_name\r\n$');
const TO_METADATA = lengthOf('\r\n+metadata\r\n$');
const TO_PAYLOAD = lengthOf('\r\n+payload\r\n$');

/** What the bytes of a connection turn out to be. Called for each value when all of it is there. */
export interface PushHandler {
  /** An event; `payloadAt` is -1 where its pairs were in an unknown order. The bytes are valid during the call only. */
  message(bytes: Uint8Array, payloadAt: number): void;
  /** Any push but an event: `subscribe`, or `error` with its text. */
  otherPush(error: string | null): void;
  /** A reply to a command; of an error its text. */
  reply(error: string | null): void;
}

export class PushCounter {
  /** Events so far. */
  messages = 0;
  /** Events whose cursor was not the number of events before it: of use where a connection has one subscription. */
  outOfOrder = 0;
  /** The next cursor that is expected; set to 0 when a new subscription begins. */
  nextCursor = 0;
  /** Events that had to be walked value by value. */
  walked = 0;
  readonly #handler: PushHandler;
  readonly #carry: Buffer = Buffer.allocUnsafeSlow(CARRY_BYTES);
  #carried = 0;
  /** Left by {@link PushCounter.#digits}: the number, and the offset behind it. */
  #number = 0;
  #behind = 0;

  constructor(handler: PushHandler) {
    this.#handler = handler;
  }

  /** Reads the first `end` bytes of `chunk`. */
  feed(chunk: Uint8Array, end: number = chunk.length): void {
    let at = this.#carried > 0 ? this.#completeCarried(chunk, end) : 0;
    while (at < end) {
      const next = this.#take(chunk, at, end);
      if (next < 0) {
        this.#keep(chunk, at, end);
        return;
      }
      at = next;
    }
  }

  /** Completes the value whose beginning was kept; the offset in `chunk` behind it, or `end` when that is not enough. */
  #completeCarried(chunk: Uint8Array, end: number): number {
    const carried = this.#carried;
    const added = Math.min(end, CARRY_BYTES - carried);
    this.#carry.set(chunk.subarray(0, added), carried);
    const next = this.#take(this.#carry, 0, carried + added);
    if (next < 0) {
      if (added < end) throw new Error('a value is longer than anything expected');
      this.#carried = carried + added;
      return end;
    }
    this.#carried = 0;
    return next - carried;
  }

  #keep(chunk: Uint8Array, at: number, end: number): void {
    if (end - at > CARRY_BYTES) throw new Error('a value is longer than anything expected');
    this.#carry.set(chunk.subarray(at, end), 0);
    this.#carried = end - at;
  }

  /** Takes one value; the offset behind it, or -1 when it is not all there. */
  #take(bytes: Uint8Array, at: number, end: number): number {
    if (bytes[at] !== PUSH) return this.#takeReply(bytes, at, end);
    const payloadAt = this.#messageEnd(bytes, at, end);
    if (payloadAt < 0) return this.#walkPush(bytes, at, end);
    const next = this.#behind;
    this.#count(bytes, payloadAt);
    return next;
  }

  #count(bytes: Uint8Array, payloadAt: number): void {
    this.messages += 1;
    if (this.#number !== this.nextCursor) this.outOfOrder += 1;
    this.nextCursor = this.#number + 1;
    this.#handler.message(bytes, payloadAt);
  }

  /**
   * The payload's offset in an event push that is all there and has its pairs in our server's order, else -1. Leaves the
   * offset behind the push and its cursor.
   */
  #messageEnd(bytes: Uint8Array, start: number, end: number): number {
    // Every offset looked at lies behind the one before: reading beyond `end` finds no landmark or ends too late.
    if (bytes[start + 1] !== 0x34 || bytes[start + 5] !== 0x6d) return -1;
    if (!this.#digits(bytes, start + CURSOR_AT, COLON)) return -1;
    const cursor = this.#number;
    if (bytes[this.#behind + 2] !== PERCENT) return -1;
    if (!this.#digits(bytes, this.#behind + TO_PARTITION, COLON)) return -1;
    if (!this.#digits(bytes, this.#behind + TO_SEQUENCE, COLON)) return -1;
    if (!this.#digits(bytes, this.#behind + TO_VERSION, COLON)) return -1;
    if (!this.#digits(bytes, this.#behind + TO_TIMESTAMP, COLON)) return -1;
    if (!this.#blob(bytes, this.#behind + TO_STREAM_ID, end)) return -1;
    if (!this.#blob(bytes, this.#behind + TO_EVENT_NAME, end)) return -1;
    if (!this.#blob(bytes, this.#behind + TO_METADATA, end)) return -1;
    if (!this.#blob(bytes, this.#behind + TO_PAYLOAD, end)) return -1;
    const payloadAt = this.#behind - this.#number;
    this.#behind += 2;
    this.#number = cursor;
    return this.#behind <= end ? payloadAt : -1;
  }

  /** A number behind its type byte. False: there is none. */
  #digits(bytes: Uint8Array, from: number, type: number): boolean {
    if (bytes[from - 1] !== type) return false;
    let at = from;
    let value = 0;
    let digit = (bytes[at] ?? CR) - 0x30;
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      at += 1;
      digit = (bytes[at] ?? CR) - 0x30;
    }
    this.#number = value;
    this.#behind = at;
    return at > from;
  }

  /** A byte string from its length on; leaves its length and the offset behind it. */
  #blob(bytes: Uint8Array, from: number, end: number): boolean {
    if (!this.#digits(bytes, from, DOLLAR)) return false;
    this.#behind += 2 + this.#number;
    return this.#behind < end;
  }

  #walkPush(bytes: Uint8Array, at: number, end: number): number {
    const next = this.#walk(bytes, at, end);
    if (next < 0) return -1;
    if (startsWith(bytes, at, MESSAGE)) {
      this.walked += 1;
      if (!this.#digits(bytes, at + CURSOR_AT, COLON)) throw new Error('an event without a cursor');
      this.#count(bytes, -1);
    } else {
      const isError = startsWith(bytes, at, ERROR_PUSH);
      this.#handler.otherPush(isError ? textOf(bytes, at, next) : null);
    }
    return next;
  }

  #takeReply(bytes: Uint8Array, at: number, end: number): number {
    const next = this.#walk(bytes, at, end);
    if (next < 0) return -1;
    const isError = bytes[at] === MINUS || bytes[at] === BANG;
    this.#handler.reply(isError ? textOf(bytes, at, next) : null);
    return next;
  }

  /** The offset behind any value, or -1 when it is not all there. */
  #walk(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (let owed = 1; owed > 0; owed -= 1) {
      const type = bytes[at] ?? 0;
      let line = at + 1;
      while (line < end && bytes[line] !== LF) line += 1;
      if (line >= end) return -1;
      const length = this.#digits(bytes, at + 1, type) ? this.#number : 0;
      const isNull = bytes[at + 1] === MINUS;
      at = line + 1;
      if (type === DOLLAR || type === BANG) at += isNull ? 0 : length + 2;
      else if (type === PERCENT) owed += 2 * length;
      else if (type === ARRAY || type === PUSH) owed += length;
      if (at > end) return -1;
    }
    return at;
  }
}

function startsWith(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  return text.every((byte, index) => bytes[at + index] === byte);
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, to)).toString('latin1').trim();
}
