/** Majorities of a configuration, joint ones included. Pure. */
import type { Configuration, ReplicaId } from './types.ts';

export const majority = (count: number): number => Math.floor(count / 2) + 1;

export const isJoint = ({ outgoing }: Configuration): boolean => outgoing.length > 0;

export const isVoter = ({ voters, outgoing }: Configuration, id: ReplicaId): boolean =>
  voters.includes(id) || outgoing.includes(id);

/** Everyone who takes the log, each once. */
export function membersOf({ voters, outgoing, learners }: Configuration): ReplicaId[] {
  return [...new Set([...voters, ...outgoing, ...learners])];
}

/** The highest value that a majority of the voters (joint: of both sets) has reached. */
export function quorumValue(
  { voters, outgoing }: Configuration,
  valueOf: (id: ReplicaId) => number,
): number {
  const incoming = majorityValue(voters, valueOf);
  return outgoing.length === 0 ? incoming : Math.min(incoming, majorityValue(outgoing, valueOf));
}

function majorityValue(ids: readonly ReplicaId[], valueOf: (id: ReplicaId) => number): number {
  if (ids.length === 0) return 0;
  if (ids.length === 1) return valueOf(ids[0] as ReplicaId);
  // Asked for with every acknowledgement, of three replicas nearly always.
  if (ids.length === 3) {
    const [a, b, c] = ids as [ReplicaId, ReplicaId, ReplicaId];
    return middle(valueOf(a), valueOf(b), valueOf(c));
  }
  const values = ids.map(valueOf).sort((a, b) => b - a);
  return values[majority(ids.length) - 1] as number;
}

/** The middle one of three. */
function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

export type VoteResult = 'pending' | 'won' | 'lost';

/** What the votes so far decide; who has not answered is undefined. */
export function voteResult(
  { voters, outgoing }: Configuration,
  votes: ReadonlyMap<ReplicaId, boolean>,
): VoteResult {
  const incoming = resultOf(voters, votes);
  if (outgoing.length === 0) return incoming;
  const leaving = resultOf(outgoing, votes);
  if (incoming === 'lost' || leaving === 'lost') return 'lost';
  return incoming === 'won' && leaving === 'won' ? 'won' : 'pending';
}

function resultOf(ids: readonly ReplicaId[], votes: ReadonlyMap<ReplicaId, boolean>): VoteResult {
  let yes = 0;
  let open = 0;
  for (const id of ids) {
    const vote = votes.get(id);
    if (vote === true) yes += 1;
    else if (vote === undefined) open += 1;
  }
  const needed = majority(ids.length);
  if (yes >= needed) return 'won';
  return yes + open >= needed ? 'pending' : 'lost';
}

const sameIds = (a: readonly ReplicaId[], b: readonly ReplicaId[]): boolean =>
  a.length === b.length && a.every((id) => b.includes(id));

/**
 * The way from one configuration to another: at once where the voters stay the same, else through the joint one
 * (architecture D2). `next` must not be joint itself.
 */
export function firstStep(present: Configuration, next: Configuration): Configuration {
  if (sameIds(present.voters, next.voters)) return next;
  const learners = next.learners.filter((id) => !present.voters.includes(id));
  return { voters: next.voters, outgoing: present.voters, learners };
}

/** The configuration that a joint one leads to; `demoted` voters that stay as learners are told by the caller. */
export const finalStep = ({ voters, learners }: Configuration): Configuration => ({
  voters,
  outgoing: [],
  learners,
});
