/** From where a caller wants to start to numbers, one for each stream or partition. */
import type { Connection } from './connection.ts';
import { CheckpointError, InvalidArgumentError, UnavailableError } from './errors.ts';
import type { Places, Target, TargetKey } from './subscription-target.ts';
import type { SubscriptionPosition, SubscriptionStart } from './types.ts';

/** Throws `InvalidArgumentError`. */
export function checkedStart(from: SubscriptionStart, target: Target): SubscriptionStart {
  if (from === 'latest') return from;
  if (typeof from === 'number') {
    if (Number.isSafeInteger(from) && from >= 0) return from;
    throw new InvalidArgumentError(`from must be a whole number from 0 on, but got ${from}`);
  }
  if (target.numbers(from) === null) {
    throw new InvalidArgumentError('from is the position of another kind of subscription');
  }
  return from;
}

/**
 * Asks the server for what `latest` is, and whether it has all that a position says has been processed: events that come to be
 * behind such a place would never be delivered. Rejects with `CheckpointError` where it has not, as after the server was restored
 * from a backup.
 */
export async function startPlaces(
  connection: Connection,
  target: Target,
  from: SubscriptionStart,
  stored: SubscriptionPosition | null,
): Promise<Places> {
  const known = knownPlaces(target, from, stored);
  const others = typeof from === 'number' ? from : 0;
  const places = target.keys(connection.hello.partitionCount).map(async (key) => {
    const place = known(key);
    if (place === undefined) {
      return [key, from === 'latest' ? await nextPlace(connection, target, key) : others] as const;
    }
    if (place > 0) await check(connection, target, key, place);
    return [key, place] as const;
  });
  return new Map(await Promise.all(places));
}

function knownPlaces(
  target: Target,
  from: SubscriptionStart,
  stored: SubscriptionPosition | null,
): (key: TargetKey) => number | undefined {
  const given = typeof from === 'object' ? target.numbers(from) : null;
  const saved = stored === null ? null : target.numbers(stored);
  if (stored !== null && saved === null) {
    throw new CheckpointError('the checkpoint is of another kind of subscription');
  }
  return (key) => saved?.get(key) ?? given?.get(key);
}

/** The place that the next event will have. */
async function nextPlace(connection: Connection, target: Target, key: TargetKey): Promise<number> {
  const { bytes, result } = target.latest(key);
  const latest = result(await connection.ask(bytes));
  return latest === null ? 0 : latest + 1;
}

async function check(
  connection: Connection,
  target: Target,
  key: TargetKey,
  place: number,
): Promise<void> {
  try {
    const next = await nextPlace(connection, target, key);
    if (place <= next) return;
    const what = typeof key === 'number' ? `partition ${key}` : `stream ${key}`;
    throw new CheckpointError(
      `the position is ahead of the server: ${what} goes on at ${place}, but has only ${next} events`,
    );
  } catch (error) {
    // A subscription needs no leader, so it does not wait for one that could confirm its position.
    if (!(error instanceof UnavailableError)) throw error;
  }
}
