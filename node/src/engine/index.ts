/**
 * The engine: what a bucket means. The door of this folder.
 *
 * ```ts
 * await using store = await openStore('./data', { bucketCount: 4 });
 * ```
 *
 * What it promises and what callers must do is written in `types.ts` (appends and reads) and `store.ts` (lifecycle).
 */
import { systemClock } from '../../../common/clock.ts';
import { systemRandom } from '../../../common/random.ts';
import { readIdentity } from '../storage/identity.ts';
import { inlineIndexBuilds, workerIndexBuilds } from '../storage/index-builds.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { silentObserver } from '../storage/observer.ts';
import { RealFileSystem } from '../storage/real-file-system.ts';
import { defaultStoreOptions, type StoreEnvironment, type StoreOptions } from './options.ts';
import { Store } from './store.ts';

export { OpenError } from '../storage/errors.ts';
export type { StoreEnvironment, StoreOptions } from './options.ts';
export { defaultStoreOptions } from './options.ts';
export { Store } from './store.ts';
export type * from './types.ts';

/**
 * Opens the data directory, making it if need be; counts that are not given are the directory's own. Rejects with {@link OpenError} when it is locked, of another version,
 * made with other counts, or damaged.
 */
export async function openStore(
  directory: string,
  options: Partial<StoreOptions> = {},
  environment: Partial<StoreEnvironment> = {},
): Promise<Store> {
  const files = environment.files ?? new RealFileSystem();
  const builds = files instanceof RealFileSystem ? workerIndexBuilds() : inlineIndexBuilds(files);
  // Counts that the caller leaves out are the directory's own, where it has some.
  const identity = await readIdentity(files, directory);
  const { bucketCount, partitionCount } = identity ?? defaultStoreOptions;
  return Store.open(
    directory,
    { ...defaultStoreOptions, bucketCount, partitionCount, ...options },
    {
      files,
      clock: environment.clock ?? systemClock,
      random: environment.random ?? systemRandom,
      observer: environment.observer ?? silentObserver,
      onFatal: environment.onFatal ?? ((): void => undefined),
      ...(environment.replication && { replication: environment.replication }),
      builds,
    },
  );
}

/** A store in memory: the same engine on a disk that vanishes with the process. */
export async function openMemoryStore(
  options: Partial<StoreOptions> = {},
  environment: Partial<Omit<StoreEnvironment, 'files'>> = {},
): Promise<Store> {
  const small = {
    journalFileBytes: 64 * 1024 * 1024,
    diskReserveBytes: 0,
    scrubBytesPerSecond: 0,
  };
  return openStore(
    '/memory',
    { ...small, ...options },
    { ...environment, files: new MemoryFileSystem() },
  );
}
