/**
 * One subscription on a connection of its own, so that a slow loop holds up nothing else.
 *
 * Invariants. `#handed` is, for each stream or partition, the first place that the loop has not been given; `#done` the first that
 * has not been processed; `#done` ≤ `#handed`. What waits in `#queue` was sent by the present connection; when that is lost the
 * queue is dropped, and the next one is asked from `#handed` on: nothing is given twice, nothing is left out. Places are
 * numbers before the first connection asks for events, also those of `latest`. At most a window of events waits in the
 * queue, and the socket is not read while more than {@link QUEUE_BYTES_MAX} wait.
 */
import { CheckpointSaver } from './checkpoint-saver.ts';
import { commandBytes } from './command-bytes.ts';
import type { Connection } from './connection.ts';
import { Dialer } from './dialer.ts';
import {
  ConnectionError,
  InvalidArgumentError,
  ProtocolError,
  serverError,
  SierraClientError,
} from './errors.ts';
import { eventBytes, WireEvent } from './event.ts';
import { Fifo } from './fifo.ts';
import { atLeast, type CompiledOptions } from './options.ts';
import { checkedStart, startPlaces } from './subscription-start.ts';
import { compileTarget, type Target, type TargetKey } from './subscription-target.ts';
import type {
  StoredEvent,
  SubscribeOptions,
  Subscription,
  SubscriptionPosition,
  SubscriptionStart,
} from './types.ts';

const QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** An event, and what acknowledges it. */
interface Delivery {
  readonly event: WireEvent;
  readonly cursor: number;
  /** The one that sent it; its cursor means nothing to another. */
  readonly connection: Connection;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<StoredEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

export class LiveSubscription implements Subscription {
  readonly ready: Promise<void>;
  readonly #target: Target;
  readonly #from: SubscriptionStart;
  readonly #window: number;
  readonly #isManual: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #saver: CheckpointSaver | null;
  readonly #dialer: Dialer;
  readonly #closing = new AbortController();
  readonly #onEnd: () => void;
  readonly #ended: Promise<void>;
  readonly #queue = new Fifo<Delivery>();
  /** Given to the loop and not processed. */
  readonly #inHand = new Fifo<Delivery>();
  readonly #handed = new Map<TargetKey, number>();
  readonly #done = new Map<TargetKey, number>();
  #queuedBytes = 0;
  #connection: Connection | null = null;
  /** The server's id for it, on the present connection. */
  #id = '';
  /** Cursors of the present connection: of the last processed event, and the last that the server was told. */
  #doneCursor = -1;
  #toldCursor = -1;
  #waiter: Waiter | null = null;
  #error: Error | null = null;
  #isRead = false;

  constructor(options: CompiledOptions, asked: SubscribeOptions, onEnd: () => void) {
    this.#target = compileTarget(asked);
    this.#from = checkedStart(asked.from ?? 0, this.#target);
    this.#window = atLeast(1, asked.window ?? 1000, 'window');
    this.#isManual = asked.acknowledge === 'manual';
    this.#signal = asked.signal;
    this.#dialer = new Dialer(options, this.#target.label);
    this.#onEnd = onEnd;
    this.#saver =
      asked.checkpoint === undefined
        ? null
        : new CheckpointSaver(
            asked.checkpoint,
            () => this.position,
            (error) => this.#fail(error),
          );
    const { promise, resolve, reject } = deferred();
    this.ready = promise;
    // Whoever waits for it sees the error; the loop does in any case.
    promise.catch(() => undefined);
    this.#ended = this.#run(resolve).then(
      () => reject(closed()),
      (error: unknown) => {
        reject(error as Error);
        this.#fail(error as Error);
      },
    );
    this.#signal?.addEventListener('abort', this.#onAbort);
    if (this.#signal?.aborted === true) this.#onAbort();
  }

  get position(): SubscriptionPosition {
    return this.#done.size === 0 ? {} : this.#target.position(this.#done);
  }

  [Symbol.asyncIterator](): AsyncIterator<StoredEvent, undefined> {
    if (this.#isRead) throw new InvalidArgumentError('a subscription is read by one loop, once');
    this.#isRead = true;
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  processed(event: StoredEvent): void {
    const inHand = this.#inHand.find((each) => each.event === event);
    if (inHand === undefined) return;
    while (this.#inHand.peek() !== inHand) this.#process();
    this.#process();
    this.#wake();
  }

  async close(): Promise<void> {
    this.#closing.abort(closed());
    this.#connection?.end(closed());
    this.#dropQueue();
    await this.#finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- The loop's side ----

  #next(): Promise<IteratorResult<StoredEvent, undefined>> {
    if (this.#waiter !== null) {
      return Promise.reject(new InvalidArgumentError('the next event is already waited for'));
    }
    if (!this.#isManual) while (this.#inHand.length > 0) this.#process();
    const event = this.#take();
    if (event !== null) return Promise.resolve({ done: false, value: event });
    if (this.#error !== null || this.#closing.signal.aborted) return this.#last();
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }));
  }

  /** What the loop gets when there are no more events. */
  async #last(): Promise<IteratorResult<StoredEvent, undefined>> {
    // Where an error has ended it, one of the last save is of no interest.
    if (this.#error === null) await this.#finish();
    if (this.#error !== null) throw this.#error;
    return { done: true, value: undefined };
  }

  /** Gives a waiting loop the next event, or its end. */
  #wake(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    const event = this.#take();
    if (event !== null) {
      this.#waiter = null;
      waiter.resolve({ done: false, value: event });
    } else if (this.#error !== null || this.#closing.signal.aborted) {
      this.#waiter = null;
      this.#last().then(waiter.resolve, waiter.reject);
    }
  }

  #take(): StoredEvent | null {
    // The server's window has the same effect, but for events that an earlier connection delivered.
    if (this.#inHand.length >= this.#window) return null;
    for (;;) {
      const delivery = this.#queue.shift();
      if (delivery === undefined) return null;
      this.#weigh(-eventBytes(delivery.event));
      const key = this.#target.keyOf(delivery.event);
      const place = this.#target.placeOf(delivery.event);
      const next = this.#handed.get(key);
      if (next === undefined || place < next) {
        if (this.#inHand.length === 0) this.#advance(delivery);
        continue;
      }
      this.#handed.set(key, place + 1);
      this.#inHand.push(delivery);
      return delivery.event;
    }
  }

  /** The first event in hand is processed. */
  #process(): void {
    const delivery = this.#inHand.shift();
    if (delivery === undefined) return;
    const { event } = delivery;
    this.#done.set(this.#target.keyOf(event), this.#target.placeOf(event) + 1);
    this.#saver?.processed();
    this.#advance(delivery);
  }

  /** Everything up to this delivery is processed; half a window at a time, the server is told. */
  #advance({ cursor, connection }: Delivery): void {
    if (connection !== this.#connection) return;
    this.#doneCursor = cursor;
    if ((cursor - this.#toldCursor) * 2 >= this.#window) this.#acknowledge(connection);
  }

  #acknowledge(connection: Connection): void {
    this.#toldCursor = this.#doneCursor;
    connection.send(commandBytes(['EACK', this.#id, this.#doneCursor]), (error) => {
      // The server does not know the subscription any more: it must be asked for again.
      if (error !== null) connection.end(retryable(error));
    });
  }

  // ---- The connection's side ----

  async #run(onReady: () => void): Promise<void> {
    const { signal } = this.#closing;
    try {
      const stored = (await this.#saver?.load()) ?? null;
      while (!signal.aborted) {
        const { promise: lost, resolve: onEnd } = deferred<Error>();
        const connection: Connection = await this.#dialer.dial(
          { onEnd, onPush: (items) => this.#push(connection, items) },
          signal,
        );
        const error = await this.#serve(connection, lost, stored, onReady);
        this.#connection = null;
        this.#dropQueue();
        if (this.#closing.signal.aborted) return;
        this.#dialer.lost(connection, error);
        if (!isRetryable(error)) throw error;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#connection?.end(closed());
      this.#connection = null;
    }
  }

  /** Subscribes, and returns what ended it. */
  async #serve(
    connection: Connection,
    lost: Promise<Error>,
    stored: SubscriptionPosition | null,
    onReady: () => void,
  ): Promise<Error> {
    try {
      this.#connection = connection;
      this.#doneCursor = -1;
      this.#toldCursor = -1;
      const isFirst = this.#handed.size === 0;
      if (isFirst) {
        const places = await startPlaces(connection, this.#target, this.#from, stored);
        for (const [key, place] of places) this.#place(key, place);
      }
      await this.#ask(connection);
      if (isFirst && this.#from === 'latest') this.#saver?.begin();
      onReady();
    } catch (error) {
      connection.end(error as Error);
      return error as Error;
    }
    return lost;
  }

  /** The id is there before the first event, which may arrive with it. */
  #ask(connection: Connection): Promise<void> {
    const command = commandBytes(this.#target.words(this.#handed, this.#window));
    return new Promise((resolve, reject) => {
      connection.send(command, (error, reply) => {
        this.#id = String(reply);
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  #place(key: TargetKey, place: number): void {
    this.#handed.set(key, place);
    this.#done.set(key, place);
  }

  #push(connection: Connection, items: readonly unknown[]): void {
    if (connection !== this.#connection || !connection.isOpen) return;
    const [kind, , third, event] = items;
    if (kind === 'error') {
      connection.end(serverError(Buffer.isBuffer(third) ? third.toString() : String(third)));
      return;
    }
    if (kind !== 'message') return;
    if (typeof third !== 'number' || !(event instanceof WireEvent)) {
      throw new ProtocolError('a push without an event');
    }
    this.#dialer.succeeded();
    this.#queue.push({ event, cursor: third, connection });
    this.#weigh(eventBytes(event));
    this.#wake();
  }

  /** Counts what waits, and reads on or not. */
  #weigh(bytes: number): void {
    const before = this.#queuedBytes;
    this.#queuedBytes += bytes;
    const half = QUEUE_BYTES_MAX / 2;
    if (before <= QUEUE_BYTES_MAX && this.#queuedBytes > QUEUE_BYTES_MAX) this.#connection?.pause();
    if (before > half && this.#queuedBytes <= half) this.#connection?.resume();
  }

  #dropQueue(): void {
    this.#queue.take();
    this.#queuedBytes = 0;
  }

  // ---- The end ----

  readonly #onAbort = (): void => {
    // What goes wrong then, the loop is told.
    this.close().catch((error: unknown) => this.#fail(error as Error));
  };

  #fail(error: Error): void {
    this.#error ??= error;
    this.#closing.abort(closed());
    this.#connection?.end(closed());
    this.#finish().catch(() => undefined);
    this.#wake();
  }

  /** Waits for the connection's end and the last save. */
  async #finish(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    await this.#ended;
    this.#onEnd();
    await this.#saver?.close();
    this.#wake();
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** `Promise.withResolvers`, which Node.js 20 lacks. */
function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const closed = (): ConnectionError => new ConnectionError('CLOSED', 'the subscription was closed');

const isRetryable = (error: Error): boolean =>
  error instanceof SierraClientError && error.retryable;

const retryable = (cause: Error): ConnectionError =>
  new ConnectionError('CONNECTION_LOST', cause.message, { cause, retryable: true });
