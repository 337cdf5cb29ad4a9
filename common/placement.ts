/**
 * Which members are to hold which bucket, and who is to lead it. Pure; the same for members in any order.
 *
 * Invariants
 * - A bucket has `min(factor, members)` replicas on as many members, spread over the zones as evenly as their members allow.
 * - With `rebalance`, members hold as many replicas as each other, and are as often preferred, but for one, where zones allow;
 *   of all such placements it is one that moves least. Without, it is the most even one of those that move least.
 * - A replica keeps its `since` where its member held the bucket before; where nothing is to change, nothing does.
 *
 * Both questions are minimum-cost flows: buckets send their replicas to members, a member's next replica costs more than the one
 * before, and a replica that is there already costs least. Rendezvous hashing decides between equals, so that buckets of one
 * member are spread over the others.
 */
import { assert } from './assert.ts';
import type { Assignment, BucketAssignment, Replica } from './assignment.ts';
import { MinCostFlow } from './min-cost-flow.ts';

export interface PlacementMember {
  /** Member id. */
  readonly id: string;
  /** Zones matter where all members have one. */
  readonly zone: string | null;
}

export interface PlacementOptions {
  /** Replicas of a bucket, where there are as many members. */
  readonly factor: number;
  /** Of the assignment that it is for: replicas that begin with it have it as their `since`. */
  readonly version: number;
  /** False: only what has to move does. */
  readonly rebalance: boolean;
}

/**
 * Buckets placed on `members`, those who may hold something from now on: at least one, each id once. Who is missing there holds
 * nothing any more.
 */
export function place(
  current: Pick<Assignment, 'buckets'>,
  members: readonly PlacementMember[],
  options: PlacementOptions,
): BucketAssignment[] {
  assert(members.length > 0, 'somebody is to hold the buckets');
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const placed = placeReplicas(current.buckets, sorted, options);
  return preferLeaders(placed, sorted, options);
}

/** Buckets of a cluster that is new. */
export function firstPlacement(
  bucketCount: number,
  members: readonly PlacementMember[],
  options: Omit<PlacementOptions, 'rebalance'>,
): BucketAssignment[] {
  const buckets = Array.from({ length: bucketCount }, () => ({ replicas: [], preferred: '' }));
  return place({ buckets }, members, { ...options, rebalance: true });
}

/** Nodes of the flow: the end is 0, members follow. */
const END = 0;
const memberNode = (member: number): number => 1 + member;

function placeReplicas(
  buckets: readonly BucketAssignment[],
  members: readonly PlacementMember[],
  options: PlacementOptions,
): BucketAssignment[] {
  const factor = Math.min(options.factor, members.length);
  const zones = spreadOver(members, factor);
  const weights = weigh(factor * buckets.length, buckets.length, options.rebalance);
  // A bucket is a node, and one for each zone: what a zone gets in any case begins there.
  const nodeOf = (bucket: number, zone: number): number =>
    memberNode(members.length) + bucket * (zones.length + 1) + zone;
  const flow = new MinCostFlow(nodeOf(buckets.length, 0));
  addEnds(flow, members.length, buckets.length, weights);
  const arcs = buckets.map((bucket, at) =>
    zones.flatMap(({ held, least, most }, zone) => {
      if (most > least) flow.arc(nodeOf(at, zones.length), nodeOf(at, zone), most - least, 0);
      return held.map((member) => {
        const cost = costOf(bucket, at, (members[member] as PlacementMember).id, weights);
        return { member, arc: flow.arc(nodeOf(at, zone), memberNode(member), 1, cost) };
      });
    }),
  );
  const spare = factor - zones.reduce((sum, { least }) => sum + least, 0);
  for (const at of buckets.keys()) {
    for (const [zone, { least }] of zones.entries()) send(flow, nodeOf(at, zone), least);
    send(flow, nodeOf(at, zones.length), spare);
  }
  return buckets.map((bucket, at) => {
    const chosen = (arcs[at] ?? []).filter(({ arc }) => flow.flow(arc) === 1);
    const ids = chosen.map(({ member }) => (members[member] as PlacementMember).id);
    return withHolders(bucket, ids, options.version);
  });
}

/** Who stays keeps its place in the list. */
function withHolders(bucket: BucketAssignment, ids: string[], version: number): BucketAssignment {
  const stay = bucket.replicas.filter(({ member }) => ids.includes(member));
  const come = ids.filter((id) => !stay.some(({ member }) => member === id)).sort();
  return { ...bucket, replicas: [...stay, ...come.map((member) => ({ member, since: version }))] };
}

function preferLeaders(
  buckets: readonly BucketAssignment[],
  members: readonly PlacementMember[],
  { version, rebalance }: PlacementOptions,
): BucketAssignment[] {
  const weights = weigh(buckets.length, buckets.length, rebalance);
  const numbers = new Map(members.map(({ id }, member) => [id, member]));
  const nodeOf = (bucket: number): number => memberNode(members.length) + bucket;
  const flow = new MinCostFlow(nodeOf(buckets.length));
  addEnds(flow, members.length, buckets.length, weights);
  const arcs = buckets.map(({ replicas, preferred }, at) =>
    replicas.map(({ member, since }) => {
      // Of those who could, rather one who has the bucket already.
      const tie = (hashOf(at, member) % HALF_TIES) + (since === version ? HALF_TIES : 0);
      const cost = member === preferred ? 0 : weights.move + tie;
      return flow.arc(nodeOf(at), memberNode(numbers.get(member) as number), 1, cost);
    }),
  );
  for (const at of buckets.keys()) send(flow, nodeOf(at), 1);
  return buckets.map((bucket, at) => {
    const led = (arcs[at] ?? []).findIndex((arc) => flow.flow(arc) === 1);
    return { ...bucket, preferred: (bucket.replicas[led] as Replica).member };
  });
}

function send(flow: MinCostFlow, from: number, units: number): void {
  for (let i = 0; i < units; i += 1) assert(flow.send(from, END), 'there is room for a replica');
}

/** The more a member has, the more the next one costs. */
function addEnds(flow: MinCostFlow, members: number, capacity: number, { balance }: Weights): void {
  for (let member = 0; member < members; member += 1) {
    flow.arc(memberNode(member), END, capacity, 0, balance);
  }
}

interface Zone {
  /** Numbers of its members. */
  readonly held: readonly number[];
  /** Replicas of every bucket in it. */
  readonly least: number;
  readonly most: number;
}

/** Zones are filled evenly, as far as their members go: no two of them differ by more than one in a bucket, where they can help it. */
function spreadOver(members: readonly PlacementMember[], factor: number): Zone[] {
  const matter = members.every(({ zone }) => zone !== null);
  const byZone = new Map<string | null, number[]>();
  for (const [member, { zone }] of members.entries()) {
    const key = matter ? zone : null;
    byZone.set(key, [...(byZone.get(key) ?? []), member]);
  }
  const zones = [...byZone.values()];
  const room = (level: number): number =>
    zones.reduce((sum, held) => sum + Math.min(held.length, level), 0);
  let level = 1;
  while (room(level) < factor) level += 1;
  return zones.map((held) => ({
    held,
    least: Math.min(held.length, level - 1),
    most: Math.min(held.length, level),
  }));
}

interface Weights {
  /** Of a replica where none was. */
  readonly move: number;
  /** Of a member's next replica, over the one before. */
  readonly balance: number;
}

const TIES = 16;
const HALF_TIES = 8;

/** What comes first outweighs all that comes after it, whatever it sums up to; ties are below {@link TIES}. */
function weigh(units: number, capacity: number, rebalance: boolean): Weights {
  const least = TIES * units + 1;
  return rebalance
    ? { move: least, balance: least * (units + 1) }
    : { balance: least, move: least * (units * capacity + 1) };
}

/** Of holders of a bucket, the newest goes first: it may not have got all of it yet. */
function costOf(
  { replicas }: BucketAssignment,
  at: number,
  member: string,
  { move }: Weights,
): number {
  const held = replicas.find((replica) => replica.member === member);
  if (held === undefined) return move + (hashOf(at, member) % TIES);
  const older = replicas.filter(({ since }) => since < held.since).length;
  return Math.min(older, TIES - 1);
}

/** 32 bits. */
function hashOf(bucket: number, member: string): number {
  let hash = 0x811c9dc5 ^ bucket;
  for (let i = 0; i < member.length; i += 1) {
    hash = Math.imul(hash ^ member.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}
