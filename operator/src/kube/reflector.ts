/**
 * The objects of one kind, kept up to date by a list and a watch that follows it.
 *
 * Invariants
 * - Whatever the server or the network does, it goes on until its signal is aborted: a broken watch is taken up where it was, a
 *   version that is too old leads to a new list, and both wait longer each time they fail in a row.
 * - `changed` is called after the cache has changed, at least once per object that differs from what it was. It may be called for
 *   a state that has been overtaken; it is for noting keys, and must not throw.
 */
import { systemRandom, type Random } from '../../../common/random.ts';
import type { KubeClient } from './client.ts';
import { silentLog, type KubeLog } from './log.ts';
import { type Backoff, backoffMs, pause, systemTimers, type Timers } from './timers.ts';
import {
  KubeError,
  type KubeObject,
  type ListOptions,
  type ObjectName,
  type ResourceType,
} from './types.ts';

const BACKOFF: Backoff = { minMs: 800, maxMs: 30_000 };
const TIMEOUT_MIN_S = 240;
const TIMEOUT_SPREAD_S = 61;
/** A watch that outlives its timeout by this is one whose server is gone. */
const OVERDUE_MS = 30_000;
/** Servers that send bookmarks send one a minute. */
const SILENCE_MAX_MS = 150_000;
/** One that ends sooner, and without an event, was not worth the list of failures it ended. */
const HEALTHY_MS = 5_000;
/** So many refusals in a row, and the version that is watched from may be what is wrong. */
const FAILURES_BEFORE_RELIST = 3;

export interface ReflectorOptions<T extends KubeObject> extends ListOptions {
  readonly type: ResourceType;
  readonly changed: (object: T, isDeleted: boolean) => void;
  /** Keeps of an object what is needed; its name, namespace and resourceVersion always are. */
  readonly transform?: (object: T) => T;
  readonly log?: KubeLog;
  readonly timers?: Timers;
  readonly random?: Random;
}

export interface ReflectorStatistics {
  /** Lists after the first one. */
  relists: number;
  /** Watches after the first one. */
  restarts: number;
  /** Lists and watches that ended with an error. */
  failures: number;
  /** By the timers' clock, milliseconds: when the server last said anything; null before the first list. */
  heardAt: number | null;
}

export class Reflector<T extends KubeObject> {
  /** Resolves after the first list, or when the reflector was stopped before it; `isSynced` tells which. */
  readonly synced: Promise<void>;
  readonly statistics: Readonly<ReflectorStatistics>;
  readonly #counted: ReflectorStatistics = {
    ...{ relists: 0, restarts: 0, failures: 0, heardAt: null },
  };
  readonly #api: Pick<KubeClient, 'listed' | 'watch'>;
  readonly #options: ReflectorOptions<T>;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #log: KubeLog;
  readonly #sync = Promise.withResolvers<void>();
  #objects = new Map<string, T>();
  /** To watch from; null: list first. */
  #version: string | null = null;
  #isSynced = false;
  #watchCount = 0;
  /** In a row. */
  #failures = 0;

  constructor(api: Pick<KubeClient, 'listed' | 'watch'>, options: ReflectorOptions<T>) {
    this.#api = api;
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? systemRandom;
    this.#log = options.log ?? silentLog;
    this.synced = this.#sync.promise;
    this.statistics = this.#counted;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** As it was last heard of; only as new as the watch. */
  get(name: ObjectName): T | null {
    return this.#objects.get(keyOf(name)) ?? null;
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  /** Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const isStopped = (): boolean => signal.aborted;
    while (!isStopped()) {
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (!isStopped()) await this.#afterFailure(error, signal);
      }
    }
    this.#sync.resolve();
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { type, changed, transform } = this.#options;
    const { items, resourceVersion } = await this.#api.listed<T>(type, this.#options, {
      ...{ signal, ...(transform === undefined ? {} : { transform }) },
    });
    if (this.#isSynced) this.#counted.relists += 1;
    this.#heard();
    const before = this.#objects;
    this.#objects = new Map(items.map((object) => [keyOf(object.metadata), object]));
    this.#isSynced = true;
    this.#sync.resolve();
    for (const [key, object] of this.#objects) {
      const known = before.get(key)?.metadata;
      const isKnown = known?.resourceVersion === object.metadata.resourceVersion;
      if (known === undefined || !isKnown) changed(object, false);
    }
    for (const [key, object] of before) if (!this.#objects.has(key)) changed(object, true);
    return resourceVersion;
  }

  /** Resolves when the server ends the watch. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const timeoutSeconds = TIMEOUT_MIN_S + this.#random.below(TIMEOUT_SPREAD_S);
    const ended = new AbortController();
    const end = (): void => {
      ended.abort();
    };
    signal.addEventListener('abort', end);
    let silenceMs = timeoutSeconds * 1000 + OVERDUE_MS;
    let cancel = this.#timers.after(silenceMs, end);
    const beganAt = this.#timers.now();
    if (this.#watchCount > 0) this.#counted.restarts += 1;
    this.#watchCount += 1;
    try {
      const { type, namespace, labelSelector, fieldSelector } = this.#options;
      const events = this.#api.watch<T>(type, {
        ...(namespace === undefined ? {} : { namespace }),
        ...(labelSelector === undefined ? {} : { labelSelector }),
        ...(fieldSelector === undefined ? {} : { fieldSelector }),
        ...{ resourceVersion, timeoutSeconds, signal: ended.signal },
      });
      for await (const event of events) {
        this.#heard();
        if (event.type === 'BOOKMARK') silenceMs = SILENCE_MAX_MS;
        cancel();
        cancel = this.#timers.after(silenceMs, end);
        this.#version = event.object.metadata.resourceVersion ?? this.#version;
        if (event.type !== 'BOOKMARK') this.#take(event.object, event.type === 'DELETED');
        this.#failures = 0;
      }
    } finally {
      cancel();
      signal.removeEventListener('abort', end);
    }
    const isHealthy = this.#timers.now() - beganAt >= HEALTHY_MS;
    if (isHealthy) this.#failures = 0;
    else if (!signal.aborted) throw new KubeError('The watch ended at once', { code: 0 });
  }

  #take(given: T, isDeleted: boolean): void {
    const { changed, transform = (object: T): T => object } = this.#options;
    const key = keyOf(given.metadata);
    const object = transform(given);
    if (isDeleted) this.#objects.delete(key);
    else this.#objects.set(key, object);
    changed(object, isDeleted);
  }

  async #afterFailure(error: KubeError, signal: AbortSignal): Promise<void> {
    this.#counted.failures += 1;
    this.#failures += 1;
    const isAway = error.code === 0 || error.code === 429;
    const isTooOld = error.code === 410;
    if (isTooOld || (!isAway && this.#failures >= FAILURES_BEFORE_RELIST)) this.#version = null;
    // That a version has become too old is no sign that anything is wrong, unless it happens again and again.
    const delayMs = isTooOld && this.#failures === 1 ? 0 : this.#delayMs(error);
    const { plural } = this.#options.type;
    const facts = { err: error, resource: plural, failures: this.#failures, delayMs };
    if (!isTooOld) this.#log.warn(facts, 'watching has failed; it goes on');
    if (delayMs > 0) await pause(this.#timers, delayMs, signal);
  }

  #delayMs(error: KubeError): number {
    const delayMs = backoffMs(this.#failures, BACKOFF, this.#random);
    return Math.min(Math.max(delayMs, error.retryAfterMs ?? 0), BACKOFF.maxMs);
  }

  #heard(): void {
    this.#counted.heardAt = this.#timers.now();
  }
}

function keyOf({ namespace, name }: ObjectName): string {
  return `${namespace ?? ''}/${name}`;
}
