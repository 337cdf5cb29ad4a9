import { filterBlock, filterBytes, type FilterShape, FilterProbe, KeyFilter } from './filter.ts';
import { pageOffset, PAGE_CONTENT_BYTES, type PageReader } from './index-page.ts';

/** Pages read at once when a filter is loaded. */
const LOAD_PAGES = 256;

/** A filter in an index file: probed in place, page by page, or loaded as a whole. */
export class StoredFilter {
  readonly shape: FilterShape;
  readonly #pages: PageReader;
  readonly #firstPage: number;
  readonly #probe: FilterProbe;

  constructor(pages: PageReader, firstPage: number, shape: FilterShape) {
    this.shape = shape;
    this.#pages = pages;
    this.#firstPage = firstPage;
    this.#probe = new FilterProbe(shape);
  }

  /** Memory that `load` takes. */
  get bytes(): number {
    return filterBytes(this.shape);
  }

  /** Whether the key may be there; undefined when the page that knows is not in memory. Throws IndexDamageError. */
  peek(hash: number): boolean | undefined {
    const page = this.#firstPage + filterBlock(this.shape, hash);
    const block = this.#pages.peekPage(page);
    return block && this.#probe.has(block.bytes, pageOffset(page), hash);
  }

  /** The same with one small read. Rejects with IndexDamageError or the disk's error. */
  async probe(hash: number): Promise<boolean> {
    const page = this.#firstPage + filterBlock(this.shape, hash);
    const block = await this.#pages.loadPage(page);
    return this.#probe.has(block.bytes, pageOffset(page), hash);
  }

  /** The whole filter in memory, read past the cache. Rejects with IndexDamageError or the disk's error. */
  async load(): Promise<KeyFilter> {
    const { blocks, blockBytes } = this.shape;
    const bytes = Buffer.allocUnsafeSlow(this.bytes);
    const content = Buffer.allocUnsafeSlow(Math.min(blocks, LOAD_PAGES) * PAGE_CONTENT_BYTES);
    for (let first = 0; first < blocks; first += LOAD_PAGES) {
      const count = Math.min(LOAD_PAGES, blocks - first);
      await this.#pages.readPages(this.#firstPage + first, count, content);
      for (let i = 0; i < count; i += 1) {
        const at = i * PAGE_CONTENT_BYTES;
        content.copy(bytes, (first + i) * blockBytes, at, at + blockBytes);
      }
    }
    return new KeyFilter(this.shape, bytes);
  }
}
