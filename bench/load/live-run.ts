/**
 * Appenders in a closed loop, one request in flight each, and one subscriber to whatever they append: how long after the
 * reply, or before it, an event is at the subscriber. All of them live in this process and are told the time by its
 * clock, when their bytes are read.
 *
 * Invariant: of each appender, the ring holds for its latest requests when the reply and when the push came, 0 for not yet.
 */
import { connect, type Socket } from 'node:net';

import { type Random, seededRandom } from '../../common/random.ts';
import { Histogram, type Latencies } from './histogram.ts';
import { type Measured, Meter } from './meter.ts';
import { ReplyCounter } from './reply-counter.ts';
import { watchStall } from './stall-watch.ts';
import { Subscriber } from './subscriber.ts';
import { requestOf, senderOf, TaggedAppend } from './tagged-append.ts';

export interface LiveSpec {
  readonly port: number;
  readonly serverPid: number;
  readonly appenders: number;
  /** Appends go to random ones of these. */
  readonly streams: number;
  /** The words of the ESUB or EPSUB, which must cover all of them. */
  readonly subscription: readonly string[];
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly seed: number;
}

export interface LiveResult extends Measured {
  /** From the request to its reply. */
  readonly appendMs: Latencies;
  /** From the reply to the push; a push that came first counts as 0. */
  readonly pushAfterReplyMs: Latencies;
  /** From the request to the push. */
  readonly pushMs: Latencies;
  /** Share of the pushes that came before the reply or in the same read. */
  readonly earlyShare: number;
}

const READ_BYTES = 64 * 1024;
/** How far, in appends of one appender, the subscriber may lag. */
const RING = 4096;

class LiveRun {
  readonly #spec: LiveSpec;
  readonly #meter: Meter;
  readonly #random: Random;
  readonly #template = new TaggedAppend();
  readonly #appenders: Appender[] = [];
  readonly #done = Promise.withResolvers<LiveResult>();
  readonly #append = new Histogram();
  readonly #push = new Histogram();
  readonly #pushAfterReply = new Histogram();
  #early = 0;
  #isMeasuring = false;
  #isEnding = false;
  #answered = 0;
  #answeredBefore = 0;
  #sent = 0;
  #pushed = 0;
  #measured: Measured | null = null;
  #step: NodeJS.Timeout | undefined;

  constructor(spec: LiveSpec) {
    this.#spec = spec;
    this.#meter = new Meter(spec.serverPid);
    this.#random = seededRandom(spec.seed);
    this.#done.promise.catch(() => undefined);
  }

  async run(): Promise<LiveResult> {
    const { port, appenders, subscription, warmUpSeconds } = this.#spec;
    const subscriber = await Subscriber.connect(port, {
      message: (bytes, payloadAt) => {
        this.#received(bytes, payloadAt);
      },
      failed: this.#done.reject,
    });
    const stopWatching = watchStall(() => this.#pushed, this.#done.reject);
    try {
      await subscriber.send([subscription]);
      for (let i = 0; i < appenders; i += 1) this.#appenders.push(new Appender(this, i, port));
      this.#after(warmUpSeconds, () => {
        this.#startMeasuring();
      });
      const result = await this.#done.promise;
      if (subscriber.counter.outOfOrder > 0) throw new Error('pushes came out of order');
      return result;
    } finally {
      stopWatching();
      clearTimeout(this.#step);
      subscriber.close();
      for (const appender of this.#appenders) appender.close();
    }
  }

  fail(error: Error): void {
    this.#done.reject(error);
  }

  /** The bytes of the next request of an appender, or null at the end. */
  next(sender: number, request: number): Buffer | null {
    if (this.#isEnding) return null;
    this.#sent += 1;
    return this.#template.make(this.#random.below(this.#spec.streams), sender, request);
  }

  answered(appendMs: number): void {
    this.#answered += 1;
    if (this.#isMeasuring) this.#append.record(appendMs);
    this.#endIfComplete();
  }

  /** The later of reply and push is there: `lateMs` after the reply, below 0 before it. */
  both(lateMs: number, pushMs: number): void {
    if (!this.#isMeasuring) return;
    if (lateMs <= 0) this.#early += 1;
    this.#pushAfterReply.record(Math.max(0, lateMs));
    this.#push.record(pushMs);
  }

  #received(bytes: Uint8Array, payloadAt: number): void {
    this.#pushed += 1;
    this.#appenders[senderOf(bytes, payloadAt)]?.pushed(requestOf(bytes, payloadAt));
    this.#endIfComplete();
  }

  #startMeasuring(): void {
    this.#isMeasuring = true;
    this.#answeredBefore = this.#answered;
    this.#meter.start();
    this.#after(this.#spec.seconds, () => {
      this.#measured = this.#meter.read(this.#answered - this.#answeredBefore);
      this.#isMeasuring = false;
      this.#isEnding = true;
      this.#endIfComplete();
    });
  }

  /** Every append has its reply and its push: nothing was lost, nothing came twice. */
  #endIfComplete(): void {
    if (!this.#isEnding || this.#answered < this.#sent || this.#pushed < this.#sent) return;
    const measured = this.#measured;
    if (measured === null) return;
    this.#done.resolve({
      ...measured,
      appendMs: this.#append.summary,
      pushAfterReplyMs: this.#pushAfterReply.summary,
      pushMs: this.#push.summary,
      earlyShare: this.#early / Math.max(1, this.#push.count),
    });
  }

  #after(seconds: number, step: () => void): void {
    this.#step = setTimeout(step, seconds * 1000);
  }
}

class Appender {
  readonly #run: LiveRun;
  readonly #sender: number;
  readonly #socket: Socket;
  readonly #counter = new ReplyCounter();
  readonly #repliedAt = new Float64Array(RING);
  readonly #pushedAt = new Float64Array(RING);
  readonly #sentAt = new Float64Array(RING);
  #request = 0;

  constructor(run: LiveRun, sender: number, port: number) {
    this.#run = run;
    this.#sender = sender;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, buffer) => {
          this.#receive(buffer, length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      run.fail(error);
    });
    this.#socket.once('connect', () => {
      this.#send();
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  pushed(request: number): void {
    if (this.#request - request >= RING) {
      this.#run.fail(new Error(`the subscriber is ${String(RING)} appends of one appender behind`));
      return;
    }
    const place = request % RING;
    const now = performance.now();
    this.#pushedAt[place] = now;
    const repliedAt = this.#repliedAt[place] as number;
    if (repliedAt > 0) this.#run.both(now - repliedAt, now - (this.#sentAt[place] as number));
  }

  #receive(buffer: Uint8Array, length: number): void {
    if (this.#counter.feed(buffer, length) === 0) return;
    if (this.#counter.firstError !== null) {
      this.#run.fail(new Error(this.#counter.firstError));
      return;
    }
    const place = this.#request % RING;
    const now = performance.now();
    const sentAt = this.#sentAt[place] as number;
    const pushedAt = this.#pushedAt[place] as number;
    this.#repliedAt[place] = now;
    if (pushedAt > 0) this.#run.both(pushedAt - now, pushedAt - sentAt);
    this.#request += 1;
    this.#run.answered(now - sentAt);
    this.#send();
  }

  #send(): void {
    const bytes = this.#run.next(this.#sender, this.#request);
    if (bytes === null) return;
    const place = this.#request % RING;
    this.#repliedAt[place] = 0;
    this.#pushedAt[place] = 0;
    this.#sentAt[place] = performance.now();
    this.#socket.write(bytes);
  }
}

/** Rejects when a connection breaks, a reply is an error, or nothing arrives for 30 s. */
export function runLive(spec: LiveSpec): Promise<LiveResult> {
  return new LiveRun(spec).run();
}
