/**
 * A file system in memory, for a database that lives as long as its process and for tests that need no crash. Nothing
 * survives, so syncing does nothing.
 *
 * Invariants: a file's bytes behind its length are zero, so that extending it needs no second pass; every folder but the
 * root has its parent folder in the tree; `#usedBytes` is the sum of the lengths of all files, named or still open.
 */
import { posix } from 'node:path';

import { assert } from '../../../common/assert.ts';
import type {
  DirectoryLock,
  FileHandle,
  FileSystem,
  OpenMode,
  SpaceReport,
} from './file-system.ts';
import { systemError } from './system-error.ts';

export interface MemoryFileSystemOptions {
  /** Writes that would hold more than this in all files together reject with `ENOSPC`. Default 1 TiB. */
  readonly capacityBytes?: number;
}

const SMALLEST_FILE_BYTES = 4096;
const DEFAULT_CAPACITY_BYTES = 2 ** 40;

/** Runs `work` now; what it throws becomes a rejection. */
function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** What a name leads to. A file that is removed while open lives on until its last handle is closed. */
class MemoryFile {
  bytes: Buffer = Buffer.alloc(0);
  length = 0;
  named = true;
  openHandles = 0;

  /** Makes room for `length` bytes; doubles, so that appending costs amortised constant time. */
  reserve(length: number): void {
    if (length <= this.bytes.length) return;
    const grown = Buffer.alloc(Math.max(length, 2 * this.bytes.length, SMALLEST_FILE_BYTES));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }

  resize(length: number): void {
    if (length < this.length) this.bytes.fill(0, length, this.length);
    else this.reserve(length);
    this.length = length;
  }
}

class MemoryFileHandle implements FileHandle {
  readonly #files: MemoryFileSystem;
  readonly #path: string;
  readonly #file: MemoryFile;
  readonly #writable: boolean;
  #closed = false;

  constructor(files: MemoryFileSystem, path: string, file: MemoryFile, writable: boolean) {
    this.#files = files;
    this.#path = path;
    this.#file = file;
    this.#writable = writable;
    file.openHandles += 1;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return attempt(() => {
      assert(!this.#closed, 'a closed file is not used');
      const { bytes, length } = this.#file;
      return bytes.copy(
        target,
        0,
        Math.min(position, length),
        Math.min(position + target.length, length),
      );
    });
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return attempt(() => {
      this.#checkWritable('write');
      if (source.length === 0) return;
      const end = position + source.length;
      if (end > this.#file.length) this.#resize(end, 'write');
      this.#file.bytes.set(source, position);
    });
  }

  writeDurably(source: Uint8Array, position: number): Promise<void> {
    return this.write(source, position);
  }

  sync(): Promise<void> {
    return attempt(() => {
      assert(!this.#closed, 'a closed file is not used');
    });
  }

  truncate(length: number): Promise<void> {
    return attempt(() => {
      this.#checkWritable('ftruncate');
      this.#resize(length, 'ftruncate');
    });
  }

  size(): Promise<number> {
    return attempt(() => {
      assert(!this.#closed, 'a closed file is not used');
      return this.#file.length;
    });
  }

  close(): Promise<void> {
    return attempt(() => {
      assert(!this.#closed, 'a file is closed once');
      this.#closed = true;
      this.#file.openHandles -= 1;
      this.#files.forget(this.#file);
    });
  }

  #checkWritable(syscall: string): void {
    assert(!this.#closed, 'a closed file is not used');
    if (!this.#writable) throw systemError('EBADF', syscall, this.#path);
  }

  #resize(length: number, syscall: string): void {
    if (!this.#files.take(length - this.#file.length)) {
      throw systemError('ENOSPC', syscall, this.#path);
    }
    this.#file.resize(length);
  }
}

const normalPath = (path: string): string => posix.resolve('/', path);

/** Relative paths start at the root, which always exists. */
export class MemoryFileSystem implements FileSystem {
  readonly #capacityBytes: number;
  readonly #nodes = new Map<string, MemoryFile | 'folder'>([['/', 'folder']]);
  readonly #locked = new Set<string>();
  #usedBytes = 0;

  constructor(options: MemoryFileSystemOptions = {}) {
    this.#capacityBytes = options.capacityBytes ?? DEFAULT_CAPACITY_BYTES;
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    return attempt(() => {
      const full = normalPath(path);
      const existing = this.#nodes.get(full);
      if (mode !== 'create') {
        return new MemoryFileHandle(this, full, this.#fileAt(full, 'open'), mode === 'open');
      }
      if (existing !== undefined) throw systemError('EEXIST', 'open', full);
      this.#checkFolder(posix.dirname(full), 'open', full);
      const file = new MemoryFile();
      this.#nodes.set(full, file);
      return new MemoryFileHandle(this, full, file, true);
    });
  }

  readFile(path: string): Promise<Buffer> {
    return attempt(() => {
      const file = this.#fileAt(normalPath(path), 'open');
      return Buffer.from(file.bytes.subarray(0, file.length));
    });
  }

  list(path: string): Promise<string[]> {
    return attempt(() => {
      const full = normalPath(path);
      this.#checkFolder(full, 'scandir', full);
      return this.#children(full);
    });
  }

  sizeOf(path: string): Promise<number | null> {
    return attempt(() => {
      const node = this.#nodes.get(normalPath(path));
      return node instanceof MemoryFile ? node.length : null;
    });
  }

  makeDirectory(path: string): Promise<void> {
    return attempt(() => {
      const full = normalPath(path);
      const parts = full.split('/').slice(1);
      let folder = '';
      for (const part of parts) {
        folder += `/${part}`;
        const node = this.#nodes.get(folder);
        if (node instanceof MemoryFile)
          throw systemError(folder === full ? 'EEXIST' : 'ENOTDIR', 'mkdir', full);
        if (part !== '') this.#nodes.set(folder, 'folder');
      }
    });
  }

  rename(source: string, target: string): Promise<void> {
    return attempt(() => {
      const from = normalPath(source);
      const to = normalPath(target);
      const file = this.#fileAt(from, 'rename');
      this.#checkFolder(posix.dirname(to), 'rename', to);
      if (from === to) return;
      const replaced = this.#nodes.get(to);
      if (replaced === 'folder') throw systemError('EISDIR', 'rename', to);
      if (replaced !== undefined) this.#unname(to, replaced);
      this.#nodes.delete(from);
      this.#nodes.set(to, file);
    });
  }

  remove(path: string): Promise<void> {
    return attempt(() => {
      const full = normalPath(path);
      const node = this.#nodes.get(full);
      if (node === 'folder') throw systemError('EISDIR', 'unlink', full);
      if (node !== undefined) this.#unname(full, node);
    });
  }

  removeDirectory(path: string): Promise<void> {
    return attempt(() => {
      const full = normalPath(path);
      const node = this.#nodes.get(full);
      if (node === undefined) return;
      if (node !== 'folder') throw systemError('ENOTDIR', 'rmdir', full);
      if (this.#children(full).length > 0) throw systemError('ENOTEMPTY', 'rmdir', full);
      this.#nodes.delete(full);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return attempt(() => {
      const full = normalPath(path);
      this.#checkFolder(full, 'open', full);
    });
  }

  space(path: string): Promise<SpaceReport> {
    return attempt(() => {
      if (!this.#nodes.has(normalPath(path))) throw systemError('ENOENT', 'statfs', path);
      return {
        freeBytes: this.#capacityBytes - this.#usedBytes,
        totalBytes: this.#capacityBytes,
      };
    });
  }

  lock(path: string): Promise<DirectoryLock> {
    return attempt(() => {
      const full = normalPath(path);
      this.#checkFolder(full, 'lock', full);
      if (this.#locked.has(full)) throw systemError('ELOCKED', 'lock', full);
      this.#locked.add(full);
      let held = true;
      return {
        release: () => {
          if (held) this.#locked.delete(full);
          held = false;
          return Promise.resolve();
        },
      };
    });
  }

  /** Counts `bytes` more (or fewer) as used; false, and nothing counted, where they would not fit. */
  take(bytes: number): boolean {
    if (bytes > 0 && this.#usedBytes + bytes > this.#capacityBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Gives the bytes of a file back that has neither a name nor a handle. */
  forget(file: MemoryFile): void {
    if (!file.named && file.openHandles === 0) this.#usedBytes -= file.length;
  }

  #unname(path: string, file: MemoryFile): void {
    this.#nodes.delete(path);
    file.named = false;
    this.forget(file);
  }

  #fileAt(path: string, syscall: string): MemoryFile {
    const node = this.#nodes.get(path);
    if (node === undefined) throw systemError('ENOENT', syscall, path);
    if (node === 'folder') throw systemError('EISDIR', syscall, path);
    return node;
  }

  #checkFolder(folder: string, syscall: string, path: string): void {
    const node = this.#nodes.get(folder);
    if (node === undefined) throw systemError('ENOENT', syscall, path);
    if (node !== 'folder') throw systemError('ENOTDIR', syscall, path);
  }

  #children(folder: string): string[] {
    const prefix = folder === '/' ? '/' : `${folder}/`;
    const names: string[] = [];
    for (const path of this.#nodes.keys()) {
      if (path.length > prefix.length && path.startsWith(prefix)) {
        const rest = path.slice(prefix.length);
        if (!rest.includes('/')) names.push(rest);
      }
    }
    return names.sort();
  }
}
