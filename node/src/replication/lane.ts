/**
 * One lane to one peer: messages leave in batches over one connection of their own, so that the other lane's never stand
 * before them.
 *
 * Invariants
 * - At most `inFlightMax` requests are unanswered; what is sent meanwhile gathers, and leaves in one request.
 * - Messages of one turn of the event loop leave together. No timer delays a message while the peer answers.
 * - Requests arrive in the order in which they were made: they share a connection.
 * - A failed request's messages are lost: Raft repeats what matters. After a failure the lane pauses, at most
 *   {@link PAUSE_MS_MAX}, so a peer that comes back is heard of soon.
 */
import { Client, type Dispatcher } from 'undici';
import { MessageQueue } from './message-queue.ts';

const BATCH_BYTES = 1024 * 1024;
const PAUSE_MS_MIN = 25;
const PAUSE_MS_MAX = 250;

export interface LaneOptions {
  /** `http://host:port`. */
  readonly origin: string;
  readonly path: string;
  /** Names and values by turns, asked for each request. */
  readonly headers: () => string[];
  readonly inFlightMax: number;
  readonly queueBytesMax: number;
  readonly connectMs: number;
  readonly answerMs: number;
}

export interface LaneStatistics {
  readonly requests: number;
  readonly messages: number;
  readonly bytes: number;
  readonly failures: number;
  /** Messages that were given up for room, or while the lane paused. */
  readonly dropped: number;
  readonly lastFailure: string | null;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #queue: MessageQueue;
  readonly #client: Client;
  #isScheduled = false;
  #inFlight = 0;
  #pauseMs = 0;
  #pause: NodeJS.Timeout | null = null;
  #isClosed = false;
  #requests = 0;
  #messages = 0;
  #bytes = 0;
  #failures = 0;
  #lastFailure: string | null = null;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#queue = new MessageQueue(options.queueBytesMax);
    this.#client = new Client(options.origin, {
      pipelining: options.inFlightMax,
      connect: { timeout: options.connectMs, noDelay: true },
      headersTimeout: options.answerMs,
      bodyTimeout: options.answerMs,
      keepAliveTimeout: 60_000,
    });
  }

  get statistics(): LaneStatistics {
    return {
      requests: this.#requests,
      messages: this.#messages,
      bytes: this.#bytes,
      failures: this.#failures,
      dropped: this.#queue.dropped,
      lastFailure: this.#lastFailure,
    };
  }

  send(message: Buffer): void {
    if (this.#isClosed) return;
    this.#queue.add(message);
    if (this.#isScheduled || this.#pause !== null || this.#inFlight >= this.#options.inFlightMax)
      return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#queue.clear();
    // What is under way is broken off: its answer says nothing that anyone waits for.
    this.#client.destroy().catch(() => undefined);
  }

  #flush(): void {
    const { inFlightMax } = this.#options;
    while (this.#inFlight < inFlightMax && this.#pause === null && !this.#queue.isEmpty) {
      const { body, count } = this.#queue.take(BATCH_BYTES);
      this.#requests += 1;
      this.#messages += count;
      this.#bytes += body.length;
      this.#post(body);
    }
  }

  #post(body: Buffer): void {
    this.#inFlight += 1;
    const { path, headers } = this.#options;
    let status = 0;
    let isDone = false;
    const done = (failure: string | null): void => {
      if (isDone) return;
      isDone = true;
      this.#done(failure);
    };
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart: (_controller, code) => {
        status = code;
      },
      onResponseData: () => undefined,
      onResponseEnd: () => {
        done(status === 204 ? null : `answered with status ${String(status)}`);
      },
      onResponseError: (_controller, error) => {
        done(error.message === '' ? error.name : error.message);
      },
    };
    // Messages may arrive twice: so may their requests, and they need not wait for each other.
    const pipelined = { idempotent: true, blocking: false } as const;
    this.#client.dispatch(
      { path, method: 'POST', headers: headers(), body, ...pipelined },
      handler,
    );
  }

  #done(failure: string | null): void {
    this.#inFlight -= 1;
    if (this.#isClosed) return;
    if (failure === null) this.#pauseMs = 0;
    else this.#failed(failure);
    this.#flush();
  }

  #failed(failure: string): void {
    this.#failures += 1;
    this.#lastFailure = failure;
    if (this.#pause !== null) return;
    this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, 2 * this.#pauseMs));
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#flush();
    }, this.#pauseMs);
    this.#pause.unref();
  }
}
