/**
 * The next assignment when a member comes, goes, or takes the place of one whose disk is lost. Pure. Holders that stay keep their
 * `since`; a stay that begins has the new version. Who goes stays among the members until it holds nothing, then
 * {@link withoutIdle} strikes it out: its id never serves again.
 */
import type { Assignment, BucketAssignment, Member, Replica } from './assignment.ts';

/** A change that cannot be made, in one sentence. */
export class ChangeRefusal extends Error {
  override readonly name = 'ChangeRefusal';
}

/** Copies that a bucket gets where there are members for them. */
const COPIES = 3;

/**
 * A new member takes its share: as many replicas as the others have, and of preferred leaders. Where every member holds a bucket,
 * there were too few for more copies: it gets another one.
 */
export function withMember(current: Assignment, member: Member): Assignment {
  refuseKnown(current, member);
  if (current.members.some(({ index }) => index === member.index)) {
    throw new ChangeRefusal(`there is a node ${member.index} already; to replace it, say so`);
  }
  const next = draft(current, [...current.members, member]);
  const holders = current.members.filter(({ id }) => !isIdle(current, id));
  for (const bucket of next.buckets) {
    const { length } = bucket.replicas;
    if (length < COPIES && length === holders.length) {
      bucket.replicas.push({ member: member.id, since: next.version });
    }
  }
  const share = Math.floor(replicaCount(next) / next.members.length);
  const counts = heldBy(next);
  while ((counts.get(member.id) ?? 0) < share) {
    const move = richestBucket(next.buckets, counts, member.id);
    if (move === null) break;
    replaceHolder(next, move.bucket, move.from, member.id);
    counts.set(move.from, (counts.get(move.from) ?? 0) - 1);
    counts.set(member.id, (counts.get(member.id) ?? 0) + 1);
  }
  return settled(next);
}

/** A member gives up what it holds to those who hold least; where nobody is left to take it, a bucket has a copy fewer. */
export function withoutMember(current: Assignment, index: number): Assignment {
  const leaving = memberAt(current, index);
  const next = draft(current, current.members);
  const others = next.members.filter(({ id }) => id !== leaving.id);
  if (others.length === 0) throw new ChangeRefusal('the last member cannot leave');
  const counts = heldBy(next);
  for (const [at, bucket] of next.buckets.entries()) {
    if (!holds(bucket, leaving.id)) continue;
    // Who holds nothing may be leaving, too: it is asked last, but before there is a copy fewer.
    const burden = ({ id }: Member): number =>
      isIdle(current, id) ? Infinity : (counts.get(id) ?? 0);
    const heir = others
      .filter(({ id }) => !holds(bucket, id))
      .sort((a, b) => (burden(a) === burden(b) ? 0 : burden(a) - burden(b)))[0];
    if (heir === undefined) dropHolder(bucket, leaving.id);
    else {
      replaceHolder(next, at, leaving.id, heir.id);
      counts.set(heir.id, (counts.get(heir.id) ?? 0) + 1);
    }
  }
  return settled(next);
}

/**
 * A new member, at the place of another one, takes all that this one holds; of one that is being replaced itself, what that
 * was to hold.
 */
export function withReplacement(current: Assignment, member: Member): Assignment {
  refuseKnown(current, member);
  const holders = current.members.filter(
    ({ id, index }) => index === member.index && !isIdle(current, id),
  );
  const leaving = holders.length === 1 ? (holders[0] as Member) : memberAt(current, member.index);
  const next = draft(current, [...current.members, member]);
  for (const [at, bucket] of next.buckets.entries()) {
    if (holds(bucket, leaving.id)) replaceHolder(next, at, leaving.id, member.id);
  }
  return next;
}

/** Whether a member holds nothing. */
export const isIdle = ({ buckets }: Assignment, id: string): boolean =>
  !buckets.some((bucket) => holds(bucket, id));

/** Without a member that holds nothing any more. */
export function withoutIdle(current: Assignment, id: string): Assignment {
  if (!isIdle(current, id)) {
    throw new ChangeRefusal(`member ${id} still holds buckets`);
  }
  const members = current.members.filter((member) => member.id !== id);
  return { ...draft(current, members), removed: [...current.removed, id] };
}

type Draft = Omit<Assignment, 'buckets'> & { readonly buckets: DraftBucket[] };
type DraftBucket = Omit<BucketAssignment, 'replicas' | 'preferred'> & {
  replicas: Replica[];
  preferred: string;
};

const draft = (current: Assignment, members: readonly Member[]): Draft => ({
  ...current,
  version: current.version + 1,
  members,
  buckets: current.buckets.map((bucket) => ({ ...bucket, replicas: [...bucket.replicas] })),
});

const holds = ({ replicas }: BucketAssignment, id: string): boolean =>
  replicas.some(({ member }) => member === id);

const replicaCount = ({ buckets }: Assignment): number =>
  buckets.reduce((sum, { replicas }) => sum + replicas.length, 0);

function heldBy({ buckets }: Assignment): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { replicas } of buckets) {
    for (const { member } of replicas) counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  return counts;
}

function memberAt({ members, buckets }: Assignment, index: number): Member {
  const found = members.filter((member) => member.index === index);
  const [first] = found;
  if (first === undefined) throw new ChangeRefusal(`there is no node ${index}`);
  if (found.length === 1) return first;
  // One of them is being replaced already.
  throw new ChangeRefusal(
    `node ${index} is being replaced: ${found
      .map(({ id }) => `${id} holds ${buckets.filter((bucket) => holds(bucket, id)).length}`)
      .join(', ')}`,
  );
}

function refuseKnown({ members, removed }: Assignment, { id }: Member): void {
  if (members.some((member) => member.id === id)) {
    throw new ChangeRefusal(`member ${id} is in the cluster already`);
  }
  if (removed.includes(id)) {
    throw new ChangeRefusal(`member ${id} was removed and never serves again; empty its directory`);
  }
}

function replaceHolder({ buckets, version }: Draft, at: number, from: string, to: string): void {
  const bucket = buckets[at] as DraftBucket;
  bucket.replicas = bucket.replicas.map((replica) =>
    replica.member === from ? { member: to, since: version } : replica,
  );
  if (bucket.preferred === from) bucket.preferred = to;
}

/** All others hold it. Who is preferred is settled for all buckets at the end. */
function dropHolder(bucket: DraftBucket, id: string): void {
  bucket.replicas = bucket.replicas.filter(({ member }) => member !== id);
}

/** A bucket of the member that holds most, of those that the newcomer does not hold. */
function richestBucket(
  buckets: readonly DraftBucket[],
  counts: ReadonlyMap<string, number>,
  newcomer: string,
): { readonly bucket: number; readonly from: string } | null {
  let best: { readonly bucket: number; readonly from: string } | null = null;
  let most = counts.get(newcomer) ?? 0;
  for (const [bucket, assigned] of buckets.entries()) {
    if (holds(assigned, newcomer)) continue;
    for (const { member } of assigned.replicas) {
      const count = counts.get(member) ?? 0;
      if (count <= most) continue;
      most = count;
      best = { bucket, from: member };
    }
  }
  return best;
}

/** Evens out who leads: every bucket prefers the holder of it that is preferred least so far. */
function settled(next: Draft): Assignment {
  const led = new Map<string, number>();
  for (const bucket of next.buckets) {
    const count = ({ member }: Replica): number => led.get(member) ?? 0;
    const [least] = [...bucket.replicas].sort((a, b) => count(a) - count(b));
    bucket.preferred = (least as Replica).member;
    led.set(bucket.preferred, (led.get(bucket.preferred) ?? 0) + 1);
  }
  return next;
}
