import assert from 'node:assert/strict';
import test from 'node:test';

import { systemClock } from '../../../common/clock.ts';
import { seededRandom } from '../../../common/random.ts';
import { FRAME_HEADER_BYTES } from '../storage/frame-format.ts';
import { inlineIndexBuilds } from '../storage/index-builds.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { replacementFileName, segmentFileName, segmentsFolder } from '../storage/names.ts';
import { silentObserver } from '../storage/observer.ts';
import { Storage } from '../storage/storage.ts';
import { LogCopies, type SegmentSource } from './log-copies.ts';
import { configurationBytes, replicaBytes } from './message-format.ts';
import { RaftGroup } from './raft-group.ts';
import type { ReplicaId } from './raft/types.ts';
import { type HealingEvent, SegmentHealing } from './segment-healing.ts';
import { listSegments, readSegment } from './segment-serving.ts';
import { settleFilled } from './testing/filled-frames.ts';

const KIB = 1024;
const [OWN, LIAR, SOURCE] = ['01'.repeat(8), '02'.repeat(8), '03'.repeat(8)] as const;
const VOTERS = [OWN, LIAR, SOURCE];
const FOLDER = segmentsFolder('/disk', 0);

/** A replica of the group, or a lone one that has the group's id: what it has to say is as whole. */
class Replica {
  readonly files: MemoryFileSystem;
  readonly group: RaftGroup;
  readonly storage: Storage;

  private constructor(storage: Storage, files: MemoryFileSystem) {
    this.storage = storage;
    this.files = files;
    this.group = new RaftGroup(
      storage.logs[0] ?? assert.fail(),
      { electionTicks: 10, heartbeatTicks: 2 },
      {
        random: seededRandom(1),
        send: () => undefined,
        pull: () => undefined,
        diverged: (_group, reason) => assert.fail(reason),
      },
    );
  }

  static async open(
    id: ReplicaId,
    voters: readonly ReplicaId[],
    files: MemoryFileSystem = new MemoryFileSystem(),
  ): Promise<Replica> {
    const settings = {
      ...{ bucketCount: 1, partitionCount: 1, segmentBytes: 32 * KIB },
      ...{ journalFileBytes: 4096 * KIB, journalFilesMax: 4, cacheBytes: 1024 * KIB },
      ...{ filterBytes: 1024 * KIB, diskReserveBytes: 0, scrubBytesPerSecond: 0 },
    };
    const configuration = configurationBytes({ voters, outgoing: [], learners: [] });
    const groupId = Buffer.alloc(16, 7);
    const storage = await Storage.open('/disk', settings, {
      ...{ files, clock: systemClock, random: seededRandom(2), observer: silentObserver },
      builds: inlineIndexBuilds(files),
      replicas: [{ bucket: 0, replicaId: replicaBytes(id), groupId, configuration }],
      onFatal: (error) => {
        throw error;
      },
    });
    const replica = new Replica(storage, files);
    if (!replica.group.log.quarantined) await replica.group.start();
    return replica;
  }

  static async withFrames(fill: string): Promise<Replica> {
    const replica = await Replica.open(SOURCE, [SOURCE]);
    await settleFilled(replica.group, 100, fill);
    return replica;
  }

  get source(): SegmentSource {
    const { log } = this.group;
    return {
      segments: () => Promise.resolve(listSegments(log)),
      read: async (_member, _bucket, segment, from, to) =>
        (await readSegment(log, segment, from, to)) ?? assert.fail('no such segment'),
    };
  }

  /** Bytes of a segment's file. */
  content(segment: number): Promise<Buffer> {
    return this.files.readFile(`${FOLDER}/${segmentFileName(segment)}`);
  }

  async close(): Promise<void> {
    this.group.stop();
    await this.storage.close();
  }
}

/** A replica that has what `source` has, started again after a bit of a segment's frames was changed. */
async function damagedCopy(source: Replica, segment: number): Promise<Replica> {
  const whole = await Replica.open(OWN, VOTERS);
  const copies = new LogCopies(source.source, () => 'source');
  copies.begin(whole.group, SOURCE, source.group.log.committedIndex);
  while (copies.active > 0) await new Promise(setImmediate);
  await whole.group.log.settle();
  await whole.close();
  const { files } = whole;
  for (const name of await files.list(FOLDER)) {
    if (!name.endsWith('.log')) await files.remove(`${FOLDER}/${name}`);
  }
  const file = await files.open(`${FOLDER}/${segmentFileName(segment)}`, 'open');
  await file.write(Buffer.from('?'), 3000);
  await file.close();
  const damaged = await Replica.open(OWN, VOTERS, files);
  assert.deepEqual(damaged.group.log.healing.damaged, [segment]);
  return damaged;
}

interface Scene {
  readonly source: Replica;
  /** Frames of the same lengths and terms with the group's id, and other contents. */
  readonly liar: Replica;
  readonly damaged: Replica;
  readonly events: HealingEvent[];
  /** Who answers, by member. */
  readonly sources: Map<string, SegmentSource>;
  readonly healing: SegmentHealing;
  /** One look, and what comes of it. */
  look(): Promise<void>;
}

async function withScene(segment: number, run: (scene: Scene) => Promise<void>): Promise<void> {
  const source = await Replica.withFrames('a');
  const liar = await Replica.withFrames('b');
  const damaged = await damagedCopy(source, segment);
  const sources = new Map([
    ['source', source.source],
    ['liar', liar.source],
  ]);
  const of = (member: string): SegmentSource =>
    sources.get(member) ?? assert.fail(`${member} does not answer`);
  const through: SegmentSource = {
    segments: async (member, ...rest) => of(member).segments(member, ...rest),
    read: async (member, ...rest) => of(member).read(member, ...rest),
  };
  const events: HealingEvent[] = [];
  const memberOf = (_bucket: number, replica: ReplicaId): string =>
    replica === SOURCE ? 'source' : 'liar';
  const healing = new SegmentHealing(through, memberOf, { onEvent: (event) => events.push(event) });
  const look = async (): Promise<void> => {
    healing.look([damaged.group]);
    while (healing.isRunning) await new Promise(setImmediate);
  };
  try {
    await run({ source, liar, damaged, events, sources, healing, look });
  } finally {
    await healing.close();
    for (const replica of [source, liar, damaged]) await replica.close();
  }
}

const kinds = (events: readonly HealingEvent[]): string[] =>
  events.map((event) =>
    event.kind === 'healed' ? event.kind : `${event.kind} ${String(event.member)}`,
  );

const refusals: Record<number, RegExp> = {
  0: /does not end where the next segment begins/,
  1: /does not begin where the segment before it ends/,
};

for (const [segment, reason] of Object.entries(refusals)) {
  test(`whole frames of another log are refused in segment ${segment}, and the next replica is asked`, () =>
    withScene(Number(segment), async ({ source, damaged, events, look }) => {
      await look();
      assert.deepEqual(kinds(events), ['failed liar', 'replaced source', 'healed']);
      assert.match(events[0]?.kind === 'failed' ? events[0].reason : '', reason);
      assert.deepEqual(await damaged.content(+segment), await source.content(+segment));
      assert.equal(damaged.group.state, 'following');
      assert(!damaged.group.log.quarantined);
    }));
}

test('in the segment being written, frames of another log are refused behind a right header', () =>
  withScene(3, async ({ source, liar, damaged, events, sources, look }) => {
    assert.equal(damaged.group.log.committedEnd.segment, 3);
    const before = await source.source.read('', 0, 3, 0, 100, AbortSignal.timeout(1000));
    sources.set('liar', {
      ...liar.source,
      read: async (...asked) => {
        const bytes = Buffer.from(await liar.source.read(...asked));
        before.copy(bytes, 0, 0, liar.group.log.segmentHeaderBytes);
        return bytes;
      },
    });
    await look();
    assert.deepEqual(kinds(events), ['failed liar', 'replaced source', 'healed']);
    assert.deepEqual(await damaged.content(3), await source.content(3));
  }));

test('a replica that ends before this one does: the rest is its own', () =>
  withScene(3, async ({ source, damaged, events, sources, look }) => {
    sources.delete('liar');
    const { offset } = source.group.log.committedEnd;
    const length = FRAME_HEADER_BYTES + 1000;
    const short = offset - length;
    const read: SegmentSource['read'] = async (member, bucket, segment, from, to, signal) =>
      source.source.read(
        member,
        bucket,
        segment,
        Math.min(from, short),
        Math.min(to, short),
        signal,
      );
    sources.set('source', { ...source.source, read });
    await look();
    assert.deepEqual(kinds(events), ['failed liar', 'replaced source', 'healed']);
    assert.deepEqual(await damaged.content(3), await source.content(3));
  }));

test('while nobody answers the damaged file stays, and it is tried ever more seldom', () =>
  withScene(1, async ({ source, damaged, events, sources, healing, look }) => {
    sources.clear();
    const before = await damaged.content(1);
    for (let i = 0; i < 20; i += 1) await look();
    // At looks 1, 4, 9 and 18, of two members each.
    assert.equal(healing.failures, 8);
    assert.deepEqual(await damaged.content(1), before);
    const names = await damaged.files.list(FOLDER);
    assert(!names.includes(replacementFileName(1)), 'nothing is left of the attempts');
    assert(damaged.group.log.quarantined);
    assert.equal(damaged.group.state, 'starting');

    sources.set('source', source.source);
    for (let i = 0; events.at(-1)?.kind !== 'healed' && i < 20; i += 1) await look();
    assert(!damaged.group.log.healing.damaged.includes(1));
  }));

test('what a crash leaves of a replacement is removed at the next start', async () => {
  const source = await Replica.withFrames('a');
  await source.close();
  const file = await source.files.open(`${FOLDER}/${replacementFileName(0)}`, 'create');
  await file.write(Buffer.from('half'), 0);
  await file.close();
  const again = await Replica.open(SOURCE, [SOURCE], source.files);
  assert(!(await source.files.list(FOLDER)).includes(replacementFileName(0)));
  await again.close();
});

test('what the disk keeps free is not taken: healing waits for room', () =>
  withScene(1, async ({ damaged, events, look }) => {
    const { files, storage } = damaged;
    const space = files.space.bind(files);
    const names = await files.list(FOLDER);
    files.space = () => Promise.resolve({ freeBytes: 16 * KIB, totalBytes: 4096 * KIB });
    await storage.space.refresh();
    await look();
    assert.deepEqual(kinds(events), ['failed liar', 'failed source']);
    for (const event of events) assert(event.kind === 'failed' && /no room/.test(event.reason));
    assert.deepEqual(await files.list(FOLDER), names);
    files.space = space;
    await storage.space.refresh();
    for (let i = 0; events.at(-1)?.kind !== 'healed' && i < 20; i += 1) await look();
    assert.equal(events.at(-1)?.kind, 'healed');
  }));
