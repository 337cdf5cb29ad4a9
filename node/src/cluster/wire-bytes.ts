/** Writes and reads the fields of forwarded commands. Numbers are little-endian, byte strings carry their length before them. */
import { assert } from '../../../common/assert.ts';
import { readUint32, readUint48, writeUint32, writeUint48 } from '../storage/bytes.ts';

export class ByteWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  get length(): number {
    return this.#length;
  }

  // Each asks for room before it takes hold of the bytes: they may be others afterwards.

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    writeUint32(this.#bytes, at, value);
    return this;
  }

  u48(value: number): this {
    const at = this.#grow(6);
    writeUint48(this.#bytes, at, value);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#grow(8);
    this.#bytes.writeBigUInt64LE(value, at);
    return this;
  }

  /** As they are, without a length. */
  raw(bytes: Uint8Array, from = 0, to: number = bytes.length): this {
    const at = this.#grow(to - from);
    this.#bytes.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), at);
    return this;
  }

  blob(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.blob(Buffer.from(text));
  }

  /** What was written; the writer must not be used any more. */
  done(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}

/** Throws `RangeError` where bytes end too early: what arrived is not what was sent. */
export class ByteReader {
  readonly bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, from = 0, to: number = bytes.length) {
    assert(to <= bytes.length, 'reads within the bytes');
    this.bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  get at(): number {
    return this.#at;
  }

  get hasMore(): boolean {
    return this.#at < this.#end;
  }

  u8(): number {
    return this.bytes[this.take(1)] as number;
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.take(2));
  }

  u32(): number {
    return readUint32(this.bytes, this.take(4));
  }

  u48(): number {
    return readUint48(this.bytes, this.take(6));
  }

  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8));
  }

  raw(count: number): Buffer {
    const at = this.take(count);
    return this.bytes.subarray(at, at + count);
  }

  blob(): Buffer {
    return this.raw(this.u32());
  }

  text(): string {
    return this.blob().toString('utf8');
  }

  /** Goes past `count` bytes; returns where they begin. */
  take(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw new RangeError('a forwarded message ends too early');
    this.#at = at + count;
    return at;
  }
}
