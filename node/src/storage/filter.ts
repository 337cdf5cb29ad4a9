/**
 * Bloom filters over 53-bit key hashes: package `bloom-filters` with its hashing replaced.
 *
 * A filter is a row of equal blocks, each a small bloom filter of at most one index page; a key's bits all stand in one
 * block, so that a filter left on disk answers with one small read. Blocks this large cost next to nothing: 0.01 % more
 * false positives than one large filter.
 *
 * The package hashes strings in 7 µs; the index has a hash of every key anyway. `_hashing`, `_filter` and `_size` are
 * internal names of the package: the version is pinned, and a test says when they change. `fromJSON` is not used, as it
 * would put the default hashing back and lose keys without a word.
 */
import bloomFilterModule from 'bloom-filters/dist/bloom/bloom-filter.js';
import hashingModule from 'bloom-filters/dist/hashing/hashing.js';
import type { HashableInput } from 'bloom-filters/dist/utils.js';

import { hashHigh, hashLow } from './hash.ts';
import { PAGE_CONTENT_BYTES } from './index-page.ts';

// Imported file by file: the package's door loads all of its structures, which costs 40 ms and 10 MB at every start.
const BloomFilter = bloomFilterModule.default;
const Hashing = hashingModule.default;

/** Sizes of a filter, as index files store them. */
export interface FilterShape {
  readonly blocks: number;
  /** At most one page's content. */
  readonly blockBytes: number;
  /** Bits set per key. */
  readonly hashes: number;
}

/** No filter at all. */
export const noFilter: FilterShape = { blocks: 0, blockBytes: 0, hashes: 0 };

/** The smallest filter in which `keys` keys give at most `rate` false positives (0 to 1, exclusive). */
export function filterShape(keys: number, rate: number): FilterShape {
  const bits = Math.max(64, Math.ceil((-Math.max(1, keys) * Math.log(rate)) / Math.LN2 ** 2));
  const blocks = Math.ceil(bits / (8 * PAGE_CONTENT_BYTES));
  return {
    blocks,
    blockBytes: Math.ceil(bits / (8 * blocks)),
    hashes: Math.max(1, Math.round(-Math.log2(rate))),
  };
}

export const filterBytes = (shape: FilterShape): number => shape.blocks * shape.blockBytes;

/** Number of the block that holds a key's bits. The other bits of the hash choose among the bits of that block. */
export const filterBlock = (shape: FilterShape, hash: number): number =>
  Math.floor((hashHigh(hash) / 2 ** 32) * shape.blocks);

/** A place among `bits`, uniform where `value` is uniform over 32 bits; a multiplication is faster than a remainder. */
const scaled = (value: number, bits: number): number => ((value * bits) / 2 ** 32) | 0;

const firstIndex = (low: number, bits: number): number => scaled(low, bits);
const firstStep = (low: number, high: number, bits: number): number =>
  scaled(Math.imul(low ^ high, 0x9e3779b1) >>> 0, bits);

/**
 * Enhanced double hashing (Dillinger and Manolios 2004) of two values drawn from the key's hash, within one block that
 * begins at bit `firstBit`. The same array is returned each time; the filter reads it at once.
 */
class BlockHashing extends Hashing {
  firstBit = 0;
  readonly #blockBits: number;
  readonly #indexes: number[];

  constructor(shape: FilterShape) {
    super();
    this.#blockBits = 8 * shape.blockBytes;
    this.#indexes = new Array<number>(shape.hashes).fill(0);
  }

  override getIndexes(element: HashableInput): number[] {
    const hash = element as unknown as number;
    const low = hashLow(hash);
    const bits = this.#blockBits;
    const indexes = this.#indexes;
    let index = firstIndex(low, bits);
    let step = firstStep(low, hashHigh(hash), bits);
    for (let i = 0; i < indexes.length; i += 1) {
      indexes[i] = this.firstBit + index;
      index += step;
      if (index >= bits) index -= bits;
      step += i + 1;
      if (step >= bits) step -= bits;
    }
    return indexes;
  }

  /**
   * Whether the first two of a key's bits are set in the block at `bytes[at]`. Three of four absent keys are known by
   * them, in a quarter of the time that the filter takes for all.
   */
  hasFirstBits(bytes: Uint8Array, at: number, hash: number): boolean {
    const low = hashLow(hash);
    const bits = this.#blockBits;
    let index = firstIndex(low, bits);
    if (((bytes[at + (index >> 3)] as number) & (1 << (index & 7))) === 0) return false;
    if (this.#indexes.length === 1) return true;
    index += firstStep(low, hashHigh(hash), bits);
    if (index >= bits) index -= bits;
    return ((bytes[at + (index >> 3)] as number) & (1 << (index & 7))) !== 0;
  }
}

/** A filter in memory, or a probe of filter blocks that stand elsewhere. */
export class KeyFilter {
  readonly shape: FilterShape;
  readonly bytes: Buffer;
  readonly #filter: InstanceType<typeof BloomFilter>;
  readonly #hashing: BlockHashing;

  /** `bytes`: all blocks of a stored filter, without a copy; without it the filter is empty. */
  constructor(shape: FilterShape, bytes: Buffer = Buffer.alloc(filterBytes(shape))) {
    this.shape = shape;
    this.bytes = bytes;
    this.#hashing = new BlockHashing(shape);
    this.#filter = new BloomFilter(8, shape.hashes);
    this.#filter._size = 8 * bytes.length;
    this.#filter._hashing = this.#hashing;
    this.#filter._filter.array = bytes;
  }

  add(hash: number): void {
    this.#hashing.firstBit = 8 * this.shape.blockBytes * filterBlock(this.shape, hash);
    this.#filter.add(hash as unknown as HashableInput);
  }

  /** False: the key is not among those added. */
  has(hash: number): boolean {
    const at = this.shape.blockBytes * filterBlock(this.shape, hash);
    if (!this.#hashing.hasFirstBits(this.bytes, at, hash)) return false;
    this.#hashing.firstBit = 8 * at;
    return this.#filter.has(hash as unknown as HashableInput);
  }
}

/** Asks filters whose blocks stand in buffers of others, as pages in the block cache do. */
export class FilterProbe {
  readonly #hashing: BlockHashing;
  readonly #filter: InstanceType<typeof BloomFilter>;

  constructor(shape: FilterShape) {
    this.#hashing = new BlockHashing(shape);
    this.#filter = new BloomFilter(8, shape.hashes);
    this.#filter._hashing = this.#hashing;
  }

  /** Whether the key may be among those of the block at `bytes[at]`, which must be `filterBlock`'s. */
  has(bytes: Uint8Array, at: number, hash: number): boolean {
    if (!this.#hashing.hasFirstBits(bytes, at, hash)) return false;
    this.#hashing.firstBit = 8 * at;
    this.#filter._filter.array = bytes;
    return this.#filter.has(hash as unknown as HashableInput);
  }
}
