/**
 * One appender and many subscribers of its one stream. A bounded number of events is under way: the appender sends the
 * next one when the slowest subscriber has an earlier one, so that what is measured is how fast events reach all of them,
 * live, and no backlog grows.
 *
 * Invariant: `#arrivals` counts for each event under way how many subscribers have it; each gets them in order, so the
 * events are complete in order.
 */
import { connect, type Socket } from 'node:net';

import { Histogram, type Latencies } from './histogram.ts';
import { type Measured, Meter } from './meter.ts';
import { ReplyCounter } from './reply-counter.ts';
import { watchStall } from './stall-watch.ts';
import { Subscriber } from './subscriber.ts';
import { requestOf, TaggedAppend } from './tagged-append.ts';

export interface FanOutSpec {
  readonly port: number;
  readonly serverPid: number;
  readonly subscribers: number;
  /** Number of the stream, and the words of the ESUB for it. */
  readonly stream: number;
  readonly subscription: readonly string[];
  /** Events appended and not yet with every subscriber. */
  readonly underWayMax: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** The events are those that arrived, over all subscribers. */
export interface FanOutResult extends Measured {
  /** From the request to its arrival at the last subscriber. */
  readonly lastPushMs: Latencies;
}

class FanOutRun {
  readonly #spec: FanOutSpec;
  readonly #meter: Meter;
  readonly #template = new TaggedAppend();
  readonly #done = Promise.withResolvers<FanOutResult>();
  readonly #lastPush = new Histogram();
  readonly #arrivals: Uint32Array;
  readonly #sentAt: Float64Array;
  readonly #subscribers: Subscriber[] = [];
  #isMeasuring = false;
  #isEnding = false;
  #sent = 0;
  #complete = 0;
  #received = 0;
  #receivedBefore = 0;
  #measured: Measured | null = null;
  #step: NodeJS.Timeout | undefined;
  #socket: Socket | null = null;

  constructor(spec: FanOutSpec) {
    this.#spec = spec;
    this.#meter = new Meter(spec.serverPid);
    this.#arrivals = new Uint32Array(spec.underWayMax);
    this.#sentAt = new Float64Array(spec.underWayMax);
    this.#done.promise.catch(() => undefined);
  }

  async run(): Promise<FanOutResult> {
    const { port, subscribers, subscription, warmUpSeconds } = this.#spec;
    const stopWatching = watchStall(() => this.#received, this.#done.reject);
    try {
      const handler = {
        message: (bytes: Uint8Array, payloadAt: number): void => {
          this.#arrived(requestOf(bytes, payloadAt));
        },
        failed: this.#done.reject,
      };
      for (let i = 0; i < subscribers; i += 1) {
        const subscriber = await Subscriber.connect(port, handler);
        this.#subscribers.push(subscriber);
        await subscriber.send([subscription]);
      }
      this.#connectAppender();
      this.#after(warmUpSeconds, () => {
        this.#startMeasuring();
      });
      return await this.#done.promise;
    } finally {
      stopWatching();
      clearTimeout(this.#step);
      this.#socket?.destroy();
      for (const subscriber of this.#subscribers) subscriber.close();
    }
  }

  #connectAppender(): void {
    const replies = new ReplyCounter();
    const socket = connect({ port: this.#spec.port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    socket.on('error', this.#done.reject);
    socket.on('data', (chunk) => {
      replies.feed(chunk);
      if (replies.firstError !== null) this.#done.reject(new Error(replies.firstError));
    });
    socket.once('connect', () => {
      this.#send();
    });
  }

  /** As many as may be under way, in one write. */
  #send(): void {
    const { underWayMax, stream } = this.#spec;
    const requests: Buffer[] = [];
    const now = performance.now();
    while (!this.#isEnding && this.#sent - this.#complete < underWayMax) {
      const place = this.#sent % underWayMax;
      this.#arrivals[place] = 0;
      this.#sentAt[place] = now;
      requests.push(this.#template.make(stream, 0, this.#sent));
      this.#sent += 1;
    }
    if (requests.length > 0) this.#socket?.write(Buffer.concat(requests));
  }

  #arrived(event: number): void {
    this.#received += 1;
    const place = event % this.#spec.underWayMax;
    const count = (this.#arrivals[place] as number) + 1;
    this.#arrivals[place] = count;
    if (count < this.#spec.subscribers) return;
    this.#complete += 1;
    if (this.#isMeasuring)
      this.#lastPush.record(performance.now() - (this.#sentAt[place] as number));
    // A quarter at a time: one write for each event would make the appender the subject of the measurement.
    const underWay = this.#sent - this.#complete;
    if (this.#isEnding) this.#endIfComplete();
    else if (underWay <= (3 / 4) * this.#spec.underWayMax) this.#send();
  }

  #startMeasuring(): void {
    this.#isMeasuring = true;
    this.#receivedBefore = this.#received;
    this.#meter.start();
    this.#after(this.#spec.seconds, () => {
      this.#measured = this.#meter.read(this.#received - this.#receivedBefore);
      this.#isMeasuring = false;
      this.#isEnding = true;
      this.#endIfComplete();
    });
  }

  #endIfComplete(): void {
    const measured = this.#measured;
    if (measured === null || this.#complete < this.#sent) return;
    const disorder = this.#subscribers.filter(({ counter }) => counter.outOfOrder > 0).length;
    if (disorder > 0) this.#done.reject(new Error(`${String(disorder)} subscribers out of order`));
    else this.#done.resolve({ ...measured, lastPushMs: this.#lastPush.summary });
  }

  #after(seconds: number, step: () => void): void {
    this.#step = setTimeout(step, seconds * 1000);
  }
}

/** Rejects when a connection breaks, a reply is an error, or nothing arrives for 30 s. */
export function runFanOut(spec: FanOutSpec): Promise<FanOutResult> {
  return new FanOutRun(spec).run();
}
