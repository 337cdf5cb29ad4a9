/** The only way code learns the time, so that a simulation can own it. */
export interface Clock {
  /** Wall-clock time, whole milliseconds since the Unix epoch. May jump in either direction. */
  now(): number;
  /** Milliseconds, with fraction, from an arbitrary start; never goes backwards. For durations only. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
