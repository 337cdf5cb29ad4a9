import type { Clock } from '../../../../common/clock.ts';

/** A clock that stands still until it is told to go on. */
export class SteppingClock implements Clock {
  #now = 1_700_000_000_000;

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  step(milliseconds: number): void {
    this.#now += milliseconds;
  }
}
