/**
 * One process per data directory. Node has no `flock`, and a file with a process id in it outlives a crash and travels
 * with a copy; so SQLite, which Node carries, holds an exclusive lock of the kernel on the file `lock` for us. The kernel
 * drops it when the process ends, however it ends.
 *
 * The database stays empty, and its journal in memory (`OFF` is refused in Node's defensive mode, and the default leaves a
 * file behind), so a crash leaves nothing that would have to be rolled back. POSIX gives up a process's locks on a file as soon as the process closes any descriptor of it: nothing else may
 * open the file `lock` while the lock is held.
 */
import { stat } from 'node:fs/promises';

import type { DirectoryLock } from './file-system.ts';
import { LOCK_FILE } from './names.ts';
import { systemError } from './system-error.ts';

/** The low byte of SQLite's extended result codes. */
const SQLITE_BUSY = 5;

/** Rejects with `ELOCKED` where this or another live process holds the lock, with `ENOENT` where there is no folder. */
export async function lockDirectory(path: string): Promise<DirectoryLock> {
  await stat(path);
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(`${path}/${LOCK_FILE}`, { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (((error as { readonly errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) {
      throw systemError('ELOCKED', 'lock', path, { cause: error });
    }
    throw error;
  }
  let held = true;
  return {
    release: () => {
      if (held) database.close();
      held = false;
      return Promise.resolve();
    },
  };
}
