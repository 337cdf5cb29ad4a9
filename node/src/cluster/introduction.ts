/** A disk that was copied or rolled back is told so by those who know better; it must not serve. */
import type { Member } from '../../../common/assignment.ts';
import { OpenError } from '../storage/errors.ts';
import { statusOf } from './member-requests.ts';
import { PeerError, type PeerRequests, RolledBackRefusal } from './types.ts';

/** A node does not wait longer for those who might know its disk. */
const INTRODUCTION_MS = 2000;

/**
 * Asks all others, before a start is counted: of a disk that is refused every start is the first one, however often it is tried.
 * Rejects with {@link OpenError} where one of them knows a later start of this disk, or another one in the place of its last.
 */
export async function introduce(
  peers: PeerRequests,
  others: readonly Member[],
  directory: string,
  stopped: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(INTRODUCTION_MS)]);
  const answers = await Promise.allSettled(others.map(({ id }) => statusOf(peers, id, signal)));
  for (const answer of answers) {
    const fault = answer.status === 'rejected' ? rollBackOf(answer.reason, directory) : null;
    if (fault !== null) throw fault;
  }
}

/** What the refusal of another member means for this one's directory; null: not this. */
export function rollBackOf(error: unknown, directory: string): OpenError | null {
  if (!(error instanceof PeerError) || error.status !== RolledBackRefusal.status) return null;
  return new OpenError(
    'mismatch',
    `${directory} is not what it was: ${error.message}; start with an empty directory and the same flags, then "sierradb cluster replace"`,
  );
}
