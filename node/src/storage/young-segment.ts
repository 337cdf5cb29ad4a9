/**
 * A segment that has no index files yet: the one being written, and those before it whose indexes are being built.
 *
 * Invariants: `written` bytes of the file are the log's; they are durable up to `synced`. One writer: the bucket's log.
 * Writes are positional and only ever extend `written`.
 */
import { CachedFile } from './cached-file.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import { segmentFileName } from './names.ts';
import { encodeSegmentHeader, type SegmentHeader } from './segment-format.ts';
import { YoungIndex } from './young-index.ts';

export class YoungSegment {
  readonly number: number;
  /** Final when the file has it. */
  header: SegmentHeader;
  readonly index: YoungIndex;
  readonly cached: CachedFile;
  /** Where it ends, once the log has gone on in the next segment. */
  end: number | null = null;
  /** Set when building its index files found damage: then this index stays for good. */
  damaged = false;
  /** Set while its index files are being built. */
  sealing = false;
  readonly #files: FileSystem;
  readonly #folder: string;
  #opening: Promise<FileHandle> | null = null;
  /** Reads under way; the handle stays open for them. */
  readonly #reads = new Set<Promise<number>>();
  #closed = false;
  #synced = 0;
  #nameSynced: boolean;

  /** `written` is 0 for a new segment, else what is known to be in the existing file, header included; `index` knows its frames. */
  constructor(
    files: FileSystem,
    folder: string,
    header: SegmentHeader,
    written: number,
    index: YoungIndex = new YoungIndex(),
  ) {
    this.#files = files;
    this.#folder = folder;
    this.number = header.segment;
    this.header = header;
    this.index = index;
    this.#synced = written;
    this.#nameSynced = written > 0;
    this.cached = new CachedFile(
      this.path,
      { read: (target, position) => this.#read(target, position) },
      written,
    );
  }

  get path(): string {
    return `${this.#folder}/${segmentFileName(this.number)}`;
  }

  get written(): number {
    return this.cached.length;
  }

  /** Writes bytes that continue the file; the header comes first by itself. Not durable before {@link sync}. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    const handle = await this.#open();
    if (this.written === 0) await handle.write(encodeSegmentHeader(this.header), 0);
    await handle.write(bytes, offset);
    this.cached.length = offset + bytes.length;
  }

  /** Makes what is written durable, and the file's name. */
  async sync(): Promise<void> {
    if (this.#opening === null || this.#synced === this.written) return;
    const written = this.written;
    await (await this.#opening).sync();
    if (!this.#nameSynced) {
      await this.#files.syncDirectory(this.#folder);
      this.#nameSynced = true;
    }
    this.#synced = written;
  }

  /** Removes bytes behind `written` that an earlier process left there. */
  async cutToWritten(): Promise<void> {
    const size = await this.#files.sizeOf(this.path);
    if (size === null || size <= this.written) return;
    const handle = await this.#open();
    await handle.truncate(this.written);
    await handle.sync();
  }

  /** Reads under way still end; a late one, that found this segment before it was sealed, opens the file for itself. */
  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = null;
    this.#closed = true;
    await Promise.allSettled([...this.#reads]);
    await (await opening)?.close();
  }

  #read(target: Uint8Array, position: number): Promise<number> {
    const read = this.#closed
      ? this.#readLate(target, position)
      : this.#open().then((handle) => handle.read(target, position));
    this.#reads.add(read);
    return read.finally(() => this.#reads.delete(read));
  }

  async #readLate(target: Uint8Array, position: number): Promise<number> {
    const handle = await this.#files.open(this.path, 'read');
    try {
      return await handle.read(target, position);
    } finally {
      await handle.close();
    }
  }

  #open(): Promise<FileHandle> {
    this.#opening ??= this.#openNow();
    return this.#opening;
  }

  async #openNow(): Promise<FileHandle> {
    try {
      const exists = (await this.#files.sizeOf(this.path)) !== null;
      return await this.#files.open(this.path, exists ? 'open' : 'create');
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }
}
