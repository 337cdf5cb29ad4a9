/**
 * Where the commands of a bucket are run at the moment, and the way there.
 *
 * A request to another member ends when its answer is there, when its time is over, or soon after another member has
 * become the bucket's leader: a frozen one would make everybody wait.
 */
import type { Clock } from '../../../common/clock.ts';
import { systemClock } from '../../../common/clock.ts';
import { SierraError } from '../../../common/errors.ts';
import { EventIdSource, partitionHash } from '../../../common/ids.ts';
import { type Random, systemRandom } from '../../../common/random.ts';
import type { CommandRequest } from '../replication/peer-requests.ts';
import { isVoter } from '../replication/raft/configuration.ts';
import { type Answer, decodeAnswers, encodeBatch } from './forwarding.ts';
import type { Majority } from './majority-watch.ts';
import type { ClusterView, ReplicaGroup, ReplicaStore } from './types.ts';

/** Runs `action` after so many milliseconds, unless it is cancelled by what is returned. */
export type After = (delayMs: number, action: () => void) => () => void;

export const realAfter: After = (delayMs, action) => {
  const timer = setTimeout(action, delayMs);
  return () => {
    clearTimeout(timer);
  };
};

export interface RouterOptions {
  /** `network.request_timeout_ms`: how long a command may look for a leader. */
  readonly requestTimeoutMs?: number;
  readonly clock?: Clock;
  readonly after?: After;
  readonly random?: Random;
}

const REQUEST_TIMEOUT_MS = 10_000;

/** Before a leader is looked for again where nobody has told of a change. */
const PAUSE_MS = 25;
/** A request under way is looked after so often. */
const WATCH_MS = 100;

export const HERE: unique symbol = Symbol('here');
/** This member, the id of another one, or nobody. */
export type Route = typeof HERE | string | null;

/** Where a request goes. */
export interface Destination {
  /** Member id. */
  readonly member: string;
  readonly bucket: number;
  readonly lane: CommandRequest['lane'];
  /** It is of no use to anybody but the bucket's leader. */
  readonly toLeader: boolean;
}

export class Routes {
  readonly store: ReplicaStore;
  readonly view: ClusterView;
  readonly requestTimeoutMs: number;
  readonly after: After;
  /** Of events that are forwarded. */
  readonly ids: EventIdSource;
  readonly #clock: Clock;

  constructor(store: ReplicaStore, view: ClusterView, options: RouterOptions) {
    this.store = store;
    this.view = view;
    this.requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.after = options.after ?? realAfter;
    this.#clock = options.clock ?? systemClock;
    this.ids = new EventIdSource(this.#clock, options.random ?? systemRandom);
  }

  bucketOfKey(partitionKey: Uint8Array): number {
    return this.bucketOf(partitionHash(partitionKey) % this.store.facts.partitionCount);
  }

  bucketOf(partition: number): number {
    return partition % this.store.facts.bucketCount;
  }

  now(): number {
    return this.#clock.monotonic();
  }

  /** When a command that begins now must have found its leader. */
  deadline(): number {
    return this.now() + this.requestTimeoutMs;
  }

  /** Whether any committed copy that is here may be shown. */
  holds(bucket: number): boolean {
    const group = this.store.group(bucket);
    return group !== undefined && isHolder(group);
  }

  leads(bucket: number): boolean {
    return this.store.group(bucket)?.state === 'leading';
  }

  /** A leader that hands over takes no more appends: what the next one does not know would be lost. */
  takesAppends(bucket: number): boolean {
    return takesAppends(this.store.group(bucket));
  }

  /** Where appends are taken. */
  appends(bucket: number): Route {
    const route = this.leader(bucket);
    return route === HERE && !this.takesAppends(bucket) ? null : route;
  }

  /** Where a bucket's leader is. */
  leader(bucket: number): Route {
    if (this.leads(bucket)) return HERE;
    const leader = this.view.leaderOf(bucket);
    // Elected, but not yet sure of what was acknowledged before.
    return leader === this.view.self.id ? null : leader;
  }

  /** Why an append is refused that has found no leader in time. */
  noLeader(bucket: number): SierraError {
    const lost = this.view.lostMajority?.(bucket) ?? null;
    return lost === null ? noLeader() : tooFewReplicas(lost);
  }

  /** Resolves when it is worth while to look for the leader again. */
  async pause(bucket: number): Promise<void> {
    const isOver = new AbortController();
    const cancel = this.after(PAUSE_MS, () => {
      isOver.abort();
    });
    await this.view.leaderChange(bucket, isOver.signal);
    cancel();
  }

  /**
   * Has another member run commands. Rejects where it is not known what became of them; {@link wasNotDone} tells whether
   * they have certainly not been run.
   */
  async run(
    { member, bucket, lane, toLeader }: Destination,
    commands: readonly Uint8Array[],
    withinMs: number,
    abort: AbortController = new AbortController(),
  ): Promise<Answer[]> {
    const cancel = this.#watch(bucket, toLeader ? member : null, withinMs, abort);
    try {
      const request = { bucket, lane, body: encodeBatch(commands) };
      const body = await this.view.peers.run(member, request, abort.signal);
      return decodeAnswers(body, commands.length);
    } finally {
      cancel();
    }
  }

  #watch(
    bucket: number,
    leader: string | null,
    withinMs: number,
    abort: AbortController,
  ): () => void {
    const end = this.now() + withinMs;
    let wasReplaced = false;
    let cancel = (): void => undefined;
    const look = (): void => {
      const now = this.view.leaderOf(bucket);
      const isReplaced = leader !== null && now !== null && now !== leader;
      if (this.now() >= end || (isReplaced && wasReplaced)) {
        abort.abort(new Error('no answer in time'));
        return;
      }
      wasReplaced = isReplaced;
      cancel = this.after(Math.min(WATCH_MS, Math.max(1, end - this.now())), look);
    };
    cancel = this.after(Math.min(WATCH_MS, withinMs), look);
    return () => {
      cancel();
    };
  }
}

export const takesAppends = (group: ReplicaGroup | undefined): boolean =>
  group?.state === 'leading' && !group.core.isHandingOver;

/** A replica that is being brought up, or is on its way out, holds a bucket for nobody but its group. */
export const isHolder = ({ core, replicaId }: Pick<ReplicaGroup, 'core' | 'replicaId'>): boolean =>
  isVoter(core.configuration, replicaId);

/** Whether a request that has failed was certainly not begun; see `PeerError` in `replication/peer-requests.ts`. */
export const wasNotDone = (error: unknown): boolean =>
  error instanceof Error && 'outcome' in error && error.outcome === 'not done';

export const noLeader = (): SierraError =>
  new SierraError('TRYAGAIN', 'the partition has no leader at the moment');

const tooFewReplicas = ({ available, required }: Majority): SierraError =>
  new SierraError(
    'INSUFFICIENTREPLICAS',
    `insufficient healthy replicas for write quorum (${available}/${required} replicas available)`,
  );

export const outcomeUnknown = (cause?: unknown): SierraError =>
  new SierraError(
    'QUORUMFAILED',
    'write outcome unknown, the leader did not answer, retry with the same EVENT_ID',
    { cause },
  );
