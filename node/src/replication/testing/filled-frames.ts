import { FRAME_HEADER_BYTES, frameKind } from '../../storage/frame-format.ts';
import type { RaftGroup } from '../raft-group.ts';

/** Appends a frame of a kind that nobody looks into, `length` bytes in all. */
export function appendFilled(group: RaftGroup, length: number, fill: string | number): void {
  const place = group.begin(length);
  place.bytes.fill(fill, place.at + FRAME_HEADER_BYTES, place.at + length);
  const fields = { kind: frameKind.leader, partition: 0, firstSequence: 0, eventCount: 0 };
  group.finish(place, length, fields);
}

/** Appends several with a kilobyte each, and moves them to segments. */
export async function settleFilled(group: RaftGroup, count: number, fill: string): Promise<void> {
  for (let i = 0; i < count; i += 1) appendFilled(group, FRAME_HEADER_BYTES + 1000, fill);
  await group.durable(group.log.endIndex);
  await group.log.settle();
}
