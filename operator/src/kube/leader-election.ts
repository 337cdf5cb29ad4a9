/**
 * Which of several operators may write: the one that holds a Lease, by the algorithm of client-go.
 *
 * Invariants
 * - The holder's clock is never believed. A lease is over when nobody renewed it for its duration as seen from here, by a clock that
 *   does not jump.
 * - Every change of the Lease is a compare-and-set, so of two that take it over one is refused.
 * - We count our own time from before a renewal was sent, others from when they saw it: we stop being sure before they begin to be.
 * - A lease that was lost is not taken again by this object. Its process is to end, and with it whatever it was about to write.
 */
import { systemRandom, type Random } from '../../../common/random.ts';
import type { KubeClient } from './client.ts';
import { silentLog, type KubeLog } from './log.ts';
import { microTime } from './micro-time.ts';
import { leases } from './resources.ts';
import { pause, systemTimers, type Timers } from './timers.ts';
import { KubeError, type KubeObject } from './types.ts';

/** Of the wait between two attempts to get the lease; those who wait are not to ask all at once. */
const JITTER = 1.2;
const RELEASE_TIMEOUT_MS = 2_000;
/** What a write needs of the lease when it begins. */
const WRITE_MARGIN_MS = 2_000;

export interface LeaderElectionOptions {
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Of this process, other than that of any other, also of one before in the same pod. */
  readonly identity: string;
  /** How long others wait for a renewal; default 15 s. */
  readonly leaseDurationMs?: number;
  /** How long we try to renew before we give up; shorter than the duration; default 10 s. */
  readonly renewDeadlineMs?: number;
  /** Default 2 s. */
  readonly retryPeriodMs?: number;
  readonly log?: KubeLog;
  readonly timers?: Timers;
  readonly random?: Random;
  /** Milliseconds since 1970: for people who look at the Lease. */
  readonly wallClock?: () => number;
}

export interface ElectionCallbacks {
  /** From now on this process may write. */
  readonly onLeading: () => void;
  /** It was stopped as leader: the lease is given up when this resolves. Until then it may write, while the lease lasts. */
  readonly onStopping?: () => Promise<void>;
}

/** Somebody else may be the leader now. */
export class LeaseLostError extends Error {
  override readonly name: string = 'LeaseLostError';
}

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec;
}

export class LeaderElection {
  readonly #api: Pick<KubeClient, 'get' | 'create' | 'replace'>;
  readonly #options: LeaderElectionOptions;
  readonly #durationMs: number;
  readonly #deadlineMs: number;
  readonly #periodMs: number;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #log: KubeLog;
  readonly #wallClock: () => number;
  /** As last read or written, and since when its spec is as it is. */
  #observed: Lease | null = null;
  #observedAt = 0;
  /** When the last renewal that succeeded was sent. */
  #renewedAt = 0;
  #isLeading = false;

  /** The client must not have a fence that asks this election, or it never gets the lease. */
  constructor(api: Pick<KubeClient, 'get' | 'create' | 'replace'>, options: LeaderElectionOptions) {
    this.#api = api;
    this.#options = options;
    this.#durationMs = options.leaseDurationMs ?? 15_000;
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#periodMs = options.retryPeriodMs ?? 2_000;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? systemRandom;
    this.#log = options.log ?? silentLog;
    this.#wallClock = options.wallClock ?? Date.now;
  }

  /** Who holds the lease, as far as we know; null: nobody. */
  get holder(): string | null {
    const holder = this.#observed?.spec?.holderIdentity ?? '';
    return holder === '' ? null : holder;
  }

  /** Whether nobody else can be leader within the next `ms` milliseconds. */
  isLeaderFor(ms: number): boolean {
    return this.#isLeading && this.#timers.now() + ms < this.#renewedAt + this.#durationMs;
  }

  /** Throws KubeError with the reason `NotLeader` where a write is not safe: the fence for KubeClient. */
  assertLeader(): void {
    if (this.isLeaderFor(WRITE_MARGIN_MS)) return;
    throw new KubeError('This operator is not the leader', { code: 0, reason: 'NotLeader' });
  }

  /** Resolves when `signal` is aborted and the lease given up; rejects with LeaseLostError. */
  async run(signal: AbortSignal, callbacks: ElectionCallbacks): Promise<void> {
    await this.#acquire(signal);
    if (!this.#isLeading) return;
    callbacks.onLeading();
    try {
      await this.#renew(signal);
      await callbacks.onStopping?.();
    } finally {
      this.#isLeading = false;
    }
    await this.#release();
  }

  async #acquire(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#isLeading = await this.#attempt(this.#deadlineMs, signal);
      if (this.#isLeading) return;
      const jitterMs = this.#random.below(this.#periodMs * JITTER);
      await pause(this.#timers, this.#periodMs + jitterMs, signal);
    }
  }

  /** Resolves when it is stopped. */
  async #renew(signal: AbortSignal): Promise<void> {
    for (;;) {
      await pause(this.#timers, this.#periodMs, signal);
      if (signal.aborted) return;
      const leftMs = this.#renewedAt + this.#deadlineMs - this.#timers.now();
      const isRenewed = leftMs > 0 && (await this.#attempt(leftMs));
      if (isRenewed) continue;
      if (this.holder !== this.#options.identity) {
        throw new LeaseLostError(`The lease is held by ${this.holder ?? 'nobody'}`);
      }
      if (this.#timers.now() - this.#renewedAt >= this.#deadlineMs) {
        throw new LeaseLostError(`The lease was not renewed within ${this.#deadlineMs} ms`);
      }
    }
  }

  /**
   * Whether we hold the lease now. It takes no longer than `limitMs`, and never rejects. A renewal is not broken off by a stop: the
   * lease can be given up only by who knows its version.
   */
  async #attempt(limitMs: number, stop?: AbortSignal): Promise<boolean> {
    const ended = new AbortController();
    const end = (): void => {
      ended.abort();
    };
    const cancel = this.#timers.after(limitMs, end);
    stop?.addEventListener('abort', end);
    try {
      return (await this.#renewObserved(ended.signal)) || (await this.#takeOrRenew(ended.signal));
    } catch (error) {
      if (stop?.aborted !== true)
        this.#log.warn({ err: error }, 'the lease was not obtained or renewed');
      return false;
    } finally {
      cancel();
      stop?.removeEventListener('abort', end);
    }
  }

  /** The usual case costs one request: nobody but us changes the Lease. */
  async #renewObserved(signal: AbortSignal): Promise<boolean> {
    if (!this.#isLeading || this.#observed === null) return false;
    try {
      return await this.#write(this.#observed, signal);
    } catch (error) {
      // Another change came between, or this one took effect when it was last tried.
      if (error instanceof KubeError && error.reason === 'Conflict') return false;
      throw error;
    }
  }

  async #takeOrRenew(signal: AbortSignal): Promise<boolean> {
    const { namespace, name, identity } = this.#options;
    const lease = await this.#api.get<Lease>(leases, { namespace, name }, { signal });
    if (lease !== null) this.#observe(lease);
    const holder = lease?.spec?.holderIdentity ?? '';
    const durationMs = (lease?.spec?.leaseDurationSeconds ?? 0) * 1000;
    const isHeld = holder !== '' && this.#timers.now() < this.#observedAt + durationMs;
    if (isHeld && holder !== identity) return false;
    return await this.#write(lease, signal);
  }

  /** Rejects with `Conflict` or `AlreadyExists` where somebody was quicker. */
  async #write(lease: Lease | null, signal: AbortSignal): Promise<boolean> {
    const { namespace, name } = this.#options;
    const sentAt = this.#timers.now();
    const spec = this.#nextSpec(lease);
    const written =
      lease === null
        ? await this.#api.create<Lease>(
            leases,
            {
              ...{ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
              ...{ metadata: { namespace, name }, spec },
            },
            { signal },
          )
        : await this.#api.replace<Lease>(leases, { ...lease, spec }, { signal });
    this.#observe(written);
    this.#renewedAt = sentAt;
    return true;
  }

  #nextSpec(lease: Lease | null): LeaseSpec {
    const { identity } = this.#options;
    const { spec } = lease ?? {};
    const isOurs = spec?.holderIdentity === identity;
    const now = microTime(this.#wallClock());
    const transitions = spec?.leaseTransitions ?? 0;
    return {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#durationMs / 1000),
      acquireTime: isOurs ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isOurs || lease === null ? transitions : transitions + 1,
    };
  }

  #observe(lease: Lease): void {
    const isSame = JSON.stringify(lease.spec) === JSON.stringify(this.#observed?.spec);
    // What else changes of a Lease, as its labels, is no renewal.
    if (!isSame) this.#observedAt = this.#timers.now();
    this.#observed = lease;
  }

  /** The next leader need not wait; where this fails, it does. */
  async #release(): Promise<void> {
    const lease = this.#observed;
    if (lease === null) return;
    const now = microTime(this.#wallClock());
    const ended = new AbortController();
    const cancel = this.#timers.after(RELEASE_TIMEOUT_MS, () => {
      ended.abort();
    });
    const spec: LeaseSpec = {
      ...{ ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 },
      ...{ acquireTime: now, renewTime: now },
    };
    try {
      await this.#api.replace(leases, { ...lease, spec }, { signal: ended.signal });
    } catch (error) {
      this.#log.warn(
        { err: error },
        'the lease was not given up; the next leader waits for its end',
      );
    } finally {
      cancel();
    }
  }
}
