/**
 * RESP3 replies out of a stream of bytes, cut anywhere.
 *
 * Invariants. What has been parsed is never looked at again: open arrays and maps wait on a stack, a blob is filled in place,
 * and only an unfinished line is kept as bytes, so a reply costs the same in one piece and byte by byte. What is kept is
 * bounded: lines by {@link LINE_BYTES_MAX}, blobs by {@link BLOB_BYTES_MAX}, nesting by {@link DEPTH_MAX}. After a
 * `ProtocolError` the parser is not used again.
 *
 * Values: simple string → string; blob → Buffer (a copy); integer, double → number; boolean; null; array, set → array;
 * map → Map with text keys, or a {@link WireEvent} where it is an event; error → {@link ErrorReply}, wherever it stands.
 */
import { ProtocolError } from './errors.ts';
import { EventReader, eventOfPairs } from './event.ts';

export const LINE_BYTES_MAX: number = 64 * 1024;
export const BLOB_BYTES_MAX: number = 512 * 1024 * 1024;
export const DEPTH_MAX = 16;

/** An error line, without its `-`. */
export class ErrorReply {
  readonly line: string;

  constructor(line: string) {
    this.line = line;
  }
}

export interface ReplySink {
  /** The answer to the oldest request that has none. */
  reply(value: unknown): void;
  /** Something the server sends by itself: its kind, and what follows. */
  push(items: readonly unknown[]): void;
}

type Aggregate = 'array' | 'map' | 'push' | 'attribute';

interface Open {
  readonly type: Aggregate;
  /** Values still to come; a map has two for each pair. */
  left: number;
  readonly items: unknown[];
}

interface OpenBlob {
  readonly type: number;
  readonly bytes: Buffer;
  /** Of `bytes` and the CR LF behind them. */
  filled: number;
}

const CR = 0x0d;
const LF = 0x0a;
const byte = (character: string): number => character.charCodeAt(0);
const SIMPLE = byte('+');
const ERROR = byte('-');
const ONE = byte('1');
const INTEGER = byte(':');
const BLOB = byte('$');
const BLOB_ERROR = byte('!');
const VERBATIM = byte('=');
const DOUBLE = byte(',');
const BOOLEAN = byte('#');
const NULL = byte('_');
const BIG_NUMBER = byte('(');
const ARRAY = byte('*');
const SET = byte('~');
const MAP = byte('%');
const PUSH = byte('>');
const ATTRIBUTE = byte('|');

const aggregates: ReadonlyMap<number, Aggregate> = new Map([
  [ARRAY, 'array'],
  [SET, 'array'],
  [MAP, 'map'],
  [PUSH, 'push'],
  [ATTRIBUTE, 'attribute'],
]);

export class ReplyParser {
  readonly #sink: ReplySink;
  readonly #events = new EventReader();
  readonly #stack: Open[] = [];
  #blob: OpenBlob | null = null;
  /** An unfinished line. */
  #rest: Buffer | null = null;

  constructor(sink: ReplySink) {
    this.#sink = sink;
  }

  /** Throws `ProtocolError` for what is no RESP3. */
  feed(piece: Buffer): void {
    let bytes = piece;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, piece]);
      this.#rest = null;
    }
    let at = this.#blob === null ? 0 : this.#fill(this.#blob, bytes, 0);
    while (at < bytes.length) {
      const next = this.#value(bytes, at);
      if (next < 0) {
        this.#keep(bytes, at);
        return;
      }
      at = next;
    }
  }

  #keep(bytes: Buffer, at: number): void {
    if (bytes.length - at > LINE_BYTES_MAX) throw new ProtocolError('a line without an end');
    // A copy: what is left of a piece must not keep all of it.
    this.#rest = Buffer.from(bytes.subarray(at));
  }

  /** Takes one value, or the head of one, from `bytes[at]`; returns the offset behind it, or −1 where its line is not whole. */
  #value(bytes: Buffer, at: number): number {
    const type = bytes[at] ?? 0;
    if (type === MAP) {
      const event = this.#events.read(bytes, at);
      if (event !== null) {
        this.#add(event);
        return this.#events.end;
      }
    }
    const end = lineEnd(bytes, at + 1);
    if (end < 0) return -1;
    const next = end + 2;
    switch (type) {
      case SIMPLE:
        this.#add(bytes.toString('utf8', at + 1, end));
        return next;
      case INTEGER:
        this.#add(wholeNumber(bytes, at + 1, end));
        return next;
      case BLOB:
      case BLOB_ERROR:
      case VERBATIM:
        return this.#openBlob(type, bytes, at + 1, end);
      default: {
        const aggregate = aggregates.get(type);
        if (aggregate === undefined) this.#add(scalar(type, bytes.toString('utf8', at + 1, end)));
        else this.#open(aggregate, length(bytes, at + 1, end));
        return next;
      }
    }
  }

  #open(type: Aggregate, count: number): void {
    if (count === 0) {
      if (type !== 'attribute') this.#add(closed({ type, left: 0, items: [] }));
      return;
    }
    if (this.#stack.length >= DEPTH_MAX) throw new ProtocolError('a reply nested too deeply');
    if (type === 'push' && this.#stack.length > 0) throw new ProtocolError('a push in a reply');
    this.#stack.push({
      type,
      left: type === 'map' || type === 'attribute' ? 2 * count : count,
      items: [],
    });
  }

  #openBlob(type: number, bytes: Buffer, from: number, lineEnd: number): number {
    // RESP2's null; never sent by a server that speaks RESP3.
    if (bytes[from] === ERROR && bytes[from + 1] === ONE && lineEnd === from + 2) {
      this.#add(null);
      return lineEnd + 2;
    }
    const count = length(bytes, from, lineEnd);
    if (count > BLOB_BYTES_MAX) throw new ProtocolError(`a blob of ${count} bytes`);
    return this.#fill({ type, bytes: Buffer.allocUnsafe(count), filled: 0 }, bytes, lineEnd + 2);
  }

  /** Fills a blob from `bytes[at]`; returns the offset behind what was taken. */
  #fill(blob: OpenBlob, bytes: Buffer, at: number): number {
    const end = blob.bytes.length;
    let next = at;
    if (blob.filled < end) {
      const taken = bytes.copy(blob.bytes, blob.filled, at, at + end - blob.filled);
      blob.filled += taken;
      next += taken;
    }
    while (next < bytes.length && blob.filled >= end && blob.filled < end + 2) {
      if (bytes[next] !== (blob.filled === end ? CR : LF)) {
        throw new ProtocolError('a blob longer than its length');
      }
      blob.filled += 1;
      next += 1;
    }
    if (blob.filled < end + 2) {
      this.#blob = blob;
      return next;
    }
    this.#blob = null;
    this.#add(blobValue(blob));
    return next;
  }

  /** Gives a value to what is open, and closes what it completes. */
  #add(value: unknown): void {
    let done = value;
    for (;;) {
      const top = this.#stack.at(-1);
      if (top === undefined) {
        this.#sink.reply(done);
        return;
      }
      top.items.push(done);
      top.left -= 1;
      if (top.left > 0) return;
      this.#stack.pop();
      if (top.type === 'attribute') return;
      if (top.type === 'push') {
        this.#sink.push(top.items);
        return;
      }
      done = closed(top);
    }
  }
}

/** The offset of the CR that ends the line, or −1. */
function lineEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] !== CR) continue;
    if (at + 1 === bytes.length) return -1;
    if (bytes[at + 1] !== LF) throw new ProtocolError('a CR without an LF');
    return at;
  }
  return -1;
}

function wholeNumber(bytes: Buffer, from: number, to: number): number {
  const isSigned = bytes[from] === ERROR || bytes[from] === SIMPLE;
  const start = isSigned ? from + 1 : from;
  if (start >= to) throw new ProtocolError('an empty number');
  let value = 0;
  for (let at = start; at < to; at += 1) {
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) throw new ProtocolError('a number with other characters');
    value = value * 10 + digit;
  }
  return bytes[from] === ERROR ? -value : value;
}

function length(bytes: Buffer, from: number, to: number): number {
  const value = wholeNumber(bytes, from, to);
  if (value < 0 || !Number.isSafeInteger(value)) throw new ProtocolError(`a length of ${value}`);
  return value;
}

function scalar(type: number, text: string): unknown {
  switch (type) {
    case ERROR:
      return new ErrorReply(text);
    case NULL:
      return null;
    case BOOLEAN:
      if (text !== 't' && text !== 'f') break;
      return text === 't';
    case DOUBLE:
      return doubleOf(text);
    case BIG_NUMBER:
      if (!/^-?\d+$/.test(text)) break;
      return BigInt(text);
    default:
  }
  throw new ProtocolError(`a reply that begins with byte ${type}`);
}

function doubleOf(text: string): number {
  const special: Readonly<Record<string, number>> = {
    inf: Infinity,
    '-inf': -Infinity,
    nan: Number.NaN,
  };
  const value = special[text] ?? Number(text === '' ? 'none' : text);
  if (Number.isNaN(value) && text !== 'nan') throw new ProtocolError(`a double of ${text}`);
  return value;
}

function blobValue({ type, bytes }: OpenBlob): unknown {
  if (type === BLOB_ERROR) return new ErrorReply(bytes.toString('utf8'));
  // `txt:` or `mkd:` stands in front of a verbatim string.
  return type === VERBATIM ? bytes.subarray(4) : bytes;
}

function closed({ type, items }: Open): unknown {
  if (type !== 'map') return items;
  const pairs = new Map<string, unknown>();
  for (let i = 0; i < items.length; i += 2) pairs.set(keyText(items[i]), items[i + 1]);
  return pairs.size >= 11 && pairs.has('event_id') ? eventOfPairs(pairs) : pairs;
}

function keyText(key: unknown): string {
  if (typeof key === 'string') return key;
  if (Buffer.isBuffer(key)) return key.toString('utf8');
  if (typeof key === 'number') return String(key);
  throw new ProtocolError('a map with a key that is no text');
}
