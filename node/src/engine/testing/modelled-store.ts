/**
 * A store and its model side by side: every append goes to both, every reply and every read is checked.
 *
 * What holds while appends are in flight: a read shows everything that was answered when it began, and of the rest a part
 * of it that is whole up to some point. What a reply or a read has shown is certain from then on.
 */
import assert from 'node:assert/strict';

import type { SierraError } from '../../../../common/errors.ts';
import { partitionHash } from '../../../../common/ids.ts';
import type { Appended, AppendRequest, EventStore } from '../types.ts';
import { scribbleOver } from './commands.ts';
import type { ModelEvent, ModelTransaction, StoreModel, Verdict } from './model.ts';
import { eventById, type ObservedPage, partitionPage, streamPage } from './observed.ts';

/** Codes of refusals that depend on the state of disk and node; the model knows nothing of them. */
export type Tolerated = 'DISKFULL' | 'CLUSTERDOWN' | 'TRYAGAIN' | 'QUORUMFAILED' | 'BUFFERFULL';

export class ModelledStore {
  readonly store: EventStore;
  readonly model: StoreModel;
  readonly #now: () => number;
  #inFlight = 0;
  #failure: unknown = null;
  #idle: (() => void)[] = [];

  constructor(store: EventStore, model: StoreModel, now: () => number) {
    this.store = store;
    this.model = model;
    this.#now = now;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Sends an append and does not wait for its reply; the promise, where there is one, fixes its place in the order. */
  send(request: AppendRequest): Promise<void> | null {
    this.throwFailure();
    const verdict = this.model.append(request);
    const sentAt = this.#now();
    let isSent = false;
    let isAnswered = false;
    this.#inFlight += 1;
    const place = this.store.append(request, (error, appended) => {
      this.#attempt(() => {
        assert(isSent, 'a reply comes after append has returned');
        assert(!isAnswered, 'a reply comes once');
        isAnswered = true;
        this.#check(verdict, error, appended, sentAt);
      });
      this.#inFlight -= 1;
      if (this.#inFlight === 0) for (const wake of this.#idle.splice(0)) wake();
    });
    isSent = true;
    scribbleOver(request);
    return place;
  }

  /**
   * Sends an append and waits for its reply, which may also be one of the tolerated refusals. Returns its code, or null
   * where the reply was the model's. Nothing else may be in flight.
   */
  async sendAlone(request: AppendRequest, tolerated: readonly Tolerated[]): Promise<string | null> {
    const verdict = this.model.append(request);
    const sentAt = this.#now();
    const [error, appended] = await new Promise<[SierraError | null, Appended | null]>(
      (resolve) => {
        void this.store.append(request, (...reply) => {
          resolve(reply);
        });
      },
    );
    if (error === null || !tolerated.includes(error.code as Tolerated)) {
      this.#check(verdict, error, appended, sentAt);
      return null;
    }
    if (verdict.kind === 'appended' && error.notDone) {
      this.model.takeBack(verdict.events[0]!.transaction);
    }
    return error.code;
  }

  /** Resolves when every append has its reply; throws what was wrong with one. */
  async settled(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.throwFailure();
  }

  throwFailure(): void {
    if (this.#failure !== null) throw this.#failure as Error;
  }

  async readPartition(partition: number, from: number, to: number, count: number): Promise<void> {
    const certain = certainCount(this.model.partition(partition));
    const page = await partitionPage(this.store, { partition, from, to }, count);
    this.#checkPage(page, this.model.partition(partition), certain, from, to, count);
  }

  async readStream(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
    from: number,
    to: number,
    count: number,
  ): Promise<void> {
    const certain = certainCount(this.model.stream(streamId, partitionKey));
    const page = await streamPage(this.store, { streamId, partitionKey, from, to }, count);
    const events = this.model.stream(streamId, partitionKey);
    this.#checkPage(page, events, certain, from, to, count);
  }

  async readVersion(streamId: Uint8Array, partitionKey: Uint8Array): Promise<void> {
    const certain = certainCount(this.model.stream(streamId, partitionKey));
    const version = await this.store.streamVersion(streamId, partitionKey);
    this.#checkLatest(version, this.model.stream(streamId, partitionKey), certain);
  }

  async readSequence(partition: number): Promise<void> {
    const certain = certainCount(this.model.partition(partition));
    const sequence = await this.store.partitionSequence(partition);
    this.#checkLatest(sequence, this.model.partition(partition), certain);
  }

  /** `anyHolder`: damage may hide the one that counts first, of several streams that hold the id. */
  async readEvent(eventId: Uint8Array, anyHolder: boolean = false): Promise<void> {
    const sure = this.model.holders(eventId).filter(({ transaction }) => transaction.certain);
    const seen = await eventById(this.store, eventId);
    const holders = this.model.holders(eventId);
    if (seen === null) {
      assert.deepEqual(sure, [], 'an event that was answered is found by its id');
      return;
    }
    const first = sure[0] === undefined ? holders.length : holders.indexOf(sure[0]);
    const shown = holders.findIndex(
      ({ transaction, ordinal }) =>
        transaction.partition === seen.partition &&
        transaction.firstSequence + ordinal === seen.sequence,
    );
    assert(
      shown >= 0 && (anyHolder || shown <= first),
      'the event found by an id is the one that counts first',
    );
    this.model.learn(holders[shown]!, seen);
  }

  /** Compares everything there is, by every kind of read. Nothing may be in flight. */
  async compareWhole(): Promise<void> {
    assert.equal(this.#inFlight, 0, 'nothing is in flight');
    const { bucketCount, partitionCount } = this.model.options;
    for (let partition = 0; partition < partitionCount; partition += 1) {
      await this.readSequence(partition);
      await this.readPartition(partition, 0, Infinity, Infinity);
    }
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      for (const [name, events] of this.model.streams(bucket)) {
        const streamId = Buffer.from(name, 'latin1');
        const key = Buffer.from(events[0]!.transaction.partitionKey, 'hex');
        await this.readVersion(streamId, key);
        await this.readStream(streamId, key, 0, Infinity, Infinity);
      }
      for (const { events } of this.model.log(bucket)) {
        for (const { eventId } of events) await this.readEvent(Buffer.from(eventId!, 'hex'));
      }
    }
    checkTransactionIds(this.model);
  }

  #attempt(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #check(
    verdict: Verdict,
    error: SierraError | null,
    appended: Appended | null,
    sentAt: number,
  ): void {
    if (verdict.kind === 'refused') {
      assert.equal(appended, null, `refused: ${verdict.message}`);
      assert.deepEqual([error?.code, error?.message], [verdict.code, verdict.message]);
      // What it tells of must have been durable: its own reply, if there was to be one, has been given.
      for (const transaction of verdict.reveals) assertCertain(transaction);
      return;
    }
    if (error !== null) throw error;
    const { transaction } = verdict.events[0]!;
    if (verdict.kind === 'duplicate') assertCertain(transaction);
    this.#learnReply(verdict.events, appended!, sentAt);
    transaction.certain = true;
  }

  #learnReply(events: readonly ModelEvent[], appended: Appended, sentAt: number): void {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const { transaction, ordinal } = events[0]!;
    for (const [i, event] of events.entries()) {
      const reply = appended.events[i];
      const isNew = event.timestamp === null;
      event.eventId ??= reply === undefined ? null : hex(reply.eventId);
      event.timestamp ??= reply?.timestamp ?? null;
      if (isNew) {
        assert(
          event.timestamp! >= sentAt && event.timestamp! <= this.#now(),
          'a time of the append',
        );
      }
      if (!event.idSupplied) {
        const hash = partitionHash(Buffer.from(event.eventId!, 'hex'));
        assert.equal(hash, partitionHash(Buffer.from(transaction.partitionKey, 'hex')));
      }
    }
    assert.deepEqual(
      {
        partitionKey: hex(appended.partitionKey),
        partition: appended.partition,
        firstSequence: appended.firstSequence,
        events: appended.events.map(({ eventId, streamId, version, timestamp }) => [
          hex(eventId),
          Buffer.from(streamId).toString('latin1'),
          version,
          timestamp,
        ]),
      },
      {
        partitionKey: transaction.partitionKey,
        partition: transaction.partition,
        firstSequence: transaction.firstSequence + ordinal,
        events: events.map(({ eventId, streamId, version, timestamp }) => [
          eventId,
          streamId,
          version,
          timestamp,
        ]),
      },
    );
  }

  #checkPage(
    { events, hasMore }: ObservedPage,
    expected: readonly ModelEvent[],
    certain: number,
    from: number,
    to: number,
    count: number,
  ): void {
    for (const [i, seen] of events.entries()) {
      const event = expected[from + i];
      assert(event !== undefined && from + i <= to, 'only events of the range are shown');
      this.model.learn(event, seen);
    }
    const next = from + events.length;
    if (hasMore) {
      assert(events.length === count && next < expected.length && next <= to, 'there is more');
    } else {
      assert(next > Math.min(to, certain - 1), `shown up to ${next}, answered up to ${certain}`);
    }
  }

  #checkLatest(latest: number | null, events: readonly ModelEvent[], certain: number): void {
    const count = latest === null ? 0 : latest + 1;
    assert(count >= certain, `latest is ${latest}, answered were ${certain}`);
    assert(count <= events.length, `latest is ${latest}, there are ${events.length}`);
    for (const { transaction } of events.slice(0, count)) transaction.certain = true;
  }
}

function assertCertain(transaction: ModelTransaction): void {
  assert(transaction.certain, 'a reply tells of an append that was not durable yet');
}

/** How many of the first events are certain. All before a certain one are. */
function certainCount(events: readonly ModelEvent[]): number {
  return events.findLastIndex(({ transaction }) => transaction.certain) + 1;
}

/** Ids of transactions that have been seen are unique, and tell whether there are several events. */
function checkTransactionIds(model: StoreModel): void {
  const seen = new Set<string>();
  for (let bucket = 0; bucket < model.options.bucketCount; bucket += 1) {
    for (const { transactionId, events } of model.log(bucket)) {
      if (transactionId === null) continue;
      assert(!seen.has(transactionId), 'a transaction has its own id');
      seen.add(transactionId);
      const isSingle = (Number.parseInt(transactionId.slice(16, 18), 16) & 0x80) !== 0;
      assert.equal(isSingle, events.length === 1, 'the id tells whether there are several events');
    }
  }
}
