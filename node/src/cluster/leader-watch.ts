/** Commands that wait until a bucket's leader may be another one. */

/** What nobody tells is looked for again after this long: the waiting command tries the leader it knows. */
const PATIENCE_MS = 100;

interface Waiting {
  readonly bucket: number;
  /** The leader when it began to wait. */
  readonly leader: string | null;
  readonly resolve: () => void;
}

export class LeaderWatch {
  readonly #leaderOf: (bucket: number) => string | null;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | null = null;

  constructor(leaderOf: (bucket: number) => string | null) {
    this.#leaderOf = leaderOf;
  }

  /** Resolves when the leader is another one, after a while, or with the signal. */
  async change(bucket: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { bucket, leader: this.#leaderOf(bucket), resolve };
    this.#waiting.add(waiting);
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#wake(() => true);
    }, PATIENCE_MS);
    const onAbort = (): void => resolve();
    signal.addEventListener('abort', onAbort);
    await promise;
    signal.removeEventListener('abort', onAbort);
    this.#waiting.delete(waiting);
  }

  /** Leaders may have changed. Costs nothing while nobody waits. */
  look(): void {
    if (this.#waiting.size === 0) return;
    this.#wake(({ bucket, leader }) => this.#leaderOf(bucket) !== leader);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#wake(() => true);
  }

  #wake(isDue: (waiting: Waiting) => boolean): void {
    for (const waiting of this.#waiting) {
      if (!isDue(waiting)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}
