/** Replicas are moved between whole members while clients append. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'node:test';

import type { Assignment, Member } from '../../../common/assignment.ts';
import { segmentsFolder } from '../storage/names.ts';
import { WholeMembers, wholeOptions } from './testing/whole-members.ts';

const BUCKETS = [0, 1, 2, 3];
const LOOK_MS = 50;

const keyOf = (client: number): Buffer => createHash('md5').update(String(client)).digest();

/** Resolves when the condition holds; what others do is only seen by looking. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(LOOK_MS);
}

/** Appends to a stream of its own, one event after the other, through one member after the other. */
class Client {
  readonly #members: WholeMembers;
  readonly #number: number;
  readonly #through: readonly number[];
  /** Payloads of acknowledged events, by version. */
  readonly acknowledged = new Map<number, string>();
  slowestMs = 0;
  isDone = false;

  /** Appends through the members with these indexes, those that run. */
  constructor(members: WholeMembers, number: number, through: readonly number[] = [0, 1, 2, 3]) {
    this.#members = members;
    this.#number = number;
    this.#through = through;
  }

  get key(): Buffer {
    return keyOf(this.#number);
  }

  get streamId(): Buffer {
    return Buffer.from(`stream-${String(this.#number)}`);
  }

  async run(): Promise<void> {
    for (let i = 0; !this.isDone; i += 1) {
      const payload = `${String(this.#number)}/${String(i)}`;
      const begunMs = performance.now();
      const version = await this.#append(payload, i);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - begunMs);
      if (version !== null) this.acknowledged.set(version, payload);
    }
  }

  /** Null where it is not known whether it was done. */
  #append(payload: string, turn: number): Promise<number | null> {
    const members = [...this.#members.members.values()];
    const routers = members
      .filter(({ index }) => this.#through.includes(index))
      .map(({ router }) => router);
    const router = routers[turn % routers.length];
    assert(router !== undefined);
    const { promise, resolve } = Promise.withResolvers<number | null>();
    const event = {
      ...{ streamId: this.streamId, eventName: Buffer.from('E'), eventId: null },
      ...({ expectedVersion: 'any', timestamp: null, metadata: Buffer.alloc(0) } as const),
      payload: Buffer.from(payload.padEnd(300, '.')),
    };
    void router.append({ partitionKey: this.key, events: [event] }, (_error, appended) => {
      resolve(appended?.events[0]?.version ?? null);
    });
    return promise;
  }

  /** What the cluster has, read through one member. */
  async read(index: number): Promise<string[]> {
    const { router } = this.#members.member(index);
    const payloads: string[] = [];
    await router.readStream(
      { streamId: this.streamId, partitionKey: this.key, from: 0, to: Number.MAX_SAFE_INTEGER },
      (event) => {
        assert.equal(event.version, payloads.length);
        const text = event.bytes.toString('utf8', event.payloadAt, event.payloadEnd);
        payloads.push(text.replace(/\.+$/, ''));
        return true;
      },
    );
    return payloads;
  }
}

async function assertNothingLost(clients: readonly Client[], through: number): Promise<void> {
  for (const client of clients) {
    const payloads = await client.read(through);
    assert(client.acknowledged.size > 0);
    for (const [version, payload] of client.acknowledged) assert.equal(payloads[version], payload);
  }
}

/** The next assignment: these members hold every bucket. */
function moved(
  current: Assignment,
  members: readonly Member[],
  holders: readonly number[],
): Assignment {
  const version = current.version + 1;
  const buckets = current.buckets.map((bucket, number) => {
    const replicas = holders.map((index) => {
      const member = members.find((each) => each.index === index)?.id ?? '';
      const known = bucket.replicas.find((replica) => replica.member === member);
      return known ?? { member, since: version };
    });
    return { ...bucket, replicas, preferred: replicas[number % replicas.length]?.member ?? '' };
  });
  return { ...current, version, members, buckets };
}

const holdEverything = (members: WholeMembers, holders: readonly number[]): boolean =>
  BUCKETS.every((bucket) => {
    const told = members.holders(bucket);
    return (
      told.length === holders.length && told.every((found) => String(found) === String(holders))
    );
  });

test(
  'every bucket moves from three members to three others under load, and nothing is lost',
  { timeout: 60_000 },
  async () => {
    await using members = await WholeMembers.prepare(4);
    await members.start([0, 1, 2], 3);
    const clients = Array.from({ length: 8 }, (_, i) => new Client(members, i));
    const running = Promise.all(clients.map((client) => client.run()));
    await until(() => clients.every(({ acknowledged }) => acknowledged.size > 50));

    const joining = members.start([3], 4);
    const first = members.member(0).node.assignment;
    const newcomer = await statusOf(members.address(3));
    const all = [...first.members, { id: newcomer.member, index: 3, address: members.address(3) }];
    await members.put(0, moved(first, all, [1, 2, 3]));
    await joining;
    await until(() => holdEverything(members, [1, 2, 3]));
    clients.forEach((client) => (client.isDone = true));
    await running;

    for (const index of [0, 3]) await assertNothingLost(clients, index);
    assert.equal([...members.member(0).store.groups()].length, 0);
    await members.stop(0);
    const disk = members.disks.get(0);
    for (const bucket of BUCKETS) {
      assert.deepEqual(await disk?.list(segmentsFolder('/data', bucket)), []);
    }
    assert.equal(wholeOptions.bucketCount, BUCKETS.length);
    assert.deepEqual(members.failures, []);
  },
);

test(
  'moves are taken back, and go on without those who are away',
  { timeout: 90_000 },
  async () => {
    await using members = await WholeMembers.prepare(4);
    await members.start([0, 1, 2, 3], 4);
    const clients = Array.from({ length: 4 }, (_, i) => new Client(members, i, [0, 1]));
    const running = Promise.all(clients.map((client) => client.run()));
    await until(() => clients.every(({ acknowledged }) => acknowledged.size > 5));
    const put = async (holders: readonly number[]): Promise<void> => {
      const current = members.member(0).node.assignment;
      await members.put(0, moved(current, current.members, holders));
    };
    const stages = (): (string | undefined)[] =>
      [0, 1, 2].flatMap((index) =>
        members
          .member(index)
          .node.status()
          .buckets.map(({ move }) => move?.stage),
      );

    await put([0, 1, 2]);
    await until(() => holdEverything(members, [0, 1, 2]));
    // The newcomer is away: its move waits, and is taken back.
    await members.stop(3);
    await put([0, 1, 3]);
    await until(() => stages().includes('catching up'));
    await put([0, 1, 2]);
    await until(
      () => holdEverything(members, [0, 1, 2]) && stages().every((it) => it === undefined),
    );

    // One that leaves is away, and removes its copies when it is back.
    await members.start([3], 4);
    await members.stop(2);
    await put([0, 1, 3]);
    await until(() => holdEverything(members, [0, 1, 3]));
    await members.start([2], 4);
    await until(() => [...members.member(2).store.groups()].length === 0);
    clients.forEach((client) => (client.isDone = true));
    await running;
    await assertNothingLost(clients, 2);
    assert.deepEqual(members.failures, []);
  },
);

test(
  'a member that has missed the first assignment learns who belongs to its groups',
  { timeout: 60_000 },
  async () => {
    await using members = await WholeMembers.prepare(3);
    await members.start([0, 1, 2], 3);
    await until(() => holdEverything(members, [0, 1, 2]));
    // Its disk is as it was before the first assignment came: the same member, and nothing else.
    await members.stop(2);
    members.disks.delete(2);
    const first = members.member(0).node.assignment;
    // Leaders that have read their logs again know no better.
    for (const index of [0, 1]) {
      await members.stop(index);
      await members.start([index], 3);
    }
    await members.put(0, moved(first, first.members, [0, 1, 2]));
    await members.start([2], 3);
    assert.equal(members.member(2).node.self.id, first.members[2]?.id);
    await until(() => holdEverything(members, [0, 1, 2]));
    assert.deepEqual(members.failures, []);
  },
);

async function statusOf(address: string): Promise<{ member: string }> {
  for (;;) {
    try {
      const response = await fetch(`http://${address}/v1/status`);
      return (await response.json()) as { member: string };
    } catch {
      await delay(LOOK_MS);
    }
  }
}
