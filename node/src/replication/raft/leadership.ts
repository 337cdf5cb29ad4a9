/**
 * What a replica does while it leads: brings followers' logs to its own, commits what a majority has, answers reads, hands
 * over, changes the configuration. It exists from the election to the stepping down; `core.ts` has the rest.
 */
import { finalStep, firstStep, isJoint, isVoter, membersOf, quorumValue } from './configuration.ts';
import { Progress } from './progress.ts';
import { WaitingReads } from './waiting-reads.ts';
import type {
  AppendReject,
  Configuration,
  Effect,
  Entry,
  Message,
  PlacedConfiguration,
  RaftLog,
  ReplicaId,
} from './types.ts';

/** What a leader shares with its core. */
export interface LeaderContext {
  readonly id: ReplicaId;
  readonly term: number;
  readonly log: RaftLog;
  /** In force, and whether it is committed. */
  readonly configuration: Configuration;
  readonly isSettled: boolean;
  readonly commit: number;
  /** How far this replica's own log is durable. */
  readonly durable: number;
  commitUpTo(index: number): void;
  /** An entry with a configuration was appended. */
  configured(placed: readonly PlacedConfiguration[]): void;
  send(message: Message): void;
  perform(effect: Effect): void;
  stepDown(): void;
}

export class Leadership {
  /** Index of the first entry of this leader's term. */
  readonly firstIndex: number;
  readonly #context: LeaderContext;
  readonly #reads = new WaitingReads();
  #progress = new Map<ReplicaId, Progress>();
  #transferTo: ReplicaId | null = null;
  /** It leaves with the change that is under way, and has tried to hand over before. */
  #hasOffered = false;
  /** Number of the last heartbeat. */
  #round = 0;

  constructor(context: LeaderContext) {
    this.#context = context;
    this.firstIndex = context.log.lastIndex + 1;
    this.#meet(context.log.lastIndex);
  }

  /** To whom it hands over; it appends nothing meanwhile. */
  get transferTo(): ReplicaId | null {
    return this.#transferTo;
  }

  followers(): IterableIterator<ReplicaId> {
    return this.#progress.keys();
  }

  progress(id: ReplicaId): Progress | undefined {
    return this.#progress.get(id);
  }

  /** Entries stand at the end of the log; those with configurations are named. */
  appended(configurations: readonly PlacedConfiguration[]): void {
    if (configurations.length > 0) {
      this.#context.configured(configurations);
      this.#meet(this.#context.log.lastIndex);
    }
    for (const to of this.#progress.keys()) this.#sendTo(to);
    this.#advance();
  }

  /** This replica's own log is durable further on. */
  advance(): void {
    this.#advance();
    this.#completeTransfer();
  }

  /** Commits what a majority has, if it is of this leader's own term; what is before it follows. */
  #advance(): void {
    const { configuration, commit, log, term } = this.#context;
    const index = quorumValue(configuration, (id) => this.#matchOf(id));
    if (index <= commit || log.term(index) !== term) return;
    this.#context.commitUpTo(index);
    this.#answerReads();
    this.#continueChange();
  }

  beat(): void {
    this.#round += 1;
    const { id: from, term } = this.#context;
    for (const [to, { match }] of this.#progress) {
      const commit = Math.min(this.#context.commit, match);
      const round = this.#round;
      this.#context.send({ kind: 'heartbeat', from, to, term, commit, round });
    }
    // What was awaited may have come to nothing.
    this.#completeTransfer();
  }

  /** Whether a majority was heard of since the last time this was asked. A transfer that has not come about ends. */
  checkQuorum(): boolean {
    const hasWaited = this.#transferTo !== null;
    this.#transferTo = null;
    const active = quorumValue(this.#context.configuration, (id) =>
      id === this.#context.id ? 1 : Number(this.#progress.get(id)?.isActive ?? false),
    );
    for (const progress of this.#progress.values()) {
      if (!progress.isActive) progress.silent();
      progress.wasActive = progress.isActive;
      progress.isActive = false;
    }
    if (active > 0 && hasWaited) this.#continueChange();
    return active > 0;
  }

  /** A reply of a follower, in this leader's term. */
  heard(message: Message): void {
    const progress = this.#progress.get(message.from);
    if (progress === undefined) return;
    progress.isActive = true;
    switch (message.kind) {
      case 'appendReply':
        if (progress.matched(message.index)) this.#advance();
        this.#sendTo(message.from);
        this.#completeTransfer();
        return;
      case 'appendReject':
        if (progress.rejected(message.rejectedIndex, this.#guess(message))) {
          this.#sendTo(message.from);
        }
        return;
      case 'heartbeatReply':
        progress.round = Math.max(progress.round, message.round);
        progress.beat();
        if (progress.copyBeat()) this.#askForCopy(message.from, progress);
        // Also where nothing is missing: only an answer to entries tells that the logs agree.
        if (progress.match < this.#context.log.lastIndex || progress.state === 'probe') {
          this.#sendTo(message.from);
        }
        this.#answerReads();
        return;
      default:
    }
  }

  read(id: number): void {
    // Before the first entry of the term is committed, earlier leaders' commits may be unknown here.
    const index = Math.max(this.#context.commit, this.firstIndex);
    this.#reads.add({ id, index, round: this.#round + 1 });
    if (!this.#isAlone()) this.beat();
    this.#answerReads();
  }

  /** Answers that it does not lead any more. */
  refuseReads(): void {
    for (const { id } of this.#reads.takeAll()) {
      this.#context.perform({ kind: 'read', id, index: null });
    }
  }

  transfer(to: ReplicaId): void {
    const { id, configuration } = this.#context;
    if (to === id || !configuration.voters.includes(to)) return;
    this.#transferTo = to;
    this.#completeTransfer();
  }

  /** Why the configuration cannot be changed now, or null. */
  changeFault(): string | null {
    const { commit, configuration, isSettled } = this.#context;
    if (this.firstIndex > commit) return 'the first entry of this term is not committed';
    return !isSettled || isJoint(configuration) ? 'another change is under way' : null;
  }

  change(next: Configuration): void {
    if (this.changeFault() !== null) return;
    const configuration = firstStep(this.#context.configuration, next);
    this.#context.perform({ kind: 'configure', configuration });
  }

  /**
   * The copy to a follower has ended. It may come from a later leader, whose entries are not this one's: what both have
   * committed is the same.
   */
  copied(to: ReplicaId, index: number | null): void {
    const progress = this.#progress.get(to);
    if (progress?.state !== 'copy') return;
    const end = index === null ? null : Math.min(index, this.#context.commit);
    if (progress.endCopy(end)) this.#sendTo(to);
  }

  /** A configuration is in force: forgets who has left, meets who is new. */
  #meet(lastIndex: number): void {
    const { configuration, id: self } = this.#context;
    const before = this.#progress;
    this.#progress = new Map();
    for (const id of membersOf(configuration)) {
      if (id !== self) this.#progress.set(id, before.get(id) ?? new Progress(lastIndex + 1));
    }
    const to = this.#transferTo;
    if (to !== null && !configuration.voters.includes(to)) this.#transferTo = null;
  }

  /** As much as the follower may be sent now. */
  #sendTo(to: ReplicaId): void {
    const progress = this.#progress.get(to);
    if (progress === undefined) return;
    const { log, id: from, term, commit } = this.#context;
    while (progress.maySend && (progress.next <= log.lastIndex || progress.state === 'probe')) {
      const { next } = progress;
      const previousIndex = next - 1;
      const previousTerm = log.term(previousIndex);
      if (previousTerm === null) {
        progress.beginCopy();
        this.#askForCopy(to, progress);
        return;
      }
      const last = next > log.lastIndex ? previousIndex : log.batchEnd(next);
      progress.sent(last);
      const entries = next > last ? [] : this.#ends(next, last);
      this.#context.send({
        ...{ kind: 'append', from, to, term },
        ...{ previousIndex, previousTerm, entries, commit },
      });
    }
  }

  #askForCopy(to: ReplicaId, { match }: Progress): void {
    this.#context.perform({ kind: 'copy', to, from: match });
  }

  /** First and last entry of a message; what lies between is the transport's. */
  #ends(first: number, last: number): Entry[] {
    const entry = (index: number): Entry => {
      const term = this.#context.log.term(index) as number;
      return { index, term, configuration: null };
    };
    return first === last ? [entry(first)] : [entry(first), entry(last)];
  }

  /** Where the follower's log may agree with this one: whole terms are passed over at a time. */
  #guess({ hintIndex, hintTerm, commit }: AppendReject): number {
    const { log } = this.#context;
    let at = Math.min(hintIndex, log.lastIndex);
    for (; at > commit; at -= 1) {
      const term = log.term(at);
      if (term === null || term <= hintTerm) break;
    }
    return Math.max(at, Math.min(commit, log.lastIndex));
  }

  #matchOf(id: ReplicaId): number {
    if (id === this.#context.id) return this.#context.durable;
    return this.#progress.get(id)?.match ?? 0;
  }

  #isAlone(): boolean {
    const { voters, outgoing } = this.#context.configuration;
    return outgoing.length === 0 && voters.length === 1 && voters[0] === this.#context.id;
  }

  #answerReads(): void {
    if (this.#reads.isEmpty || this.firstIndex > this.#context.commit) return;
    const round = this.#isAlone()
      ? Infinity
      : quorumValue(this.#context.configuration, (id) =>
          id === this.#context.id ? this.#round : (this.#progress.get(id)?.round ?? 0),
        );
    for (const { id, index } of this.#reads.takeConfirmed(round)) {
      this.#context.perform({ kind: 'read', id, index });
    }
  }

  #completeTransfer(): void {
    const to = this.#transferTo;
    const { id: from, term, log } = this.#context;
    // Everything must be committed, too: what is not would have an unknown outcome for whoever waits for it.
    if (to === null || this.#context.commit !== log.lastIndex || log.isAwaited === true) return;
    if (this.#progress.get(to)?.match !== log.lastIndex) return;
    this.#context.send({ kind: 'timeoutNow', from, to, term });
  }

  /** A joint configuration that is committed leads on; a leader that is no longer a voter ends with the final one. */
  #continueChange(): void {
    const { isSettled, configuration, id } = this.#context;
    if (!isSettled) return;
    if (isJoint(configuration)) {
      if (!configuration.voters.includes(id) && this.#offerFirst()) return;
      this.#context.perform({ kind: 'configure', configuration: finalStep(configuration) });
    } else if (!isVoter(configuration, id)) {
      // Who has everything need not wait until it misses a leader.
      this.#transferTo = this.#heir();
      this.#completeTransfer();
      this.#context.stepDown();
    }
  }

  /**
   * A leader that leaves has one of those who stay take the last step, so that the group is never without one. False where it has
   * to be taken here: nobody is there, or it has come to nothing before.
   */
  #offerFirst(): boolean {
    if (this.#transferTo !== null) return true;
    const heir = this.#hasOffered ? null : this.#heir();
    if (heir === null) return false;
    this.#hasOffered = true;
    this.#transferTo = heir;
    this.#completeTransfer();
    return true;
  }

  /** The voter to come that answers and has most of the log. */
  #heir(): ReplicaId | null {
    let heir: ReplicaId | null = null;
    let most = -1;
    for (const to of this.#context.configuration.voters) {
      const progress = this.#progress.get(to);
      if (progress?.isActive !== true || progress.match <= most) continue;
      heir = to;
      most = progress.match;
    }
    return heir;
  }
}
