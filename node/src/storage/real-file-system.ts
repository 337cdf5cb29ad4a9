/**
 * The disk of the machine, by `node:fs` with bare descriptors: a `FileHandle` object of Node adds a promise and an
 * object per call, which shows at one outstanding commit.
 *
 * Invariants:
 * - A descriptor is closed only when no operation on it is under way. The kernel hands its number to the next file that
 *   is opened, and a write still queued in the thread pool would land there.
 * - Nothing is retried after an error; what a failed write or sync left behind is for the caller to distrust.
 */
import fs from 'node:fs';

import { assert } from '../../../common/assert.ts';
import { lockDirectory } from './directory-lock.ts';
import type {
  DirectoryLock,
  FileHandle,
  FileSystem,
  OpenMode,
  SpaceReport,
} from './file-system.ts';
import { hasCode, systemError } from './system-error.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY } = fs.constants;
/** Not every system has it; `writeDurably` then writes and syncs in two steps. */
const O_DSYNC = (fs.constants as { readonly O_DSYNC?: number }).O_DSYNC ?? 0;

const openFlags: Readonly<Record<OpenMode, number>> = {
  create: O_RDWR | O_CREAT | O_EXCL,
  open: O_RDWR,
  read: O_RDONLY,
};

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

function ask<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(error);
      else resolve(value);
    });
  });
}

const openDescriptor = (path: string, flags: number): Promise<number> =>
  ask((done) => {
    fs.open(path, flags, done);
  });
const closeDescriptor = (fd: number): Promise<void> =>
  ask((done: Done<void>) => {
    fs.close(fd, done);
  });
const dataSync = (fd: number): Promise<void> =>
  ask((done: Done<void>) => {
    fs.fdatasync(fd, done);
  });

/** Loops because a write may be cut short by a signal or a nearly full disk. */
function writeAll(fd: number, source: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let written = 0;
    const step = (): void => {
      fs.write(fd, source, written, source.length - written, position + written, (error, count) => {
        written += count;
        if (error) reject(error);
        else if (written === source.length) resolve();
        else if (count === 0) reject(systemError('EIO', 'write', `descriptor ${String(fd)}`));
        else step();
      });
    };
    step();
  });
}

/** Loops because a read may be cut short; only the end of the file ends it early. */
function readAll(fd: number, target: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let filled = 0;
    const step = (): void => {
      fs.read(fd, target, filled, target.length - filled, position + filled, (error, count) => {
        filled += count;
        if (error) reject(error);
        else if (count === 0 || filled === target.length) resolve(filled);
        else step();
      });
    };
    step();
  });
}

async function identity(fd: number): Promise<string> {
  const stat = await ask<fs.BigIntStats>((done) => {
    fs.fstat(fd, { bigint: true }, done);
  });
  return `${String(stat.dev)}:${String(stat.ino)}`;
}

class RealFileHandle implements FileHandle {
  readonly #path: string;
  readonly #fd: number;
  /** A second descriptor of the same file, whose writes return when they are durable: one pool hop instead of two. */
  #durableFd: number | null = null;
  #openingDurable: Promise<number> | null = null;
  #underWay = 0;
  #closed = false;
  #whenIdle: (() => void) | null = null;

  constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#guard(() => readAll(this.#fd, target, position));
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return this.#guard(() => writeAll(this.#fd, source, position));
  }

  writeDurably(source: Uint8Array, position: number): Promise<void> {
    return this.#guard(async () => {
      const durableFd = this.#durableFd ?? (await this.#openDurable());
      await writeAll(durableFd, source, position);
      if (durableFd === this.#fd) await dataSync(durableFd);
    });
  }

  sync(): Promise<void> {
    return this.#guard(() => dataSync(this.#fd));
  }

  truncate(length: number): Promise<void> {
    return this.#guard(() =>
      ask((done: Done<void>) => {
        fs.ftruncate(this.#fd, length, done as fs.NoParamCallback);
      }),
    );
  }

  size(): Promise<number> {
    return this.#guard(async () => {
      const stat = await ask<fs.Stats>((done) => {
        fs.fstat(this.#fd, done);
      });
      return stat.size;
    });
  }

  async close(): Promise<void> {
    assert(!this.#closed, 'a file is closed once');
    this.#closed = true;
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    try {
      if (this.#durableFd !== null && this.#durableFd !== this.#fd) {
        await closeDescriptor(this.#durableFd);
      }
    } finally {
      await closeDescriptor(this.#fd);
    }
  }

  async #guard<T>(operation: () => Promise<T>): Promise<T> {
    assert(!this.#closed, 'a closed file is not used');
    this.#underWay += 1;
    try {
      return await operation();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#whenIdle?.();
    }
  }

  #openDurable(): Promise<number> {
    this.#openingDurable ??= this.#findDurable().finally(() => {
      this.#openingDurable = null;
    });
    return this.#openingDurable;
  }

  async #findDurable(): Promise<number> {
    const fd = O_DSYNC === 0 ? null : await this.#openSameFile(O_WRONLY | O_DSYNC);
    this.#durableFd = fd ?? this.#fd;
    return this.#durableFd;
  }

  /** Null where the path no longer leads to our file, because it was renamed or removed since. */
  async #openSameFile(flags: number): Promise<number | null> {
    let fd: number;
    try {
      fd = await openDescriptor(this.#path, flags);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
    if ((await identity(fd)) === (await identity(this.#fd))) return fd;
    await closeDescriptor(fd);
    return null;
  }
}

/** Paths are the operating system's. Errors are Node's. */
export class RealFileSystem implements FileSystem {
  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    return new RealFileHandle(path, await openDescriptor(path, openFlags[mode]));
  }

  readFile(path: string): Promise<Buffer> {
    return ask((done) => {
      fs.readFile(path, done);
    });
  }

  async list(path: string): Promise<string[]> {
    const names = await ask<string[]>((done) => {
      fs.readdir(path, done);
    });
    return names.sort();
  }

  async sizeOf(path: string): Promise<number | null> {
    try {
      const stat = await ask<fs.Stats>((done) => {
        fs.stat(path, done);
      });
      return stat.isFile() ? stat.size : null;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  async makeDirectory(path: string): Promise<void> {
    await ask<string | undefined>((done) => {
      fs.mkdir(path, { recursive: true }, done);
    });
  }

  rename(source: string, target: string): Promise<void> {
    return ask((done: Done<void>) => {
      fs.rename(source, target, done);
    });
  }

  remove(path: string): Promise<void> {
    return unlessMissing((done) => {
      fs.unlink(path, done);
    });
  }

  removeDirectory(path: string): Promise<void> {
    return unlessMissing((done) => {
      fs.rmdir(path, done);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = await openDescriptor(path, O_RDONLY | O_DIRECTORY);
    try {
      await ask((done: Done<void>) => {
        fs.fsync(fd, done);
      });
    } finally {
      await closeDescriptor(fd);
    }
  }

  async space(path: string): Promise<SpaceReport> {
    const report = await ask<fs.StatsFs>((done) => {
      fs.statfs(path, done);
    });
    return {
      freeBytes: report.bavail * report.bsize,
      totalBytes: report.blocks * report.bsize,
    };
  }

  lock(path: string): Promise<DirectoryLock> {
    return lockDirectory(path);
  }
}

async function unlessMissing(start: (done: fs.NoParamCallback) => void): Promise<void> {
  try {
    await ask((done: Done<void>) => {
      start(done);
    });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}
