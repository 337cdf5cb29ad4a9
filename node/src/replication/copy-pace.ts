/**
 * How fast segments are copied: as fast as they come while no client appends, in a share of the time while clients do, here or
 * where they are copied from.
 *
 * ```ts
 * const pace = new CopyPace({ share: 0.2, isBusy: () => clients.areActive() });
 * const work = pace.begin();
 * // … a slice is taken
 * work.end();              // what others do until the rest begins is not this one's work
 * await work.rest({ isSourceBusy, haste: 1 }, signal);
 * ```
 *
 * Work is measured by the clock: on a machine that has much else to do a slice takes longer, and so does the rest behind it.
 */
import { setTimeout as delay } from 'node:timers/promises';

export interface CopyPaceOptions {
  /** Of the time while clients append, more than 0; 1: copies never rest. */
  readonly share: number;
  /** Whether clients are served here. */
  readonly isBusy: () => boolean;
  readonly now?: () => number;
  /** Resolves after `ms`, or as soon as the signal is given. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface CopyState {
  /** Whether clients are served where segments are copied from. */
  readonly isSourceBusy: boolean;
  /** Multiplies the share: of a copy that falls behind what clients add. */
  readonly haste: number;
}

export interface PacedWork {
  /** Without it work ends where the rest begins. */
  end(): void;
  rest(state: CopyState, signal: AbortSignal): Promise<void>;
}

/** A process that stood still has not worked all the time. */
const REST_MS_MAX = 100;

const sleepUnreferenced = (ms: number, signal: AbortSignal): Promise<void> =>
  delay(ms, undefined, { signal, ref: false }).catch(() => undefined);

export class CopyPace {
  readonly #share: number;
  readonly #isBusy: () => boolean;
  readonly #now: () => number;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;

  constructor({ share, isBusy, now, sleep }: CopyPaceOptions) {
    this.#share = share;
    this.#isBusy = isBusy;
    this.#now = now ?? ((): number => performance.now());
    this.#sleep = sleep ?? sleepUnreferenced;
  }

  begin(): PacedWork {
    const startedAt = this.#now();
    let endedAt: number | null = null;
    return {
      end: () => {
        endedAt = this.#now();
      },
      rest: ({ isSourceBusy, haste }, signal) => {
        const share = Math.min(1, this.#share * haste);
        if (share === 1 || !(isSourceBusy || this.#isBusy())) return Promise.resolve();
        const workMs = (endedAt ?? this.#now()) - startedAt;
        return this.#sleep(Math.min(REST_MS_MAX, workMs * (1 / share - 1)), signal);
      },
    };
  }
}

/** Copies that nobody waits for. */
export const unhindered: CopyPace = new CopyPace({ share: 1, isBusy: () => false });
