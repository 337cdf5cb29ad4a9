/** Events for tests of the router: what is appended, and what a visitor saw of it. */
import assert from 'node:assert/strict';

import type {
  Appended,
  EventDraft,
  EventVisitor,
  ExpectedVersion,
  FeedTarget,
} from '../../engine/types.ts';
import type { Router } from '../router.ts';

export const draft = (
  stream: string,
  payload = '',
  options: { id?: Buffer; expected?: ExpectedVersion } = {},
): EventDraft => ({
  streamId: Buffer.from(stream),
  eventName: Buffer.from('Happened'),
  eventId: options.id ?? null,
  expectedVersion: options.expected ?? 'any',
  timestamp: null,
  metadata: Buffer.from('{}'),
  payload: Buffer.from(payload),
});

export const append = (router: Router, ...events: EventDraft[]): Promise<Appended> =>
  new Promise((resolve, reject) => {
    const streamId = Buffer.from((events[0] as EventDraft).streamId);
    void router.append({ partitionKey: router.defaultKey(streamId), events }, (error, appended) => {
      if (appended === null) reject(error ?? new Error('no answer'));
      else resolve(appended);
    });
  });

export const bucketOf = (router: Router, stream: string): number =>
  router.partitionOf(router.defaultKey(Buffer.from(stream))) % router.facts.bucketCount;

/** What a visitor saw of every event, without keeping the views. */
export function collect(into: string[], max: number = Infinity): EventVisitor {
  return (event) => {
    if (into.length >= max) return false;
    const { bytes, eventIdAt, payloadEnd, partitionKeyAt } = event;
    const key = bytes.toString('hex', partitionKeyAt, partitionKeyAt + 16);
    const whole = bytes.toString('latin1', eventIdAt, payloadEnd);
    const { partition, sequence, version, timestamp, transactionId } = event;
    const names = bytes.toString('latin1', event.streamIdAt, event.metadataAt);
    into.push(
      [
        key,
        whole,
        partition,
        sequence,
        version,
        timestamp,
        transactionId.toString('hex'),
        names,
      ].join(),
    );
    return true;
  };
}

export const rangeOf = (
  router: Router,
  stream: string,
  from: number = 0,
  to: number = Infinity,
): { streamId: Buffer; partitionKey: Buffer; from: number; to: number } => {
  const streamId = Buffer.from(stream);
  return { streamId, partitionKey: Buffer.from(router.defaultKey(streamId)), from, to };
};

export const versionOf = (
  router: Router,
  stream: string,
): number | null | Promise<number | null> => {
  const streamId = Buffer.from(stream);
  return router.streamVersion(streamId, router.defaultKey(streamId));
};

export const streams: readonly string[] = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const targetOf = (router: Router, stream: string): FeedTarget => {
  const { streamId, partitionKey } = rangeOf(router, stream);
  return { kind: 'stream', streamId, partitionKey };
};

export const plain = ({ partitionKey, partition, firstSequence, events }: Appended): unknown => [
  Buffer.from(partitionKey).toString('hex'),
  partition,
  firstSequence,
  events.map(({ eventId, streamId, version, timestamp }) => [
    Buffer.from(eventId).toString('hex'),
    Buffer.from(streamId).toString(),
    version,
    timestamp,
  ]),
];

export const streamOfBucket = (router: Router, bucket: number): string => {
  for (let i = 0; ; i += 1) {
    const stream = `stream-${String(i)}`;
    if (bucketOf(router, stream) === bucket) return stream;
  }
};

/**
 * Appends to three streams through every member, one event after the other; a refusal, or a version that is not the next one,
 * rejects what the end resolves with: how many each has appended.
 */
export function appendThroughAll(cluster: {
  readonly members: readonly { readonly router: Router }[];
}): () => Promise<number[]> {
  let isOver = false;
  const call = async (router: Router, stream: string): Promise<number> => {
    let next = 0;
    for (; !isOver; next += 1) {
      const appended = await append(router, draft(stream));
      assert.equal(appended.events[0]?.version, next);
    }
    return next;
  };
  const callers = cluster.members.flatMap(({ router }, i) =>
    ['x', 'y', 'z'].map((name) => call(router, `${name}-${String(i)}`)),
  );
  return () => {
    isOver = true;
    return Promise.all(callers);
  };
}
