/** Makes the log of a bucket from what its folder holds, and the folder of one that is new. */
import type { BlockCache } from './block-cache.ts';
import { BucketLog } from './bucket-log.ts';
import type { FileSystem } from './file-system.ts';
import { FilterForest } from './filter-forest.ts';
import type { IndexBuilds } from './index-builds.ts';
import type { BucketCheckpoint } from './journal-format.ts';
import { bucketFolder, bucketsFolder, segmentsFolder } from './names.ts';
import type { StorageObserver } from './observer.ts';
import type { OpenFiles } from './open-files.ts';
import { findSegments } from './recovery.ts';
import { SealedSegments } from './sealed-segments.ts';
import { segmentHeaderBytes, slotCount } from './segment-format.ts';
import type { SpaceGuard } from './space-guard.ts';
import type { UncommittedRoom } from './uncommitted-room.ts';

/** What a replica of a bucket is made with, the same on every member but for the replica id. */
export interface ReplicaPlan {
  readonly bucket: number;
  /** 8 bytes, never all zeros. */
  readonly replicaId: Uint8Array;
  /** 16 bytes. */
  readonly groupId: Uint8Array;
  /** See `configuration-format.ts`. */
  readonly configuration: Uint8Array;
}

export interface LogOpenerContext {
  readonly directory: string;
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly filterBytes: number;
  readonly files: FileSystem;
  readonly builds: IndexBuilds;
  readonly observer: StorageObserver;
  readonly space: SpaceGuard;
  readonly cache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly room: UncommittedRoom;
  /** A write or sync of a segment failed. */
  readonly failed: (error: Error) => void;
}

export class LogOpener {
  readonly #context: LogOpenerContext;

  constructor(context: LogOpenerContext) {
    this.#context = context;
  }

  /** Of a replica that has nothing yet. */
  freshCheckpoint(plan: ReplicaPlan): BucketCheckpoint {
    const offset = segmentHeaderBytes(slotCount(plan.bucket, this.#context));
    const end = { segment: 0, offset, index: 0, term: 0, crc: 0 };
    return { ...plan, term: 0, votedFor: null, end };
  }

  async open(checkpoint: BucketCheckpoint): Promise<BucketLog> {
    const { files, cache, space, room, failed } = this.#context;
    const { observer, bucketCount, partitionCount, segmentBytes } = this.#context;
    const { bucket } = checkpoint;
    const folder = segmentsFolder(this.#context.directory, bucket);
    const sealed = this.#sealedSegments(bucket, folder);
    const slots = slotCount(bucket, this.#context);
    const found = await findSegments(
      { files, folder, bucket, bucketCount, slots, sealed, observer },
      checkpoint,
    );
    const log = new BucketLog(
      { bucket, bucketCount, partitionCount, segmentBytes },
      {
        ...{ files, folder, cache, sealed, room, failed },
        diskFull: (full) => {
          if (full) space.noteFull();
        },
      },
      checkpoint,
      found.young,
      found.nextSequences,
    );
    log.quarantine(found.damage, found.unsure);
    return log;
  }

  /** The folder of a bucket, empty; what an earlier replica has left is removed. */
  async clearFolder(bucket: number): Promise<void> {
    const { files, openFiles, directory } = this.#context;
    const folder = segmentsFolder(directory, bucket);
    await files.makeDirectory(folder);
    const names = await files.list(folder);
    for (const name of names) {
      await openFiles.forget(`${folder}/${name}`);
      await files.remove(`${folder}/${name}`);
    }
    await files.syncDirectory(folder);
    await files.syncDirectory(bucketFolder(directory, bucket));
    await files.syncDirectory(bucketsFolder(directory));
  }

  #sealedSegments(bucket: number, folder: string): SealedSegments {
    const { files, builds, observer, cache, openFiles, failed, space } = this.#context;
    const { filterBytes, bucketCount } = this.#context;
    const budgetBytes = Math.floor(filterBytes / bucketCount / 2);
    const forest = (kind: 'streams' | 'events'): FilterForest =>
      new FilterForest({ folder, cache, openFiles, builds, kind, budgetBytes });
    return new SealedSegments({
      ...{ bucket, files, folder, cache, openFiles, builds, observer, failed, space },
      streamFilters: forest('streams'),
      eventFilters: forest('events'),
    });
  }
}
