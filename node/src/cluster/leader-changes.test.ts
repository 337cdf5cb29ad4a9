import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SierraError } from '../../../common/errors.ts';
import { seededRandom } from '../../../common/random.ts';
import { seeds } from '../../../common/testing/seeds.ts';
import type { Feed, FeedTarget } from '../engine/types.ts';
import type { Router } from './router.ts';
import { MemoryCluster } from './testing/memory-cluster.ts';
import {
  draft,
  append,
  appendThroughAll,
  collect,
  rangeOf,
  versionOf,
  turn,
  targetOf,
  streamOfBucket,
} from './testing/routed-events.ts';

/** They run in real time: a seed takes a second. */
const drawn = seeds(3, 5);

describe('while leaders change', () => {
  for (const seed of drawn) {
    test(`nothing acknowledged is lost, and every read sees it (SEED=${String(seed)})`, async () => {
      await using cluster = await MemoryCluster.open({ seed });
      await cluster.led();
      await new ChangingRun(cluster, seed).run();
    });
  }
});

/** Callers append and read through random members, while leaders hand over and members are cut off. */
class ChangingRun {
  readonly #cluster: MemoryCluster;
  readonly #random: ReturnType<typeof seededRandom>;
  #isOver = false;
  #acknowledged = 0;

  constructor(cluster: MemoryCluster, seed: number) {
    this.#cluster = cluster;
    this.#random = seededRandom(seed);
  }

  async run(): Promise<void> {
    const callers = Array.from({ length: 8 }, (_, i) => this.#call(`caller-${String(i)}`));
    for (let i = 0; i < 6; i += 1) {
      await this.#disturb(i);
    }
    this.#isOver = true;
    await Promise.all(callers);
    assert(this.#acknowledged > 50, `${String(this.#acknowledged)} acknowledged`);
  }

  async #disturb(round: number): Promise<void> {
    const cluster = this.#cluster;
    const bucket = this.#random.below(4);
    if (round % 2 === 0) {
      cluster.transfer(bucket);
      await this.#more(20);
      return;
    }
    const cut = cluster.leader(bucket);
    if (cut === null) return;
    cut.isCutOff = true;
    await this.#more(20);
    cut.isCutOff = false;
    await this.#more(20);
  }

  /** Resolves when so many more appends were acknowledged. */
  async #more(count: number): Promise<void> {
    const goal = this.#acknowledged + count;
    while (this.#acknowledged < goal) await turn();
  }

  #router(): Router {
    const up = this.#cluster.members.filter(({ isCutOff }) => !isCutOff);
    return (up[this.#random.below(up.length)] as (typeof up)[0]).router;
  }

  /** Appends to a stream of its own: after an unknown outcome it looks what has become of it. */
  async #call(stream: string): Promise<void> {
    let next = 0;
    while (!this.#isOver) {
      const id = Buffer.alloc(16);
      this.#random.fill(id);
      const expected = next === 0 ? 'empty' : next - 1;
      const mayRepeat = this.#random.below(2) === 0;
      try {
        const event = draft(stream, '', { expected, ...(mayRepeat && { id }) });
        const appended = await append(this.#router(), event);
        assert.equal(appended.events[0]?.version, next);
        next += 1;
        this.#acknowledged += 1;
      } catch (error) {
        assert(error instanceof SierraError);
        if (error.code === 'TRYAGAIN') continue;
        assert.equal(error.code, 'QUORUMFAILED', error.message);
        const version = (await retried(() => versionOf(this.#router(), stream))) ?? -1;
        assert(
          version === next - 1 || version === next,
          `${String(version)} is not ${String(next)}`,
        );
        next = version + 1;
      }
      const version = await retried(() => versionOf(this.#router(), stream));
      assert.equal(version ?? -1, next - 1, 'a read sees what was acknowledged');
    }
    const router = this.#router();
    const seen: string[] = [];
    await router.readStream(rangeOf(router, stream), collect(seen));
    assert.equal(seen.length, next);
  }
}

async function retried<T>(read: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof SierraError && error.code === 'TRYAGAIN')) throw error;
    }
  }
}

describe('a planned hand-over', () => {
  test('costs nobody an append', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    const end = appendThroughAll(cluster);
    for (let i = 0; i < 12; i += 1) {
      const bucket = i % 4;
      const before = cluster.leader(bucket);
      cluster.transfer(bucket);
      while (cluster.leader(bucket) === before || cluster.leader(bucket) === null) await turn();
    }
    for (const count of await end()) assert(count > 0);
  });
});

describe('an append that is not decided yet', () => {
  test('is decided before the leader hands over', async () => {
    await using cluster = await MemoryCluster.open();
    await cluster.led();
    for (let i = 0; i < 8; i += 1) {
      const leader = cluster.leader(0);
      assert(leader !== null);
      const { router } = leader;
      const stream = streamOfBucket(router, 0);
      const id = Buffer.alloc(16, i + 1);
      const { events } = await append(router, draft(stream, '', { id }));
      // What became of the first one has to be read; the second stands behind it.
      const again = append(router, draft(stream, '', { id }));
      const next = append(router, draft(stream));
      cluster.transfer(0);
      assert.equal((await again).events[0]?.version, events[0]?.version);
      assert.equal((await next).events[0]?.version, (events[0]?.version ?? 0) + 1);
      while (cluster.leader(0) === leader || cluster.leader(0) === null) await turn();
    }
  });
});

describe('feeds of buckets that are held elsewhere', () => {
  for (const seed of drawn) {
    test(`show every event once while leaders change (SEED=${String(seed)})`, async () => {
      await using cluster = await MemoryCluster.open({ members: 5, seed });
      await cluster.led();
      const stranger = cluster.members.find(({ store }) => store.group(0) === undefined);
      assert(stranger !== undefined);
      const { router } = stranger;
      const stream = streamOfBucket(router, 0);
      await append(router, draft(stream, 'before'));
      const latest = new Follower();
      const whole = new Follower();
      await latest.open(router, targetOf(router, stream), 'latest');
      const { partition } = await append(router, draft(stream, 'first'));
      await whole.open(router, { kind: 'partition', partition }, 0);
      const random = seededRandom(seed);
      for (let i = 0; i < 60; i += 1) {
        if (i % 10 === 5) cluster.transfer(0);
        await append(cluster.member(random.below(5)).router, draft(stream, String(i)));
      }
      while (whole.positions.length < 62 || latest.positions.length < 61) await turn();
      assert.deepEqual(
        whole.positions,
        Array.from({ length: 62 }, (_, i) => i),
      );
      assert.deepEqual(
        latest.positions,
        Array.from({ length: 61 }, (_, i) => i + 1),
      );
      whole.close();
      latest.close();
    });
  }
});

/** Follows a feed as a subscription does. */
class Follower {
  readonly positions: number[] = [];
  #position = 0;
  #feed: Feed | null = null;
  #isReading = false;

  async open(router: Router, target: FeedTarget, from: number | 'latest'): Promise<void> {
    this.#feed = await router.openFeed(target, this);
    this.#position = from === 'latest' ? ((await this.#feed.latest?.()) ?? this.#feed.end) : from;
    this.advanced();
  }

  advanced(): void {
    if (!this.#isReading && this.#feed !== null) void this.#read(this.#feed);
  }

  close(): void {
    this.#feed?.close(this);
  }

  async #read(feed: Feed): Promise<void> {
    this.#isReading = true;
    while (feed.end > this.#position) {
      await feed.read(this.#position, 7, ({ sequence }) => {
        this.positions.push(sequence);
        this.#position += 1;
        return true;
      });
    }
    this.#isReading = false;
  }
}
