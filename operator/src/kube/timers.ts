import type { Random } from '../../../common/random.ts';

/** The only way the code of this folder waits, so that a test can own the time. */
export interface Timers {
  /** Milliseconds from an arbitrary start; never goes backwards. */
  now(): number;
  /** Calls `task` once after `delayMs`. What it answers takes the task back. */
  after(delayMs: number, task: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
}

/** After so many failures in a row, from 1: doubled each time up to a bound, of which half is drawn, so that many do not come back at once. */
export function backoffMs(failures: number, { minMs, maxMs }: Backoff, random: Random): number {
  const limitMs = Math.min(minMs * 2 ** (failures - 1), maxMs);
  return limitMs / 2 + random.below(limitMs / 2 + 1);
}

/** Resolves after `delayMs`, or at once when `signal` is aborted; it never rejects, so callers look at the signal. */
export function pause(timers: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = timers.after(delayMs, done);
    signal?.addEventListener('abort', done);
  });
}
