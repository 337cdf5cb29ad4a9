/** An open file of the simulated disk: turns each call into one operation of the queue. */
import { assert } from '../../../../common/assert.ts';
import type { Random } from '../../../../common/random.ts';
import type { FileHandle } from '../file-system.ts';
import { systemError } from '../system-error.ts';
import type { OperationKind } from './disk-fault.ts';
import type { Effect } from './operation-queue.ts';
import { PAGE_BYTES, type SimulatedFile } from './simulated-file.ts';

const always = (): boolean => true;

/** What a handle needs of its disk. */
export interface Disk {
  readonly random: Random;
  submit<T>(kind: OperationKind, path: string, effect: Effect<T>): Promise<T>;
  freeBytes(): number;
}

export class SimulatedFileHandle implements FileHandle {
  readonly #disk: Disk;
  readonly #file: SimulatedFile;
  readonly #writable: boolean;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(disk: Disk, file: SimulatedFile, writable: boolean) {
    this.#disk = disk;
    this.#file = file;
    this.#writable = writable;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#submit('read', { apply: () => this.#file.read(target, position) });
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return this.#submit('write', {
      changes: always,
      apply: () => {
        this.#writeCached(source, position);
      },
      applyPartly: (random) => {
        this.#writeCached(source.subarray(0, random.below(source.length + 1)), position);
      },
      fail: (writtenBytes) => {
        this.#writeCached(source.subarray(0, writtenBytes), position);
      },
    });
  }

  writeDurably(source: Uint8Array, position: number): Promise<void> {
    return this.#submit('writeDurably', {
      changes: always,
      apply: () => {
        this.#writeCached(source, position);
        this.#file.persist(source, position);
      },
      applyPartly: (random) => {
        this.#writeCached(source.subarray(0, random.below(source.length + 1)), position);
      },
      fail: (writtenBytes, marksClean) => {
        const written = source.subarray(0, writtenBytes);
        this.#writeCached(written, position);
        if (marksClean && written.length > 0) {
          const end = position + written.length - 1;
          this.#file.forgetDirty(Math.floor(position / PAGE_BYTES), Math.floor(end / PAGE_BYTES));
        }
      },
    });
  }

  sync(): Promise<void> {
    return this.#submit('sync', {
      changes: always,
      apply: () => {
        this.#file.sync();
      },
      applyPartly: (random) => {
        this.#file.syncPartly(random);
      },
      fail: (_writtenBytes, marksClean) => {
        if (marksClean) this.#file.forgetDirty();
      },
    });
  }

  truncate(length: number): Promise<void> {
    return this.#submit('truncate', {
      changes: always,
      apply: () => {
        this.#checkWritable('ftruncate');
        this.#file.truncate(length);
      },
    });
  }

  size(): Promise<number> {
    return this.#submit('size', { apply: () => this.#file.length });
  }

  async close(): Promise<void> {
    assert(!this.#closed, 'a file is closed once');
    this.#closed = true;
    await Promise.allSettled([...this.#underWay]);
  }

  #writeCached(source: Uint8Array, position: number): void {
    this.#checkWritable('write');
    const growth = position + source.length - this.#file.length;
    const lacking = growth > 0 ? Math.max(0, growth - this.#disk.freeBytes()) : 0;
    const fitting = source.subarray(0, Math.max(0, source.length - lacking));
    this.#file.write(fitting, position, this.#disk.random);
    if (fitting.length < source.length) throw systemError('ENOSPC', 'write', this.#file.path);
  }

  #checkWritable(syscall: string): void {
    if (!this.#writable) throw systemError('EBADF', syscall, this.#file.path);
  }

  async #submit<T>(kind: OperationKind, effect: Effect<T>): Promise<T> {
    assert(!this.#closed, 'a closed file is not used');
    const answer = this.#disk.submit(kind, this.#file.path, effect);
    this.#underWay.add(answer);
    try {
      return await answer;
    } finally {
      this.#underWay.delete(answer);
    }
  }
}
