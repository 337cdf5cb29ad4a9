/**
 * Turns a connection's bytes into requests, one at a time, when asked. What has not been asked for stays as it came, so a
 * connection that must wait holds a chunk and no parsed commands.
 *
 * Invariants: `feed` is only called when `next` has returned null; the bytes kept of an unfinished request are at most
 * `commandBytesMax`, and grow with what has arrived, never with what was announced.
 */
import { assert } from '../../../common/assert.ts';
import { parseCommand } from './command-parser.ts';
import { splitInlineCommand } from './inline-command.ts';
import type { RespLimits } from './limits.ts';
import { FrameScanner } from './scanner.ts';

export type Request =
  /** Arguments are views of the received bytes; the first is the command's name. `bytes`: size as sent. */
  | { readonly kind: 'command'; readonly args: Buffer[]; readonly bytes: number }
  /** A command above `commandBytesMax`, read past. */
  | { readonly kind: 'oversized' }
  /** A RESP frame that is no command. */
  | { readonly kind: 'stray' }
  /** The bytes are not the protocol; nothing more is decoded. */
  | { readonly kind: 'fault'; readonly text: string };

const oversized: Request = { kind: 'oversized' };
const stray: Request = { kind: 'stray' };

const KEPT_BYTES_MIN = 1024;

/** The beginning of a request whose end has not arrived. Grows by doubling, so that a slow drip stays linear. */
class KeptBytes {
  readonly #bytesMax: number;
  #bytes: Buffer | null = null;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#length;
  }

  append(chunk: Buffer, from: number, to: number): void {
    const length = this.#length + to - from;
    const bytes = this.#room(length);
    chunk.copy(bytes, this.#length, from, to);
    this.#length = length;
  }

  /** The bytes kept; they are the caller's from here on. */
  take(): Buffer {
    const bytes = (this.#bytes ?? Buffer.alloc(0)).subarray(0, this.#length);
    this.drop();
    return bytes;
  }

  drop(): void {
    this.#bytes = null;
    this.#length = 0;
  }

  #room(length: number): Buffer {
    const old = this.#bytes;
    if (old !== null && old.length >= length) return old;
    const doubled = Math.min(this.#bytesMax, Math.max(KEPT_BYTES_MIN, 2 * (old?.length ?? 0)));
    const bytes = Buffer.allocUnsafeSlow(Math.max(length, doubled));
    if (old !== null) old.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
    return bytes;
  }
}

export class RequestDecoder {
  readonly #scanner: FrameScanner;
  readonly #kept: KeptBytes;
  #chunk: Buffer | null = null;
  #at = 0;

  constructor(limits: RespLimits) {
    this.#scanner = new FrameScanner(limits);
    this.#kept = new KeptBytes(Math.max(limits.commandBytesMax, limits.lineBytesMax));
  }

  /** Bytes held: those kept of an unfinished request, and the chunk that is not used up. */
  get heldBytes(): number {
    return this.#kept.length + (this.#chunk === null ? 0 : this.#chunk.length);
  }

  /** Whether there are bytes that `next` has not looked at. */
  get hasInput(): boolean {
    return this.#chunk !== null;
  }

  /** Hands over the next bytes. The decoder keeps views of `chunk`; it must not be written to afterwards. */
  feed(chunk: Buffer): void {
    assert(this.#chunk === null, 'the previous chunk was used up');
    if (chunk.length === 0) return;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The next request, or null when more bytes are needed. Behind a fault it is always the same fault. */
  next(): Request | null {
    while (this.#chunk !== null) {
      const request = this.#advance(this.#chunk);
      if (request !== null) return request;
    }
    const text = this.#scanner.fault;
    return text === null ? null : { kind: 'fault', text };
  }

  #advance(chunk: Buffer): Request | null {
    const scanner = this.#scanner;
    const from = this.#at;
    const end = scanner.scan(chunk, from);
    if (end === -1) {
      this.#chunk = null;
      this.#keep(chunk, from);
      return null;
    }
    const frame = this.#frame(chunk, from, end);
    this.#at = end;
    if (end === chunk.length) this.#chunk = null;
    switch (scanner.kind) {
      case 'command':
        if (scanner.oversized) return oversized;
        return { kind: 'command', args: parseCommand(frame), bytes: frame.length };
      case 'inline':
        return this.#inline(frame);
      case 'stray':
        return stray;
      case 'empty':
        return null;
    }
  }

  /** Whether the scanner's frame will be parsed, so that its bytes are needed. */
  #wanted(): boolean {
    const { kind, oversized: tooLarge, fault } = this.#scanner;
    return fault === null && !tooLarge && (kind === 'command' || kind === 'inline');
  }

  #keep(chunk: Buffer, from: number): void {
    if (this.#wanted()) this.#kept.append(chunk, from, chunk.length);
    else this.#kept.drop();
  }

  /** The frame's bytes in one piece; empty if nobody needs them. */
  #frame(chunk: Buffer, from: number, end: number): Buffer {
    if (!this.#wanted()) {
      this.#kept.drop();
      return chunk.subarray(end, end);
    }
    if (this.#kept.length === 0) return chunk.subarray(from, end);
    this.#kept.append(chunk, from, end);
    return this.#kept.take();
  }

  #inline(line: Buffer): Request | null {
    const args = splitInlineCommand(line);
    if (args === null) {
      this.#scanner.fault = 'unbalanced quotes in request';
      this.#chunk = null;
      return { kind: 'fault', text: this.#scanner.fault };
    }
    return args.length === 0 ? null : { kind: 'command', args, bytes: line.length };
  }
}
