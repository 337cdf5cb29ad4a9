/** Requests of members for each other's segments, over the simulated network: what `segment-requests.ts` does over HTTP. */
import type { Random } from '../../common/random.ts';
import type { Store } from '../../node/src/engine/index.ts';
import type { SegmentSource } from '../../node/src/replication/log-copies.ts';
import { listSegments, readSegment } from '../../node/src/replication/segment-serving.ts';
import type { BucketLog } from '../../node/src/storage/bucket-log.ts';
import type { SimulatedMember } from './member.ts';
import type { SimulatedNetwork } from './network.ts';
import type { VirtualTime } from './virtual-time.ts';

const ANSWER_MS = 1000;
const WAY_MS = 5;

export interface RequestContext {
  readonly time: VirtualTime;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  member(number: number): SimulatedMember;
}

/** Where the process that runs now in `asking` copies from; members are named by their numbers. */
export function simulatedSegments(context: RequestContext, asking: SimulatedMember): SegmentSource {
  const { time, network, random } = context;
  const { life } = asking;
  const delayMs = (): number => 0.1 + (random.below(1000) / 1000) * WAY_MS;
  const ask = <T>(member: string, answer: (store: Store) => T | Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const to = Number(member);
      time.after(ANSWER_MS, life, () => {
        reject(new Error('no answer in time'));
      });
      const reply = (settle: () => void): void => {
        if (!network.isCut(to, asking.number)) time.after(delayMs(), life, settle);
      };
      time.after(delayMs(), null, () => {
        if (network.isCut(asking.number, to)) return;
        context.member(to).post((store) => {
          Promise.resolve(answer(store)).then(
            (value) => {
              reply(() => {
                resolve(value);
              });
            },
            (error: unknown) => {
              reply(() => {
                reject(error instanceof Error ? error : new Error(String(error)));
              });
            },
          );
        });
      });
    });
  return {
    segments: (member, bucket) =>
      ask(member, (store) => listSegments(logOf(store, bucket)).map((listed) => ({ ...listed }))),
    read: async (member, bucket, segment, from, to) => {
      const bytes = await ask(member, (store) =>
        readSegment(logOf(store, bucket), segment, from, to),
      );
      if (bytes === null) throw new Error('no such segment');
      // As where a connection breaks in the middle.
      return bytes.subarray(0, random.below(10) === 0 ? random.below(bytes.length + 1) : undefined);
    },
  };
}

function logOf(store: Store, bucket: number): BucketLog {
  const group = store.group(bucket);
  if (group === undefined) throw new Error('no such replica');
  return group.log;
}
