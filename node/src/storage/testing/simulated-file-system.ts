/**
 * A disk that loses power, by seed: what the storage engine is tested on.
 *
 * What holds, whatever the seed (the promises of `file-system.ts`):
 * - A write is seen by every later read, and by a process started after a crash of this one, but not after a power cut
 *   before a `sync` or `writeDurably` of those bytes has resolved.
 * - Bytes that were written durably, and names whose folder was synced, stay.
 * - A 512-byte sector is old or new, never mixed. A rename is atomic.
 * - The same seed, calls and faults give the same disk.
 *
 * What may happen without any fault switched on:
 * - Operations under way together take effect in any order, on one file too.
 * - When the process dies, an operation under way was done, not done, or done in part: a write up to any byte, a sync of
 *   some pages or names. A `writeDurably` under way may have written without syncing.
 * - When the power goes, each unsynced 4 KiB page is old, new, an earlier unsynced version, or torn between old and new
 *   by sectors; an unsynced length is any length from the least to the most it might be; each unsynced creation, rename
 *   or removal happened or not, independently of the data and of one another.
 * - `writeDurably` makes its own bytes durable, and not their neighbours on the same page.
 *
 * What a test may switch on: operations that fail (`failNext`), hang (`hangNext`) or come late (`delayNext`); a failed sync
 * that marks pages clean; a full disk (`capacityBytes`, where the write that does not fit leaves what fitted); damage on
 * the medium (`flip`, `overwrite`, `truncateRaw`, `corruptRandom`).
 *
 * What it does not do: misdirected writes, a sync that lies, clocks. Folders are not renamed.
 *
 * A crash test runs a workload until the disk ends it, at every operation in turn, and looks at what is left:
 *
 * ```ts
 * for (let count = 1; ; count += 1) {
 *   const disk = new SimulatedFileSystem({ seed });
 *   disk.crashAfter(count);
 *   const acknowledged: string[] = [];
 *   const ended = await Promise.race([
 *     workload(disk, acknowledged).then(() => 'done' as const),
 *     disk.crashed,
 *   ]);
 *   await check(disk.afterProcessCrash(), acknowledged);
 *   await check(disk.afterPowerCut(), acknowledged);
 *   if (ended === 'done') break;
 * }
 * ```
 */
import { posix } from 'node:path';

import { assert } from '../../../../common/assert.ts';
import { type Random, seededRandom } from '../../../../common/random.ts';
import type {
  DirectoryLock,
  FileHandle,
  FileSystem,
  OpenMode,
  SpaceReport,
} from '../file-system.ts';
import { systemError } from '../system-error.ts';
import {
  DiskFault,
  type FailureOptions,
  type FaultEffect,
  type FaultTarget,
} from './disk-fault.ts';
import { type Operation, OperationQueue } from './operation-queue.ts';
import { type Disk, SimulatedFileHandle } from './simulated-file-handle.ts';
import type { SimulatedFile, Unsynced } from './simulated-file.ts';
import { SimulatedFolder, SimulatedNames, normalPath } from './simulated-names.ts';

export interface SimulatedFileSystemOptions {
  readonly seed: number;
  /** Writes that would hold more than this in all files together reject with `ENOSPC`. Default 1 TiB. */
  readonly capacityBytes?: number;
  /** When operations run: in the event loop's check phase (default), or before other events. */
  readonly pace?: 'immediate' | 'microtask';
  /** Instead of a pace: calls back when operations are to run. */
  readonly schedule?: (run: () => void) => void;
}

export interface CrashOptions {
  /** Draws what survives, and the order on the new disk. Default: follows from the seed of this disk. */
  readonly seed?: number;
}

export interface PowerCutOptions extends CrashOptions {
  /** Default `drawn`, one by one. */
  readonly unsynced?: Unsynced;
}

const DEFAULT_CAPACITY_BYTES = 2 ** 40;
const always = (): boolean => true;

export class SimulatedFileSystem implements FileSystem {
  readonly seed: number;
  /** May be changed while in use: a disk fills up, and is given more room. */
  capacityBytes: number;
  readonly #options: SimulatedFileSystemOptions;
  readonly #queue: OperationQueue;
  readonly #random: Random;
  readonly #locked = new Set<string>();
  #names = new SimulatedNames();

  constructor(options: SimulatedFileSystemOptions) {
    this.#options = options;
    this.seed = options.seed;
    this.capacityBytes = options.capacityBytes ?? DEFAULT_CAPACITY_BYTES;
    this.#queue = new OperationQueue(
      options.seed,
      options.schedule ??
        (options.pace === 'microtask' ? queueMicrotask : (run): void => void setImmediate(run)),
    );
    this.#random = seededRandom(options.seed ^ 0x2545f491);
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    const full = normalPath(path);
    const file = (): SimulatedFile =>
      mode === 'create' ? this.#names.create(full) : this.#names.fileAt(full, 'open');
    return this.#queue.submit(mode === 'create' ? 'create' : 'open', full, {
      changes: () => mode === 'create',
      apply: () => new SimulatedFileHandle(this.#handleView(), file(), mode !== 'read'),
    });
  }

  readFile(path: string): Promise<Buffer> {
    const full = normalPath(path);
    return this.#queue.submit('readFile', full, { apply: () => this.#content(full) });
  }

  list(path: string): Promise<string[]> {
    const full = normalPath(path);
    return this.#queue.submit('list', full, {
      apply: () => [...this.#names.folderAt(full, 'scandir').entries.keys()].sort(),
    });
  }

  sizeOf(path: string): Promise<number | null> {
    const full = normalPath(path);
    return this.#queue.submit('sizeOf', full, {
      apply: () => {
        const node = this.#names.find(full);
        return node === undefined || node instanceof SimulatedFolder ? null : node.length;
      },
    });
  }

  async makeDirectory(path: string): Promise<void> {
    const full = normalPath(path);
    let folder = '';
    for (const part of full.split('/').slice(1)) {
      folder += `/${part}`;
      const node = this.#names.find(folder);
      if (folder !== full && node instanceof SimulatedFolder) continue;
      if (folder !== full && node !== undefined) throw systemError('ENOTDIR', 'mkdir', full);
      const level = folder;
      await this.#queue.submit('makeDirectory', level, {
        changes: () => this.#names.find(level) === undefined,
        apply: () => {
          this.#names.makeFolder(level);
        },
      });
    }
  }

  rename(source: string, target: string): Promise<void> {
    const full = normalPath(target);
    return this.#queue.submit('rename', full, {
      changes: always,
      apply: () => {
        this.#names.rename(normalPath(source), full);
      },
    });
  }

  remove(path: string): Promise<void> {
    const full = normalPath(path);
    return this.#queue.submit('remove', full, {
      changes: () => this.#names.find(full) !== undefined,
      apply: () => {
        this.#names.remove(full);
      },
    });
  }

  removeDirectory(path: string): Promise<void> {
    const full = normalPath(path);
    return this.#queue.submit('removeDirectory', full, {
      changes: () => this.#names.find(full) !== undefined,
      apply: () => {
        this.#names.removeFolder(full);
      },
    });
  }

  syncDirectory(path: string): Promise<void> {
    const full = normalPath(path);
    return this.#queue.submit('syncDirectory', full, {
      changes: always,
      apply: () => {
        this.#names.syncFolder(full);
      },
      applyPartly: (random) => {
        this.#names.syncFolder(full, () => random.below(2) === 0);
      },
    });
  }

  space(path: string): Promise<SpaceReport> {
    const full = normalPath(path);
    return this.#queue.submit('space', full, {
      apply: () => {
        if (this.#names.find(full) === undefined) throw systemError('ENOENT', 'statfs', full);
        return { freeBytes: this.#freeBytes(), totalBytes: this.capacityBytes };
      },
    });
  }

  lock(path: string): Promise<DirectoryLock> {
    const full = normalPath(path);
    return this.#queue.submit('lock', full, {
      apply: () => {
        this.#names.folderAt(full, 'lock');
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
      },
    });
  }

  // Crashes.

  /**
   * The process dies at the `count`-th operation from now that changes the disk; 1 is the next. Injected failures do not
   * count.
   */
  crashAfter(count: number): void {
    this.#queue.crashAfter(count);
  }

  /** The process dies now. */
  crash(): void {
    this.#queue.crash();
  }

  /** Resolves with the operation at which the process died, null after `crash()`. */
  get crashed(): Promise<Operation | null> {
    return this.#queue.crashed;
  }

  /** The operations so far that changed the disk, in the order in which they took effect. */
  get history(): readonly Operation[] {
    return this.#queue.history;
  }

  /** The disk as the next process finds it: the page cache survived, though nothing more is durable; locks are gone. */
  afterProcessCrash(options: CrashOptions = {}): SimulatedFileSystem {
    return this.clone({ seed: options.seed ?? this.seed + 1 });
  }

  /** The disk as the next process finds it after a power cut. */
  afterPowerCut(options: PowerCutOptions = {}): SimulatedFileSystem {
    const next = this.clone({ seed: options.seed ?? this.seed + 1 });
    next.#names.losePower(options.unsynced ?? 'drawn', seededRandom(next.seed ^ 0x3c6ef372));
    return next;
  }

  /** The same disk once more, independent from now on, without locks, faults and operations under way. */
  clone(options: CrashOptions = {}): SimulatedFileSystem {
    const twin = new SimulatedFileSystem({
      ...this.#options,
      seed: options.seed ?? this.seed,
      capacityBytes: this.capacityBytes,
    });
    twin.#names = this.#names.copy();
    return twin;
  }

  // Faults.

  /** The next operation that `target` names rejects. */
  failNext(target: FailureOptions): DiskFault {
    return this.#addFault(target, {
      name: 'fail',
      code: target.code ?? 'EIO',
      writtenBytes: target.writtenBytes ?? 0,
      marksClean: target.marksClean ?? true,
    });
  }

  /** The next operation that `target` names does nothing until the fault is ended. */
  hangNext(target: FaultTarget): DiskFault {
    return this.#addFault(target, { name: 'hang' });
  }

  /** The next operation that `target` names waits until `operations` others have run; an idle turn counts as one. */
  delayNext(target: FaultTarget, operations: number): DiskFault {
    return this.#addFault(target, { name: 'delay', operations });
  }

  // The medium itself. Nothing here counts as an operation.

  /** Paths of all files, sorted. */
  paths(): string[] {
    return this.#names.filePaths();
  }

  /** The bytes that a read sees. Throws ENOENT. */
  bytes(path: string): Buffer {
    return this.#content(normalPath(path));
  }

  /** Inverts one bit (0 to 7, least significant first) of the byte at `offset`. */
  flip(path: string, offset: number, bit: number): void {
    const file = this.#names.fileAt(normalPath(path), 'flip');
    const byte = Buffer.alloc(1);
    assert(file.read(byte, offset) === 1, 'a bit is flipped within its file');
    file.damage(Buffer.of((byte[0] ?? 0) ^ (1 << bit)), offset);
  }

  /** Flips one bit, drawn by `seed`, of the files whose path `pattern` matches; tells which, null where all are empty. */
  corruptRandom(
    seed: number,
    pattern: RegExp = /^/,
  ): { readonly path: string; readonly offset: number; readonly bit: number } | null {
    const random = seededRandom(seed);
    const files = this.paths().filter((path) => pattern.test(path) && this.bytes(path).length > 0);
    const path = files[random.below(Math.max(1, files.length))];
    if (path === undefined) return null;
    const offset = random.below(this.bytes(path).length);
    const bit = random.below(8);
    this.flip(path, offset, bit);
    return { path, offset, bit };
  }

  overwrite(path: string, offset: number, bytes: Uint8Array): void {
    this.#names.fileAt(normalPath(path), 'overwrite').damage(bytes, offset);
  }

  truncateRaw(path: string, length: number): void {
    this.#names.fileAt(normalPath(path), 'truncateRaw').damageLength(length);
  }

  /** Puts a whole file there, durable with its name and folders, as if by another program long ago. */
  plant(path: string, bytes: Uint8Array): void {
    const full = normalPath(path);
    const folders = posix.dirname(full).split('/').slice(1);
    let folder = '/';
    for (const part of folders) {
      const parent = folder;
      folder = posix.join(folder, part);
      this.#names.makeFolder(folder);
      this.#names.syncFolder(parent);
    }
    this.#names.remove(full);
    this.#names.create(full).damage(bytes, 0);
    this.#names.syncFolder(posix.dirname(full));
  }

  #addFault(target: FaultTarget, effect: FaultEffect): DiskFault {
    const fault: DiskFault = new DiskFault(target, effect, () => {
      this.#queue.release(fault);
    });
    this.#queue.addFault(fault);
    return fault;
  }

  #handleView(): Disk {
    return {
      random: this.#random,
      submit: (kind, path, effect) => this.#queue.submit(kind, path, effect),
      freeBytes: () => this.#freeBytes(),
    };
  }

  #freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.#names.usedBytes());
  }

  #content(path: string): Buffer {
    const file = this.#names.fileAt(path, 'open');
    const bytes = Buffer.alloc(file.length);
    file.read(bytes, 0);
    return bytes;
  }
}
