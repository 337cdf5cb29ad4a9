/**
 * Random subscriptions on several connections, mixed with appends and other commands: every connection gets its replies in
 * order, and every subscription its targets' events from its start on, each once, in order, in its window.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { defaultPartitionKey, partitionHash } from '../../../common/ids.ts';
import { type Random, seededRandom } from '../../../common/random.ts';
import { command, RawClient } from './testing/raw-client.ts';
import { numbers, Subscriber } from './testing/subscriber.ts';
import { TestServer } from './testing/test-server.ts';
import { settle, until } from './testing/until.ts';

const partitionOf = (stream: string): number =>
  partitionHash(defaultPartitionKey(Buffer.from(stream))) % 32;

/** Each in a partition of its own: so the versions of its events are their sequences, too. */
const streams = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']
  .filter(
    (name, i, all) => all.findIndex((other) => partitionOf(other) === partitionOf(name)) === i,
  )
  .slice(0, 4);

interface Expected {
  readonly window: number;
  /** Per stream: the lowest and highest start that it can have. */
  readonly starts: Map<string, readonly [from: number, to: number]>;
  /** Events that were sent before the last acknowledgement. */
  acknowledged: number;
  isEnded: boolean;
}

class RandomRun {
  readonly #server: TestServer;
  readonly #random: Random;
  readonly #appender: RawClient;
  readonly #subscribers: Subscriber[];
  readonly #expected: Map<string, Expected>[];
  readonly #lengths = new Map<string, number>(streams.map((stream) => [stream, 0]));

  static async start(server: TestServer, random: Random): Promise<RandomRun> {
    const subscribers = [await Subscriber.connect(server), await Subscriber.connect(server)];
    return new RandomRun(server, random, await RawClient.connect(server.port), subscribers);
  }

  private constructor(
    server: TestServer,
    random: Random,
    appender: RawClient,
    subscribers: Subscriber[],
  ) {
    this.#server = server;
    this.#random = random;
    this.#appender = appender;
    this.#subscribers = subscribers;
    this.#expected = subscribers.map(() => new Map<string, Expected>());
  }

  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      this.#server.store.reads = this.#random.below(3) === 0 ? 'later' : 'at once';
      const index = this.#random.below(this.#subscribers.length);
      const choice = this.#random.below(40);
      if (choice < 3) await this.#subscribe(index);
      else if (choice < 6) await this.#acknowledge(index);
      else if (choice === 6) await this.#unsubscribe(index);
      else if (choice === 7)
        await this.#subscribers[index]!.ask('$5\r\nhello\r\n', 'ECHO', 'hello');
      else this.#append(streams[this.#random.below(streams.length)]!);
      if (this.#random.below(8) === 0) await settle();
    }
    await this.#complete();
    this.#subscribers.forEach((subscriber, index) => this.#check(subscriber, index));
  }

  close(): void {
    for (const client of [this.#appender, ...this.#subscribers]) client[Symbol.dispose]();
  }

  #append(stream: string): void {
    const version = this.#lengths.get(stream)!;
    this.#lengths.set(stream, version + 1);
    const payload = `${stream} ${version}`.padEnd(this.#random.below(300), '.');
    this.#appender.send(command('EAPPEND', stream, 'E', 'PAYLOAD', payload));
  }

  async #subscribe(index: number): Promise<void> {
    const chosen = streams.filter(() => this.#random.below(2) === 0);
    if (chosen.length === 0) chosen.push(streams[0]!);
    const byPartition = this.#random.below(2) === 0;
    const name = (stream: string): string => (byPartition ? String(partitionOf(stream)) : stream);
    const window = this.#random.below(2) === 0 ? 1 + this.#random.below(20) : Infinity;
    const { words, starts } = this.#from(chosen, name);
    const targets = byPartition ? ['EPSUB', chosen.map(name).join(',')] : ['ESUB', ...chosen];
    const windowed = window === Infinity ? [] : ['WINDOW', String(window)];
    const clauses = this.#random.below(2) === 0 ? [...words, ...windowed] : [...windowed, ...words];
    const before = new Map(this.#stored());
    const id = await this.#subscribers[index]!.subscribe(...targets, ...clauses);
    const after = this.#stored();
    const known = chosen.map((stream) => {
      const from = starts.get(stream);
      const latest = [before.get(stream)!, after.get(stream)!] as const;
      return [stream, from === undefined ? latest : ([from, from] as const)] as const;
    });
    this.#expected[index]!.set(id, {
      window,
      starts: new Map(known),
      acknowledged: 0,
      isEnded: false,
    });
  }

  /** A FROM clause, and the starts that it names. */
  #from(
    chosen: readonly string[],
    name: (stream: string) => string,
  ): { words: string[]; starts: Map<string, number> } {
    const position = (): number => this.#random.below(60);
    const form = this.#random.below(4);
    if (form === 0) return { words: [], starts: new Map() };
    if (form === 1) return { words: ['FROM', 'LATEST'], starts: new Map() };
    if (form === 2) {
      const from = position();
      const starts = new Map(chosen.map((stream) => [stream, from]));
      return { words: ['FROM', String(from)], starts };
    }
    const starts = new Map(
      streams.filter(() => this.#random.below(2) === 0).map((stream) => [stream, position()]),
    );
    starts.set(chosen[0]!, position());
    const pairs = [...starts].map(([stream, from]) => `${name(stream)}=${from}`);
    return { words: ['FROM', 'MAP', ...pairs], starts };
  }

  /** Events that the store has of each stream. */
  #stored(): Map<string, number> {
    return new Map(
      streams.map((stream) => {
        const sequence = this.#server.store.lastSequence(partitionOf(stream));
        return [stream, sequence === null ? 0 : sequence + 1];
      }),
    );
  }

  #live(index: number): string[] {
    return [...this.#expected[index]!].filter(([, { isEnded }]) => !isEnded).map(([id]) => id);
  }

  async #acknowledge(index: number): Promise<void> {
    const live = this.#live(index);
    const id = live[this.#random.below(Math.max(1, live.length))];
    if (id !== undefined) await this.#acknowledgeAll(index, id);
  }

  /** Acknowledges what was sent up to now, which the window allowed. */
  async #acknowledgeAll(index: number, id: string): Promise<void> {
    const subscriber = this.#subscribers[index]!;
    const expected = this.#expected[index]!.get(id)!;
    const end = await subscriber.ask('+OK\r\n', 'EACK', id, '999999');
    const before = subscriber.text.slice(0, end);
    const sent = before.split(`+message\r\n+${id}\r\n`).length - 1;
    assert(sent - expected.acknowledged <= expected.window);
    expected.acknowledged = sent;
  }

  async #unsubscribe(index: number): Promise<void> {
    const live = this.#live(index);
    const id = live[this.#random.below(Math.max(1, live.length))];
    if (id === undefined) return;
    await this.#subscribers[index]!.ask('+OK\r\n', 'EUNSUB', id);
    this.#expected[index]!.get(id)!.isEnded = true;
    const before = this.#subscribers[index]!.cursors(id).length;
    this.#append(streams[0]!);
    await settle();
    assert.equal(this.#subscribers[index]!.cursors(id).length, before, 'nothing after EUNSUB');
  }

  /** Acknowledges until everybody has everything. */
  async #complete(): Promise<void> {
    this.#appender.send(command('QUIT'));
    await this.#appender.untilClosed();
    this.#server.store.reads = 'at once';
    const { statistics } = this.#server.subscriptions;
    assert(statistics.failed === 0);
    await until(() => this.#server.subscriptions.statistics.waitingForSink === 0);
    for (let delivered = -1; delivered !== this.#server.subscriptions.statistics.delivered;) {
      delivered = this.#server.subscriptions.statistics.delivered;
      for (const index of this.#subscribers.keys()) {
        for (const id of this.#live(index)) await this.#acknowledgeAll(index, id);
      }
      await settle();
    }
    for (const subscriber of this.#subscribers) {
      await subscriber.ask('$3\r\nend\r\n', 'ECHO', 'end');
    }
  }

  #check(subscriber: Subscriber, index: number): void {
    for (const [id, { starts, isEnded }] of this.#expected[index]!) {
      const cursors = subscriber.cursors(id);
      assert.deepEqual(cursors, numbers(0, cursors.length));
      const payloads = subscriber.payloads(id).map((payload) => payload.replaceAll('.', ''));
      for (const [stream, [lowest, highest]] of starts) {
        const got = payloads
          .filter((payload) => payload.startsWith(`${stream} `))
          .map((payload) => Number(payload.slice(2)));
        const length = this.#lengths.get(stream)!;
        const [from = Math.max(lowest, length)] = got;
        const end = isEnded ? from + got.length : Math.max(from, length);
        assert.deepEqual(got, numbers(from, end), `${stream} of ${id}`);
        if (got.length > 0 || !isEnded) {
          assert(from >= lowest && from <= Math.max(lowest, highest), `starts at ${from}`);
        }
      }
      assert(payloads.every((payload) => starts.has(payload.slice(0, 1))));
    }
  }
}

describe('random subscriptions', () => {
  const first = Number(process.env['SEED'] ?? 1);
  const count = Number(process.env['SEEDS'] ?? 6);
  for (const seed of numbers(first, first + count)) {
    test(`seed ${seed}`, async () => {
      await using server = await TestServer.start();
      const run = await RandomRun.start(server, seededRandom(seed));
      await run.run(200);
      run.close();
    });
  }
});
