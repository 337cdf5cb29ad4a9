/**
 * Clients that append and read through whichever node answers them, and write down what they ask and are told.
 *
 * A client has one call under way. Where no reply comes for long, or the connection ends, it goes to another node,
 * as a client library does. Each event has an id of its own; one of which nothing is known is sometimes sent again.
 */
import assert from 'node:assert/strict';

import type { WireEvent } from '../../../client/event.ts';
import { type ErrorCode, errorOutcomes } from '../../../common/errors.ts';
import { uuidText } from '../../../common/ids.ts';
import type { Random } from '../../../common/random.ts';
import { WireClient } from '../../testing/wire-client.ts';
import {
  type AppendCall,
  type AppendOutcome,
  EMPTY,
  type History,
  type ReadCall,
} from './history.ts';

/** What clients can connect to; who that is may change while they run. */
export interface Servers {
  readonly indices: readonly number[];
  node(index: number): { readonly host: string; readonly port: number };
}

export interface LoadOptions {
  readonly clients?: number;
  readonly streams?: number;
  /** Largest payload of an event. */
  readonly payloadBytesMax?: number;
  /** Codes of errors that may come; any other ends the load with a failure. */
  readonly allowed?: readonly ErrorCode[];
  /** Nodes that clients connect to, at the time they do; all by default. */
  readonly through?: () => readonly number[];
  /** How long a client waits for a reply before it goes to another node. */
  readonly callMs?: number;
  /** How long a client does nothing after each call; nothing by default. */
  readonly idleMs?: number;
}

const CALL_MS = 1500;
const CONNECT_MS = 500;
/** A client that is refused does not ask again at once; nothing depends on how long it waits. */
const PAUSE_MS = 20;
const NO_REPLY = 'no reply';
/** Streams of one partition, which are appended to together only. */
const JOINT_KEY = '550e8400-e29b-41d4-a716-446655440000';
const JOINT_STREAMS: readonly string[] = ['joint-a', 'joint-b', 'joint-c'];

const ALLOWED: readonly ErrorCode[] = [
  ...(['WRONGVER', 'TRYAGAIN', 'CLUSTERDOWN', 'INSUFFICIENTREPLICAS'] as const),
  ...(['BUFFERFULL', 'QUORUMFAILED', 'DISKFULL'] as const),
];

export class Load implements AsyncDisposable {
  readonly #cluster: Servers;
  readonly #random: Random;
  readonly #options: Required<LoadOptions>;
  readonly #appends: AppendCall[] = [];
  readonly #reads: ReadCall[] = [];
  /** Latest version of each stream that a client was told: a guess at what to expect. */
  readonly #versions = new Map<string, number>();
  readonly #errors = new Map<string, number>();
  readonly #running: Promise<void>[];
  readonly #waiting: { count: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #failure: Error | null = null;
  #isStopping = false;
  #done = 0;
  #lastDoneMs = performance.now();
  #longestPauseMs = 0;

  /** Begins at once. */
  constructor(cluster: Servers, random: Random, options: LoadOptions = {}) {
    this.#cluster = cluster;
    this.#random = random;
    this.#options = {
      ...{ clients: 6, streams: 12, payloadBytesMax: 200, allowed: ALLOWED },
      ...{ through: () => cluster.indices, callMs: CALL_MS, idleMs: 0 },
      ...options,
    };
    this.#running = Array.from({ length: this.#options.clients }, () => this.#run());
  }

  /** Resolves when that many appends more have been acknowledged. */
  acknowledged(count: number): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ count: this.#done + count, resolve, reject });
    });
  }

  /**
   * Connects to a node now; what is returned asks it for the versions of all streams, whether it answers at that time or
   * later.
   */
  async prepareReads(index: number): Promise<() => Promise<void>> {
    const { port, host } = this.#cluster.node(index);
    const client = await WireClient.connect(port, host);
    return async () => {
      const caller = new Caller(client, this.#options.callMs);
      const streams = Array.from({ length: this.#options.streams }, (_, i) => `stream-${i}`);
      await Promise.all(streams.map((stream) => this.#readVersion(caller, stream)));
      client[Symbol.dispose]();
    };
  }

  /** Ends when no call is under way; rejects with what a client found wrong. */
  async stop(): Promise<History> {
    this.#isStopping = true;
    await Promise.all(this.#running);
    if (this.#failure !== null) throw this.#failure;
    return { appends: this.#appends, reads: this.#reads };
  }

  /** For a person to read. */
  describe(): string {
    const errors = [...this.#errors].map(([error, count]) => `${count} × ${error}`);
    const appends = `${this.#done} of ${this.#appends.length} appends acknowledged`;
    const pause = `longest time without one ${Math.round(this.#longestPauseMs)} ms`;
    const slowest = `slowest ${Math.round(this.slowestMs())} ms`;
    return `${appends}, ${pause}, ${slowest}, ${this.#reads.length} reads; ${errors.join(', ')}`;
  }

  /** The longest time for which an append that was acknowledged was waited for, of those begun since `fromMs`. */
  slowestMs(fromMs: number = -Infinity): number {
    return this.#appends
      .filter(({ startMs, outcome }) => startMs >= fromMs && outcome.is === 'done')
      .reduce((slowest, { startMs, endMs }) => Math.max(slowest, endMs - startMs), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const through = this.#options.through();
      const node = this.#cluster.node(through[this.#random.below(through.length)] ?? 0);
      const signal = AbortSignal.timeout(CONNECT_MS);
      const client = await WireClient.connect(node.port, node.host, signal).catch(() => null);
      if (client === null) {
        await pause();
        continue;
      }
      await this.#use(new Caller(client, this.#options.callMs));
      client[Symbol.dispose]();
    }
  }

  /** Until no reply comes. */
  async #use(caller: Caller): Promise<void> {
    try {
      while (!this.#isStopping && !caller.isLost) {
        await this.#step(caller);
        if (this.#options.idleMs > 0) await pause(this.#options.idleMs);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#isStopping = true;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async #step(caller: Caller): Promise<void> {
    const stream = `stream-${this.#random.below(this.#options.streams)}`;
    const choice = this.#random.below(100);
    if (choice < 8) await this.#appendTogether(caller);
    else if (choice < 60) await this.#append(caller, this.#newEvent(stream));
    else if (choice < 80) await this.#readVersion(caller, stream);
    else if (choice < 92) await this.#readEvents(caller, stream, false);
    else await this.#readEvents(caller, stream, true);
  }

  #newEvent(stream: string): Pick<AppendCall, 'stream' | 'eventId' | 'expected'> {
    const known = this.#versions.get(stream);
    const expected = known === undefined || this.#random.below(2) === 0 ? null : known;
    return { stream, eventId: this.#newId(), expected };
  }

  #newId(): string {
    const id = Buffer.alloc(16);
    this.#random.fill(id);
    return uuidText(id);
  }

  async #appendTogether(caller: Caller): Promise<void> {
    const events = JOINT_STREAMS.map((stream) => ({ stream, eventId: this.#newId() }));
    const transaction = events[0]!.eventId;
    const startMs = performance.now();
    const reply = await caller.call(
      ...['EMAPPEND', JOINT_KEY],
      ...events.flatMap(({ stream, eventId }) => [stream, 'Happened', 'EVENT_ID', eventId]),
    );
    const endMs = performance.now();
    const outcomes = this.#outcomes(reply, events.length);
    events.forEach((event, i) => {
      const outcome = outcomes[i]!;
      const end = outcome.is === 'unknown' ? Infinity : endMs;
      this.#appends.push({
        ...{ ...event, transaction, expected: null, startMs, endMs: end, outcome },
      });
      if (outcome.is === 'done') this.#noteDone(event.stream, outcome.version, endMs);
    });
    const [first] = outcomes;
    if (first?.is !== 'done') await this.#noteError('', first!.error, startMs, endMs);
  }

  #outcomes(reply: unknown, count: number): AppendOutcome[] {
    if (!(reply instanceof Map)) return Array.from({ length: count }, () => this.#outcome(reply));
    const {
      partition_id: partition,
      first_partition_sequence: first,
      events,
    } = Object.fromEntries(reply as Map<string, unknown>) as {
      partition_id: number;
      first_partition_sequence: number;
      events: Map<string, number>[];
    };
    return events.map((event, i) => {
      const version = Number(event.get('stream_version'));
      return { is: 'done', version, partition, sequence: first + i };
    });
  }

  async #append(
    caller: Caller,
    event: Pick<AppendCall, 'stream' | 'eventId' | 'expected'>,
  ): Promise<void> {
    const { stream, eventId, expected } = event;
    const payload = 'x'.repeat(this.#random.below(this.#options.payloadBytesMax));
    const startMs = performance.now();
    const reply = await caller.call(
      ...['EAPPEND', stream, 'Happened', 'EVENT_ID', eventId, 'PAYLOAD', payload],
      ...(expected === null ? [] : ['EXPECTED_VERSION', expectation(expected)]),
    );
    const endMs = performance.now();
    const outcome = this.#outcome(reply);
    const isAnswered = outcome.is !== 'unknown';
    this.#appends.push({ ...event, startMs, endMs: isAnswered ? endMs : Infinity, outcome });
    if (outcome.is === 'done') this.#noteDone(stream, outcome.version, endMs);
    else await this.#noteError(stream, outcome.error, startMs, endMs);
    const isTriedAgain = outcome.is === 'unknown' && !caller.isLost && this.#random.below(2) === 0;
    if (isTriedAgain && !this.#isStopping) await this.#append(caller, event);
  }

  #outcome(reply: unknown): AppendOutcome {
    if (reply instanceof Map) {
      const [version, partition, sequence] = [
        ...['stream_version', 'partition_id', 'partition_sequence'],
      ].map((name) => Number(reply.get(name)));
      return { is: 'done', version: version!, partition: partition!, sequence: sequence! };
    }
    assert.ok(reply instanceof Error, `an append was answered with ${String(reply)}`);
    const error = reply.message;
    if (error === NO_REPLY) return { is: 'unknown', error };
    return { is: errorOutcomes[this.#code(error)] === 'unknown' ? 'unknown' : 'refused', error };
  }

  /** Fails where the error may not come. */
  #code(error: string): ErrorCode {
    const code = error.split(' ')[0] as ErrorCode;
    assert.ok(this.#options.allowed.includes(code), `a client was told: ${error}`);
    return code;
  }

  #noteDone(stream: string, version: number, nowMs: number): void {
    this.#done += 1;
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#lastDoneMs);
    this.#lastDoneMs = nowMs;
    this.#noteVersion(stream, version);
    for (const waiting of this.#waiting.filter(({ count }) => count <= this.#done)) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve();
    }
  }

  #noteVersion(stream: string, version: number): void {
    this.#versions.set(stream, Math.max(version, this.#versions.get(stream) ?? EMPTY));
  }

  async #noteError(stream: string, error: string, startMs: number, endMs: number): Promise<void> {
    const code = error.startsWith(NO_REPLY) ? NO_REPLY : (error.split(' ')[0] ?? '');
    this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
    // A conflict shows the stream's state, as a read does.
    const shown = /^WRONGVER current stream version is (\w+)/.exec(error)?.[1];
    if (shown === undefined) {
      if (code !== NO_REPLY) await pause();
      return;
    }
    const version = shown === 'empty' ? EMPTY : Number(shown);
    this.#noteVersion(stream, version);
    this.#reads.push({ stream, isStale: false, startMs, endMs, version, eventIds: [] });
  }

  async #readVersion(caller: Caller, stream: string): Promise<void> {
    const startMs = performance.now();
    const reply = await caller.call('ESVER', stream);
    const endMs = performance.now();
    if (reply instanceof Error) {
      await this.#noteFailedRead(stream, reply);
      return;
    }
    const version = reply === null ? EMPTY : Number(reply);
    this.#reads.push({ stream, isStale: false, startMs, endMs, version, eventIds: [] });
  }

  /** From a place near the end on. */
  async #readEvents(caller: Caller, stream: string, isStale: boolean): Promise<void> {
    const known = this.#versions.get(stream) ?? EMPTY;
    const from = Math.max(0, known - this.#random.below(8));
    const startMs = performance.now();
    if (isStale) caller.tell('READONLY');
    const reply = await caller.call('ESCAN', stream, String(from), '+', 'COUNT', '10000');
    const endMs = performance.now();
    if (isStale) caller.tell('READWRITE');
    if (reply instanceof Error) {
      await this.#noteFailedRead(stream, reply);
      return;
    }
    const events = (reply as Map<string, unknown>).get('events') as WireEvent[];
    const eventIds = events.map(({ id }) => id);
    const version = events.at(-1)?.version;
    if (version !== undefined) {
      this.#reads.push({ stream, isStale, startMs, endMs, version, eventIds });
    } else if (!isStale) {
      // What it does not show is how far below `from` the stream ends.
      assert.equal(from, 0, `${stream}: nothing from ${from} on, and ${known} was acknowledged`);
      this.#reads.push({ stream, isStale, startMs, endMs, version: EMPTY, eventIds });
    }
  }

  async #noteFailedRead(stream: string, { message }: Error): Promise<void> {
    if (message !== NO_REPLY) this.#code(message);
    await this.#noteError(stream, message, 0, 0);
  }
}

const expectation = (version: number): string => (version === EMPTY ? 'empty' : String(version));

function pause(ms: number = PAUSE_MS): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A connection, and whether it is of use still. */
class Caller {
  isLost = false;
  readonly #client: WireClient;
  readonly #callMs: number;

  constructor(client: WireClient, callMs: number) {
    this.#client = client;
    this.#callMs = callMs;
  }

  /** Resolves with the reply, with an error that a node has answered, or with {@link NO_REPLY}. */
  async call(...args: string[]): Promise<unknown> {
    const { promise: silence, resolve } = Promise.withResolvers<Error>();
    const timer = setTimeout(() => {
      resolve(new Error(NO_REPLY));
    }, this.#callMs);
    const reply = this.#client.call(...args).catch((error: unknown) => error as Error);
    const answer = await Promise.race([reply, silence]);
    clearTimeout(timer);
    const isReply = !(answer instanceof Error) || /^[A-Z]+ /.test(answer.message);
    if (isReply) return answer;
    this.isLost = true;
    return new Error(NO_REPLY);
  }

  tell(...args: string[]): void {
    this.#client.tell(...args);
  }
}
