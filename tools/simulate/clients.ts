/** Clients of a simulated cluster: they append, read and subscribe, and check every answer as it comes. */
import assert from 'node:assert/strict';

import type { SierraError } from '../../common/errors.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { versionMatches } from '../../node/src/engine/expected-version.ts';
import type {
  Appended,
  AppendRequest,
  EventDraft,
  EventView,
  ExpectedVersion,
  FeedTarget,
} from '../../node/src/engine/types.ts';
import type { Subscription, SubscriptionSink } from '../../node/src/subscriptions/types.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { SimulatedMember } from './member.ts';
import type { TrueEvent } from './truth.ts';

const STREAMS_PER_KEY = 3;
/** How long a client waits for an answer. */
const PATIENCE_MS = 800;

type Outcome =
  | { readonly kind: 'done'; readonly appended: Appended }
  | { readonly kind: 'refused'; readonly error: SierraError }
  | { readonly kind: 'silence' };

/** An append and its retries. */
interface Operation {
  readonly request: AppendRequest;
  readonly partition: number;
  readonly hasIds: boolean;
  /** Whether an attempt may have been done without an answer that says so. */
  isOpen: boolean;
  fate: 'done' | 'not done' | 'unknown';
}

export interface ClientCounts {
  done: number;
  conflicts: number;
  unknown: number;
  /** Appends whose fate a retry has settled. */
  settled: number;
  refused: number;
  reads: number;
  readsRefused: number;
  delivered: number;
  subscriptions: number;
}

export class Clients {
  readonly counts: ClientCounts = {
    ...{ done: 0, conflicts: 0, unknown: 0, settled: 0, refused: 0 },
    ...{ reads: 0, readsRefused: 0, delivered: 0, subscriptions: 0 },
  };
  /** The faults are over: whoever has something open brings it to its end. */
  isEnding = false;
  /** By partition: events that somebody was told of. */
  readonly known: Map<number, number> = new Map();
  readonly #cluster: SimulatedCluster;
  readonly #operations: Operation[] = [];
  readonly #random: Random;
  #payloads = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
    this.#random = seededRandom(cluster.seed ^ 0x3779fb9);
  }

  // Appends

  async appendUntilTheEnd(pauseMs: number): Promise<void> {
    while (!this.isEnding) {
      await this.append(this.#draw());
      await this.#cluster.time.sleep(this.#random.below(pauseMs) + 0.1);
    }
  }

  /** Until it is done, or certainly not, or was without ids and may have been done. */
  async append(request: AppendRequest): Promise<Operation['fate']> {
    const cluster = this.#cluster;
    const partition = cluster.partitionOf(request.partitionKey);
    const hasIds = request.events.every(({ eventId }) => eventId !== null);
    const operation: Operation = { request, partition, hasIds, isOpen: false, fate: 'unknown' };
    this.#operations.push(operation);
    for (;;) {
      const member = this.#choose(partition);
      if (member === undefined) {
        if (this.isEnding && !operation.isOpen) break;
        await cluster.time.sleep(10 + this.#random.below(40));
        continue;
      }
      const asked = cluster.time.now;
      const outcome = await this.#attempt(member, request);
      if (outcome.kind === 'done') {
        this.#checkDone(operation, outcome.appended);
        return operation.fate;
      }
      if (outcome.kind === 'silence' || !outcome.error.notDone) {
        operation.isOpen = true;
        this.counts.unknown += 1;
        if (!hasIds) return operation.fate;
      } else if (this.#isRefused(operation, outcome.error, asked)) break;
      await cluster.time.sleep(this.#random.below(30) + 1);
    }
    operation.fate = 'not done';
    return operation.fate;
  }

  /** What no answer can show: nothing is there that was refused, and nothing twice. */
  checkFates(): void {
    const { byPayload } = this.#cluster.truth;
    for (const { request, fate } of this.#operations) {
      const there = request.events.map(
        ({ payload }) => byPayload.get(Buffer.from(payload).toString('latin1')) ?? [],
      );
      const name = Buffer.from(request.events[0]?.payload ?? []).toString('latin1', 0, 8);
      const counts = there.map(({ length }) => length);
      if (fate === 'done') assert.deepEqual(new Set(counts), new Set([1]), `${name} is there once`);
      else if (fate === 'not done')
        assert(
          counts.every((n) => n === 0),
          `${name} was refused`,
        );
      else
        assert(
          new Set(counts).size === 1 && (counts[0] ?? 0) <= 1,
          `${name} is whole, or not there`,
        );
      this.#checkTogether(there.flat(), name);
    }
  }

  #checkTogether(events: readonly TrueEvent[], name: string): void {
    const [first] = events;
    events.forEach(({ index, sequence }, i) => {
      assert.equal(index, first?.index, `${name} is one transaction`);
      assert.equal(sequence, (first?.sequence ?? 0) + i, `${name} is in order`);
    });
  }

  /** Mostly the leader; several where an old one does not know yet. */
  #choose(partition: number): SimulatedMember | undefined {
    const cluster = this.#cluster;
    const bucket = cluster.bucketOf(partition);
    const leaders = cluster.leaders(bucket);
    const any = this.#random.below(30) === 0 || this.#random.below(1000) === 0;
    const candidates = any ? cluster.havers(bucket) : leaders;
    return candidates[this.#random.below(Math.max(1, candidates.length))];
  }

  #attempt(member: SimulatedMember, request: AppendRequest): Promise<Outcome> {
    return new Promise((resolve) => {
      let hasGone = false;
      this.#cluster.time.after(PATIENCE_MS, null, () => {
        hasGone = true;
        resolve({ kind: 'silence' });
      });
      member.post((store) => {
        // Its connection is closed: what had not arrived never does.
        if (hasGone) return;
        try {
          void store.append(request, (error, appended) => {
            if (error !== null) resolve({ kind: 'refused', error });
            else resolve({ kind: 'done', appended: copyOf(appended as Appended) });
          });
        } catch (error) {
          resolve({ kind: 'refused', error: error as SierraError });
        }
      });
    });
  }

  #checkDone(operation: Operation, appended: Appended): void {
    const { truth } = this.#cluster;
    const { request, partition } = operation;
    operation.fate = 'done';
    this.counts.done += 1;
    if (operation.isOpen) this.counts.settled += 1;
    assert.equal(appended.partition, partition);
    request.events.forEach((draft, i) => {
      const payload = Buffer.from(draft.payload).toString('latin1');
      const found = truth.byPayload.get(payload) ?? [];
      const name = `the acknowledged event ${payload.slice(0, 8)}`;
      assert.equal(found.length, 1, `${name} is committed once`);
      const [event] = found as [TrueEvent];
      const answer = appended.events[i];
      assert(answer !== undefined);
      const { version, timestamp } = answer;
      const { eventId } = draft;
      assert.deepEqual(
        [version, timestamp, appended.firstSequence + i, hex(answer.eventId)],
        [event.version, event.timestamp, event.sequence, event.eventId],
        `${name} is what the answer says`,
      );
      assert.equal(Buffer.from(draft.streamId).toString('latin1'), event.streamId);
      if (eventId !== null) assert.equal(hex(eventId), event.eventId);
      assert(
        versionMatches(draft.expectedVersion, event.version - 1),
        `${name} stands where it was wanted: after ${String(draft.expectedVersion)}, is ${String(event.version)}`,
      );
    });
    this.#learn(partition, appended.firstSequence + appended.events.length);
  }

  /** Whether that is the end of it. */
  #isRefused(operation: Operation, error: SierraError, askedMs: number): boolean {
    const cluster = this.#cluster;
    switch (error.code) {
      case 'TRYAGAIN':
      case 'BUFFERFULL':
      case 'DISKFULL':
      case 'CLUSTERDOWN':
        this.counts.refused += 1;
        // Nothing was done by this attempt; only ids make it safe to go on after one that is open.
        return !operation.isOpen && (!operation.hasIds || this.isEnding);
      case 'WRONGVER': {
        this.counts.conflicts += 1;
        const isJustified = operation.request.events.some(({ streamId, expectedVersion }, i) => {
          const name = Buffer.from(streamId).toString('latin1');
          const before = operation.request.events
            .slice(0, i)
            .filter((other) => Buffer.from(other.streamId).toString('latin1') === name).length;
          return cluster.truth
            .versions(name, askedMs, cluster.time.now)
            .some((version) => !versionMatches(expectedVersion, version + before));
        });
        assert(isJustified, `a conflict that was none: ${error.message}`);
        return true;
      }
      case 'READERR':
        this.counts.refused += 1;
        return !operation.isOpen && (!operation.hasIds || this.isEnding);
      default:
        throw error;
    }
  }

  #learn(partition: number, count: number): void {
    this.known.set(partition, Math.max(count, this.known.get(partition) ?? 0));
  }

  #draw(): AppendRequest {
    const random = this.#random;
    const { keys } = this.#cluster;
    const key = random.below(keys.length);
    const count = random.below(10) < 7 ? 1 : 1 + random.below(4);
    const hasIds = random.below(2) === 0;
    const events = Array.from({ length: count }, () => this.#event(key, hasIds, count === 1));
    return { partitionKey: keys[key] as Buffer, events };
  }

  /** One that matches any state, in the bucket of the given key. */
  plain(key: number): AppendRequest {
    const event = this.#event(key, true, false);
    const partitionKey = this.#cluster.keys[key] as Buffer;
    return { partitionKey, events: [{ ...event, expectedVersion: 'any' }] };
  }

  #event(key: number, hasId: boolean, mayBeLarge: boolean): EventDraft {
    const random = this.#random;
    const fresh = random.below(12) === 0 ? `new-${String((this.#payloads += 1))}` : null;
    const streamId = fresh ?? `stream-${String(key)}-${String(random.below(STREAMS_PER_KEY))}`;
    this.#payloads += 1;
    const bytes = mayBeLarge && random.below(8) === 0 ? random.below(4000) : random.below(300);
    return {
      streamId: Buffer.from(streamId),
      eventName: Buffer.from('Happened'),
      eventId: hasId ? drawId(random) : null,
      expectedVersion: this.#expected(streamId),
      timestamp: null,
      metadata: Buffer.alloc(0),
      payload: Buffer.from(`#${String(this.#payloads)}.`.padEnd(bytes, 'abcdefgh')),
    };
  }

  #expected(streamId: string): ExpectedVersion {
    const current = (this.#cluster.truth.streams.get(streamId)?.length ?? 0) - 1;
    const draw = this.#random.below(20);
    if (draw < 9) return 'any';
    if (draw < 16) return current < 0 ? 'empty' : current;
    if (draw === 16) return 'exists';
    if (draw === 17) return 'empty';
    return Math.max(0, current + this.#random.below(3) - 1);
  }

  // Reads

  async readUntilTheEnd(pauseMs: number): Promise<void> {
    const { time, truth } = this.#cluster;
    while (!this.isEnding) {
      await time.sleep(this.#random.below(pauseMs) + 0.1);
      const partition = truth.anyPartition(this.#random);
      if (partition !== null) await this.#read(partition);
      this.#glance();
    }
  }

  /** A read of what any member has applied: committed, if not the latest. */
  #glance(): void {
    const cluster = this.#cluster;
    const { truth, members, keys, time } = cluster;
    const key = this.#random.below(keys.length);
    const partitionKey = keys[key] as Buffer;
    const name = `stream-${String(key)}-${String(this.#random.below(STREAMS_PER_KEY))}`;
    const member = members[this.#random.below(members.length)] as SimulatedMember;
    member.post((store) => {
      const bucket = cluster.bucketOf(cluster.partitionOf(partitionKey));
      if (store.group(bucket) === undefined) return;
      void Promise.resolve(store.streamVersion(Buffer.from(name), partitionKey)).then(
        (version) => {
          const known = truth.streams.get(name)?.length ?? 0;
          if ((version ?? -1) >= known)
            time.fail(new Error(`${name} has no version ${String(version)} yet`));
        },
        (error: unknown) => {
          this.#failed(member, error);
        },
      );
    });
  }

  /** Damage may hide what a member is asked for; nothing else may. */
  #failed(member: SimulatedMember, error: unknown): void {
    if (member.damage === null || !isHidden(error)) this.#cluster.time.fail(error);
  }

  async #read(partition: number): Promise<void> {
    const cluster = this.#cluster;
    const bucket = cluster.bucketOf(partition);
    const member = this.#choose(partition);
    if (member === undefined) return;
    const floor = this.known.get(partition) ?? 0;
    const count = await new Promise<number | null>((resolve) => {
      cluster.time.after(PATIENCE_MS, null, () => {
        resolve(null);
      });
      member.post((store) => {
        const answer = async (): Promise<number | null> => {
          const isSure = await store.group(bucket)?.readBarrier();
          if (isSure === false) return null;
          return (store.partitionSequence(partition) ?? -1) + 1;
        };
        answer().then(resolve, (error: unknown) => {
          if (isAway(error)) resolve(null);
          else {
            this.#failed(member, error);
            resolve(null);
          }
        });
      });
    });
    if (count === null) {
      this.counts.readsRefused += 1;
      return;
    }
    this.counts.reads += 1;
    assert(
      count >= floor,
      `a read of partition ${String(partition)} on member ${String(member.number)} shows ` +
        `${String(count)} events, ${String(floor)} were known when it was asked`,
    );
    this.#learn(partition, count);
  }

  // Subscriptions

  /** Follows a partition or a stream, from member to member, until it has everything after the end. */
  async follow(target: FeedTarget, partition: number, until: () => boolean): Promise<void> {
    const cluster = this.#cluster;
    const follower = new Follower(this, cluster, target);
    while (!until() || !follower.hasAll) {
      const holders = cluster.havers(cluster.bucketOf(partition));
      const member = holders[this.#random.below(Math.max(1, holders.length))];
      if (member !== undefined) {
        this.counts.subscriptions += 1;
        const stay = follower.stay(member);
        const leaves = cluster.time.now + 100 + this.#random.below(1500);
        const life = member.life;
        while (member.life === life && (cluster.time.now < leaves || cluster.time.now < 0)) {
          await cluster.time.sleep(20);
          if (until() && follower.hasAll) break;
        }
        stay.end();
      }
      await cluster.time.sleep(this.#random.below(50) + 1);
    }
  }
}

/** One subscription that goes on where it was, on any member. */
class Follower {
  readonly #clients: Clients;
  readonly #cluster: SimulatedCluster;
  readonly #target: FeedTarget;
  #position = 0;
  #stay: object | null = null;

  constructor(clients: Clients, cluster: SimulatedCluster, target: FeedTarget) {
    this.#clients = clients;
    this.#cluster = cluster;
    this.#target = target;
  }

  get hasAll(): boolean {
    return this.#position === this.#events.length;
  }

  get #events(): readonly TrueEvent[] {
    const { truth } = this.#cluster;
    const target = this.#target;
    const events =
      target.kind === 'partition'
        ? truth.partitions.get(target.partition)
        : truth.streams.get(Buffer.from(target.streamId).toString('latin1'));
    return events ?? [];
  }

  stay(member: SimulatedMember): { end: () => void } {
    const here = {};
    this.#stay = here;
    let opened: Subscription | null = null;
    const sink: SubscriptionSink = {
      event: (_, __, view) => {
        if (this.#stay === here) this.#take(view, member);
        return true;
      },
      flush: () => true,
      failed: (_, error) => {
        if (isAway(error) || (member.damage !== null && isHidden(error))) return;
        this.#cluster.time.fail(error);
      },
    };
    member.post(() => {
      const { subscriptions } = member;
      if (subscriptions === null || this.#stay !== here) return;
      const starts = [{ target: this.#target, from: this.#position }];
      // A replica that has just left refuses at once.
      const open = async (): Promise<Subscription> =>
        subscriptions.open({ starts, window: null }, sink);
      void open().then(
        (subscription) => {
          opened = subscription;
          subscription.start();
        },
        (error: unknown) => {
          if (isAway(error) || (member.damage !== null && isHidden(error))) return;
          this.#cluster.time.fail(error);
        },
      );
    });
    return {
      end: () => {
        this.#stay = null;
        member.post(() => opened?.close());
      },
    };
  }

  #take(view: EventView, member: SimulatedMember): void {
    const position = this.#target.kind === 'partition' ? view.sequence : view.version;
    const where = `a subscription on member ${String(member.number)}`;
    assert.equal(position, this.#position, `${where} delivers in order, without gap or repeat`);
    const event = this.#events[position];
    const payload = view.bytes.toString('latin1', view.payloadAt, view.payloadEnd);
    assert.equal(payload, event?.payload, `${where} delivers what was committed`);
    this.#position += 1;
    this.#clients.counts.delivered += 1;
  }
}

const codeOf = (error: unknown): unknown => (error as Partial<SierraError>).code;
/** The replica has left since. */
const isAway = (error: unknown): boolean => codeOf(error) === 'CLUSTERDOWN';
const isHidden = (error: unknown): boolean => codeOf(error) === 'READERR';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Answers are views of memory that may go on to be used. */
function copyOf({ partitionKey, partition, firstSequence, events }: Appended): Appended {
  return {
    partitionKey: Buffer.from(partitionKey),
    partition,
    firstSequence,
    events: events.map(({ eventId, streamId, version, timestamp }) => ({
      eventId: Buffer.from(eventId),
      streamId: Buffer.from(streamId),
      version,
      timestamp,
    })),
  };
}

function drawId(random: Random): Buffer {
  const bytes = Buffer.alloc(16);
  random.fill(bytes);
  return bytes;
}
