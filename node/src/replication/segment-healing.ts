/**
 * Heals damaged replicas of this node: whole segments of other replicas take the place of damaged ones.
 *
 * ```ts
 * const healing = new SegmentHealing(source, memberOf, { onEvent });
 * healing.look(groups);   // about once a second
 * await healing.close();  // before the store is closed
 * ```
 *
 * Invariants
 * - One segment is copied at a time: clients come first.
 * - Nobody's bytes are believed; `log-healing.ts` checks them. A member that has something else is one among others.
 * - A replica that cannot be healed now is tried again, ever more seldom. A lone one has nobody to ask.
 */
import type { LogHealing } from '../storage/log-healing.ts';
import { type CopyPace, type PacedWork, unhindered } from './copy-pace.ts';
import { breatheWhileBusy, type SegmentSource } from './log-copies.ts';
import { errorText } from './log-copy.ts';
import type { RaftGroup } from './raft-group.ts';
import type { ReplicaId } from './raft/types.ts';

export type HealingEvent =
  | {
      readonly kind: 'replaced';
      readonly bucket: number;
      readonly segment: number;
      readonly member: string;
      readonly bytes: number;
    }
  | { readonly kind: 'healed'; readonly bucket: number }
  | {
      readonly kind: 'failed';
      readonly bucket: number;
      readonly segment: number | null;
      readonly member: string | null;
      readonly reason: string;
    };

export interface SegmentHealingOptions {
  /** Awaited before each piece. */
  readonly breathe: () => Promise<void>;
  /** What healing may take while clients append. */
  readonly pace: Pick<CopyPace, 'begin'>;
  readonly onEvent: (event: HealingEvent) => void;
}

const defaults: SegmentHealingOptions = {
  breathe: breatheWhileBusy,
  pace: unhindered,
  onEvent: () => undefined,
};

/** Looks that are passed over after a failure, at most. */
const PAUSE_MAX = 64;

interface Pause {
  readonly looks: number;
  left: number;
}

export class SegmentHealing {
  readonly #source: SegmentSource;
  readonly #memberOf: (bucket: number, replica: ReplicaId) => string | null;
  readonly #options: SegmentHealingOptions;
  readonly #abort = new AbortController();
  readonly #pauses = new WeakMap<RaftGroup, Pause>();
  #running: Promise<void> | null = null;
  #segments = 0;
  #failures = 0;

  constructor(
    source: SegmentSource,
    memberOf: (bucket: number, replica: ReplicaId) => string | null,
    options: Partial<SegmentHealingOptions> = {},
  ) {
    this.#source = source;
    this.#memberOf = memberOf;
    this.#options = { ...defaults, ...options };
  }

  get isRunning(): boolean {
    return this.#running !== null;
  }

  /** Segments replaced so far, and attempts that failed. */
  get segments(): number {
    return this.#segments;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Begins to heal one of these that is damaged, unless another one is being healed. */
  look(groups: Iterable<RaftGroup>): void {
    if (this.#running !== null || this.#abort.signal.aborted) return;
    for (const group of groups) {
      const { log, state } = group;
      if (!log.quarantined || log.isAlone || state === 'stopped' || this.#isPausing(group))
        continue;
      this.#running = this.#heal(group).finally(() => {
        this.#running = null;
      });
      return;
    }
  }

  /** Resolves when nothing is healed any more. */
  async close(): Promise<void> {
    this.#abort.abort(new Error('the node is stopping'));
    await this.#running;
  }

  #isPausing(group: RaftGroup): boolean {
    const pause = this.#pauses.get(group);
    if (pause === undefined || pause.left === 0) return false;
    pause.left -= 1;
    return true;
  }

  async #heal(group: RaftGroup): Promise<void> {
    const { log } = group;
    const { bucket, healing } = log;
    let segment: number | null = null;
    try {
      for (
        [segment = null] = healing.damaged;
        segment !== null;
        [segment = null] = healing.damaged
      ) {
        if (!(await this.#replace(group, segment))) {
          this.#pause(group);
          return;
        }
      }
      if (!(await healing.finish()) || this.#hasEnded(group)) return;
      this.#pauses.delete(group);
      group.healed();
      this.#options.onEvent({ kind: 'healed', bucket });
    } catch (error) {
      this.#failed(group, segment, null, error);
      this.#pause(group);
    }
  }

  #hasEnded({ state }: RaftGroup): boolean {
    return state === 'stopped' || this.#abort.signal.aborted;
  }

  #pause(group: RaftGroup): void {
    const looks = Math.min(PAUSE_MAX, 2 * (this.#pauses.get(group)?.looks ?? 1));
    this.#pauses.set(group, { looks, left: looks });
  }

  /** False where nobody has it. */
  async #replace(group: RaftGroup, segment: number): Promise<boolean> {
    const { bucket, healing } = group.log;
    for (const member of this.#members(group)) {
      if (this.#hasEnded(group)) return false;
      try {
        const bytes = await this.#replaceFrom(healing, bucket, segment, member);
        this.#segments += 1;
        this.#options.onEvent({ kind: 'replaced', bucket, segment, member, bytes });
        return true;
      } catch (error) {
        this.#failed(group, segment, member, error);
      }
    }
    return false;
  }

  async #replaceFrom(
    healing: LogHealing,
    bucket: number,
    segment: number,
    member: string,
  ): Promise<number> {
    const { signal } = this.#abort;
    const { breathe, pace } = this.#options;
    // From one piece to the next: it was read there, and written here.
    let work: PacedWork | null = null;
    const bytes = healing.bytesOf(segment) ?? (await this.#bytesElsewhere(bucket, segment, member));
    await healing.replace(segment, bytes, async (from, to) => {
      await work?.rest({ isSourceBusy: false, haste: 1 }, signal);
      await breathe();
      signal.throwIfAborted();
      work = pace.begin();
      return this.#source.read(member, bucket, segment, from, to, signal);
    });
    return bytes;
  }

  /** What a replica lists of a segment is final only where it lists a later one. */
  async #bytesElsewhere(bucket: number, segment: number, member: string): Promise<number> {
    const listed = await this.#source.segments(member, bucket, this.#abort.signal);
    const found = listed.find((one) => one.segment === segment);
    if (found === undefined || !listed.some((one) => one.segment > segment)) {
      throw new Error(`it does not have the whole of segment ${String(segment)}`);
    }
    return found.bytes;
  }

  #failed(group: RaftGroup, segment: number | null, member: string | null, error: unknown): void {
    if (this.#hasEnded(group)) return;
    this.#failures += 1;
    const { bucket } = group.log;
    const reason = errorText(error);
    this.#options.onEvent({ kind: 'failed', bucket, segment, member, reason });
  }

  #members({ core, log, replicaId }: RaftGroup): string[] {
    const { voters, outgoing, learners } = core.configuration;
    const members = [...voters, ...outgoing, ...learners]
      .filter((replica) => replica !== replicaId)
      .map((replica) => this.#memberOf(log.bucket, replica));
    return [...new Set(members)].filter((member) => member !== null);
  }
}
