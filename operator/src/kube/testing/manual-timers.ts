import type { Timers } from '../timers.ts';

interface Pending {
  readonly dueAt: number;
  readonly task: () => void;
}

/** Time that passes when the test says so. */
export class ManualTimers implements Timers {
  readonly #pending = new Set<Pending>();
  #now = 0;

  now(): number {
    return this.#now;
  }

  after(delayMs: number, task: () => void): () => void {
    const pending = { dueAt: this.#now + delayMs, task };
    this.#pending.add(pending);
    return () => void this.#pending.delete(pending);
  }

  /** How far away what waits is, the nearest first. */
  get delays(): number[] {
    return [...this.#pending].map(({ dueAt }) => dueAt - this.#now).sort((a, b) => a - b);
  }

  /** Lets time pass, and after each task all that follows from it without time or I/O. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const [next] = [...this.#pending]
        .filter(({ dueAt }) => dueAt <= until)
        .sort((a, b) => a.dueAt - b.dueAt);
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.dueAt);
      this.#pending.delete(next);
      next.task();
      await settle();
    }
    this.#now = until;
  }

  /** Time passes without anybody being woken, as when the process does not get the CPU. */
  stall(ms: number): void {
    this.#now += ms;
  }
}

/** Waits below `limitMs` are over at once, and noted; longer ones never end. For what is tested over a real connection. */
export class HastyTimers implements Timers {
  /** Milliseconds that were asked for. */
  readonly delays: number[] = [];
  readonly #limitMs: number;
  #now = 0;

  constructor(limitMs: number = Infinity) {
    this.#limitMs = limitMs;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, task: () => void): () => void {
    if (delayMs > this.#limitMs) return () => undefined;
    this.delays.push(delayMs);
    const timer = setImmediate(() => {
      this.#now += delayMs;
      task();
    });
    return () => {
      clearImmediate(timer);
    };
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
