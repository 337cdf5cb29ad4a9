import type { Feed, FeedWatcher } from '../engine/types.ts';

/** Who wants to know that a target has something to deliver. */
export interface TargetOwner {
  hasEvents(target: Target): void;
}

/** One stream or partition of a subscription: a position in its feed. */
export class Target implements FeedWatcher {
  /** Of the next event to deliver. */
  position = 0;
  /** Null until it is open. */
  feed: Feed | null = null;
  /** In its owner's list of targets with events. */
  isListed = false;
  /** The next in that list. */
  next: Target | null = null;
  readonly #owner: TargetOwner;

  constructor(owner: TargetOwner) {
    this.#owner = owner;
  }

  /** Whether there are events to deliver. */
  get isBehind(): boolean {
    return this.feed !== null && this.feed.end > this.position;
  }

  advanced(): void {
    if (!this.isListed && this.isBehind) this.#owner.hasEvents(this);
  }
}

/** Targets that have events, first come first served. Linked through the targets: an idle subscription keeps nothing. */
export class TargetList {
  #first: Target | null = null;
  #last: Target | null = null;

  get isEmpty(): boolean {
    return this.#first === null;
  }

  add(target: Target): void {
    target.isListed = true;
    if (this.#last === null) this.#first = target;
    else this.#last.next = target;
    this.#last = target;
  }

  take(): Target | null {
    const target = this.#first;
    if (target === null) return null;
    this.#first = target.next;
    if (this.#first === null) this.#last = null;
    target.next = null;
    target.isListed = false;
    return target;
  }
}
