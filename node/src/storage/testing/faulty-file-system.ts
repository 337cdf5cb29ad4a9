/**
 * A disk whose user forgets something: passes every call on, but for those that a test tells it to drop. A dropped call
 * answers as if it had been done. For tests that plant a fault in the engine's use of the disk and expect a crash test to
 * notice; a disk that fails is `simulated-file-system.ts`.
 */
import type {
  DirectoryLock,
  FileHandle,
  FileSystem,
  OpenMode,
  SpaceReport,
} from '../file-system.ts';

/** Calls that change the disk, and so can be forgotten. */
export type DroppableCall =
  'write' | 'writeDurably' | 'sync' | 'truncate' | 'rename' | 'remove' | 'syncDirectory';

export interface Omission {
  readonly call: DroppableCall;
  /** Where given, only for paths that it matches: a handle's as it was opened, a rename's target. */
  readonly path?: RegExp;
  /**
   * `skip` (default): nothing is done. `weaken`, for `writeDurably` only: written, not synced. `later`: done, but answered
   * before; an error of it is lost.
   */
  readonly how?: 'skip' | 'weaken' | 'later';
}

type Decision = 'do' | 'skip' | 'weaken' | 'later';

export class FaultyFileSystem implements FileSystem {
  readonly #files: FileSystem;
  readonly #omissions: readonly Omission[];
  #droppedCount = 0;

  constructor(files: FileSystem, omissions: readonly Omission[]) {
    this.#files = files;
    this.#omissions = omissions;
  }

  /** How many calls were dropped, weakened or answered early: a planted fault that is never met proves nothing. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  async open(path: string, mode: OpenMode): Promise<FileHandle> {
    return new FaultyFileHandle(await this.#files.open(path, mode), (call) =>
      this.#decide(call, path),
    );
  }

  readFile(path: string): Promise<Buffer> {
    return this.#files.readFile(path);
  }

  list(path: string): Promise<string[]> {
    return this.#files.list(path);
  }

  sizeOf(path: string): Promise<number | null> {
    return this.#files.sizeOf(path);
  }

  makeDirectory(path: string): Promise<void> {
    return this.#files.makeDirectory(path);
  }

  rename(source: string, target: string): Promise<void> {
    return follow(this.#decide('rename', target), () => this.#files.rename(source, target));
  }

  remove(path: string): Promise<void> {
    return follow(this.#decide('remove', path), () => this.#files.remove(path));
  }

  removeDirectory(path: string): Promise<void> {
    return this.#files.removeDirectory(path);
  }

  syncDirectory(path: string): Promise<void> {
    return follow(this.#decide('syncDirectory', path), () => this.#files.syncDirectory(path));
  }

  space(path: string): Promise<SpaceReport> {
    return this.#files.space(path);
  }

  lock(path: string): Promise<DirectoryLock> {
    return this.#files.lock(path);
  }

  #decide(call: DroppableCall, path: string): Decision {
    const omission = this.#omissions.find(
      (candidate) => candidate.call === call && (candidate.path?.test(path) ?? true),
    );
    if (omission === undefined) return 'do';
    this.#droppedCount += 1;
    return omission.how ?? 'skip';
  }
}

function follow(decision: Decision, work: () => Promise<void>): Promise<void> {
  if (decision === 'skip') return Promise.resolve();
  const done = work();
  if (decision !== 'later') return done;
  done.catch(() => undefined);
  return Promise.resolve();
}

class FaultyFileHandle implements FileHandle {
  readonly #file: FileHandle;
  readonly #decide: (call: DroppableCall) => Decision;

  constructor(file: FileHandle, decide: (call: DroppableCall) => Decision) {
    this.#file = file;
    this.#decide = decide;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    return this.#file.read(target, position);
  }

  write(source: Uint8Array, position: number): Promise<void> {
    return follow(this.#decide('write'), () => this.#file.write(source, position));
  }

  writeDurably(source: Uint8Array, position: number): Promise<void> {
    const decision = this.#decide('writeDurably');
    if (decision === 'weaken') return this.#file.write(source, position);
    return follow(decision, () => this.#file.writeDurably(source, position));
  }

  sync(): Promise<void> {
    return follow(this.#decide('sync'), () => this.#file.sync());
  }

  truncate(length: number): Promise<void> {
    return follow(this.#decide('truncate'), () => this.#file.truncate(length));
  }

  size(): Promise<number> {
    return this.#file.size();
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
