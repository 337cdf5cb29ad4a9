import { assert } from '../../../common/assert.ts';
import { readUint32 } from './bytes.ts';
import {
  directoryBytes,
  INDEX_HEADER_BYTES,
  type IndexHeader,
  keySpan,
  readKey,
} from './index-format.ts';
import type { PageReader } from './index-page.ts';

/** Makes an entry's value out of the bytes behind its key. */
export type ReadValue<T> = (bytes: Buffer, at: number) => T;

/** Entries read at once when all of them are walked. */
const WALK_ENTRIES = 8192;

/**
 * Entries of an index file, sorted by the hash of their key, read in place: one small read for the directory slot, one
 * for its entries.
 */
export class HashedIndex<T> {
  readonly #pages: PageReader;
  readonly #entryCount: number;
  readonly #directoryBits: number;
  readonly #keyBytes: number;
  readonly #entryBytes: number;
  readonly #readValue: ReadValue<T>;
  /** Content offset behind the entries. */
  readonly end: number;
  readonly #entriesAt: number;

  constructor(pages: PageReader, header: IndexHeader, valueBytes: number, readValue: ReadValue<T>) {
    this.#pages = pages;
    this.#entryCount = header.entryCount;
    this.#directoryBits = header.directoryBits;
    this.#keyBytes = header.keyBytes;
    this.#entryBytes = header.keyBytes + valueBytes;
    this.#readValue = readValue;
    this.#entriesAt = INDEX_HEADER_BYTES + directoryBytes(header.directoryBits);
    this.end = this.#entriesAt + this.#entryCount * this.#entryBytes;
  }

  /** Values of all keys with this hash, in the order in which they were built in; at once if all is in memory. */
  find(hash: number): T[] | Promise<T[]> {
    const slot = Math.floor(hash / keySpan(this.#directoryBits));
    const directory = this.#pages.read(INDEX_HEADER_BYTES + 4 * slot, 8);
    if (directory instanceof Promise) return directory.then((bytes) => this.#findIn(bytes, hash));
    return this.#findIn(directory, hash);
  }

  /** Shows all hashes in ascending order, from disk past the cache. */
  async walk(visit: (hash: number) => void): Promise<void> {
    const span = keySpan(this.#directoryBits);
    const directory = await this.#pages.read(
      INDEX_HEADER_BYTES,
      directoryBytes(this.#directoryBits),
    );
    let slot = 0;
    for (let first = 0; first < this.#entryCount; first += WALK_ENTRIES) {
      const count = Math.min(WALK_ENTRIES, this.#entryCount - first);
      const entries = await this.#read(first, count);
      for (let i = 0; i < count; i += 1) {
        while (readUint32(directory, 4 * slot + 4) <= first + i) slot += 1;
        visit(slot * span + readKey(entries, i * this.#entryBytes, this.#keyBytes));
      }
    }
  }

  #read(first: number, count: number): Buffer | Promise<Buffer> {
    const from = this.#entriesAt + first * this.#entryBytes;
    return this.#pages.read(from, count * this.#entryBytes);
  }

  #findIn(directory: Buffer, hash: number): T[] | Promise<T[]> {
    const first = readUint32(directory, 0);
    const end = readUint32(directory, 4);
    assert(first <= end && end <= this.#entryCount, 'a verified directory ascends to its end');
    if (first === end) return [];
    const key = hash % keySpan(this.#directoryBits);
    const entries = this.#read(first, end - first);
    if (entries instanceof Promise) return entries.then((bytes) => this.#search(bytes, key));
    return this.#search(entries, key);
  }

  #search(entries: Buffer, key: number): T[] {
    const entryBytes = this.#entryBytes;
    let low = 0;
    let high = entries.length / entryBytes;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (readKey(entries, middle * entryBytes, this.#keyBytes) < key) low = middle + 1;
      else high = middle;
    }
    const found: T[] = [];
    for (let at = low * entryBytes; at < entries.length; at += entryBytes) {
      if (readKey(entries, at, this.#keyBytes) !== key) break;
      found.push(this.#readValue(entries, at + this.#keyBytes));
    }
    return found;
  }
}
