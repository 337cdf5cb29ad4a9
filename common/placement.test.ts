import assert from 'node:assert/strict';
import test from 'node:test';

import type { BucketAssignment } from './assignment.ts';
import { firstPlacement, place, type PlacementMember } from './placement.ts';
import { type Random, seededRandom } from './random.ts';
import {
  begun,
  checkPlacement,
  countsOf,
  heldBy,
  ledBy,
  leastBegun,
  type PlacementCase,
} from './testing/placement-rules.ts';
import { seeds, underSeed } from './testing/seeds.ts';

const FILE = 'common/placement.test.ts';

const members = (count: number, zones: number = 0): PlacementMember[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `m${String(i)}`,
    zone: zones === 0 ? null : `z${String(i % zones)}`,
  }));

const spread = (counts: readonly number[]): number => Math.max(...counts) - Math.min(...counts);

test('a first placement is even, for leaders as well', () => {
  const buckets = firstPlacement(32, members(5), { factor: 3, version: 1 });
  assert.deepEqual(countsOf(members(5), buckets, heldBy).sort(), [19, 19, 19, 19, 20]);
  assert.deepEqual(countsOf(members(5), buckets, ledBy).sort(), [6, 6, 6, 7, 7]);
  assert(buckets.every(({ replicas }) => replicas.every(({ since }) => since === 1)));
});

test('buckets of one member are spread over all others', () => {
  const buckets = firstPlacement(64, members(8), { factor: 3, version: 1 });
  const shared = buckets.filter(({ replicas }) => replicas.some(({ member }) => member === 'm0'));
  assert(countsOf(members(8), shared, heldBy).every((count) => count > 0));
});

test('there are fewer copies where there are fewer members', () => {
  const buckets = firstPlacement(4, members(2), { factor: 3, version: 1 });
  assert.deepEqual(countsOf(members(2), buckets, heldBy), [4, 4]);
  const more = place({ buckets }, members(3), { factor: 3, version: 2, rebalance: false });
  assert.deepEqual(countsOf(members(3), more, heldBy), [4, 4, 4]);
  assert(
    more.every(({ replicas }) => replicas[2]?.since === 2),
    'who was there stays first',
  );
});

test('a new member gets its share and nothing else moves, unless nothing is to be moved', () => {
  const buckets = firstPlacement(32, members(3), { factor: 3, version: 1 });
  const options = { factor: 3, version: 2 };
  const after = place({ buckets }, members(4), { ...options, rebalance: true });
  assert.deepEqual(countsOf(members(4), after, heldBy), [24, 24, 24, 24]);
  assert.deepEqual(countsOf(members(4), after, ledBy), [8, 8, 8, 8]);
  assert.equal(begun(buckets, after), 24);
  assert.deepEqual(place({ buckets }, members(4), { ...options, rebalance: false }), buckets);
});

test('a member that is not named any more holds nothing; the others keep what they have', () => {
  const buckets = firstPlacement(32, members(4), { factor: 3, version: 1 });
  const rest = members(4).slice(1);
  const after = place({ buckets }, rest, { factor: 3, version: 2, rebalance: false });
  assert.deepEqual(countsOf(members(4), after, heldBy), [0, 32, 32, 32]);
  assert.equal(begun(buckets, after), 24);
});

test('the newest copy goes first where there is one too many', () => {
  const replicas = [
    { member: 'm2', since: 3 },
    { member: 'm0', since: 7 },
    { member: 'm1', since: 2 },
  ];
  const buckets = [{ replicas, preferred: 'm2' }];
  const [after] = place({ buckets }, members(3), { factor: 2, version: 8, rebalance: false });
  assert.deepEqual(after?.replicas, [replicas[0], replicas[2]]);
});

test('who leads next has the bucket already, where it makes no difference otherwise', () => {
  const buckets = firstPlacement(1, members(2), { factor: 2, version: 1 });
  const lost = buckets[0]?.preferred;
  const rest = members(8).filter(({ id }) => id !== lost);
  const [after] = place({ buckets }, rest, { factor: 4, version: 2, rebalance: true });
  assert.equal(after?.replicas.find(({ member }) => member === after.preferred)?.since, 1);
});

test('copies are in different zones, however uneven that is', () => {
  const uneven = [
    { id: 'a', zone: 'one' },
    ...['b', 'c', 'd', 'e'].map((id) => ({ id, zone: 'two' })),
  ];
  const buckets = firstPlacement(8, uneven, { factor: 2, version: 1 });
  assert.deepEqual(countsOf(uneven, buckets, heldBy), [8, 2, 2, 2, 2]);
  const four = firstPlacement(8, members(6, 3), { factor: 4, version: 1 });
  for (const { replicas } of four) {
    const zones = new Set(replicas.map(({ member }) => Number(member.slice(1)) % 3));
    assert.equal(zones.size, 3);
  }
});

test('copies that share a zone are moved to one that has none, even where nothing is rebalanced', () => {
  const buckets = firstPlacement(8, members(2), { factor: 2, version: 1 });
  const zoned = ['one', 'one', 'two'].map((zone, i) => ({ id: `m${String(i)}`, zone }));
  const after = place({ buckets }, zoned, { factor: 2, version: 2, rebalance: false });
  assert.equal(begun(buckets, after), 8);
  assert.deepEqual(countsOf(zoned, after, heldBy), [4, 4, 8]);
});

test('the origin of a bucket stays', () => {
  const buckets = firstPlacement(2, members(1), { factor: 1, version: 1 });
  const old = buckets.map((bucket) => ({ ...bucket, origin: 'older' }));
  const options = { factor: 3, version: 2, rebalance: true };
  const after = place({ buckets: old }, members(3), options);
  assert.deepEqual(
    after.map(({ origin }) => origin),
    ['older', 'older'],
  );
});

/** What a cluster is, and what it becomes. */
class RandomCluster {
  readonly #random: Random;
  readonly #zones: number;
  members: PlacementMember[] = [];
  factor: number;
  rebalance = true;
  #ids = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#zones = random.below(5);
    this.factor = 1 + random.below(5);
    for (let i = random.below(9); i >= 0; i -= 1) this.#add();
  }

  get hasZones(): boolean {
    return this.#zones > 0;
  }

  #add(): void {
    const id = `${String(this.#random.below(1000))}-${String((this.#ids += 1))}`;
    // Zones of very different sizes, too.
    const zone = this.#random.below(1 + this.#random.below(this.#zones + 1));
    this.members.push({ id, zone: this.hasZones ? `z${String(zone)}` : null });
  }

  #remove(): void {
    if (this.members.length > 1) this.members.splice(this.#random.below(this.members.length), 1);
  }

  #exchange(): void {
    for (let i = this.#random.below(3); i >= 0; i -= 1) {
      this.#add();
      this.#remove();
    }
  }

  change(): 'added' | 'removed' | 'other' {
    const choice = this.#random.below(8);
    this.members = shuffled(this.#random, this.members);
    if (choice < 3) this.#add();
    else if (choice < 5) this.#remove();
    else if (choice === 5) this.factor = 1 + this.#random.below(5);
    else if (choice === 6) this.rebalance = !this.rebalance;
    else this.#exchange();
    return choice < 3 ? 'added' : choice < 5 ? 'removed' : 'other';
  }
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, key: random.below(2 ** 32) }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** How much more moves than has to; where members may hold what they like, it can be said beforehand. */
function checkMoves(step: PlacementCase, change: string, wasEven: boolean, isZoned: boolean): void {
  const { before, after, members: to, options } = step;
  const moves = begun(before, after);
  const least = leastBegun(step);
  assert(moves >= least);
  if (!options.rebalance) {
    assert.equal(moves, least, 'nothing moves that need not');
    return;
  }
  if (!wasEven) return;
  const replicas = after.reduce((sum, bucket) => sum + bucket.replicas.length, 0);
  const share = Math.ceil(replicas / to.length);
  if (change === 'added') {
    const isFuller = to.length <= options.factor;
    assert(moves <= (isZoned ? share + after.length : isFuller ? after.length : share));
  }
}

function runSeed(seed: number): void {
  const random = seededRandom(seed);
  const cluster = new RandomCluster(random);
  const bucketCount = 1 + random.below(random.below(4) === 0 ? 48 : 12);
  let version = 1;
  let wasEven = true;
  let before: BucketAssignment[] = firstPlacement(bucketCount, cluster.members, {
    ...{ factor: cluster.factor, version },
  });
  const empty = before.map(() => ({ replicas: [], preferred: '' }));
  const first = { factor: cluster.factor, version, rebalance: true };
  checkPlacement({ before: empty, after: before, members: cluster.members, options: first });
  for (let i = 0; i < 6; i += 1) {
    version += 1;
    const change = cluster.change();
    const options = { factor: cluster.factor, version, rebalance: cluster.rebalance };
    const after = place({ buckets: before }, cluster.members, options);
    const step = { before, after, members: cluster.members, options };
    checkPlacement(step);
    checkMoves(step, change, wasEven, cluster.hasZones);
    const again = place({ buckets: after }, shuffled(random, cluster.members), {
      ...options,
      version: version + 1,
    });
    assert.deepEqual(again, after, 'nothing is left to do, whatever the order of members');
    const other = place({ buckets: before }, shuffled(random, cluster.members), options);
    assert.deepEqual(other, after, 'the order of members does not matter');
    wasEven = cluster.rebalance;
    before = after;
  }
}

test('random clusters that grow, shrink and change keep all rules', async () => {
  for (const seed of seeds(150)) await underSeed(FILE, seed, async (own) => runSeed(own));
});

test('256 buckets on 64 nodes: a node that comes or goes moves its share', () => {
  const all = members(64, 3);
  const before = firstPlacement(256, all.slice(1), { factor: 3, version: 1 });
  const options = { factor: 3, rebalance: true };
  const more = place({ buckets: before }, all, { ...options, version: 2 });
  assert(begun(before, more) <= 12);
  const fewer = place({ buckets: more }, all.slice(0, -1), { ...options, version: 3 });
  assert.equal(begun(more, fewer), countsOf(all.slice(-1), more, heldBy)[0]);
  assert(spread(countsOf(all.slice(0, -1), fewer, heldBy)) <= 1);
});
