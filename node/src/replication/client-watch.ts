/** Whether clients append: entries are committed in logs that no copy fills. Looked at when somebody asks; costs nothing else. */

/** What was seen is true for this long. */
const LOOK_MS = 100;
/** Clients that pause for less than this are still there. */
const ACTIVE_MS = 1000;

interface Applying {
  readonly appliedIndex: number;
}

export interface ClientWatchOptions<G extends Applying> {
  readonly groups: () => Iterable<G>;
  readonly isCopying: (group: G) => boolean;
  readonly now: () => number;
}

export class ClientWatch<G extends Applying> {
  readonly #options: ClientWatchOptions<G>;
  /** As of the latest look. */
  #applied = new WeakMap<G, number>();
  #lookedAt = -Infinity;
  #activeUntil = -Infinity;

  constructor(options: ClientWatchOptions<G>) {
    this.#options = options;
  }

  areActive(): boolean {
    const now = this.#options.now();
    const sinceMs = now - this.#lookedAt;
    if (sinceMs >= LOOK_MS) {
      this.#lookedAt = now;
      // Entries of a longer time may be long ago.
      if (this.#look() && sinceMs <= ACTIVE_MS) this.#activeUntil = now + ACTIVE_MS;
    }
    return now < this.#activeUntil;
  }

  /** Whether any log has gone on. */
  #look(): boolean {
    const { groups, isCopying } = this.#options;
    let hasGoneOn = false;
    for (const group of groups()) {
      const { appliedIndex } = group;
      const before = this.#applied.get(group) ?? appliedIndex;
      if (appliedIndex > before && !isCopying(group)) hasGoneOn = true;
      this.#applied.set(group, appliedIndex);
    }
    return hasGoneOn;
  }
}
