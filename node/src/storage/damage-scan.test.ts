import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { seededRandom } from '../../../common/random.ts';
import { writeUint32 } from './bytes.ts';
import { type DamagedRange, type ScanResult, scanReads } from './damage-scan.ts';
import { frameLength, sealFrame } from './frame-format.ts';
import { type MadeSegment, SegmentMaker } from './testing/segment-maker.ts';

const HEADER_BYTES = 76;

/** Offsets of a whole segment's frames. */
function framesOf({ bytes }: MadeSegment): number[] {
  const frames: number[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += frameLength(bytes, at)) frames.push(at);
  return frames;
}

interface Scanned extends ScanResult {
  readonly offsets: readonly number[];
}

async function scan(bytes: Buffer, pieceBytes?: number, end = bytes.length): Promise<Scanned> {
  const offsets: number[] = [];
  const start = { segment: 7, offset: HEADER_BYTES, index: 0, crc: 0 };
  const result = await scanReads(
    (target, position) =>
      Promise.resolve(bytes.copy(target, 0, position, position + target.length)),
    start,
    end,
    (buffer, at, offset) => {
      assert.equal(frameLength(buffer, at), frameLength(bytes, offset));
      offsets.push(offset);
    },
    pieceBytes,
  );
  return { ...result, offsets };
}

const made = (events = 200, seed = 1): MadeSegment => new SegmentMaker({ seed }).next(7, events);

const ranges = (damage: readonly DamagedRange[]): [number, number][] =>
  damage.map(({ from, to }) => [from, to]);

describe('scanning past damage', () => {
  it('shows every frame of a whole segment, whatever the pieces', async () => {
    const segment = made();
    const frames = framesOf(segment);
    for (const pieceBytes of [64, 1000, 4096, 1_048_576]) {
      const { offsets, damage, lastIndex, lastCrc } = await scan(segment.bytes, pieceBytes);
      assert.deepEqual(offsets, frames);
      assert.deepEqual(damage, []);
      assert.deepEqual([lastIndex, lastCrc], [segment.lastIndex, segment.lastCrc]);
    }
  });

  it('goes on at the next whole frame behind a damaged one', async () => {
    const segment = made();
    const frames = framesOf(segment);
    const bytes = Buffer.from(segment.bytes);
    const at = frames[20] as number;
    bytes.writeUInt8(bytes.readUInt8(at + 50) ^ 1, at + 50);
    for (const pieceBytes of [64, 1_048_576]) {
      const { offsets, damage } = await scan(bytes, pieceBytes);
      assert.deepEqual(offsets, frames.toSpliced(20, 1));
      assert.deepEqual(damage, [
        { segment: 7, from: at, to: frames[21], reason: 'checksum mismatch' },
      ]);
    }
  });

  it('a whole frame of another log at the same place does not follow', async () => {
    const segment = made();
    const frames = framesOf(segment);
    for (const field of [8, 20]) {
      const bytes = Buffer.from(segment.bytes);
      const at = frames[30] as number;
      writeUint32(bytes, at + field, 12_345);
      sealFrame(bytes, at, frameLength(bytes, at));
      const { offsets, damage } = await scan(bytes);
      assert.deepEqual(offsets, frames.toSpliced(30, 1));
      assert.deepEqual(
        damage.map(({ from, reason }) => [from, reason]),
        [[at, 'does not follow the frame before it']],
      );
    }
  });

  it('a length that points anywhere costs one frame', async () => {
    const segment = made();
    const frames = framesOf(segment);
    const at = frames[10] as number;
    for (const length of [0, 43, 45, 0xffff_ffff, segment.bytes.length]) {
      const bytes = Buffer.from(segment.bytes);
      writeUint32(bytes, at, length);
      const { offsets, damage } = await scan(bytes, 256);
      assert.deepEqual(offsets, frames.toSpliced(10, 1));
      assert.deepEqual(ranges(damage), [[at, frames[11]]]);
    }
  });

  it('ends in damage where the file ends inside a frame, or before the end that was asked for', async () => {
    const { bytes } = made();
    const last = framesOf(made()).at(-1) as number;
    for (const length of [last + 10, last + 44, bytes.length - 1]) {
      const { offsets, damage } = await scan(bytes.subarray(0, length));
      assert.equal(offsets.at(-1), framesOf(made()).at(-2));
      assert.deepEqual(ranges(damage), [[last, length]]);
    }
    const { damage } = await scan(bytes, 4096, bytes.length + 500);
    assert.deepEqual(ranges(damage), [[bytes.length, bytes.length + 500]]);
  });

  it('shows what is whole and nothing else, wherever bytes change', async () => {
    const count = Number(process.env['SEEDS'] ?? 100);
    const first = Number(process.env['SEED'] ?? 1);
    const segment = made(60);
    const frames = framesOf(segment);
    const ends = [...frames.slice(1), segment.bytes.length];
    for (let seed = first; seed < first + count; seed += 1) {
      const random = seededRandom(seed);
      const bytes = Buffer.from(segment.bytes);
      const touched = new Set<number>();
      for (let i = 0; i <= random.below(4); i += 1) {
        const from = HEADER_BYTES + random.below(bytes.length - HEADER_BYTES);
        const to = Math.min(bytes.length, from + 1 + random.below(300));
        for (let at = from; at < to; at += 1) bytes.writeUInt8(bytes.readUInt8(at) ^ 0x55, at);
        frames.forEach((frame, n) => {
          if (frame < to && from < (ends[n] as number)) touched.add(frame);
        });
      }
      // Two changes of one byte may undo each other: what is whole again is whole.
      for (const frame of touched) {
        const end = ends[frames.indexOf(frame)] as number;
        if (bytes.subarray(frame, end).equals(segment.bytes.subarray(frame, end))) {
          touched.delete(frame);
        }
      }
      const { offsets } = await scan(bytes, 64 + random.below(2000));
      assert.deepEqual(
        offsets,
        frames.filter((frame) => !touched.has(frame)),
        `SEED=${seed}`,
      );
    }
  });
});
