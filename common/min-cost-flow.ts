/**
 * Minimum-cost flow by successive shortest paths. Whoever uses it adds arcs, then sends one unit after the other; each goes the
 * cheapest way, and turns units before it into another one where that is cheaper in sum.
 *
 * Invariants
 * - After every {@link MinCostFlow.send} no flow of the same units from the same nodes costs less.
 * - The same calls in the same order give the same flow.
 *
 * Costs are whole numbers from 0 on, exact as long as those of a path stay below 2^53.
 */
import { assert } from './assert.ts';

export class MinCostFlow {
  /** By arc; an odd one is the way back of the even one before it. */
  readonly #to: number[] = [];
  readonly #room: number[] = [];
  readonly #cost: number[] = [];
  readonly #step: number[] = [];
  /** Arcs by the node that they leave. */
  readonly #out: number[][];
  /** Keeps the costs of a search from being negative: what an arc costs there is `cost + height[from] - height[to]`. */
  readonly #height: Float64Array;
  readonly #distance: Float64Array;
  readonly #reachedBy: Int32Array;
  readonly #isDone: Uint8Array;
  /** Nodes whose distance is set. */
  readonly #seen: number[] = [];
  readonly #queue = new NodeQueue();

  constructor(nodes: number) {
    this.#out = Array.from({ length: nodes }, () => []);
    this.#height = new Float64Array(nodes);
    this.#distance = new Float64Array(nodes).fill(Infinity);
    this.#reachedBy = new Int32Array(nodes);
    this.#isDone = new Uint8Array(nodes);
  }

  /** The n-th unit over it costs `cost + (n - 1) * step`. To be added before the first unit is sent. Answers its number. */
  arc(from: number, to: number, capacity: number, cost: number, step: number = 0): number {
    assert(cost >= 0 && step >= 0, 'an arc gives nothing back');
    const arc = this.#to.length;
    this.#to.push(to, from);
    this.#room.push(capacity, 0);
    this.#cost.push(cost, -cost);
    this.#step.push(step, step);
    this.#out[from]?.push(arc);
    this.#out[to]?.push(arc + 1);
    return arc;
  }

  /** Units that go over an arc. */
  flow(arc: number): number {
    return this.#room[arc + 1] ?? 0;
  }

  /** One unit more. False: there is no way for it, and all is as it was. */
  send(from: number, to: number): boolean {
    const isFound = this.#search(from, to);
    if (isFound) {
      for (let node = to; node !== from;) {
        const arc = this.#reachedBy[node] as number;
        this.#push(arc);
        node = this.#to[arc ^ 1] as number;
      }
      this.#settle(this.#distance[to] as number);
    }
    for (const node of this.#seen) {
      this.#distance[node] = Infinity;
      this.#isDone[node] = 0;
    }
    this.#seen.length = 0;
    this.#queue.clear();
    return isFound;
  }

  #push(arc: number): void {
    const back = arc ^ 1;
    const step = this.#step[arc] as number;
    this.#room[arc] = (this.#room[arc] as number) - 1;
    this.#room[back] = (this.#room[back] as number) + 1;
    // The unit after it costs more, and giving it back saves what it has cost.
    const cost = this.#cost[arc] as number;
    this.#cost[arc] = cost + step;
    this.#cost[back] = -cost;
  }

  /** Dijkstra's search, up to where `to` is reached. */
  #search(from: number, to: number): boolean {
    this.#reach(from, 0, -1);
    for (;;) {
      const node = this.#queue.pop();
      if (node === -1) return false;
      if (this.#isDone[node] === 1) continue;
      if (node === to) return true;
      this.#isDone[node] = 1;
      const base = (this.#distance[node] as number) + (this.#height[node] as number);
      for (const arc of this.#out[node] ?? []) {
        if (this.#room[arc] === 0) continue;
        const next = this.#to[arc] as number;
        const distance = base + (this.#cost[arc] as number) - (this.#height[next] as number);
        if (distance < (this.#distance[next] as number)) this.#reach(next, distance, arc);
      }
    }
  }

  #reach(node: number, distance: number, arc: number): void {
    if (this.#distance[node] === Infinity) this.#seen.push(node);
    this.#distance[node] = distance;
    this.#reachedBy[node] = arc;
    this.#queue.push(node, distance);
  }

  /** Those that are nearer than the end are lowered by the difference: no arc costs less than nothing then, the ways back too. */
  #settle(end: number): void {
    for (const node of this.#seen) {
      const distance = this.#distance[node] as number;
      if (distance < end) this.#height[node] = (this.#height[node] as number) + distance - end;
    }
  }
}

/** Nodes by distance: a binary heap. A node may be in it more than once. */
class NodeQueue {
  readonly #nodes: number[] = [];
  readonly #distances: number[] = [];

  clear(): void {
    this.#nodes.length = 0;
    this.#distances.length = 0;
  }

  push(node: number, distance: number): void {
    let at = this.#nodes.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#distances[parent] as number) <= distance) break;
      this.#copy(parent, at);
      at = parent;
    }
    this.#nodes[at] = node;
    this.#distances[at] = distance;
  }

  /** The nearest one; -1: there is none. */
  pop(): number {
    const first = this.#nodes[0];
    const node = this.#nodes.pop();
    const distance = this.#distances.pop();
    if (first === undefined || node === undefined || distance === undefined) return -1;
    const { length } = this.#nodes;
    if (length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      const right = this.#distances[child + 1];
      if (right !== undefined && right < (this.#distances[child] as number)) child += 1;
      if ((this.#distances[child] as number) >= distance) break;
      this.#copy(child, at);
      at = child;
    }
    this.#nodes[at] = node;
    this.#distances[at] = distance;
    return first;
  }

  #copy(from: number, to: number): void {
    this.#nodes[to] = this.#nodes[from] as number;
    this.#distances[to] = this.#distances[from] as number;
  }
}
