/**
 * One closed-loop run against one server: every connection keeps `pipeline` requests in flight, and sends the next one
 * as soon as a reply has arrived. A closed loop hides the time that requests would have waited for a slow server; both
 * servers are measured with it, and the figures that count are ratios.
 *
 * Invariants: a connection never has more than `pipeline` requests in flight; replies come in request order, so the
 * oldest entry of the ring of send times belongs to the next reply.
 */
import { connect, type Socket } from 'node:net';

import { Histogram, type Latencies } from './histogram.ts';
import { type Measured, Meter } from './meter.ts';
import { ReplyCounter } from './reply-counter.ts';
import { type Dialect, makeRequests, type RequestSource, type Workload } from './requests.ts';

/** A run ends after a time, or when a number of requests was answered (to fill a store). */
export type RunLength =
  | { readonly kind: 'time'; readonly warmUpSeconds: number; readonly seconds: number }
  | { readonly kind: 'requests'; readonly requests: number };

export interface LoadSpec {
  readonly workload: Workload;
  readonly dialect: Dialect;
  /** Connections go to these in turn. */
  readonly ports: readonly number[];
  /** The processes whose CPU time is read at both ends of the measured time. */
  readonly serverPids: readonly number[];
  readonly connections: number;
  readonly pipeline: number;
  readonly length: RunLength;
  readonly seed: number;
}

export interface LoadResult extends Measured {
  readonly requests: number;
  readonly errors: number;
  readonly firstError: string | null;
  /** Of requests. */
  readonly latencyMs: Latencies;
  readonly replyBytes: number;
  /** Requests sent from the first to the last one, warm-up included: where the next run's event numbers start. */
  readonly requestsSent: number;
}

const READ_BYTES = 256 * 1024;
/** Longer than any honest reply; a run that hangs must end with a message. */
const STALL_MS = 30_000;

class Connection {
  readonly counter = new ReplyCounter();
  readonly #socket: Socket;
  readonly #run: LoadRun;
  readonly #sentAt: Float64Array;
  readonly #request: Buffer;
  #oldest = 0;
  #inFlight = 0;
  #strayReplies = 0;

  constructor(run: LoadRun, port: number, pipeline: number, readBuffer: Uint8Array) {
    this.#run = run;
    this.#sentAt = new Float64Array(pipeline);
    this.#request = Buffer.allocUnsafeSlow(run.source.requestBytesMax);
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      // Replies are read into one buffer that all connections share: they are counted before the callback returns.
      onread: {
        buffer: readBuffer,
        callback: (length, buffer) => {
          this.#receive(buffer, length);
          return true;
        },
      },
    });
    this.#socket.once('connect', () => {
      run.connected();
    });
    this.#socket.once('error', (error) => {
      run.fail(error);
    });
    this.#socket.once('close', () => {
      run.fail(new Error('the server closed a connection'));
    });
  }

  get isIdle(): boolean {
    return this.#inFlight === 0;
  }

  start(): void {
    this.#send(this.#sentAt.length, performance.now());
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #receive(buffer: Uint8Array, length: number): void {
    const now = performance.now();
    let completed: number;
    try {
      completed = this.counter.feed(buffer, length);
    } catch (error) {
      this.#run.fail(error as Error);
      return;
    }
    this.#run.received(length);
    const perRequest = this.#run.source.repliesPerRequest;
    const replies = this.#strayReplies + completed;
    const requests = Math.floor(replies / perRequest);
    this.#strayReplies = replies - requests * perRequest;
    if (requests === 0) return;
    for (let i = 0; i < requests; i += 1) {
      this.#run.answered(now - (this.#sentAt[this.#oldest] as number));
      this.#oldest = this.#oldest + 1 === this.#sentAt.length ? 0 : this.#oldest + 1;
    }
    this.#inFlight -= requests;
    this.#send(requests, now);
    if (this.#inFlight === 0) this.#run.idle();
  }

  #send(wanted: number, now: number): void {
    const count = this.#run.take(wanted);
    if (count === 0) return;
    const { source } = this.#run;
    // The socket may keep the bytes until the server has read them: one request at a time can use the same ones again.
    const bytes =
      this.#sentAt.length === 1
        ? this.#request
        : Buffer.allocUnsafe(count * source.requestBytesMax);
    let end = 0;
    for (let i = 0; i < count; i += 1) {
      end = source.write(bytes, end);
      const place = (this.#oldest + this.#inFlight) % this.#sentAt.length;
      this.#sentAt[place] = now;
      this.#inFlight += 1;
    }
    this.#socket.write(bytes.subarray(0, end));
  }
}

type Phase = 'connecting' | 'warming' | 'measuring' | 'draining' | 'done';

/** Counts at one end of the measured time. */
interface Counts {
  readonly requests: number;
  readonly blobs: number;
  readonly replyBytes: number;
}

class LoadRun {
  readonly source: RequestSource;
  readonly #spec: LoadSpec;
  readonly #connections: Connection[] = [];
  readonly #latencies = new Histogram();
  readonly #settled = Promise.withResolvers<LoadResult>();
  #phase: Phase = 'connecting';
  #open = 0;
  #requestsAnswered = 0;
  #requestsSent = 0;
  #requestsLeft: number;
  #replyBytes = 0;
  readonly #meter: Meter;
  #start: Counts = { requests: 0, blobs: 0, replyBytes: 0 };
  #result: LoadResult | null = null;
  #step: NodeJS.Timeout | undefined;
  readonly #stallWatch: NodeJS.Timeout;

  constructor(spec: LoadSpec) {
    this.#spec = spec;
    this.#meter = new Meter(...spec.serverPids);
    this.source = makeRequests(spec.workload, spec.dialect, spec.seed);
    this.#requestsLeft = spec.length.kind === 'requests' ? spec.length.requests : Infinity;
    const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
    for (let i = 0; i < spec.connections; i += 1) {
      const port = spec.ports[i % spec.ports.length] as number;
      this.#connections.push(new Connection(this, port, spec.pipeline, readBuffer));
    }
    this.#stallWatch = this.#watchStall();
  }

  get result(): Promise<LoadResult> {
    return this.#settled.promise;
  }

  connected(): void {
    this.#open += 1;
    if (this.#open < this.#connections.length) return;
    this.#phase = 'warming';
    const { length } = this.#spec;
    if (length.kind === 'requests') this.#measure();
    else
      this.#after(length.warmUpSeconds, () => {
        this.#measure();
      });
    for (const connection of this.#connections) connection.start();
  }

  /** How many of the `wanted` requests may be sent. */
  take(wanted: number): number {
    if (this.#phase !== 'warming' && this.#phase !== 'measuring') return 0;
    const count = Math.min(wanted, this.#requestsLeft);
    this.#requestsLeft -= count;
    this.#requestsSent += count;
    return count;
  }

  received(bytes: number): void {
    this.#replyBytes += bytes;
  }

  answered(latencyMs: number): void {
    this.#requestsAnswered += 1;
    if (this.#phase === 'measuring') this.#latencies.record(latencyMs);
  }

  /** A connection has nothing in flight: at the end of the run the last one to say so ends it. */
  idle(): void {
    const isOver = this.#phase === 'draining' || this.#requestsLeft === 0;
    if (!isOver || this.#connections.some((connection) => !connection.isIdle)) return;
    if (this.#phase === 'measuring') this.#endMeasuring();
    this.#finish();
  }

  fail(error: Error): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    this.#close();
    this.#settled.reject(error);
  }

  #measure(): void {
    if (this.#phase !== 'warming') return;
    this.#phase = 'measuring';
    this.#start = this.#counts();
    this.#meter.start();
    const { length } = this.#spec;
    if (length.kind !== 'time') return;
    this.#after(length.seconds, () => {
      this.#endMeasuring();
      this.#phase = 'draining';
    });
  }

  #after(seconds: number, step: () => void): void {
    this.#step = setTimeout(step, seconds * 1000);
  }

  #finish(): void {
    this.#phase = 'done';
    this.#close();
    const result = this.#result;
    if (result === null) throw new Error('the run ended before it was measured');
    this.#settled.resolve({ ...result, ...this.#totals() });
  }

  #close(): void {
    clearTimeout(this.#step);
    clearInterval(this.#stallWatch);
    for (const connection of this.#connections) connection.close();
  }

  #watchStall(): NodeJS.Timeout {
    let seen = -1;
    return setInterval(() => {
      if (seen === this.#replyBytes) {
        this.fail(new Error(`no reply for ${String(STALL_MS / 1000)} s, phase ${this.#phase}`));
      }
      seen = this.#replyBytes;
    }, STALL_MS);
  }

  #counts(): Counts {
    return {
      requests: this.#requestsAnswered,
      blobs: this.#connections.reduce((sum, { counter }) => sum + counter.blobs, 0),
      replyBytes: this.#replyBytes,
    };
  }

  #endMeasuring(): void {
    const start = this.#start;
    const end = this.#counts();
    const requests = end.requests - start.requests;
    this.#result = {
      ...this.#meter.read(this.source.eventsIn(requests, end.blobs - start.blobs)),
      requests,
      replyBytes: end.replyBytes - start.replyBytes,
      latencyMs: this.#latencies.summary,
      ...this.#totals(),
    };
  }

  /** What counts for the whole run, whatever was measured of it. */
  #totals(): Pick<LoadResult, 'errors' | 'firstError' | 'requestsSent'> {
    const failed = this.#connections.find(({ counter }) => counter.firstError !== null);
    return {
      errors: this.#connections.reduce((sum, { counter }) => sum + counter.errors, 0),
      firstError: failed?.counter.firstError ?? null,
      requestsSent: this.#requestsSent,
    };
  }
}

/** Runs the load in this process. Rejects when a connection breaks, a reply is not RESP or nothing arrives for 30 s. */
export function runLoad(spec: LoadSpec): Promise<LoadResult> {
  return new LoadRun(spec).result;
}
