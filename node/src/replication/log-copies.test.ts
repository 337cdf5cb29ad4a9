import assert from 'node:assert/strict';
import test from 'node:test';

import { FRAME_HEADER_BYTES } from '../storage/frame-format.ts';
import { MemoryFileSystem } from '../storage/memory-file-system.ts';
import { LogCopies, type LogCopyEvent, type SegmentSource } from './log-copies.ts';
import type { ReplicaId } from './raft/types.ts';
import { listSegments, readSegment } from './segment-serving.ts';
import { TestGroup as Replica } from './testing/test-group.ts';

const KIB = 1024;
const [SOURCE, TARGET, OTHER] = ['01'.repeat(8), '02'.repeat(8), '03'.repeat(8)] as const;

const sourceOf = ({ group }: Replica): SegmentSource => ({
  segments: () => Promise.resolve(listSegments(group.log)),
  read: async (_member, _bucket, segment, from, to) =>
    (await readSegment(group.log, segment, from, to)) ?? assert.fail('no such segment'),
});

const memberOf = (_bucket: number, replica: ReplicaId): string =>
  ({ [SOURCE]: 'source', [OTHER]: 'other' })[replica] ?? 'target';

interface Scene {
  readonly source: Replica;
  readonly target: Replica;
  readonly events: LogCopyEvent[];
  /** Copies; resolves with what the leader is told. */
  copy(through: SegmentSource): Promise<number | null>;
}

async function withReplicas(run: (scene: Scene) => Promise<void>): Promise<void> {
  const source = await Replica.open(SOURCE, [SOURCE]);
  const target = await Replica.open(TARGET, [TARGET, SOURCE, OTHER]);
  const events: LogCopyEvent[] = [];
  const copy = async (through: SegmentSource): Promise<number | null> => {
    const onEvent = (event: LogCopyEvent): void => void events.push(event);
    const copies = new LogCopies(through, memberOf, { pieceBytes: 10 * KIB, onEvent });
    const before = target.sent.length;
    copies.begin(target.group, SOURCE, source.group.log.committedIndex);
    while (copies.active > 0) await new Promise(setImmediate);
    const message = target.sent.at(-1);
    assert(target.sent.length > before && message?.kind === 'pulled' && message.to === SOURCE);
    return message.index;
  };
  try {
    await run({ source, target, events, copy });
  } finally {
    await target.close();
    await source.close();
  }
}

async function contents({ group }: Replica): Promise<Buffer> {
  await group.log.settle();
  const parts = listSegments(group.log).map(({ segment, bytes }) =>
    readSegment(group.log, segment, 0, bytes),
  );
  return Buffer.concat((await Promise.all(parts)).map((part) => part ?? assert.fail()));
}

test('a copy has the same bytes; what is there is not copied again', async () => {
  await withReplicas(async ({ source, target, events, copy }) => {
    await source.append(500, 'a');
    assert.equal(await copy(sourceOf(source)), source.group.log.committedIndex);
    assert((await contents(source)).equals(await contents(target)));
    await source.append(20, 'b');
    assert.equal(await copy(sourceOf(source)), source.group.log.committedIndex);
    assert((await contents(source)).equals(await contents(target)));
    const copied = events.map((event) => (event.kind === 'copied' ? event.bytes : 0));
    assert.equal(copied[1], 20 * (FRAME_HEADER_BYTES + 1000));
    assert.equal(target.group.core.durable, target.group.log.committedIndex);
  });
});

test('pieces may end anywhere in a frame, and be smaller than one', async () => {
  await withReplicas(async ({ source, target, copy }) => {
    await source.append(30, 'a');
    const honest = sourceOf(source);
    for (const bytesMax of [7, FRAME_HEADER_BYTES, 1500]) {
      const through: SegmentSource = {
        ...honest,
        read: async (...[member, bucket, segment, from, to, signal]) => {
          const end = Math.min(to, from + bytesMax);
          return honest.read(member, bucket, segment, from, end, signal);
        },
      };
      await source.append(10, 'b');
      assert.equal(await copy(through), source.group.log.committedIndex);
      assert((await contents(source)).equals(await contents(target)));
    }
  });
});

test('bytes that were changed on the way are never taken; another replica helps', async () => {
  await withReplicas(async ({ source, target, events, copy }) => {
    await source.append(300, 'a');
    const honest = sourceOf(source);
    const through: SegmentSource = {
      ...honest,
      read: async (member, bucket, segment, from, to, signal) => {
        const bytes = await honest.read(member, bucket, segment, from, to, signal);
        if (member === 'source' && segment === 1) bytes[5000] = 1;
        return bytes;
      },
    };
    assert.equal(await copy(through), source.group.log.committedIndex);
    assert((await contents(source)).equals(await contents(target)));
    const [failed, copied] = events;
    assert(failed?.kind === 'failed' && failed.member === 'source');
    assert.match(failed.reason, /checksum mismatch/);
    // It went on where the first one had to stop.
    assert(copied?.kind === 'copied' && copied.bytes < 200 * (FRAME_HEADER_BYTES + 1000));
  });
});

test('where nobody answers the leader is told', async () => {
  await withReplicas(async ({ source, target, events, copy }) => {
    await source.append(10, 'a');
    const silent = { ...sourceOf(source), segments: () => Promise.reject(new Error('away')) };
    assert.equal(await copy(silent), null);
    assert.equal(events.length, 2);
    assert.equal(target.group.log.endIndex, 0);
  });
});

test('frames that are not the cluster’s give way', async () => {
  const other = await Replica.open(SOURCE, [SOURCE]);
  await other.append(3, 'z');
  await withReplicas(async ({ source, target, copy }) => {
    await source.append(5, 'a');
    // Two frames of a log that came to nothing: they were taken from a leader, and not committed.
    const range = other.group.log.frames(1, 1024 * KIB);
    assert(range !== null);
    const { bytes, from, to } = range;
    for (let at = from; at < to; at += bytes.readUInt32LE(at)) {
      assert.equal(target.group.log.take(bytes, at, at + bytes.readUInt32LE(at)), null);
    }
    assert.equal(await copy(sourceOf(source)), source.group.log.committedIndex);
    assert((await contents(source)).equals(await contents(target)));
  });
  await other.close();
});

test('a copy ends when the node does', async () => {
  await withReplicas(async ({ source, target }) => {
    await source.append(10, 'a');
    const asked = Promise.withResolvers<void>();
    const waiting: SegmentSource = {
      ...sourceOf(source),
      read: (_member, _bucket, _segment, _from, _to, signal) => {
        asked.resolve();
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error);
          });
        });
      },
    };
    const copies = new LogCopies(waiting, memberOf);
    copies.begin(target.group, SOURCE, 10);
    await asked.promise;
    await copies.close();
    assert.equal(copies.active, 0);
    assert.deepEqual(target.sent, []);
  });
});

test('a copy is not reported as durable where the disk has failed', async () => {
  await withReplicas(async ({ source, target }) => {
    await source.append(5, 'a');
    const honest = sourceOf(source);
    let listings = 0;
    const through: SegmentSource = {
      ...honest,
      segments: (...asked) => {
        listings += 1;
        // Everything was taken, and the journal has not written it yet.
        if (listings === 2) target.group.stop();
        return honest.segments(...asked);
      },
    };
    const copies = new LogCopies(through, memberOf, { breathe: () => Promise.resolve() });
    copies.begin(target.group, SOURCE, source.group.log.committedIndex);
    while (copies.active > 0) await new Promise(setImmediate);
    assert.equal(target.group.log.endIndex, source.group.log.endIndex);
    assert(target.group.core.durable < target.group.log.endIndex);
    const told = target.sent.map((message) => (message.kind === 'pulled' ? message.index : null));
    assert(told.every((index) => index === null));
  });
});

test('a copy leaves free what is kept free, and goes on when there is room', async () => {
  const capacityBytes = 64 * 1024 * KIB;
  const files = new MemoryFileSystem({ capacityBytes });
  const source = await Replica.open(SOURCE, [SOURCE]);
  const target = await Replica.open(TARGET, [TARGET, SOURCE, OTHER], files, capacityBytes / 4);
  await source.append(500, 'a');
  const { freeBytes } = await files.space('/disk');
  const other = await files.open('/disk/other', 'create');
  // Room for a part of what is to be copied.
  await other.write(Buffer.alloc(freeBytes - capacityBytes / 4 - 300 * KIB), 0);
  const copies = new LogCopies(sourceOf(source), memberOf, { pieceBytes: 10 * KIB });
  const copy = async (): Promise<number | null> => {
    await target.lookAtSpace();
    copies.begin(target.group, SOURCE, source.group.log.committedIndex);
    while (copies.active > 0) await new Promise(setImmediate);
    const message = target.sent.at(-1);
    return message?.kind === 'pulled' ? message.index : null;
  };
  assert.equal(await copy(), null);
  const { endIndex } = target.group.log;
  assert(endIndex > 100 && endIndex < source.group.log.endIndex, String(endIndex));
  await target.group.log.settle();
  // Frames that are in memory when the disk is asked how much is free are written later.
  assert((await files.space('/disk')).freeBytes >= capacityBytes / 4 - 512 * KIB);
  await other.close();
  await files.remove('/disk/other');
  assert.equal(await copy(), source.group.log.committedIndex);
  assert((await contents(source)).equals(await contents(target)));
  await copies.close();
  await target.close();
  await source.close();
});
