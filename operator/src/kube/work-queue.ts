/**
 * Keys of what is to be looked at.
 *
 * Invariants
 * - A key that is added is worked on at least once afterwards, unless the queue is stopped.
 * - A key that waits is there once, however often it was added; one that is being worked on is never worked on twice at once.
 * - Work that fails is repeated, each time in a row after a longer while; a key that is added meanwhile does not wait for that.
 */
import { systemRandom, type Random } from '../../../common/random.ts';
import { type Backoff, backoffMs, systemTimers, type Timers } from './timers.ts';

const BACKOFF: Backoff = { minMs: 500, maxMs: 30_000 };

export interface WorkQueueOptions {
  /** Keys that are worked on at the same time; default 4. */
  readonly concurrency?: number;
  readonly timers?: Timers;
  readonly random?: Random;
}

interface Delayed {
  readonly dueAt: number;
  readonly cancel: () => void;
}

export class WorkQueue {
  readonly #work: (key: string) => Promise<void>;
  readonly #concurrency: number;
  readonly #timers: Timers;
  readonly #random: Random;
  /** In the order in which they came. */
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Added while they were worked on. */
  readonly #again = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  /** Failures in a row. */
  readonly #failures = new Map<string, number>();
  readonly #idle = Promise.withResolvers<void>();
  #state: 'new' | 'started' | 'stopped' = 'new';

  /** `work` rejects where it is to be tried again. */
  constructor(work: (key: string) => Promise<void>, options: WorkQueueOptions = {}) {
    this.#work = work;
    this.#concurrency = options.concurrency ?? 4;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? systemRandom;
  }

  /** Keys that wait to be worked on. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Keys whose work failed when it was last done. */
  get failingCount(): number {
    return this.#failures.size;
  }

  /** Before it, keys are only collected. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'started';
    this.#next();
  }

  add(key: string): void {
    if (this.#state === 'stopped') return;
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#next();
  }

  /** Where the key is to be added sooner already, that stands. */
  addAfter(key: string, delayMs: number): void {
    if (this.#state === 'stopped') return;
    const dueAt = this.#timers.now() + delayMs;
    const before = this.#delayed.get(key);
    if (before !== undefined && before.dueAt <= dueAt) return;
    before?.cancel();
    const cancel = this.#timers.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { dueAt, cancel });
  }

  /** Begins nothing more. Resolves when what is being worked on has ended. */
  stop(): Promise<void> {
    this.#state = 'stopped';
    this.#waiting.clear();
    this.#again.clear();
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#next();
    return this.#idle.promise;
  }

  #next(): void {
    if (this.#state === 'stopped' && this.#running.size === 0) this.#idle.resolve();
    if (this.#state !== 'started') return;
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#concurrency) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#work(key);
      this.#failures.delete(key);
    } catch {
      // Whoever works knows what to say about it.
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.addAfter(key, backoffMs(failures, BACKOFF, this.#random));
    } finally {
      this.#running.delete(key);
      if (this.#again.delete(key)) this.#waiting.add(key);
      this.#next();
    }
  }
}
