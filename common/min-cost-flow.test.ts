import assert from 'node:assert/strict';
import test from 'node:test';

import { MinCostFlow } from './min-cost-flow.ts';
import { type Random, seededRandom } from './random.ts';
import { seeds, underSeed } from './testing/seeds.ts';

const FILE = 'common/min-cost-flow.test.ts';

interface Arc {
  readonly from: number;
  readonly to: number;
  readonly capacity: number;
  readonly cost: number;
  readonly step: number;
  readonly id: number;
}

interface Way {
  readonly from: number;
  readonly to: number;
  readonly cost: number;
}

/** Where another unit could go, and where one could go back. */
function waysLeft(flow: MinCostFlow, arcs: readonly Arc[]): Way[] {
  return arcs.flatMap(({ from, to, capacity, cost, step, id }) => {
    const units = flow.flow(id);
    assert(units >= 0 && units <= capacity);
    return [
      ...(units < capacity ? [{ from, to, cost: cost + step * units }] : []),
      ...(units > 0 ? [{ from: to, to: from, cost: -(cost + step * (units - 1)) }] : []),
    ];
  });
}

/** Bellman and Ford: whether something could be saved by sending units round in a circle. */
function hasCheaper(nodes: number, ways: readonly Way[]): boolean {
  const least = new Array<number>(nodes).fill(0);
  for (let round = 0; round <= nodes; round += 1) {
    let changed = false;
    for (const { from, to, cost } of ways) {
      const sum = (least[from] as number) + cost;
      if (sum >= (least[to] as number)) continue;
      least[to] = sum;
      changed = true;
    }
    if (!changed) return false;
  }
  return true;
}

function isReachable(from: number, to: number, ways: readonly Way[]): boolean {
  const seen = new Set([from]);
  for (const node of seen) {
    for (const way of ways) if (way.from === node) seen.add(way.to);
  }
  return seen.has(to);
}

/** What every node has got more than it has given. */
function surplus(flow: MinCostFlow, nodes: number, arcs: readonly Arc[]): number[] {
  const sums = new Array<number>(nodes).fill(0);
  for (const { from, to, id } of arcs) {
    sums[from] = (sums[from] as number) - flow.flow(id);
    sums[to] = (sums[to] as number) + flow.flow(id);
  }
  return sums;
}

function randomArcs(random: Random, nodes: number, flow: MinCostFlow): Arc[] {
  return Array.from({ length: 1 + random.below(3 * nodes) }, () => {
    const [from, to] = [random.below(nodes), random.below(nodes)];
    const capacity = random.below(4);
    const cost = random.below(20);
    const step = random.below(2) * random.below(10);
    return { from, to, capacity, cost, step, id: flow.arc(from, to, capacity, cost, step) };
  });
}

test('a unit turns one before it into another way where that is cheaper in sum', () => {
  const flow = new MinCostFlow(4);
  const [start, a, b, end] = [0, 1, 2, 3];
  const first = flow.arc(start, a, 1, 1);
  flow.arc(start, b, 1, 4);
  const across = flow.arc(a, b, 1, 1);
  const last = flow.arc(b, end, 1, 1);
  flow.arc(a, end, 1, 5);
  assert(flow.send(start, end));
  assert.deepEqual([flow.flow(first), flow.flow(across), flow.flow(last)], [1, 1, 1]);
  assert(flow.send(start, end));
  assert.deepEqual([flow.flow(first), flow.flow(across), flow.flow(last)], [1, 0, 1]);
  assert(!flow.send(start, end));
});

test('the next unit over an arc costs a step more', () => {
  const flow = new MinCostFlow(2);
  const even = [flow.arc(0, 1, 9, 0, 10), flow.arc(0, 1, 9, 0, 10), flow.arc(0, 1, 9, 25, 0)];
  for (let i = 0; i < 8; i += 1) assert(flow.send(0, 1));
  assert.deepEqual(
    even.map((arc) => flow.flow(arc)),
    [3, 3, 2],
  );
});

test('random networks: nothing could be cheaper, and what is refused has no way', async () => {
  for (const seed of seeds(300)) {
    await underSeed(FILE, seed, async (own) => {
      const random = seededRandom(own);
      const nodes = 2 + random.below(9);
      const flow = new MinCostFlow(nodes);
      // An arc from a node to itself is never of use.
      const arcs = randomArcs(random, nodes, flow).filter(({ from, to }) => from !== to);
      const expected = new Array<number>(nodes).fill(0);
      for (let i = 0; i < 12; i += 1) {
        const [from, to] = [random.below(nodes), random.below(nodes)];
        if (from === to) continue;
        const isPossible = isReachable(from, to, waysLeft(flow, arcs));
        assert.equal(flow.send(from, to), isPossible);
        if (isPossible) {
          expected[from] = (expected[from] as number) - 1;
          expected[to] = (expected[to] as number) + 1;
        }
        assert.deepEqual(surplus(flow, nodes, arcs), expected);
        assert(!hasCheaper(nodes, waysLeft(flow, arcs)), 'there is a cheaper flow');
      }
    });
  }
});
