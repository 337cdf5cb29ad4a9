/** The rules of placement, stated once more in another way than they are kept: one bucket and one exchange at a time. */
import assert from 'node:assert/strict';

import type { BucketAssignment } from '../assignment.ts';
import type { PlacementMember, PlacementOptions } from '../placement.ts';

export interface PlacementCase {
  readonly before: readonly BucketAssignment[];
  readonly after: readonly BucketAssignment[];
  readonly members: readonly PlacementMember[];
  readonly options: PlacementOptions;
}

export const heldBy = ({ replicas }: BucketAssignment, id: string): boolean =>
  replicas.some(({ member }) => member === id);

export const ledBy = ({ preferred }: BucketAssignment, id: string): boolean => preferred === id;

export const countsOf = (
  members: readonly PlacementMember[],
  buckets: readonly BucketAssignment[],
  has: typeof heldBy,
): number[] => members.map(({ id }) => buckets.filter((bucket) => has(bucket, id)).length);

/** Replicas of members that did not hold the bucket before. */
export function begun(
  before: readonly BucketAssignment[],
  after: readonly BucketAssignment[],
): number {
  return after
    .map(({ replicas }, at) => {
      const old = before[at] as BucketAssignment;
      return replicas.filter(({ member }) => !heldBy(old, member)).length;
    })
    .reduce((sum, count) => sum + count, 0);
}

export function checkPlacement(step: PlacementCase): void {
  const { before, after, members, options } = step;
  assert.equal(after.length, before.length);
  for (const [at, bucket] of after.entries()) {
    checkBucket(before[at] as BucketAssignment, bucket, step);
  }
  if (!options.rebalance) {
    checkLeadersKept(step);
    return;
  }
  checkEven(after, members);
  checkLeadersEven(after, members);
}

function checkBucket(
  before: BucketAssignment,
  after: BucketAssignment,
  { members, options: { factor, version } }: PlacementCase,
): void {
  const ids = after.replicas.map(({ member }) => member);
  assert.equal(ids.length, Math.min(factor, members.length));
  assert.equal(new Set(ids).size, ids.length, 'a member holds a bucket once');
  for (const { member, since } of after.replicas) {
    assert(members.some(({ id }) => id === member));
    const stay = before.replicas.find((replica) => replica.member === member);
    assert.equal(since, stay?.since ?? version);
  }
  assert(ids.includes(after.preferred));
  assert.equal(after.origin, before.origin);
  assert(isSpread(ids, members), 'copies are spread over zones');
}

const zonesOf = (members: readonly PlacementMember[]): string[] =>
  members.every(({ zone }) => zone !== null)
    ? [...new Set(members.map(({ zone }) => zone as string))]
    : [];

/** As many zones as there can be, and no zone has two copies more than another one that has room. */
function isSpread(ids: readonly string[], members: readonly PlacementMember[]): boolean {
  const zones = zonesOf(members).map((zone) => {
    const there = members.filter((member) => member.zone === zone).map(({ id }) => id);
    return { used: there.filter((id) => ids.includes(id)).length, room: there.length };
  });
  if (zones.length === 0) return true;
  const used = zones.filter((zone) => zone.used > 0).length;
  if (used !== Math.min(zones.length, ids.length)) return false;
  return !zones.some((a) => zones.some((b) => b.used < b.room && a.used >= b.used + 2));
}

/** Of two members that differ by two or more, none could give the other one a place without harm to zones. */
function checkEven(
  buckets: readonly BucketAssignment[],
  members: readonly PlacementMember[],
): void {
  const counts = countsOf(members, buckets, heldBy);
  const zones = zonesOf(members);
  for (const [a, rich] of members.entries()) {
    for (const [b, poor] of members.entries()) {
      if ((counts[a] as number) < (counts[b] as number) + 2) continue;
      const isFree = zones.length === 0 || rich.zone === poor.zone;
      const mayShift = buckets.some(({ replicas }) =>
        canShift(
          replicas.map(({ member }) => member),
          rich,
          poor,
          members,
        ),
      );
      assert(!isFree && !mayShift, `${rich.id} and ${poor.id} hold ${counts.join(', ')}`);
    }
  }
}

/** Whether some copy could go from a zone to another one. */
function canShift(
  ids: readonly string[],
  from: PlacementMember,
  to: PlacementMember,
  members: readonly PlacementMember[],
): boolean {
  const inZone = ({ zone }: PlacementMember): string[] =>
    members.filter((member) => member.zone === zone).map(({ id }) => id);
  const leaves = inZone(from).find((id) => ids.includes(id));
  const comes = inZone(to).find((id) => !ids.includes(id));
  if (leaves === undefined || comes === undefined) return false;
  return isSpread([...ids.filter((id) => id !== leaves), comes], members);
}

/** Nobody could hand leadership on, one to the next, to somebody who is preferred twice less. */
function checkLeadersEven(
  buckets: readonly BucketAssignment[],
  members: readonly PlacementMember[],
): void {
  const counts = new Map(
    members.map(({ id }) => [id, buckets.filter((bucket) => ledBy(bucket, id)).length]),
  );
  for (const [id, count] of counts) {
    const reached = new Set([id]);
    for (const from of reached) {
      for (const bucket of buckets) {
        if (ledBy(bucket, from)) for (const { member } of bucket.replicas) reached.add(member);
      }
    }
    const least = Math.min(...[...reached].map((other) => counts.get(other) as number));
    assert(count - least <= 1, `${id} leads ${String(count)}`);
  }
}

function checkLeadersKept({ before, after }: PlacementCase): void {
  for (const [at, bucket] of after.entries()) {
    const { preferred } = before[at] as BucketAssignment;
    if (heldBy(bucket, preferred)) assert.equal(bucket.preferred, preferred);
  }
}

/** Replicas that have to begin: a bucket for itself, filled zone by zone, where there is something to keep first. */
export function leastBegun({ before, members, options }: PlacementCase): number {
  const zones = zonesOf(members);
  const factor = Math.min(options.factor, members.length);
  return before
    .map(({ replicas }) => {
      const kept = members.filter(({ id }) => replicas.some(({ member }) => member === id));
      if (zones.length === 0) return factor - Math.min(kept.length, factor);
      const rooms = zones.map((zone) => ({
        room: members.filter((member) => member.zone === zone).length,
        kept: kept.filter((member) => member.zone === zone).length,
        used: 0,
      }));
      let stay = 0;
      for (let i = 0; i < factor; i += 1) {
        const level = Math.min(...rooms.filter((z) => z.used < z.room).map((z) => z.used));
        const open = rooms.filter((z) => z.used === level && z.used < z.room);
        const next = open.find((z) => z.kept > z.used) ?? open[0];
        if (next === undefined) break;
        if (next.kept > next.used) stay += 1;
        next.used += 1;
      }
      return factor - stay;
    })
    .reduce((sum, count) => sum + count, 0);
}
