/** Three members that have each appended without an answer come to agreement again, though one of them is gone. */
import assert from 'node:assert/strict';
import test from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import { inlineIndexBuilds } from '../storage/index-builds.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { silentObserver } from '../storage/observer.ts';
import { Storage } from '../storage/storage.ts';
import { configurationBytes, decodeBatch, encodeMessage, replicaBytes } from './message-format.ts';
import { RaftGroup } from './raft-group.ts';
import { appendFilled } from './testing/filled-frames.ts';

const KIB = 1024;
const MEMBERS = [0, 1, 2] as const;
const FRAME_BYTES = 80 * KIB;

const replicaOf = (member: number, bucket: number): string =>
  Buffer.from([member + 1, bucket, 0, 0, 0, 0, 0, 1]).toString('hex');

interface Member {
  readonly storage: Storage;
  readonly groups: readonly RaftGroup[];
}

class Cluster {
  readonly members: Member[] = [];
  /** Whether messages get from one member to another. */
  isOpen: (from: number, to: number) => boolean = () => true;
  readonly #network: { readonly to: number; readonly bytes: Buffer }[] = [];

  async add(member: number): Promise<void> {
    const files = new MemoryFileSystem();
    const settings = {
      ...{ bucketCount: 3, partitionCount: 3, segmentBytes: 8192 * KIB },
      ...{ journalFileBytes: 1024 * KIB, journalFilesMax: 4, cacheBytes: 1024 * KIB },
      ...{ filterBytes: 0, diskReserveBytes: 0, scrubBytesPerSecond: 0 },
    };
    const storage = await Storage.open('/disk', settings, {
      ...{ files, clock: systemClock, random: seededRandom(2), observer: silentObserver },
      builds: inlineIndexBuilds(files),
      replicas: MEMBERS.map((bucket) => ({
        bucket,
        replicaId: replicaBytes(replicaOf(member, bucket)),
        groupId: Buffer.alloc(16, 7),
        configuration: configurationBytes({
          voters: MEMBERS.map((voter) => replicaOf(voter, bucket)),
          outgoing: [],
          learners: [],
        }),
      })),
      onFatal: (error) => {
        throw error;
      },
    });
    const host = {
      random: seededRandom(100 + member),
      send: (...[bucket, message, frames]: Parameters<typeof encodeMessage>): void => {
        const to = (replicaBytes(message.to)[0] as number) - 1;
        if (!this.isOpen(member, to)) return;
        this.#network.push({ to, bytes: encodeMessage(bucket, message, frames) });
      },
      pull: (): void => undefined,
      diverged: (_group: RaftGroup, reason: string): void => assert.fail(reason),
    };
    const timing = { electionTicks: 10, heartbeatTicks: 2 };
    const groups = storage.logs.map((log) => new RaftGroup(log, timing, host));
    for (const group of groups) await group.start();
    this.members.push({ storage, groups });
  }

  group(member: number, bucket: number): RaftGroup {
    return this.members[member]?.groups[bucket] ?? assert.fail();
  }

  /** Time passes for these members. */
  async tick(ticks: number, who: readonly number[] = MEMBERS): Promise<void> {
    for (let i = 0; i < ticks; i += 1) {
      for (const member of who) for (const bucket of MEMBERS) this.group(member, bucket).tick();
      await this.turns();
    }
  }

  async turns(): Promise<void> {
    for (let i = 0; i < 10; i += 1) {
      for (const { to, bytes } of this.#network.splice(0)) {
        for (const received of decodeBatch(bytes))
          this.group(to, received.bucket).receive(received);
      }
      await new Promise(setImmediate);
    }
  }

  async lead(member: number, bucket: number): Promise<RaftGroup> {
    const group = this.group(member, bucket);
    for (let i = 0; i < 100 && group.state !== 'leading'; i += 1) {
      for (const other of MEMBERS) {
        const { leader } = this.group(other, bucket);
        if (leader === replicaOf(other, bucket))
          this.group(other, bucket).transfer(group.replicaId);
      }
      await this.tick(1);
    }
    assert.equal(group.state, 'leading');
    return group;
  }

  async close(): Promise<void> {
    for (const { storage, groups } of this.members) {
      for (const group of groups) group.stop();
      await storage.close();
    }
  }
}

/** As much as it takes. */
function fill(group: RaftGroup): void {
  while (group.log.room.takesOwn(FRAME_BYTES)) {
    appendFilled(group, FRAME_BYTES, 1);
  }
}

test('what everybody has taken without an answer fits everybody', async () => {
  const cluster = new Cluster();
  for (const member of MEMBERS) await cluster.add(member);
  const first = await cluster.lead(0, 0);
  const second = await cluster.lead(1, 1);
  const lost = await cluster.lead(2, 2);
  await cluster.tick(3);
  // Nobody hears the first two; what the third has sent arrives, and then it is gone.
  cluster.isOpen = (from, to) => from === 2 && to !== 2;
  for (const group of [first, second, lost]) fill(group);
  await cluster.turns();
  const ends = [first, second, lost].map(({ log }) => log.endIndex);
  assert.equal(cluster.group(0, 2).log.endIndex, ends[2]);
  cluster.isOpen = (from, to) => from !== 2 && to !== 2;
  await cluster.tick(200, [0, 1]);
  for (const bucket of MEMBERS) {
    for (const member of [0, 1]) {
      const { committedIndex } = cluster.group(member, bucket).log;
      assert(committedIndex >= (ends[bucket] as number), `bucket ${String(bucket)} goes on`);
    }
  }
  await cluster.close();
});
