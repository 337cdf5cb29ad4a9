/**
 * Blocks of 64 KiB read from disk, shared by segments and index files.
 *
 * ```ts
 * const block = cache.peek(file, number) ?? (await cache.load(file, number));
 * // Use block.bytes now, before the next await.
 * ```
 *
 * The caller's duty: **a block is only valid until the tick in which `peek` returned it, or in which the await of `load`
 * went on, ends.** Copy what must live longer. An evicted block's buffer is used again for another block.
 *
 * Invariants:
 * - at most `capacityBytes` of blocks are kept; blocks on their way come on top, one for each read in flight;
 * - one read per block is in flight, shared by all who wait for it; a failed read leaves nothing behind;
 * - a buffer is handed out again only in a later turn of the event loop than its eviction, when the continuations of all
 *   who awaited its block have run.
 *
 * Eviction is CLOCK (Corbató 1968): a hit sets one flag, nothing is moved.
 */
import { assert } from '../../../common/assert.ts';
import type { CachedFile } from './cached-file.ts';
import { ShortReadError } from './errors.ts';

export const BLOCK_BYTES = 65_536;

/** A reader that misses more than this many blocks in a row reads them at once, past the cache. */
const BYPASS_BLOCKS = 4;
/** Blocks that are read together for a reader that goes on and on: 1 MiB. */
const READ_AHEAD_BLOCKS = 16;
/** With more than this on their way nothing is read ahead: 8 MiB. */
const LOADING_MAX = 128;
/** Buffers kept for reuse; more are left to the garbage collector. */
const SPARE_BUFFERS_MAX = 64;

export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
  readonly memoryBytes: number;
  readonly maxBytes: number;
  readonly blockBytes: number;
  readonly evictions: number;
}

/** One block of a file in memory. See the caller's duty above. */
export class CachedBlock {
  readonly file: CachedFile;
  readonly number: number;
  /** `BLOCK_BYTES` long; only the first `length` bytes are the file's. */
  readonly bytes: Buffer;
  readonly length: number;
  /** The cache's own. */
  slot = -1;
  referenced = false;
  /** One bit per 16 bytes: what begins there has passed its checksum while in this block. */
  readonly #verified = new Uint8Array(BLOCK_BYTES >> 7);

  constructor(file: CachedFile, number: number, bytes: Buffer, length: number) {
    this.file = file;
    this.number = number;
    this.bytes = bytes;
    this.length = length;
  }

  /**
   * Whether `markVerified` was called for the thing at `offset` in this block. Things are told apart by `offset >> 4`, so
   * they must be at least 16 bytes long.
   */
  isVerified(offset: number): boolean {
    return ((this.#verified[offset >> 7] as number) & (1 << ((offset >> 4) & 7))) !== 0;
  }

  markVerified(offset: number): void {
    this.#verified[offset >> 7] =
      (this.#verified[offset >> 7] as number) | (1 << ((offset >> 4) & 7));
  }
}

export interface LoadingBlock {
  readonly length: number;
  readonly promise: Promise<CachedBlock>;
}

export class BlockCache {
  readonly #capacityBlocks: number;
  readonly #slots: CachedBlock[] = [];
  #hand = 0;
  #hits = 0;
  #misses = 0;
  #evictions = 0;
  /** Reads under way. */
  #loading = 0;
  /** Buffers nobody holds. */
  readonly #spare: Buffer[] = [];
  /** Buffers evicted in this turn of the event loop. */
  #retired: Buffer[] = [];
  #turnScheduled = false;

  /** Keeps `capacityBytes`, rounded down to whole blocks, but at least one. */
  constructor(capacityBytes: number) {
    this.#capacityBlocks = Math.max(1, Math.floor(capacityBytes / BLOCK_BYTES));
  }

  /** Block `number` of `file` if at least its first `through` bytes are in memory. */
  peek(file: CachedFile, number: number, through = 1): CachedBlock | undefined {
    const block = file.blocks.get(number);
    if (block === undefined || block.length < through) return undefined;
    block.referenced = true;
    this.#hits += 1;
    return block;
  }

  /**
   * The same, read from disk if need be. Rejects with the disk's error, or with {@link ShortReadError} if the file is
   * shorter than its `length` says.
   */
  async load(file: CachedFile, number: number, through = 1): Promise<CachedBlock> {
    const present = this.peek(file, number, through);
    if (present !== undefined) return present;
    const loading = file.loading.get(number);
    if (loading !== undefined) {
      if (loading.length >= through) return loading.promise;
      // The file has grown since that read began. How it ends does not matter here.
      await loading.promise.catch(() => undefined);
      return this.load(file, number, through);
    }
    const length = Math.min(BLOCK_BYTES, file.length - number * BLOCK_BYTES);
    assert(length >= through, 'a block is asked for within the readable length of its file');
    this.#misses += 1;
    const promise = this.#read(file, number, length);
    file.loading.set(number, { length, promise });
    return promise;
  }

  /**
   * Begins to read blocks `first` to `last` of `file` that are not in memory, because a reader will want them: at most 1 MiB
   * and a quarter of the cache, and nothing while many are on their way. What fails will fail again for the reader.
   */
  readAhead(file: CachedFile, first: number, last: number): void {
    const most = Math.min(READ_AHEAD_BLOCKS, this.#capacityBlocks >> 2);
    const end = Math.min(last + 1, first + most, Math.ceil(file.length / BLOCK_BYTES));
    for (let number = first; number < end; number += 1) {
      if (this.#loading >= LOADING_MAX) return;
      if (file.blocks.has(number) || file.loading.has(number)) continue;
      this.load(file, number).catch(() => undefined);
    }
  }

  /**
   * Copies `length` bytes from `position` to `target`: at once when all of them are in memory, else as a promise. Long
   * stretches that are not in memory are read in one piece and not kept.
   */
  readRange(
    file: CachedFile,
    position: number,
    length: number,
    target: Buffer = Buffer.allocUnsafe(length),
  ): Buffer | Promise<Buffer> {
    assert(position + length <= file.length, 'a range ends within the readable length of its file');
    const done = this.#copyCached(file, position, length, target, 0);
    return done === length ? target : this.#completeRange(file, position, length, target, done);
  }

  /** Drops all blocks of a file that is about to be closed or replaced. */
  forget(file: CachedFile): void {
    file.forgotten = true;
    for (const block of file.blocks.values()) this.#drop(block);
    file.blocks.clear();
  }

  get statistics(): CacheStatistics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      entries: this.#slots.length,
      memoryBytes: this.#slots.length * BLOCK_BYTES,
      maxBytes: this.#capacityBlocks * BLOCK_BYTES,
      blockBytes: BLOCK_BYTES,
      evictions: this.#evictions,
    };
  }

  async #read(file: CachedFile, number: number, length: number): Promise<CachedBlock> {
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#loading += 1;
    try {
      const read = await file.source.read(buffer.subarray(0, length), number * BLOCK_BYTES);
      if (read < length) throw new ShortReadError(file.path, number * BLOCK_BYTES + read);
    } catch (error) {
      this.#retire(buffer);
      throw error;
    } finally {
      this.#loading -= 1;
      file.loading.delete(number);
    }
    const block = new CachedBlock(file, number, buffer, length);
    if (!file.forgotten) this.#keep(block);
    return block;
  }

  #keep(block: CachedBlock): void {
    const shorter = block.file.blocks.get(block.number);
    if (shorter !== undefined) this.#drop(shorter);
    block.slot = this.#slots.length < this.#capacityBlocks ? this.#slots.length : this.#evict();
    this.#slots[block.slot] = block;
    block.file.blocks.set(block.number, block);
  }

  /**
   * Evicts the next block that was not used since the hand last passed it; returns its place. A new block takes that
   * place, behind the hand: it has a whole round to be used again.
   */
  #evict(): number {
    for (;;) {
      if (this.#hand >= this.#slots.length) this.#hand = 0;
      const slot = this.#hand;
      const block = this.#slots[slot] as CachedBlock;
      this.#hand += 1;
      if (!block.referenced) {
        block.file.blocks.delete(block.number);
        this.#retire(block.bytes);
        this.#evictions += 1;
        return slot;
      }
      block.referenced = false;
    }
  }

  /** Takes a block out of the ring; the last one moves into its place. */
  #drop(block: CachedBlock): void {
    const last = this.#slots.pop();
    assert(last !== undefined && block.slot >= 0, 'only a kept block is dropped');
    if (last !== block) {
      this.#slots[block.slot] = last;
      last.slot = block.slot;
    }
    block.slot = -1;
    this.#retire(block.bytes);
  }

  /** Someone's continuation may still be about to use this buffer, so it becomes spare in the next turn only. */
  #retire(buffer: Buffer): void {
    if (this.#retired.length + this.#spare.length >= SPARE_BUFFERS_MAX) return;
    this.#retired.push(buffer);
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.#spare.push(...this.#retired);
      this.#retired = [];
    });
  }

  /** Copies from `done` on while blocks are in memory; returns how many bytes `target` then holds. */
  #copyCached(
    file: CachedFile,
    position: number,
    length: number,
    target: Buffer,
    done: number,
  ): number {
    while (done < length) {
      const number = Math.floor((position + done) / BLOCK_BYTES);
      const from = position + done - number * BLOCK_BYTES;
      const to = Math.min(BLOCK_BYTES, from + length - done);
      const block = this.peek(file, number, to);
      if (block === undefined) break;
      block.bytes.copy(target, done, from, to);
      done += to - from;
    }
    return done;
  }

  async #completeRange(
    file: CachedFile,
    position: number,
    length: number,
    target: Buffer,
    copied: number,
  ): Promise<Buffer> {
    let done = copied;
    while (done < length) {
      if (length - done > BYPASS_BLOCKS * BLOCK_BYTES) {
        const read = await file.source.read(target.subarray(done, length), position + done);
        if (read < length - done) throw new ShortReadError(file.path, position + done + read);
        return target;
      }
      const number = Math.floor((position + done) / BLOCK_BYTES);
      const from = position + done - number * BLOCK_BYTES;
      const to = Math.min(BLOCK_BYTES, from + length - done);
      const block = await this.load(file, number, to);
      block.bytes.copy(target, done, from, to);
      done = this.#copyCached(file, position, length, target, done + to - from);
    }
    return target;
  }
}
