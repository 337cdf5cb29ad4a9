import type { Clock } from '../../../common/clock.ts';
import type { Random } from '../../../common/random.ts';
import type { DirectoryLock, FileSystem } from '../storage/file-system.ts';
import type { ReplicaPlan } from '../storage/storage.ts';
import type { GroupHost, GroupTiming } from '../replication/raft-group.ts';
import type { StorageObserver } from '../storage/observer.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** How a store is opened. Every field has a default; the node's configuration keys are named beside each. */
export interface StoreOptions {
  /** `bucket.count`, 1 to 256. Fixed when the directory is first used; another count is refused, none is its own. */
  readonly bucketCount: number;
  /** `partition.count`, 1 to 65535, at least the bucket count. Fixed when the directory is first used. */
  readonly partitionCount: number;
  /** `segment.size_bytes`, 128 KiB to 2 GiB. May change between starts; holds for new segments. */
  readonly segmentBytes: number;
  /** `journal.file_bytes`, 1 MiB to 1 GiB: one file of the journal's ring. Holds for new files. */
  readonly journalFileBytes: number;
  /** `journal.files_max`, 3 to 64. The ring starts with two files and grows up to this when the disk lags. */
  readonly journalFilesMax: number;
  /** `append.max_bytes`: one transaction as a frame, at most a quarter of a journal file, and a segment. */
  readonly appendMaxBytes: number;
  /** `append.strict_versioning`: refuse the expected versions `any` and `exists`. */
  readonly strictVersioning: boolean;
  /** `append.in_flight_bytes_max`: appends accepted and not yet durable; beyond, `BUFFERFULL`. */
  readonly inFlightBytesMax: number;
  /** `cache.capacity_bytes`: blocks of 64 KiB read from disk. */
  readonly cacheBytes: number;
  /** `cache.heads`: streams, the latest used, whose version stays in memory; at times up to twice as many. */
  readonly headsMax: number;
  /** `cache.filter_bytes`: bloom filters of sealed segments kept in memory; beyond, they are read in place. */
  readonly filterBytes: number;
  /** `disk.reserve_bytes`: free space below which appends are refused with `DISKFULL`. */
  readonly diskReserveBytes: number;
  /** `scrub.bytes_per_second`: how fast the background scrub reads sealed segments; 0 switches it off. */
  readonly scrubBytesPerSecond: number;
}

export const defaultStoreOptions: StoreOptions = {
  bucketCount: 4,
  partitionCount: 32,
  segmentBytes: 256 * MIB,
  journalFileBytes: 64 * MIB,
  journalFilesMax: 4,
  appendMaxBytes: 16 * MIB,
  strictVersioning: false,
  inFlightBytesMax: 256 * MIB,
  cacheBytes: 256 * MIB,
  headsMax: 131_072,
  filterBytes: 128 * MIB,
  diskReserveBytes: 64 * MIB,
  scrubBytesPerSecond: 8 * MIB,
};

/** What the store stands on; replaced in tests and simulations. */
export interface StoreEnvironment {
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: StorageObserver;
  /**
   * Called once when a failed write or sync makes the store stop (architecture section 5). Appends in flight have been
   * answered with `QUORUMFAILED`; nothing more will be accepted. The program ends the process.
   */
  readonly onFatal: (error: Error) => void;
  /** How replicas reach each other; absent on a node without peers. */
  readonly replication?: {
    readonly timing: GroupTiming;
    readonly host: GroupHost;
    /** UUID: to which the directory belongs from now on; another one is refused. */
    readonly clusterId?: string;
    /** Of this start, as others are told. */
    readonly startId?: string;
    /** The directory's lock, which goes over to the store. */
    readonly lock?: DirectoryLock;
    /** What a new directory holds. */
    readonly replicas: readonly ReplicaPlan[];
  };
}
