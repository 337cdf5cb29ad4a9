/**
 * The group of one bucket: performs what its Raft core says, on the bucket's log and through a transport.
 *
 * Invariants
 * - The core is stepped by one thing at a time, and its effects are performed before the next: nothing here waits.
 * - A frame that a leader has begun goes to the journal at once, and to the followers in the same turn of the event loop.
 * - `leading` begins when the leader's first entry is applied: from then on the applied state holds everything that earlier
 *   leaders have acknowledged. It ends in the step in which the core steps down, before anything else is decided.
 */
import { assert } from '../../../common/assert.ts';
import type { Random } from '../../../common/random.ts';
import type { ApplyFrame, BucketLog, FrameFields, FramePlace } from '../storage/bucket-log.ts';
import {
  FRAME_HEADER_BYTES,
  frameCrc,
  frameFault,
  frameIndex,
  frameKind,
  frameKindOf,
  frameLength,
  frameOffset,
  frameSegment,
} from '../storage/frame-format.ts';
import {
  configurationBytes,
  configurationOf,
  type CopyMessage,
  type Received,
  replicaBytes,
  replicaText,
  type WireMessage,
} from './message-format.ts';
import { isJoint } from './raft/configuration.ts';
import { RaftCore } from './raft/core.ts';
import type {
  Configuration,
  Effect,
  Entry,
  Message,
  PlacedConfiguration,
  RaftLog,
  ReplicaId,
} from './raft/types.ts';
import type { GroupState, ReplicatedLog } from './replicated-log.ts';

/** Frames of one message, bytes. */
const BATCH_BYTES = 1024 * 1024;

/** More than followers have room for would never be taken. */
const batchBytes = ({ room }: BucketLog): number => Math.min(BATCH_BYTES, room.batchBytes);

/** How a group reaches its other replicas, and what it needs of the node around it. */
export interface GroupHost {
  readonly random: Random;
  /** May lose, delay and repeat. `frames` are copied before it returns. */
  send(bucket: number, message: WireMessage, frames: Uint8Array | null): void;
  /** Copies what the leader `from` has up to `commit`; then {@link RaftGroup.pulled} is called. */
  pull(group: RaftGroup, from: ReplicaId, commit: number): void;
  /** The log cannot be trusted: what the leader sent does not continue it. */
  diverged(group: RaftGroup, reason: string): void;
}

export interface GroupTiming {
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
}

interface DurableWait {
  readonly index: number;
  readonly resolve: () => void;
}

const TICK = { kind: 'tick' } as const;

export class RaftGroup implements ReplicatedLog {
  readonly log: BucketLog;
  readonly replicaId: ReplicaId;
  onCommitted: ApplyFrame = () => undefined;
  onStateChange: (state: GroupState) => void = () => undefined;
  /** Whether appends were taken that have not been begun yet: before they are, the group hands nothing over. */
  hasUndecided: () => boolean = () => false;
  /** Damage that hid events is gone: what was known of them may be wrong. */
  onHealed: () => void = () => undefined;
  /** Counts what was heard of who leads. */
  leaderNews = 0;
  readonly #core: RaftCore;
  readonly #host: GroupHost;
  #state: GroupState = 'starting';
  /** Ticks that the core has not been told of: it need not be woken for them. */
  #passed = 0;
  #quietTicks = 0;
  /** Index of the leader's first entry. */
  #firstIndex = Infinity;
  #isFlushing = false;
  /** What a leader sent did not continue this log: no copy of a segment mends that. */
  #hasDiverged = false;
  /** Frames of the message that is being stepped. */
  #incoming: Received | null = null;
  #started: PromiseWithResolvers<void> | null = null;
  #durableWaits: DurableWait[] = [];
  #reads = new Map<number, PromiseWithResolvers<boolean>>();
  #readIds = 0;
  /** Reads that wait for the next flush: they share one confirmation. */
  #nextRead: PromiseWithResolvers<boolean> | null = null;

  constructor(log: BucketLog, timing: GroupTiming, host: GroupHost) {
    this.log = log;
    this.replicaId = replicaText(log.replicaId);
    this.#host = host;
    const { term, votedFor } = log.vote;
    this.#core = new RaftCore(
      { id: this.replicaId, ...timing, random: host.random },
      {
        log: raftLogOf(log, () => this.hasUndecided()),
        vote: { term, votedFor: votedFor === null ? null : replicaText(votedFor) },
        commit: log.committedIndex,
        configurations: log.configurations.map(({ index, bytes }) => ({
          index,
          configuration: configurationOf(bytes),
        })),
      },
    );
    log.onDurable = (index): void => {
      this.#step({ kind: 'durable', index });
      if (this.#durableWaits.length > 0) this.#wakeDurable();
    };
    log.onVoteDurable = (vote): void => {
      const { votedFor: id } = vote;
      const known = { term: vote.term, votedFor: id === null ? null : replicaText(id) };
      this.#step({ kind: 'voteDurable', vote: known });
    };
    log.onDamaged = (): void => {
      // Readers meet damage at any time, also in the middle of a step.
      setImmediate(() => {
        if (log.quarantined && !log.isAlone) this.#step({ kind: 'damaged', isDamaged: true });
      });
    };
    log.onApplied = (bytes, at, segment, offset): void => {
      this.onCommitted(bytes, at, segment, offset);
    };
  }

  get state(): GroupState {
    return this.#state;
  }

  get appliedIndex(): number {
    return this.log.committedIndex;
  }

  /** The leader, as far as this replica knows. */
  get leader(): ReplicaId | null {
    return this.#core.leader;
  }

  get core(): RaftCore {
    return this.#core;
  }

  /** A lone voter leads when this resolves; a replica of a group takes part from now on. */
  start(): Promise<void> {
    assert(this.#started === null, 'a group starts once');
    this.#started = Promise.withResolvers();
    if (!this.log.isAlone) this.#started.resolve();
    if (this.#state === 'starting' && !this.log.isAlone) this.#enter('following');
    if (this.log.isAlone) this.#step({ kind: 'campaign' });
    return this.#started.promise;
  }

  begin(length: number): FramePlace {
    assert(this.#state === 'leading', 'only a leader appends');
    return this.log.begin(length);
  }

  finish(place: FramePlace, length: number, fields: Omit<FrameFields, 'term'>): number {
    const index = this.log.finish(place, length, { ...fields, term: this.#core.term });
    // Followers get the frames of a turn in one message.
    if (!this.#isFlushing && !this.log.isAlone) {
      this.#isFlushing = true;
      setImmediate(() => {
        this.#isFlushing = false;
        this.#step({ kind: 'appended', configurations: [] });
      });
    }
    return index;
  }

  /**
   * True once what is applied here holds everything that was acknowledged before the call; false: this replica does not
   * lead. Null where that is so already.
   */
  readBarrier(): Promise<boolean> | null {
    if (this.#state !== 'leading') return Promise.resolve(false);
    if (this.log.isAlone) return null;
    if (this.#nextRead === null) {
      const waiting = Promise.withResolvers<boolean>();
      this.#nextRead = waiting;
      setImmediate(() => {
        this.#nextRead = null;
        this.#readIds += 1;
        this.#reads.set(this.#readIds, waiting);
        this.#step({ kind: 'read', id: this.#readIds });
      });
    }
    return this.#nextRead.promise;
  }

  /** Whether the next tick may have an effect. */
  get isTickDue(): boolean {
    return this.#passed >= this.#quietTicks;
  }

  tick(): void {
    if (this.isTickDue) this.#step(TICK);
    else this.#passed += 1;
  }

  receive(received: Received): void {
    const { message } = received;
    if (this.#state === 'stopped' || this.#state === 'starting') return;
    if (message.to !== this.replicaId) return;
    if (message.kind === 'pull') {
      if (this.#core.role !== 'leader') this.#host.pull(this, message.from, message.commit);
    } else if (message.kind === 'pulled') this.#copied(message);
    else this.#receive(received, message);
  }

  /** Resolves when the log is durable here up to `index`, or the group stops. */
  durable(index: number): Promise<void> {
    if (this.#core.durable >= index || this.#state === 'stopped') return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#durableWaits.push({ index, resolve });
    return promise;
  }

  /**
   * Takes frames that are committed, as they stand in another replica's segments: whole, checked, in order, the first one
   * at most one behind this log's end. Own frames that are others give way. Returns what does not continue the log.
   */
  takeCommitted(bytes: Buffer, from: number, to: number): string | null {
    const { log } = this;
    let after = Infinity;
    let last = log.committedIndex;
    const configurations: PlacedConfiguration[] = [];
    let fault: string | null = null;
    for (let at = from; at < to; at += frameLength(bytes, at)) {
      const index = frameIndex(bytes, at);
      if (index <= log.committedIndex) continue;
      if (index > log.endIndex || log.crcAt(index) !== frameCrc(bytes, at)) {
        if (index <= log.endIndex) after = Math.min(after, index - 1);
        fault = this.#takeInstead(bytes, at, index);
        if (fault !== null) break;
        const configuration = configurationAt(bytes, at);
        if (configuration !== null) configurations.push({ index, configuration });
      }
      last = index;
    }
    const term = log.termAt(last) ?? 0;
    const truncateAfter = after === Infinity ? null : after;
    this.#step({ kind: 'copiedHere', index: last, term, truncateAfter, configurations });
    return fault;
  }

  /** A copy that the leader asked for has ended: everything up to `index` is durable here; null: it failed. */
  pulled(leader: ReplicaId, index: number | null): void {
    const { term } = this.#core;
    const message = { kind: 'pulled', from: this.replicaId, to: leader, term, index } as const;
    this.#host.send(this.log.bucket, message, null);
  }

  /** Asks for votes now. */
  campaign(): void {
    if (this.#state === 'following') this.#step({ kind: 'campaign' });
  }

  transfer(to: ReplicaId): void {
    this.#step({ kind: 'transfer', to });
  }

  /** Why the configuration cannot be changed now, or null: then the change has begun. */
  change(configuration: Configuration): string | null {
    const fault = this.#core.changeFault();
    if (fault === null) this.#step({ kind: 'change', configuration });
    return fault;
  }

  /** The log is whole again: a replica that did not take part because of it does so from now on. */
  healed(): void {
    this.onHealed();
    if (this.#state === 'starting') void this.start();
    else if (!this.#hasDiverged) this.#step({ kind: 'damaged', isDamaged: false });
  }

  stop(): void {
    this.#enter('stopped');
    for (const { resolve } of this.#reads.values()) resolve(false);
    this.#reads.clear();
    this.#nextRead?.resolve(false);
    this.#wakeDurable();
  }

  /** Puts a frame in the place of what the log has from `index` on. */
  #takeInstead(bytes: Buffer, at: number, index: number): string | null {
    // Every leader has what is committed: this one has been replaced, and will hear of it.
    if (this.#core.role === 'leader') return 'this replica leads';
    this.log.truncate(index - 1);
    return this.log.take(bytes, at, at + frameLength(bytes, at));
  }

  #wakeDurable(): void {
    const waits = this.#durableWaits;
    const isDone = ({ index }: DurableWait): boolean =>
      this.#core.durable >= index || this.#state === 'stopped';
    this.#durableWaits = waits.filter((wait) => !isDone(wait));
    for (const wait of waits) if (isDone(wait)) wait.resolve();
  }

  #copied({ from, index }: Extract<CopyMessage, { kind: 'pulled' }>): void {
    this.#step({ kind: 'copied', to: from, index });
  }

  /** Entries for which there is no room are left out; what remains still tells the leader where the logs agree. */
  #receive(received: Received, message: Message): void {
    if (!areWhole(received)) return;
    this.#incoming = received;
    this.#step({ kind: 'message', message: this.#roomFor(received, message) });
    this.#incoming = null;
  }

  /** Where there is no room for its entries, a message says what it says of those that are here. */
  #roomFor({ framesAt, framesEnd }: Received, message: Message): Message {
    const { log } = this;
    if (message.kind !== 'append' || log.room.takesSent(framesEnd - framesAt)) return message;
    const isHere = ({ index, term }: Entry): boolean => log.termAt(index) === term;
    const known = message.entries.findIndex((entry) => !isHere(entry));
    return known === -1 ? message : { ...message, entries: message.entries.slice(0, known) };
  }

  #step(input: Parameters<RaftCore['step']>[0]): void {
    if (this.#state === 'stopped') return;
    if (this.#passed > 0) this.#core.pass(this.#passed);
    this.#passed = 0;
    this.#core.step(input);
    for (let effects = this.#core.take(); effects.length > 0; effects = this.#core.take()) {
      for (const effect of effects) this.#perform(effect);
    }
    this.#quietTicks = this.#core.quietTicks;
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'persistVote': {
        const { term, votedFor } = effect.vote;
        this.log.persistVote({ term, votedFor: votedFor === null ? null : replicaBytes(votedFor) });
        return;
      }
      case 'append':
        this.#appendIncoming(effect);
        return;
      case 'send':
        this.#send(effect.message);
        return;
      case 'commit':
        this.#commit(effect.index);
        return;
      case 'role':
        this.#role(effect.role);
        return;
      case 'appendFirst':
        this.#appendOwn(frameKind.leader, null);
        this.#tellConfiguration();
        return;
      case 'configure':
        this.#appendOwn(frameKind.configuration, effect.configuration);
        return;
      case 'read':
        this.#answerRead(effect.id, effect.index);
        return;
      case 'copy': {
        const { to } = effect;
        const { term, commit } = this.#core;
        this.#host.send(
          this.log.bucket,
          { kind: 'pull', from: this.replicaId, to, term, commit },
          null,
        );
      }
    }
  }

  #send(message: Message): void {
    if (message.kind !== 'append' || message.entries.length === 0) {
      this.#host.send(this.log.bucket, message, null);
      return;
    }
    const range = this.log.frames(message.previousIndex + 1, batchBytes(this.log));
    if (range === null) return;
    this.#host.send(this.log.bucket, message, range.bytes.subarray(range.from, range.to));
  }

  #appendIncoming({ truncateAfter, entries }: Extract<Effect, { kind: 'append' }>): void {
    const incoming = this.#incoming;
    assert(incoming !== null, 'entries come with a message');
    if (truncateAfter !== null) this.log.truncate(truncateAfter);
    const first = entries[0]?.index ?? Infinity;
    const { bytes, framesEnd } = incoming;
    for (let at = incoming.framesAt; at < framesEnd;) {
      const end = at + frameLength(bytes, at);
      if (frameIndex(bytes, at) >= first) {
        const fault = this.log.take(bytes, at, end);
        if (fault !== null) {
          this.#diverged(fault);
          return;
        }
      }
      at = end;
    }
  }

  /** Neither this log nor what is said of it may be trusted until somebody has looked at it. */
  #diverged(fault: string): void {
    this.#hasDiverged = true;
    this.#core.step({ kind: 'damaged', isDamaged: true });
    this.#host.diverged(this, fault);
  }

  #appendOwn(kind: FrameFields['kind'], configuration: Configuration | null): void {
    const payload = configuration === null ? Buffer.alloc(0) : configurationBytes(configuration);
    const length = FRAME_HEADER_BYTES + payload.length;
    const place = this.log.begin(length);
    payload.copy(place.bytes, place.at + FRAME_HEADER_BYTES);
    const { term } = this.#core;
    const fields = { kind, term, partition: 0, firstSequence: 0, eventCount: 0 };
    const index = this.log.finish(place, length, fields);
    if (kind === frameKind.leader) this.#firstIndex = index;
    const configurations = configuration === null ? [] : [{ index, configuration }];
    this.#core.step({ kind: 'appended', configurations });
  }

  /**
   * Who is in the group stands in its log before any event does: a replica that was made knowing nobody, and counts, would
   * otherwise have what was acknowledged and could not be elected. After a restart it may stand there already.
   */
  #tellConfiguration(): void {
    const { configuration } = this.#core;
    const isTold = this.log.configurations.at(-1)?.isFrame === true;
    if (isTold || this.log.isAlone || isJoint(configuration)) return;
    this.#appendOwn(frameKind.configuration, configuration);
  }

  #commit(index: number): void {
    // This log is another one than the leader's: see #diverged.
    if (index > this.log.endIndex) return;
    this.log.commit(index);
    if (this.#core.role === 'leader' && this.#state !== 'leading' && index >= this.#firstIndex) {
      this.#enter('leading');
      this.#started?.resolve();
    }
  }

  #role(role: string): void {
    this.leaderNews += 1;
    if (role === 'leader') this.#firstIndex = Infinity;
    else if (this.#state !== 'starting') this.#enter('following');
  }

  #enter(state: GroupState): void {
    if (this.#state === state || this.#state === 'stopped') return;
    this.#state = state;
    this.onStateChange(state);
  }

  /** The index is applied when it is committed: the answer is ready. */
  #answerRead(id: number, index: number | null): void {
    this.#reads.get(id)?.resolve(index !== null && this.log.committedIndex >= index);
    this.#reads.delete(id);
  }
}

/** Whether the frames of a message are as they were sent. What is not counts as lost: it is sent again. */
function areWhole({ bytes, framesAt, framesEnd }: Received): boolean {
  for (let at = framesAt; at < framesEnd; at += frameLength(bytes, at)) {
    const [segment, offset] = [frameSegment(bytes, at), frameOffset(bytes, at)];
    if (frameFault(bytes, at, framesEnd, segment, offset) !== null) return false;
  }
  return true;
}

/** The configuration that a frame holds, or null for any other frame. */
function configurationAt(bytes: Buffer, at: number): Configuration | null {
  if (frameKindOf(bytes, at) !== frameKind.configuration) return null;
  return configurationOf(bytes.subarray(at + FRAME_HEADER_BYTES, at + frameLength(bytes, at)));
}

/** The log as the core sees it: what is not in memory any more is only in segments. */
function raftLogOf(log: BucketLog, isAwaited: () => boolean): RaftLog {
  return {
    get isAwaited() {
      return isAwaited();
    },
    get lastIndex() {
      return log.endIndex;
    },
    term: (index) => (index + 1 < log.firstIndexInMemory ? null : log.termAt(index)),
    batchEnd: (from) => log.frames(from, batchBytes(log))?.lastIndex ?? from,
  };
}
