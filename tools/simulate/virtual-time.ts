/**
 * Time of a simulation, and the processes that live in it. Timers of the code that runs are events in a queue; the clock moves
 * from one event to the next, so ten seconds pass as fast as the work in them is done.
 *
 * Invariants
 * - One event at a time; every promise that it resolves has run its course before the next.
 * - What an event sets off (timers, promises, writes) belongs to the process of the event. Nothing of a dead process runs;
 *   what a frozen one would do happens when it goes on, in the same order.
 * - The same events at the same times in the same order for the same seed: ties are resolved by age.
 */

import { createRequire, syncBuiltinESMExports } from 'node:module';

/** A process: from a start to a crash. */
export class Life {
  readonly name: string;
  /** No two clocks run alike: how long its intervals are for what they should be. */
  readonly pace: number;
  isDead = false;
  /** Frozen until then. */
  frozenUntil = 0;

  constructor(name: string, pace: number = 1) {
    this.name = name;
    this.pace = pace;
  }
}

interface Event {
  at: number;
  order: number;
  readonly life: Life | null;
  readonly run: () => void;
  isCancelled: boolean;
}

/** What `setTimeout` and its like return. */
class VirtualTimer {
  event: Event | null = null;

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  cancel(): void {
    if (this.event !== null) this.event.isCancelled = true;
  }
}

const real = {
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
};

/** The same functions under another name, which modules import. */
const timersPromises = createRequire(import.meta.url)('node:timers/promises') as Record<
  'setTimeout' | 'setImmediate',
  unknown
>;
const realPromises = {
  setTimeout: timersPromises.setTimeout,
  setImmediate: timersPromises.setImmediate,
};
const realNow = performance.now.bind(performance);
const realTimeout = AbortSignal.timeout.bind(AbortSignal);
const realAny = AbortSignal.any.bind(AbortSignal);

/** Events that share one turn of the real event loop. */
const BATCH = 64;

export class VirtualTime {
  /** Milliseconds since the simulation began. */
  now = 0;
  /** Events so far. */
  count = 0;
  readonly #heap: Event[] = [];
  #order = 0;
  #life: Life | null = null;
  #ended: PromiseWithResolvers<void> | null = null;
  #isOver = false;

  /** The process whose event is running. */
  get life(): Life | null {
    return this.#life;
  }

  /** Runs `run` after `delayMs` in the process `life`; null: outside of all of them. */
  after(delayMs: number, life: Life | null, run: () => void): Event {
    const order = (this.#order += 1);
    const event = { at: this.now + Math.max(0, delayMs), order, life, run, isCancelled: false };
    this.#push(event);
    return event;
  }

  /** Outside of all processes. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, null, resolve);
    });
  }

  /** Runs events until `work` has ended; the timers of all code are those of this clock meanwhile. */
  async run(work: () => Promise<void>): Promise<void> {
    this.#ended = Promise.withResolvers();
    this.#replaceTimers();
    try {
      this.after(0, null, () => {
        work().then(
          () => this.#ended?.resolve(),
          (error: unknown) => this.#ended?.reject(error),
        );
      });
      this.#turn();
      await this.#ended.promise;
    } finally {
      this.#isOver = true;
      Object.assign(globalThis, real);
      performance.now = realNow;
      AbortSignal.timeout = realTimeout;
      AbortSignal.any = realAny;
      Object.assign(timersPromises, realPromises);
      syncBuiltinESMExports();
    }
  }

  /** Ends the run with an error. */
  fail(error: unknown): void {
    this.#ended?.reject(error);
  }

  #turn(): void {
    for (let i = 0; i < BATCH; i += 1) {
      real.setImmediate(() => {
        this.#next();
        if (i === BATCH - 1 && !this.#isOver) this.#turn();
      });
    }
  }

  #next(): void {
    if (this.#isOver) return;
    const event = this.#pop();
    if (event === undefined || event.isCancelled || event.life?.isDead === true) return;
    this.now = Math.max(this.now, event.at);
    const { life } = event;
    if (life !== null && life.frozenUntil > this.now) {
      event.at = life.frozenUntil;
      this.#push(event);
      return;
    }
    this.#life = life;
    this.count += 1;
    try {
      event.run();
    } catch (error) {
      this.fail(error);
    }
  }

  #replaceTimers(): void {
    const timer = (run: () => void, delayMs: number, repeats: boolean): VirtualTimer => {
      const made = new VirtualTimer();
      const life = this.#life;
      const arm = (): void => {
        const paceMs = repeats ? delayMs * (life?.pace ?? 1) : delayMs;
        made.event = this.after(paceMs, life, () => {
          if (repeats) arm();
          run();
        });
      };
      arm();
      return made;
    };
    const cancel = (made: unknown): void => {
      if (made instanceof VirtualTimer) made.cancel();
    };
    type Callback = (...values: unknown[]) => void;
    Object.assign(globalThis, {
      setImmediate: (run: Callback, ...values: unknown[]) => timer(() => run(...values), 0, false),
      setTimeout: (run: Callback, delayMs = 1, ...values: unknown[]) =>
        timer(() => run(...values), Math.max(1, delayMs), false),
      setInterval: (run: Callback, delayMs = 1, ...values: unknown[]) =>
        timer(() => run(...values), Math.max(1, delayMs), true),
      clearImmediate: cancel,
      clearTimeout: cancel,
      clearInterval: cancel,
    });
    performance.now = () => this.now;
    AbortSignal.any = anyOf;
    AbortSignal.timeout = (ms) => {
      const controller = new AbortController();
      this.after(ms, this.#life, () => {
        controller.abort(new DOMException('no answer in time', 'TimeoutError'));
      });
      return controller.signal;
    };
    Object.assign(timersPromises, {
      setTimeout: (delayMs: number, value: unknown, options?: { readonly signal?: AbortSignal }) =>
        this.#delay(delayMs, value, options?.signal),
      setImmediate: (value: unknown, options?: { readonly signal?: AbortSignal }) =>
        this.#delay(0, value, options?.signal),
    });
    syncBuiltinESMExports();
  }

  #delay(delayMs: number, value: unknown, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const refuse = (): void => {
        reject(signal?.reason as Error);
      };
      if (signal?.aborted === true) {
        refuse();
        return;
      }
      signal?.addEventListener('abort', refuse, { once: true });
      this.after(delayMs, this.#life, () => {
        signal?.removeEventListener('abort', refuse);
        resolve(value);
      });
    });
  }

  // A binary heap, earliest first.

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Event;
      if (isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Event, heap[child] as Event))
        child += 1;
      if (isBefore(last, heap[child] as Event)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order);

/**
 * The built-in one keeps a signal that is listened to until it is aborted, and all that its listeners know of: of a process that is
 * dead that is never, and a run would hold on to every run before it.
 */
function anyOf(signals: Iterable<AbortSignal>): AbortSignal {
  const controller = new AbortController();
  for (const signal of signals) {
    const follow = (): void => {
      controller.abort(signal.reason);
    };
    if (signal.aborted) follow();
    else signal.addEventListener('abort', follow, { once: true });
  }
  return controller.signal;
}
