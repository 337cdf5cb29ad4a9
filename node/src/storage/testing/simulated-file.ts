/**
 * One file of the simulated disk, in two layers: what reads see (the page cache) and what a power cut leaves.
 *
 * Invariants:
 * - A page, once stored, is never changed, only replaced: layers, copies and older versions share pages.
 * - A page that is not dirty is equal in both layers, unless a failed sync marked it clean ({@link SimulatedFile.forgetDirty}).
 * - A missing page is all zeros. In the page cache the bytes behind the length are zero; on the disk pages may stand
 *   behind the length, written back before the length was, and are cut off when the power goes.
 * - `#durableLength` and `#shortest` are never below the end of a range that was written durably since the last sync.
 */
import type { Random } from '../../../../common/random.ts';

export const PAGE_BYTES = 4096;
/** What the device writes whole or not at all. */
export const SECTOR_BYTES = 512;

/** What becomes of unsynced changes when the power goes: drawn one by one, all lost, or all kept. */
export type Unsynced = 'drawn' | 'lost' | 'kept';

type Pages = Map<number, Buffer>;

const zeroPage = Buffer.alloc(PAGE_BYTES);

/** A new page with `source` laid over `page` from byte `at`. */
function overlay(page: Buffer, source: Uint8Array, at: number): Buffer {
  if (source.length === PAGE_BYTES && zeroPage.equals(source)) return zeroPage;
  const changed = Buffer.from(page);
  changed.set(source, at);
  return changed;
}

/** Lays `source` over the pages of `layer` and calls `touched` before each page is replaced. */
function overlayPages(
  layer: Pages,
  source: Uint8Array,
  position: number,
  touched: (page: number) => void,
): void {
  let done = 0;
  while (done < source.length) {
    const page = Math.floor((position + done) / PAGE_BYTES);
    const at = (position + done) % PAGE_BYTES;
    const count = Math.min(PAGE_BYTES - at, source.length - done);
    touched(page);
    layer.set(page, overlay(layer.get(page) ?? zeroPage, source.subarray(done, done + count), at));
    done += count;
  }
}

/** Drops what stands behind `length`. */
function cut(layer: Pages, length: number): void {
  const last = Math.floor(length / PAGE_BYTES);
  for (const page of layer.keys()) if (page > last) layer.delete(page);
  const partial = layer.get(last);
  if (partial !== undefined) {
    layer.set(last, overlay(partial, zeroPage.subarray(length % PAGE_BYTES), length % PAGE_BYTES));
  }
}

/** Every sector of the result is the one of `older` or the one of `newer`. */
function torn(older: Buffer, newer: Buffer, random: Random): Buffer {
  const mixed = Buffer.from(older);
  for (let at = 0; at < PAGE_BYTES; at += SECTOR_BYTES) {
    if (random.below(2) === 0) newer.copy(mixed, at, at, at + SECTOR_BYTES);
  }
  return mixed;
}

export class SimulatedFile {
  /** Where it was last named; for messages and for choosing which operations to disturb. */
  path: string;
  #length = 0;
  #durableLength = 0;
  /** The shortest it has been since the last sync: a power cut may leave any of the lengths in between. */
  #shortest = 0;
  #pages: Pages = new Map();
  #durablePages: Pages = new Map();
  #dirty = new Set<number>();
  /** For some dirty pages a version that the kernel may have written back on its own, between old and new. */
  #between: Pages = new Map();

  constructor(path: string) {
    this.path = path;
  }

  get length(): number {
    return this.#length;
  }

  copy(): SimulatedFile {
    const twin = new SimulatedFile(this.path);
    twin.#length = this.#length;
    twin.#durableLength = this.#durableLength;
    twin.#shortest = this.#shortest;
    twin.#pages = new Map(this.#pages);
    twin.#durablePages = new Map(this.#durablePages);
    twin.#dirty = new Set(this.#dirty);
    twin.#between = new Map(this.#between);
    return twin;
  }

  /** The bytes from `position`, as many as there are; returns their number. */
  read(target: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(target.length, this.#length - position));
    let done = 0;
    while (done < count) {
      const page = this.#pages.get(Math.floor((position + done) / PAGE_BYTES)) ?? zeroPage;
      const at = (position + done) % PAGE_BYTES;
      const end = Math.min(PAGE_BYTES, at + count - done);
      target.set(page.subarray(at, end), done);
      done += end - at;
    }
    return count;
  }

  /** Into the page cache only. */
  write(source: Uint8Array, position: number, random: Random): void {
    if (source.length === 0) return;
    overlayPages(this.#pages, source, position, (page) => {
      const before = this.#pages.get(page);
      if (this.#dirty.has(page) && random.below(4) === 0) {
        this.#between.set(page, before ?? zeroPage);
      }
      this.#dirty.add(page);
    });
    this.#length = Math.max(this.#length, position + source.length);
  }

  /** Makes these bytes, already written, durable, and the file long enough to hold them; no other byte. */
  persist(source: Uint8Array, position: number): void {
    if (source.length === 0) return;
    overlayPages(this.#durablePages, source, position, () => undefined);
    this.#durableLength = Math.max(this.#durableLength, position + source.length);
    this.#shortest = Math.max(this.#shortest, position + source.length);
    const last = Math.floor((position + source.length - 1) / PAGE_BYTES);
    for (let page = Math.floor(position / PAGE_BYTES); page <= last; page += 1) {
      const durable = this.#durablePages.get(page) ?? zeroPage;
      // An older version must not undo what is durable now.
      this.#between.delete(page);
      if (durable.equals(this.#pages.get(page) ?? zeroPage)) this.#dirty.delete(page);
    }
  }

  truncate(length: number): void {
    if (length < this.#length) {
      for (const page of this.#pages.keys()) {
        if ((page + 1) * PAGE_BYTES > length) this.#dirty.add(page);
      }
      cut(this.#pages, length);
    }
    this.#length = length;
    this.#shortest = Math.min(this.#shortest, length);
  }

  /** Makes everything durable that is known to be dirty. */
  sync(): void {
    for (const page of this.#dirty) this.#persistPage(page);
    this.#durableLength = this.#length;
    this.#shortest = this.#length;
    cut(this.#durablePages, this.#length);
    this.#dirty.clear();
    this.#between.clear();
  }

  /** A sync that was interrupted: some dirty pages reached the disk. */
  syncPartly(random: Random): void {
    for (const page of [...this.#dirty]) {
      if (random.below(2) === 0) continue;
      this.#persistPage(page);
      this.#between.delete(page);
      this.#dirty.delete(page);
    }
  }

  /**
   * What Linux does when writing back fails: the pages count as clean. Reads still see them, but no later sync writes
   * them, until they are written to again.
   */
  forgetDirty(first: number = 0, last: number = Number.MAX_SAFE_INTEGER): void {
    for (const page of [...this.#dirty]) {
      if (page < first || page > last) continue;
      this.#dirty.delete(page);
      this.#between.delete(page);
    }
  }

  /** The power goes: the page cache is gone, and unsynced pages and lengths are as `unsynced` says. */
  losePower(unsynced: Unsynced, random: Random): void {
    if (unsynced !== 'lost') {
      for (const page of this.#dirty) {
        if (unsynced === 'kept') this.#persistPage(page);
        else this.#durablePages.set(page, this.#drawPage(page, random));
      }
      this.#durableLength = unsynced === 'kept' ? this.#length : this.#drawLength(random);
    }
    cut(this.#durablePages, this.#durableLength);
    this.#length = this.#durableLength;
    this.#shortest = this.#durableLength;
    this.#pages = new Map(this.#durablePages);
    this.#dirty.clear();
    this.#between.clear();
  }

  /** Changes both layers, behind the back of whoever uses the file: damage on the medium. */
  damage(source: Uint8Array, position: number): void {
    overlayPages(this.#pages, source, position, () => undefined);
    overlayPages(this.#durablePages, source, position, () => undefined);
    const end = position + source.length;
    this.#length = Math.max(this.#length, end);
    this.#durableLength = Math.max(this.#durableLength, end);
    this.#shortest = Math.max(this.#shortest, end);
  }

  /** Cuts both layers. */
  damageLength(length: number): void {
    cut(this.#pages, length);
    cut(this.#durablePages, length);
    this.#length = length;
    this.#durableLength = length;
    this.#shortest = length;
  }

  #persistPage(page: number): void {
    const bytes = this.#pages.get(page);
    if (bytes === undefined) this.#durablePages.delete(page);
    else this.#durablePages.set(page, bytes);
  }

  #drawPage(page: number, random: Random): Buffer {
    const older = this.#durablePages.get(page) ?? zeroPage;
    const newer = this.#pages.get(page) ?? zeroPage;
    const between = this.#between.get(page);
    const draw = random.below(6);
    if (draw < 2) return older;
    if (draw < 4) return newer;
    return draw === 4 && between !== undefined ? between : torn(older, newer, random);
  }

  #drawLength(random: Random): number {
    const lengths = [this.#durableLength, this.#length, this.#shortest];
    const least = Math.min(...lengths);
    const most = Math.max(...lengths);
    const draw = random.below(4);
    return draw < 3 ? (lengths[draw] ?? least) : least + random.below(most - least + 1);
  }
}
