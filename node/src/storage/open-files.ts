/**
 * Open handles of immutable files, bounded: a handle is opened when it is needed and the one not used for longest is
 * closed. A file being read is never closed, so that the bound may be passed for as long as more reads are in flight.
 */
import { CachedFile } from './cached-file.ts';
import type { FileHandle, FileSystem } from './file-system.ts';

interface OpenFile {
  readonly opening: Promise<FileHandle>;
  readonly closed: PromiseWithResolvers<void>;
  readers: number;
}

export class OpenFiles {
  readonly files: FileSystem;
  readonly #limit: number;
  /** By path, the one used last at the end. */
  readonly #open = new Map<string, OpenFile>();
  /** Files that have left the map and are still being read or closed. */
  readonly #leaving = new Set<OpenFile>();

  constructor(files: FileSystem, limit = 512) {
    this.files = files;
    this.#limit = limit;
  }

  /** Handles open now. */
  get count(): number {
    return this.#open.size + this.#leaving.size;
  }

  /** The file at `path` for the block cache. Opens nothing yet; errors of opening come out of reads. */
  get(path: string, length: number): CachedFile {
    return new CachedFile(
      path,
      { read: (target, position) => this.#read(path, target, position) },
      length,
    );
  }

  /** Closes the handle of a file that is about to be removed or replaced, when reads in flight have ended. */
  async forget(path: string): Promise<void> {
    const file = this.#open.get(path);
    if (file === undefined) return;
    this.#leave(path, file);
    await file.closed.promise;
  }

  /** Closes all handles, when reads in flight have ended. Later reads open files again. */
  async close(): Promise<void> {
    for (const [path, file] of this.#open) this.#leave(path, file);
    await Promise.all([...this.#leaving].map((file) => file.closed.promise));
  }

  async #read(path: string, target: Uint8Array, position: number): Promise<number> {
    const file = this.#take(path);
    file.readers += 1;
    try {
      return await (await file.opening).read(target, position);
    } finally {
      file.readers -= 1;
      if (this.#leaving.has(file)) this.#closeIdle(file);
      this.#trim();
    }
  }

  #take(path: string): OpenFile {
    const file = this.#open.get(path) ?? this.#openNow(path);
    this.#open.delete(path);
    this.#open.set(path, file);
    return file;
  }

  #openNow(path: string): OpenFile {
    const file: OpenFile = {
      opening: this.files.open(path, 'read'),
      closed: Promise.withResolvers(),
      readers: 0,
    };
    file.opening.catch(() => {
      // The readers have the error; the next one shall try again.
      if (this.#open.get(path) === file) this.#leave(path, file);
    });
    return file;
  }

  #trim(): void {
    if (this.#open.size <= this.#limit) return;
    for (const [path, file] of this.#open) {
      if (file.readers > 0) continue;
      this.#leave(path, file);
      if (this.#open.size <= this.#limit) return;
    }
  }

  #leave(path: string, file: OpenFile): void {
    this.#open.delete(path);
    this.#leaving.add(file);
    this.#closeIdle(file);
  }

  /** A file opened for reading has nothing to lose when it closes, so that an error of closing is of no interest. */
  #closeIdle(file: OpenFile): void {
    if (file.readers > 0) return;
    void file.opening
      .then((handle) => handle.close())
      .catch(() => undefined)
      .then(() => {
        this.#leaving.delete(file);
        file.closed.resolve();
      });
  }
}
