/** Feeds whose reads behave as a test says, behind a store that has nothing else. */
import { SierraError } from '../../../../common/errors.ts';
import type {
  EventStore,
  EventView,
  EventVisitor,
  Feed,
  FeedTarget,
  FeedWatcher,
} from '../../engine/types.ts';

export interface FeedScript {
  /** Payload of each event. */
  readonly eventBytes?: number;
  /** Every read waits until {@link ScriptedFeed.go}. */
  readonly waits?: boolean;
  /** Reading this position fails. */
  readonly failsAt?: number;
}

/** Events with the sequences 0 to `end` - 1. */
export class ScriptedFeed implements Feed {
  end: number;
  isReading = false;
  /** Lets the read that waits go on. */
  go: () => void = () => undefined;
  readonly #script: FeedScript;
  readonly #watchers = new Set<FeedWatcher>();

  constructor(end: number, script: FeedScript = {}) {
    this.end = end;
    this.#script = script;
  }

  get watcherCount(): number {
    return this.#watchers.size;
  }

  watch(watcher: FeedWatcher): this {
    this.#watchers.add(watcher);
    return this;
  }

  grow(count: number): void {
    this.end += count;
    for (const watcher of this.#watchers) watcher.advanced();
  }

  close(watcher: FeedWatcher): void {
    this.#watchers.delete(watcher);
  }

  read(from: number, max: number, visit: EventVisitor): void | Promise<void> {
    if (this.#script.waits === true) return this.#readLater(from, max, visit);
    this.#show(from, max, visit);
  }

  async #readLater(from: number, max: number, visit: EventVisitor): Promise<void> {
    this.isReading = true;
    await new Promise<void>((resolve) => {
      this.go = resolve;
    });
    this.isReading = false;
    this.#show(from, max, visit);
  }

  #show(from: number, max: number, visit: EventVisitor): void {
    for (let at = from; at < Math.min(this.end, from + max); at += 1) {
      if (at === this.#script.failsAt) throw new SierraError('READERR', 'read error: as scripted');
      if (!visit(this.#view(at))) return;
    }
  }

  #view(sequence: number): EventView {
    const payloadEnd = this.#script.eventBytes ?? 0;
    const view: Partial<EventView> = { sequence, version: sequence, eventIdAt: 0, payloadEnd };
    return view as EventView;
  }
}

/** A store of partitions only: the n-th feed is partition n. */
export function scriptedStore(feeds: readonly ScriptedFeed[]): EventStore {
  const store: Pick<EventStore, 'openFeed'> = {
    openFeed: (target: FeedTarget, watcher: FeedWatcher) => {
      const feed = target.kind === 'partition' ? feeds[target.partition] : undefined;
      if (feed === undefined) throw new SierraError('CLUSTERDOWN', 'partition unavailable');
      return feed.watch(watcher);
    },
  };
  return store as EventStore;
}
