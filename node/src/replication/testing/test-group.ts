import assert from 'node:assert/strict';

import { systemClock } from '../../../../common/clock.ts';
import { seededRandom } from '../../../../common/random.ts';
import { inlineIndexBuilds } from '../../storage/index-builds.ts';
import { MemoryFileSystem } from '../../storage/memory-file-system.ts';
import { silentObserver } from '../../storage/observer.ts';
import { Storage } from '../../storage/storage.ts';
import { configurationBytes, replicaBytes, type WireMessage } from '../message-format.ts';
import { type GroupHost, RaftGroup } from '../raft-group.ts';
import type { ReplicaId } from '../raft/types.ts';
import { settleFilled } from './filled-frames.ts';

const KIB = 1024;

/** One replica on a disk in memory; what it sends is kept. */
export class TestGroup {
  readonly sent: WireMessage[] = [];
  /** Why its log is not its leader's. */
  readonly divergences: string[] = [];
  readonly group: RaftGroup;
  readonly #storage: Storage;

  private constructor(storage: Storage) {
    const [log] = storage.logs;
    assert(log !== undefined);
    this.#storage = storage;
    const host: GroupHost = {
      random: seededRandom(1),
      send: (_bucket, message) => this.sent.push(message),
      pull: () => undefined,
      diverged: (_group, reason) => this.divergences.push(reason),
    };
    this.group = new RaftGroup(log, { electionTicks: 10, heartbeatTicks: 2 }, host);
  }

  /** `files` and `diskReserveBytes` where the disk's space matters. */
  static async open(
    id: ReplicaId,
    voters: readonly ReplicaId[],
    files: MemoryFileSystem = new MemoryFileSystem(),
    diskReserveBytes = 0,
  ): Promise<TestGroup> {
    const settings = {
      ...{ bucketCount: 1, partitionCount: 1, segmentBytes: 128 * KIB },
      ...{ journalFileBytes: 4096 * KIB, journalFilesMax: 4, cacheBytes: 1024 * KIB },
      ...{ filterBytes: 1024 * KIB, diskReserveBytes, scrubBytesPerSecond: 0 },
    };
    const plan = {
      bucket: 0,
      replicaId: replicaBytes(id),
      groupId: Buffer.alloc(16, 7),
      configuration: configurationBytes({ voters, outgoing: [], learners: [] }),
    };
    const storage = await Storage.open('/disk', settings, {
      ...{ files, clock: systemClock, random: seededRandom(2), observer: silentObserver },
      builds: inlineIndexBuilds(files),
      replicas: [plan],
      onFatal: (error) => {
        throw error;
      },
    });
    const replica = new TestGroup(storage);
    await replica.group.start();
    return replica;
  }

  /** Appends frames of a kind that nobody looks into, and moves them to segments. */
  async append(count: number, fill: string): Promise<void> {
    await settleFilled(this.group, count, fill);
  }

  /** Asks the disk again how much is free. */
  async lookAtSpace(): Promise<void> {
    await this.#storage.space.refresh();
  }

  async close(): Promise<void> {
    this.group.stop();
    await this.#storage.close();
  }
}
