/**
 * Pages of index files: 4,092 bytes of content and their CRC. Content counts as one address space, `content offset`, as
 * if there were no CRCs in between. `docs/formats/index-files.md` has grammar and reasons.
 *
 * The CRC of every page but the first is seeded with the first page's CRC plus the page's number, so that a page of
 * another file, or of another place in this one, is as wrong as a flipped bit.
 */
import { assert } from '../../../common/assert.ts';
import { BLOCK_BYTES, type BlockCache, type CachedBlock } from './block-cache.ts';
import { readUint32, writeUint32 } from './bytes.ts';
import type { CachedFile } from './cached-file.ts';
import { crc32c } from './crc.ts';
import { IndexDamageError, ShortReadError } from './errors.ts';

export const PAGE_BYTES = 4096;
export const PAGE_CONTENT_BYTES = 4092;
const PAGES_PER_BLOCK = BLOCK_BYTES / PAGE_BYTES;

export const pagesOf = (contentBytes: number): number =>
  Math.ceil(contentBytes / PAGE_CONTENT_BYTES);

const pageSeed = (first: number, page: number): number => (page === 0 ? 0 : (first + page) >>> 0);

const pageCrc = (bytes: Uint8Array, at: number, seed: number): number =>
  crc32c(bytes.subarray(at, at + PAGE_CONTENT_BYTES), seed);

/** Cuts `content` into pages with their CRCs; the last page is filled up with zeros. */
export function paginate(content: Buffer): Buffer {
  const pages = pagesOf(content.length);
  const file = Buffer.allocUnsafeSlow(pages * PAGE_BYTES);
  let first = 0;
  for (let page = 0; page < pages; page += 1) {
    const at = page * PAGE_BYTES;
    const copied = content.copy(
      file,
      at,
      page * PAGE_CONTENT_BYTES,
      (page + 1) * PAGE_CONTENT_BYTES,
    );
    file.fill(0, at + copied, at + PAGE_CONTENT_BYTES);
    const crc = pageCrc(file, at, pageSeed(first, page));
    writeUint32(file, at + PAGE_CONTENT_BYTES, crc);
    if (page === 0) first = crc;
  }
  return file;
}

/** CRC of a file's first page, by which those of the others are seeded. */
export const firstPageCrc = (file: Uint8Array): number => readUint32(file, PAGE_CONTENT_BYTES);

/**
 * Number of the first page of a file that fails its CRC, or null. `pages` begins with page `number`; without it, it is the
 * whole file. Half a page at its end is a damaged one.
 */
export function damagedPage(
  pages: Buffer,
  number = 0,
  firstCrc: number = firstPageCrc(pages),
): number | null {
  const count = Math.floor(pages.length / PAGE_BYTES);
  for (let i = 0; i < count; i += 1) {
    const at = i * PAGE_BYTES;
    const crc = readUint32(pages, at + PAGE_CONTENT_BYTES);
    if (pageCrc(pages, at, pageSeed(firstCrc, number + i)) !== crc) return number + i;
  }
  return count * PAGE_BYTES === pages.length ? null : number + count;
}

/** Reads content of one index file through the block cache and lets nothing through that fails its CRC. */
export class PageReader {
  readonly file: CachedFile;
  readonly #cache: BlockCache;
  #firstCrc: number | null = null;

  constructor(cache: BlockCache, file: CachedFile) {
    this.#cache = cache;
    this.file = file;
  }

  /**
   * Reads the content of the first page and verifies it. Must have succeeded before any other method is called. Rejects
   * with {@link IndexDamageError} or the disk's error.
   */
  async open(): Promise<Buffer> {
    if (this.file.length < PAGE_BYTES || this.file.length % PAGE_BYTES !== 0) {
      throw this.damage(`impossible length ${String(this.file.length)}`);
    }
    const block = await this.#load(0, PAGE_BYTES);
    this.#firstCrc = readUint32(block.bytes, PAGE_CONTENT_BYTES);
    this.#verify(block, 0, 0);
    return Buffer.from(block.bytes.subarray(0, PAGE_CONTENT_BYTES));
  }

  /**
   * The verified block that holds page `page`, at {@link pageOffset}, or undefined when it is not in memory. Valid as
   * long as a CachedBlock is: for this tick.
   */
  peekPage(page: number): CachedBlock | undefined {
    const at = pageOffset(page);
    const number = Math.floor(page / PAGES_PER_BLOCK);
    const block = this.#cache.peek(this.file, number, at + PAGE_BYTES);
    if (block !== undefined) this.#verify(block, at, page);
    return block;
  }

  /** The same from disk. */
  async loadPage(page: number): Promise<CachedBlock> {
    const at = pageOffset(page);
    const number = Math.floor(page / PAGES_PER_BLOCK);
    const block = await this.#load(number, at + PAGE_BYTES);
    this.#verify(block, at, page);
    return block;
  }

  /** Content from `from`, in a buffer of its own; at once when it is in memory. */
  read(from: number, length: number): Buffer | Promise<Buffer> {
    assert(from >= 0 && from + length <= this.contentBytes, 'content is read within its file');
    const target = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const page = Math.floor((from + done) / PAGE_CONTENT_BYTES);
      const block = this.peekPage(page);
      if (block === undefined) return this.#complete(from, target, done);
      done += copyContent(block, page, from, target, done);
    }
    return target;
  }

  /**
   * Reads `count` whole pages from `first` into `target` as content, past the cache: for what is read once and kept.
   */
  async readPages(first: number, count: number, target: Buffer): Promise<void> {
    const pages = Buffer.allocUnsafeSlow(count * PAGE_BYTES);
    const read = await this.#orDamage(this.file.source.read(pages, first * PAGE_BYTES));
    if (read < pages.length) throw this.damage(`ends at byte ${String(first * PAGE_BYTES + read)}`);
    for (let i = 0; i < count; i += 1) {
      const at = i * PAGE_BYTES;
      this.#check(pages, at, first + i);
      pages.copy(target, i * PAGE_CONTENT_BYTES, at, at + PAGE_CONTENT_BYTES);
    }
  }

  get pageCount(): number {
    return this.file.length / PAGE_BYTES;
  }

  get contentBytes(): number {
    return this.pageCount * PAGE_CONTENT_BYTES;
  }

  damage(reason: string): IndexDamageError {
    return new IndexDamageError(this.file.path, reason);
  }

  async #complete(from: number, target: Buffer, copied: number): Promise<Buffer> {
    let done = copied;
    while (done < target.length) {
      const page = Math.floor((from + done) / PAGE_CONTENT_BYTES);
      const block = this.peekPage(page) ?? (await this.loadPage(page));
      done += copyContent(block, page, from, target, done);
    }
    return target;
  }

  #load(number: number, through: number): Promise<CachedBlock> {
    return this.#orDamage(this.#cache.load(this.file, number, through));
  }

  /** A file cut short or removed since it was opened is as damaged as one with a flipped bit: it can be built again. */
  async #orDamage<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (error) {
      if (error instanceof ShortReadError) throw this.damage(error.message);
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw this.damage('does not exist');
      throw error;
    }
  }

  #verify(block: CachedBlock, at: number, page: number): void {
    if (block.isVerified(at)) return;
    this.#check(block.bytes, at, page);
    block.markVerified(at);
  }

  #check(bytes: Buffer, at: number, page: number): void {
    assert(this.#firstCrc !== null, 'the first page is read before any other');
    const crc = pageCrc(bytes, at, pageSeed(this.#firstCrc, page));
    if (crc !== readUint32(bytes, at + PAGE_CONTENT_BYTES)) {
      throw this.damage(`checksum mismatch in page ${String(page)}`);
    }
  }
}

/** Where page `page` begins in its block. */
export const pageOffset = (page: number): number => (page % PAGES_PER_BLOCK) * PAGE_BYTES;

/** Copies what `page` holds of the content that `target` is to receive from `from`; returns the number of bytes. */
function copyContent(
  block: CachedBlock,
  page: number,
  from: number,
  target: Buffer,
  done: number,
): number {
  const inPage = from + done - page * PAGE_CONTENT_BYTES;
  const start = pageOffset(page) + inPage;
  const length = Math.min(PAGE_CONTENT_BYTES - inPage, target.length - done);
  return block.bytes.copy(target, done, start, start + length);
}
