/** Events as a test compares them: copied out of the store's views, bytes as strings. */
import type { EventView, EventVisitor, PageEnd, PartitionRange, StreamRange } from '../types.ts';
import type { EventStore } from '../types.ts';

/** Bytes are strings, one character each; UUIDs are 32 hex digits. */
export interface ObservedEvent {
  readonly eventId: string;
  readonly partitionKey: string;
  readonly partition: number;
  readonly transactionId: string;
  readonly sequence: number;
  readonly version: number;
  readonly timestamp: number;
  readonly streamId: string;
  readonly eventName: string;
  readonly metadata: string;
  readonly payload: string;
}

export interface ObservedPage {
  readonly events: readonly ObservedEvent[];
  readonly hasMore: boolean;
}

export function observe(view: EventView): ObservedEvent {
  const { bytes } = view;
  const text = (from: number, to: number): string => bytes.toString('latin1', from, to);
  const uuid = (at: number): string => bytes.toString('hex', at, at + 16);
  return {
    eventId: uuid(view.eventIdAt),
    partitionKey: uuid(view.partitionKeyAt),
    partition: view.partition,
    transactionId: view.transactionId.toString('hex'),
    sequence: view.sequence,
    version: view.version,
    timestamp: view.timestamp,
    streamId: text(view.streamIdAt, view.eventNameAt),
    eventName: text(view.eventNameAt, view.metadataAt),
    metadata: text(view.metadataAt, view.payloadAt),
    payload: text(view.payloadAt, view.payloadEnd),
  };
}

async function page(
  count: number,
  read: (visit: EventVisitor) => PageEnd | Promise<PageEnd>,
): Promise<ObservedPage> {
  const events: ObservedEvent[] = [];
  const { hasMore } = await read((view) => {
    if (events.length === count) return false;
    events.push(observe(view));
    return true;
  });
  return { events, hasMore };
}

/** At most `count` events of a stream. */
export const streamPage = (
  store: EventStore,
  range: StreamRange,
  count: number = Infinity,
): Promise<ObservedPage> => page(count, (visit) => store.readStream(range, visit));

/** At most `count` events of a partition. */
export const partitionPage = (
  store: EventStore,
  range: PartitionRange,
  count: number = Infinity,
): Promise<ObservedPage> => page(count, (visit) => store.readPartition(range, visit));

export async function eventById(
  store: EventStore,
  eventId: Uint8Array,
): Promise<ObservedEvent | null> {
  let seen: ObservedEvent | null = null;
  const found = await store.readEvent(eventId, (view) => {
    seen = observe(view);
    return true;
  });
  return found ? seen : null;
}
