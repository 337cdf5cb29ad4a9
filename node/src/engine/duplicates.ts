/** What a transaction means whose event ids are, or are not, already held by their streams. Pure. */
import { invalidArgument, type SierraError } from '../../../common/errors.ts';
import type { Appended, EventDraft } from './types.ts';

/** An event that a stream holds under a client-supplied id. */
export interface HeldEvent {
  readonly frameIndex: number;
  readonly ordinal: number;
  /** Events of its transaction. */
  readonly eventCount: number;
  readonly eventId: Uint8Array;
  readonly streamId: Uint8Array;
  readonly partitionKey: Uint8Array;
  readonly partition: number;
  readonly sequence: number;
  readonly version: number;
  readonly timestamp: number;
  /** Index of its frame while that is in flight, else null. */
  readonly inFlight: number | null;
}

export type DuplicateVerdict =
  | { readonly kind: 'new' }
  | { readonly kind: 'duplicate'; readonly appended: Appended; readonly inFlight: number | null }
  | { readonly kind: 'refused'; readonly error: SierraError; readonly inFlight: number | null };

/**
 * Wire protocol, section 8, points 2 and 3. `held[i]` is what the stream of `events[i]` holds under that event's supplied
 * id. One event: the original's own reply. Several: all held, by one transaction, in the same order: the original reply;
 * none held, and no id twice: new; anything else is refused.
 */
export function duplicateOf(
  events: readonly EventDraft[],
  held: readonly (HeldEvent | null)[],
): DuplicateVerdict {
  const found = held.filter((event) => event !== null);
  const inFlight = found.reduce<number | null>(
    (max, event) => (event.inFlight === null ? max : Math.max(event.inFlight, max ?? 0)),
    null,
  );
  if (found.length === 0) return repeatsAnId(events) ? refused(null) : { kind: 'new' };
  const [first] = found;
  if (first === undefined || found.length < events.length) return refused(inFlight);
  const whole = events.length === 1 || first.eventCount === events.length;
  const inOrder = found.every(
    (event, i) => event.frameIndex === first.frameIndex && event.ordinal === first.ordinal + i,
  );
  if (!whole || !inOrder) return refused(inFlight);
  return { kind: 'duplicate', appended: originalReply(first, found), inFlight };
}

const refused = (inFlight: number | null): DuplicateVerdict => ({
  kind: 'refused',
  error: invalidArgument('event id already used'),
  inFlight,
});

const originalReply = (first: HeldEvent, found: readonly HeldEvent[]): Appended => ({
  partitionKey: first.partitionKey,
  partition: first.partition,
  firstSequence: first.sequence,
  events: found.map(({ eventId, streamId, version, timestamp }) => ({
    eventId,
    streamId,
    version,
    timestamp,
  })),
});

function repeatsAnId(events: readonly EventDraft[]): boolean {
  const seen = new Set<string>();
  for (const { eventId, streamId } of events) {
    if (eventId === null) continue;
    const key = Buffer.concat([eventId, streamId]).toString('latin1');
    if (seen.has(key)) return true;
    seen.add(key);
  }
  return false;
}
