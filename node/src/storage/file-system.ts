/**
 * The disk as the storage engine sees it: a short interface with a real implementation (`real-file-system.ts`), one in
 * memory (`memory-file-system.ts`) and a simulated one that loses power by seed (`testing/simulated-file-system.ts`).
 * All pass the same suite (`testing/file-system-suite.ts`).
 *
 * Promises we rely on:
 * - `write` and `read` are positional. A `write` either writes all of its bytes or rejects; what it wrote before
 *   rejecting is undefined.
 * - Written bytes are seen by every later `read` at once, but survive a power cut only after a `sync`, or a `writeDurably`,
 *   of that file has resolved. Until then each page may survive or not, independently of the others.
 * - A created, renamed or removed name survives a power cut only after `syncDirectory` of its folder has resolved.
 * - After a rejected `sync` or `writeDurably`, nothing may be assumed of bytes not yet synced, not even that a second
 *   `sync` will report them again (Linux marks the pages clean). Callers stop and never trust that range again.
 *
 * Errors are Node's system errors: `error.code` is `ENOENT`, `ENOSPC`, `EIO`, `EEXIST`, …
 */

/** `create`: the file must not exist. `open`: it must exist. Both allow reads and writes. `read`: reads only. */
export type OpenMode = 'create' | 'open' | 'read';

export interface FileHandle {
  /** Fills `target` from `position`; resolves with the bytes read, fewer than asked only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `source` at `position`, extending the file with zeros if it starts behind the end. */
  write(source: Uint8Array, position: number): Promise<void>;
  /** `write` and `sync` of those bytes as one operation: resolves when they are durable (O_DSYNC semantics). */
  writeDurably(source: Uint8Array, position: number): Promise<void>;
  /** Makes all written bytes, and the length, durable (fdatasync). */
  sync(): Promise<void>;
  /** Cuts the file to `length` bytes. Durable after the next `sync`. */
  truncate(length: number): Promise<void>;
  /** Current length in bytes. */
  size(): Promise<number>;
  /** Ends use of the handle. Says nothing about durability. */
  close(): Promise<void>;
}

/** A lock that ends with the process that holds it, and that a copy of the folder does not carry. */
export interface DirectoryLock {
  release(): Promise<void>;
}

export interface SpaceReport {
  /** Bytes that this process could still write. */
  readonly freeBytes: number;
  /** Size of the file system, bytes. */
  readonly totalBytes: number;
}

export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<FileHandle>;
  /** The whole file. Rejects with ENOENT where there is none. */
  readFile(path: string): Promise<Buffer>;
  /** Names (not paths) in a folder, sorted. Rejects with ENOENT where there is none. */
  list(path: string): Promise<string[]>;
  /** Length in bytes, or null where there is no such file. */
  sizeOf(path: string): Promise<number | null>;
  /** Creates the folder and those above it; no error where it exists. Not durable before `syncDirectory` of the parent. */
  makeDirectory(path: string): Promise<void>;
  /** Replaces `target` if it exists. */
  rename(source: string, target: string): Promise<void>;
  /** Removes a file; no error where there is none. */
  remove(path: string): Promise<void>;
  /** Removes an empty folder; no error where there is none. */
  removeDirectory(path: string): Promise<void>;
  /** Makes creations, renames and removals directly in this folder durable. */
  syncDirectory(path: string): Promise<void>;
  space(path: string): Promise<SpaceReport>;
  /** Takes the lock of a folder, or rejects with an error whose `code` is `ELOCKED` when a live process has it. */
  lock(path: string): Promise<DirectoryLock>;
}

/**
 * Puts `bytes` at `path` so that a crash at any moment leaves the old file or the new one, whole: temporary file, sync,
 * rename, sync of the folder. The order is the point; see LevelDB's `SetCurrentFile`.
 */
export async function replaceFile(
  files: FileSystem,
  folder: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${folder}/${name}.tmp`;
  await files.remove(temporary);
  const file = await files.open(temporary, 'create');
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(temporary, `${folder}/${name}`);
  await files.syncDirectory(folder);
}
