import { invalidArgument } from '../../../common/errors.ts';
import { defaultStoreOptions, type StoreOptions } from '../engine/index.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** How a database is opened. Every field may be left out. Sizes are bytes. */
export interface DatabaseOptions {
  /**
   * Logs that the partitions are spread over, 1 to 256. Fixed when the directory is first used. Default: the directory's
   * own, 4 for a new one.
   */
  readonly bucketCount?: number;
  /**
   * Partitions, 1 to 65,535, at least `bucketCount`. Fixed when the directory is first used. Default: the directory's own,
   * 32 for a new one.
   */
  readonly partitionCount?: number;
  /** Where a segment file ends, 128 KiB to 2 GiB. Default 256 MiB. Holds for new segments. */
  readonly segmentBytes?: number;
  /**
   * One file of the journal's ring, 1 MiB to 1 GiB. Default 64 MiB. Two files are written in full when the directory is
   * first used; small ones suit small databases. Holds for new files.
   */
  readonly journalFileBytes?: number;
  /** Most files in the ring, 3 to 64. Default 4. */
  readonly journalFilesMax?: number;
  /** Largest transaction. Default 16 MiB, or less where a quarter of a journal file, or a segment, is smaller. */
  readonly appendMaxBytes?: number;
  /** Refuse the expected versions `any` and `exists`. Default false. */
  readonly strictVersioning?: boolean;
  /** Appends accepted and not yet durable; beyond, `BUFFERFULL`. Default 256 MiB. */
  readonly inFlightBytesMax?: number;
  /** Blocks read from disk that stay in memory. Default 256 MiB. */
  readonly cacheBytes?: number;
  /** Streams whose latest version stays in memory, a number of streams. Default 131,072. */
  readonly headsMax?: number;
  /** Filters of old segments that stay in memory. Default 128 MiB. */
  readonly filterBytes?: number;
  /** Free disk space below which appends are refused with `DISKFULL`. Default 64 MiB; 0 in memory. */
  readonly diskReserveBytes?: number;
  /** How fast old segments are read in the background to find damage, bytes per second. Default 8 MiB; 0 is off. */
  readonly scrubBytesPerSecond?: number;
  /**
   * Called once when a write or sync fails. Appends in flight have been rejected with `QUORUMFAILED`, and nothing more is
   * accepted; close the database and open it again, which recovers what was acknowledged.
   */
  readonly onFatal?: (error: Error) => void;
}

type NumberOption = {
  [K in keyof StoreOptions]: StoreOptions[K] extends number ? K : never;
}[keyof StoreOptions];

const bounds: Readonly<Partial<Record<NumberOption, readonly [min: number, max: number]>>> = {
  bucketCount: [1, 256],
  partitionCount: [1, 65_535],
  segmentBytes: [128 * KIB, 2 * GIB],
  journalFileBytes: [MIB, GIB],
  journalFilesMax: [3, 64],
  appendMaxBytes: [KIB, 256 * MIB],
  inFlightBytesMax: [MIB, Number.MAX_SAFE_INTEGER],
  cacheBytes: [MIB, Number.MAX_SAFE_INTEGER],
  headsMax: [1, 2 ** 31],
  filterBytes: [0, Number.MAX_SAFE_INTEGER],
  diskReserveBytes: [0, Number.MAX_SAFE_INTEGER],
  scrubBytesPerSecond: [0, Number.MAX_SAFE_INTEGER],
};

/** Fills in defaults and checks what was given. Throws `INVALIDARG` that names the first wrong option. */
export function storeOptions(given: DatabaseOptions): Partial<StoreOptions> {
  const options: Partial<StoreOptions> & DatabaseOptions = { ...given };
  for (const [name, [min, max]] of Object.entries(bounds)) {
    const value = options[name as NumberOption];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= min && value <= max)) {
      throw invalidArgument(
        `${name} must be a whole number from ${String(min)} to ${String(max)}, but got ${String(value)}`,
      );
    }
  }
  const { bucketCount = 1, partitionCount = bucketCount } = options;
  if (partitionCount < bucketCount) {
    throw invalidArgument('partitionCount must be at least bucketCount');
  }
  const all = { ...defaultStoreOptions, ...options };
  const largest = Math.floor(Math.min(all.journalFileBytes / 4, all.segmentBytes));
  const { appendMaxBytes = Math.min(all.appendMaxBytes, largest) } = options;
  if (appendMaxBytes > largest) {
    throw invalidArgument(
      'appendMaxBytes must be at most a quarter of journalFileBytes, and at most segmentBytes',
    );
  }
  return { ...options, appendMaxBytes };
}
