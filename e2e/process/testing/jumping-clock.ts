/**
 * Loaded with `--import` before the program: its wall clock steps by some hours, forth and back, with every SIGUSR2. What
 * measures durations is left alone, as a step of the machine's clock leaves it alone.
 */
const HOUR_MS = 3_600_000;
const STEPS_MS: readonly number[] = [3 * HOUR_MS, -8 * HOUR_MS, 30 * 24 * HOUR_MS, -HOUR_MS];

const RealDate = Date;
let offsetMs = 0;
let steps = 0;

globalThis.Date = class extends RealDate {
  constructor(...args: [] | ConstructorParameters<DateConstructor>) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...args);
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
} as DateConstructor;

process.on('SIGUSR2', () => {
  offsetMs += STEPS_MS[steps % STEPS_MS.length] ?? 0;
  steps += 1;
});
