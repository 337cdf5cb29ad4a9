/**
 * Requests to one member over a stream of their own: those of one turn of the event loop leave together, answers come in any
 * order.
 *
 * Invariants
 * - Requests leave in the order in which they were made.
 * - What has not left when the stream ends, or while the link pauses, is `not done`; what has left and is not answered is
 *   `unknown`.
 * - What is on its way and what waits is bounded by bytes.
 */
import { type LinkFailure, PeerLink, type PeerLinkOptions } from './peer-link.ts';
import { PeerError, statusOutcome } from './peer-requests.ts';
import { requestHead } from './stream-format.ts';

/** What may be on its way, untaken, and what may wait behind it. */
const WINDOW_BYTES = 16 * 1024 * 1024;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;

const OK = 200;

interface Exchange {
  readonly id: number;
  readonly bucket: number;
  readonly body: Buffer;
  readonly done: (error: Error | null, answer: Buffer | null) => void;
}

export class RequestLane {
  readonly #link: PeerLink;
  #queue: Exchange[] = [];
  #queueBytes = 0;
  readonly #sent = new Map<number, Exchange['done']>();
  #ids = 0;
  #isScheduled = false;
  #lastFailure: LinkFailure | null = null;

  constructor(options: PeerLinkOptions) {
    this.#link = new PeerLink(options, {
      ready: () => this.#flush(),
      failed: (failure) => this.#failed(failure),
      answered: (id, status, body) => this.#answered(id, status, body),
    });
  }

  /** Rejects with a {@link PeerError}, or with the signal's reason. */
  async request(bucket: number, body: Buffer, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    this.#ids = (this.#ids + 1) >>> 0;
    const id = this.#ids;
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const onAbort = (): void => this.#abandon(id, signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    const done: Exchange['done'] = (error, answer) => {
      signal.removeEventListener('abort', onAbort);
      if (answer === null) reject(error);
      else resolve(answer);
    };
    this.#add({ id, bucket, body, done });
    return promise;
  }

  close(): void {
    this.#link.close();
    this.#failed({ reason: 'the node is stopping', status: null });
  }

  #add(exchange: Exchange): void {
    if (this.#link.isPausing) {
      exchange.done(notSent(this.#lastFailure), null);
      return;
    }
    if (this.#queueBytes >= QUEUE_BYTES_MAX) {
      exchange.done(new PeerError('too much waits for the member', 'not done'), null);
      return;
    }
    this.#queue.push(exchange);
    this.#queueBytes += exchange.body.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#queue.length === 0) return;
    if (!this.#link.isOpen) {
      this.#link.wake();
      return;
    }
    const pieces: Buffer[] = [];
    let bytes = this.#link.untakenBytes;
    let count = 0;
    while (count < this.#queue.length && bytes < WINDOW_BYTES) {
      const { id, bucket, body, done } = this.#queue[count] as Exchange;
      pieces.push(requestHead(id, bucket, body.length), body);
      this.#sent.set(id, done);
      bytes += body.length;
      this.#queueBytes -= body.length;
      count += 1;
    }
    if (count === 0) return;
    this.#queue.splice(0, count);
    this.#link.write(pieces, count);
  }

  #answered(id: number, status: number, body: Buffer): void {
    const done = this.#sent.get(id);
    this.#sent.delete(id);
    // Nobody waits for the answer to what was abandoned.
    if (done === undefined) return;
    if (status === OK) done(null, body);
    else done(new PeerError(body.toString('utf8'), statusOutcome(status), status), null);
  }

  #abandon(id: number, reason: Error): void {
    const at = this.#queue.findIndex((exchange) => exchange.id === id);
    if (at === -1) {
      const done = this.#sent.get(id);
      this.#sent.delete(id);
      done?.(reason, null);
      return;
    }
    const [exchange] = this.#queue.splice(at, 1) as [Exchange];
    this.#queueBytes -= exchange.body.length;
    exchange.done(reason, null);
  }

  #failed(failure: LinkFailure): void {
    this.#lastFailure = failure;
    const [queue, sent] = [this.#queue, [...this.#sent.values()]];
    this.#queue = [];
    this.#queueBytes = 0;
    this.#sent.clear();
    for (const done of sent) done(new PeerError(failure.reason, 'unknown', failure.status), null);
    for (const { done } of queue) done(notSent(failure), null);
  }
}

const notSent = (failure: LinkFailure | null): PeerError =>
  new PeerError(failure?.reason ?? 'no stream', 'not done', failure?.status ?? null);
