/**
 * The Raft state machine of one bucket's group: values in, effects out. No clock, no promise, no file, no socket.
 *
 * ```text
 *                 timeout: would I get votes?      yes, from a majority          votes of a majority
 *   follower ───────────────────▶ preCandidate ───────────────▶ candidate ───────────────────▶ leader
 *      ▲                               │                            │                             │
 *      │    a leader, a higher term    │         the same           │  a higher term, or no       │
 *      └───────────────────────────────┴────────────────────────────┴─ majority heard of ─────────┘
 * ```
 *
 * Sources: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm" (the rules); Ongaro's dissertation,
 * chapters 3 (transfer), 4 (joint consensus), 6 (read-index), 9 (pre-vote).
 *
 * Invariants
 * - `term` never falls. Nothing is sent that depends on a term or a vote before they are durable.
 * - At most one vote per term. A damaged replica gives none and acknowledges nothing.
 * - A follower acknowledges what is durable and agrees with its leader, nothing else; a leader counts itself as far as its
 *   own log is durable.
 * - A leader commits by counting only entries of its own term; what is before them follows (figure 8 of the paper).
 * - `commit` never falls, and entries up to it are never truncated.
 * - The configuration in force is the last one in the log, committed or not; one change at a time.
 * - A read is answered with the commit index of when it was asked, after a majority has confirmed this leader since, and not
 *   before the leader's first entry is committed.
 */
import { assert } from '../../../../common/assert.ts';
import { isVoter, membersOf, voteResult } from './configuration.ts';
import { hintFor } from './hint.ts';
import { type LeaderContext, Leadership } from './leadership.ts';
import type {
  Append,
  Configuration,
  Effect,
  Entry,
  Heartbeat,
  Input,
  Message,
  PlacedConfiguration,
  RaftLog,
  RaftOptions,
  RaftStart,
  ReplicaId,
  Role,
  Vote,
  VoteReply,
  VoteRequest,
} from './types.ts';

type CopiedHere = Extract<Input, { kind: 'copiedHere' }>;

const NONE: readonly Effect[] = [];

export class RaftCore {
  readonly id: ReplicaId;
  /** Another replica should lead, but somebody must: it campaigns three timeouts later. */
  isReluctant = false;
  readonly #options: RaftOptions;
  readonly #log: RaftLog;
  #effects: Effect[] = [];
  #role: Role = 'follower';
  #vote: Vote;
  #durableVote: Vote;
  /** Messages that wait until the vote is durable. */
  readonly #held: Message[] = [];
  #leader: ReplicaId | null = null;
  #commit: number;
  #durable: number;
  #configurations: PlacedConfiguration[];
  #isDamaged = false;
  /** Ticks since this replica heard of a leader, gave a vote or began to campaign. */
  #elapsed = 0;
  #timeout = 0;
  /** Since the start: groups that are ticked together send their heartbeats together. */
  #ticks = 0;
  #votes = new Map<ReplicaId, boolean>();
  #isTransfer = false;
  #leadership: Leadership | null = null;
  /** A follower: up to where its log is known to agree with the present leader's. */
  #agreed = 0;

  constructor(options: RaftOptions, start: RaftStart) {
    this.id = options.id;
    this.#options = options;
    this.#log = start.log;
    this.#vote = start.vote;
    this.#durableVote = start.vote;
    this.#commit = start.commit;
    this.#durable = start.log.lastIndex;
    this.#configurations = [...start.configurations];
    assert(this.#configurations.length > 0, 'a replica knows a configuration');
    this.#drawTimeout();
  }

  get role(): Role {
    return this.#role;
  }

  get term(): number {
    return this.#vote.term;
  }

  get vote(): Vote {
    return this.#vote;
  }

  get leader(): ReplicaId | null {
    return this.#leader;
  }

  get commit(): number {
    return this.#commit;
  }

  get durable(): number {
    return this.#durable;
  }

  get configuration(): Configuration {
    return (this.#configurations.at(-1) as PlacedConfiguration).configuration;
  }

  /** From the last committed one on. */
  get configurations(): readonly PlacedConfiguration[] {
    return this.#configurations;
  }

  /** Whether the configuration in force is committed. */
  get isSettled(): boolean {
    return (this.#configurations.at(-1) as PlacedConfiguration).index <= this.#commit;
  }

  /** A leader's view of a follower, for reports. */
  get leadership(): Leadership | null {
    return this.#leadership;
  }

  /** How many ticks pass without any effect, if nothing else happens and nobody becomes less reluctant: see {@link pass}. */
  get quietTicks(): number {
    const { electionTicks, heartbeatTicks } = this.#options;
    if (this.#leadership === null) return Math.max(0, this.#timeout - this.#elapsed - 1);
    const beforeBeat = heartbeatTicks - 1 - (this.#ticks % heartbeatTicks);
    return Math.max(0, Math.min(beforeBeat, electionTicks - this.#elapsed - 1));
  }

  /** A leader hands over and takes no more appends. */
  get isHandingOver(): boolean {
    return this.#leadership?.transferTo !== undefined && this.#leadership.transferTo !== null;
  }

  /** Takes the effects gathered since the last call, in their order. */
  take(): readonly Effect[] {
    if (this.#effects.length === 0) return NONE;
    const taken = this.#effects;
    this.#effects = [];
    return taken;
  }

  /** So many quiet ticks have passed. The same as stepping each of them, and cheaper where a node has many groups. */
  pass(ticks: number): void {
    assert(ticks <= this.quietTicks, 'only quiet ticks are passed over');
    this.#ticks += ticks;
    this.#elapsed += ticks;
  }

  step(input: Input): void {
    switch (input.kind) {
      case 'tick':
        this.#tick();
        return;
      case 'message':
        this.#receive(input.message);
        return;
      case 'voteDurable':
        this.#voteDurable(input.vote);
        return;
      case 'durable':
        this.#logDurable(input.index);
        return;
      case 'appended':
        this.#leadership?.appended(input.configurations);
        return;
      case 'read':
        if (this.#leadership === null)
          this.#effects.push({ kind: 'read', id: input.id, index: null });
        else this.#leadership.read(input.id);
        return;
      case 'campaign':
        if (this.#mayCampaign()) this.#campaign(false);
        return;
      case 'transfer':
        if (this.#leadership === null) return;
        this.#elapsed = 0;
        this.#leadership.transfer(input.to);
        return;
      case 'change':
        this.#leadership?.change(input.configuration);
        return;
      case 'copied':
        this.#leadership?.copied(input.to, input.index);
        return;
      case 'copiedHere':
        this.#copiedHere(input);
        return;
      case 'damaged':
        this.#damaged(input.isDamaged);
    }
  }

  /** Why the configuration cannot be changed now, or null. */
  changeFault(): string | null {
    return this.#leadership === null ? 'not the leader' : this.#leadership.changeFault();
  }

  // Time

  #tick(): void {
    this.#ticks += 1;
    this.#elapsed += 1;
    if (this.#leadership === null) {
      const late = this.isReluctant ? 3 * this.#options.electionTicks : 0;
      if (this.#elapsed >= this.#timeout + late && this.#mayCampaign()) this.#campaign(false);
      return;
    }
    if (this.#ticks % this.#options.heartbeatTicks === 0) this.#leadership.beat();
    if (this.#elapsed < this.#options.electionTicks) return;
    this.#elapsed = 0;
    // A leader that a majority does not hear of any more steps down: another one may be serving already.
    if (!this.#leadership.checkQuorum()) this.#follow(this.term, null);
  }

  #drawTimeout(): void {
    const { electionTicks, random } = this.#options;
    this.#elapsed = 0;
    this.#timeout = electionTicks + random.below(electionTicks);
  }

  // Elections

  /**
   * Also where only a configuration that is not replaced for certain names this replica a voter: it may be the one that has the
   * entry which the others need to go on without it (Ongaro 4.2.2).
   */
  #mayCampaign(): boolean {
    if (this.#role === 'leader' || this.#isDamaged) return false;
    return this.#configurations.some(({ configuration }) => isVoter(configuration, this.id));
  }

  /** With pre-vote first, so that a replica that was away does not disturb a group that has a leader. */
  #campaign(isTransfer: boolean): void {
    this.#isTransfer = isTransfer;
    this.#leader = null;
    this.#votes = new Map([[this.id, true]]);
    this.#drawTimeout();
    if (isTransfer) {
      this.#stand();
      return;
    }
    this.#become('preCandidate');
    if (voteResult(this.configuration, this.#votes) === 'won') this.#stand();
    else this.#askForVotes('preVote', this.term + 1);
  }

  /** Stands for election in a new term; its own vote counts when it is durable. */
  #stand(): void {
    this.#setVote({ term: this.term + 1, votedFor: this.id });
    this.#votes = new Map();
    this.#drawTimeout();
    this.#become('candidate');
    this.#askForVotes('vote', this.term);
  }

  #askForVotes(kind: VoteRequest['kind'], term: number): void {
    const { lastIndex } = this.#log;
    const lastTerm = this.#lastTerm();
    for (const to of membersOf({ ...this.configuration, learners: [] })) {
      if (to === this.id) continue;
      const { id: from } = this;
      this.#send({ kind, from, to, term, lastIndex, lastTerm, isTransfer: this.#isTransfer });
    }
  }

  #answerVoteRequest(message: VoteRequest): void {
    const granted = this.#wouldVote(message);
    const reply = message.kind === 'vote' ? 'voteReply' : 'preVoteReply';
    if (granted && message.kind === 'vote') {
      this.#elapsed = 0;
      if (this.#vote.votedFor === null) this.#setVote({ term: this.term, votedFor: message.from });
    }
    // A granted pre-vote answers in the term that was asked about; whoever asks is still in an earlier one.
    const term = granted ? message.term : this.term;
    this.#send({ kind: reply, from: this.id, to: message.from, term, granted });
  }

  #wouldVote(message: VoteRequest): boolean {
    if (this.#isDamaged || message.term < this.term) return false;
    const { votedFor, term } = this.#vote;
    if (message.kind === 'vote' && votedFor !== null && votedFor !== message.from) return false;
    if (message.kind === 'preVote' && message.term <= term && votedFor !== message.from)
      return false;
    const lastTerm = this.#lastTerm();
    if (message.lastTerm !== lastTerm) return message.lastTerm > lastTerm;
    return message.lastIndex >= this.#log.lastIndex;
  }

  /** A leader was heard of lately: nobody else is needed, unless it says so itself (Ongaro 4.2.3). */
  #hasLeader({ isTransfer }: VoteRequest): boolean {
    if (isTransfer) return false;
    return this.#leader !== null && this.#elapsed < this.#options.electionTicks;
  }

  #countVote({ kind, from, granted, term }: VoteReply): void {
    const isAsked =
      kind === 'preVoteReply' ? this.#role === 'preCandidate' : this.#role === 'candidate';
    if (!isAsked || !isVoter(this.configuration, from)) return;
    if (granted && term !== (kind === 'preVoteReply' ? this.term + 1 : this.term)) return;
    this.#votes.set(from, granted);
    this.#judgeElection();
  }

  #judgeElection(): void {
    const result = voteResult(this.configuration, this.#votes);
    if (result === 'lost') this.#follow(this.term, null);
    else if (result === 'won' && this.#role === 'preCandidate') this.#stand();
    else if (result === 'won' && this.#role === 'candidate') this.#lead();
  }

  #lead(): void {
    this.#leader = this.id;
    this.#elapsed = 0;
    this.#leadership = new Leadership(this.#leaderContext());
    this.#become('leader');
    this.#effects.push({ kind: 'appendFirst' });
  }

  #leaderContext(): LeaderContext {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- getters below have a `this` of their own
    const core = this;
    return {
      id: this.id,
      term: this.term,
      log: this.#log,
      get configuration() {
        return core.configuration;
      },
      get isSettled() {
        return core.isSettled;
      },
      get commit() {
        return core.#commit;
      },
      get durable() {
        return core.#durable;
      },
      commitUpTo: (index) => {
        this.#commitUpTo(index);
      },
      configured: (placed) => {
        this.#configurations.push(...placed);
      },
      send: (message) => {
        this.#send(message);
      },
      perform: (effect) => {
        this.#effects.push(effect);
      },
      stepDown: () => {
        this.#follow(this.term, null);
      },
    };
  }

  /** Follows in a term, its leader known or not. */
  #follow(term: number, leader: ReplicaId | null): void {
    const isNewTerm = term > this.term;
    if (isNewTerm) this.#setVote({ term, votedFor: null });
    this.#leadership?.refuseReads();
    this.#leadership = null;
    const isNews = this.#role !== 'follower' || leader !== this.#leader;
    // A leader that is elected again may have another log than before.
    if (isNews || isNewTerm) this.#agreed = this.#commit;
    this.#leader = leader;
    this.#drawTimeout();
    if (isNews) this.#become('follower');
  }

  #become(role: Role): void {
    this.#role = role;
    this.#effects.push({ kind: 'role', role, term: this.term, leader: this.#leader });
  }

  #setVote(vote: Vote): void {
    this.#vote = vote;
    this.#effects.push({ kind: 'persistVote', vote });
  }

  #voteDurable(vote: Vote): void {
    this.#durableVote = vote;
    if (!this.#isVoteDurable()) return;
    // Of an earlier term: what it says holds no more, or not yet for certain.
    for (const message of this.#held.splice(0)) this.#effects.push({ kind: 'send', message });
    if (this.#role !== 'candidate') return;
    this.#votes.set(this.id, true);
    this.#judgeElection();
  }

  #isVoteDurable(): boolean {
    const { term, votedFor } = this.#vote;
    return this.#durableVote.term === term && this.#durableVote.votedFor === votedFor;
  }

  // Messages

  #send(message: Message): void {
    if (this.#isVoteDurable()) this.#effects.push({ kind: 'send', message });
    else this.#held.push(message);
  }

  #receive(message: Message): void {
    if (message.term > this.term && !this.#meetHigherTerm(message)) return;
    if (message.term < this.term) {
      this.#answerLowerTerm(message);
      return;
    }
    switch (message.kind) {
      case 'preVote':
      case 'vote':
        this.#answerVoteRequest(message);
        return;
      case 'preVoteReply':
      case 'voteReply':
        this.#countVote(message);
        return;
      case 'append':
        this.#heardOfLeader(message.from);
        this.#takeEntries(message);
        return;
      case 'heartbeat':
        this.#heardOfLeader(message.from);
        this.#takeHeartbeat(message);
        return;
      case 'timeoutNow':
        if (this.#mayCampaign()) this.#campaign(true);
        return;
      case 'appendReply':
      case 'appendReject':
      case 'heartbeatReply':
        this.#leadership?.heard(message);
        return;
    }
  }

  /** False: the message is done with. */
  #meetHigherTerm(message: Message): boolean {
    switch (message.kind) {
      case 'preVote':
        // Asks about a term, is not in it.
        if (this.#hasLeader(message)) return false;
        this.#answerVoteRequest(message);
        return false;
      case 'preVoteReply':
        // Granted: in the term that was asked about.
        if (message.granted) {
          this.#countVote(message);
          return false;
        }
        break;
      case 'vote':
        if (this.#hasLeader(message)) return false;
        break;
      default:
    }
    const isLeaders = message.kind === 'append' || message.kind === 'heartbeat';
    this.#follow(message.term, isLeaders ? message.from : null);
    return true;
  }

  /** A leader or candidate of an earlier term is told of the present one; it would wait for ever otherwise. */
  #answerLowerTerm(message: Message): void {
    const { id: from, term } = this;
    const { from: to } = message;
    if (message.kind === 'append' || message.kind === 'heartbeat') {
      this.#send({ kind: 'heartbeatReply', from, to, term, round: 0 });
    } else if (message.kind === 'preVote') {
      this.#send({ kind: 'preVoteReply', from, to, term, granted: false });
    }
  }

  #heardOfLeader(leader: ReplicaId): void {
    assert(this.#role !== 'leader', 'a term has one leader');
    if (this.#role !== 'follower' || this.#leader !== leader) this.#follow(this.term, leader);
    this.#elapsed = 0;
  }

  // Followers

  #takeEntries(message: Append): void {
    const { from: to, previousIndex, previousTerm, entries } = message;
    const { id: from, term } = this;
    if (this.#isDamaged) return;
    if (previousIndex > this.#log.lastIndex || !this.#agreesAt(previousIndex, previousTerm)) {
      const hint = hintFor(this.#log, this.#commit, previousIndex, previousTerm);
      this.#send({
        ...{ kind: 'appendReject', from, to, term, rejectedIndex: previousIndex },
        ...{ hintIndex: hint.index, hintTerm: hint.term, commit: this.#commit },
      });
      return;
    }
    const last = entries.at(-1)?.index ?? previousIndex;
    const fresh = this.#freshEntries(entries);
    const [first] = fresh;
    if (first !== undefined) this.#append(first.index, fresh);
    this.#agreed = Math.max(this.#agreed, last);
    this.#commitUpTo(Math.min(message.commit, last));
    // What is not durable yet is acknowledged when it is.
    if (entries.length === 0 || this.#durable >= last) this.#acknowledge();
  }

  /** Entries up to the commit index agree with every leader's. */
  #agreesAt(index: number, term: number): boolean {
    return index <= this.#commit || this.#log.term(index) === term;
  }

  /** Without those that are in the log already. */
  #freshEntries(entries: readonly Entry[]): readonly Entry[] {
    let known = 0;
    for (const { index, term } of entries) {
      if (index > this.#log.lastIndex || !this.#agreesAt(index, term)) break;
      known += 1;
    }
    return known === 0 ? entries : entries.slice(known);
  }

  #append(firstIndex: number, entries: readonly Entry[]): void {
    const { lastIndex } = this.#log;
    const truncateAfter = firstIndex <= lastIndex ? firstIndex - 1 : null;
    if (truncateAfter !== null) this.#truncated(truncateAfter);
    for (const { index, configuration } of entries) {
      if (configuration !== null) this.#configurations.push({ index, configuration });
    }
    this.#effects.push({ kind: 'append', truncateAfter, entries });
  }

  #truncated(after: number): void {
    assert(after >= this.#commit, 'a committed entry is never truncated');
    this.#durable = Math.min(this.#durable, after);
    this.#agreed = Math.min(this.#agreed, after);
    this.#configurations = this.#configurations.filter(({ index }) => index <= after);
  }

  /**
   * What is committed is in the log of every leader to come; one of an earlier term may lack it. So nothing is acknowledged:
   * the loop tells whoever asked for the copy, once it is durable.
   */
  #copiedHere({ index, term, truncateAfter, configurations }: CopiedHere): void {
    if (this.#role === 'leader') return;
    if (term > this.term) this.#follow(term, null);
    if (truncateAfter !== null) this.#truncated(truncateAfter);
    this.#configurations.push(...configurations);
    this.#commitUpTo(index);
  }

  #takeHeartbeat({ from: to, commit, round }: Heartbeat): void {
    // The leader names nothing that this replica has not acknowledged to it.
    this.#commitUpTo(Math.min(commit, this.#log.lastIndex));
    this.#send({ kind: 'heartbeatReply', from: this.id, to, term: this.term, round });
  }

  #acknowledge(): void {
    const { id: from, term } = this;
    const to = this.#leader;
    if (to === null || to === this.id || this.#isDamaged) return;
    const index = Math.min(this.#durable, this.#agreed);
    this.#send({ kind: 'appendReply', from, to, term, index });
  }

  #logDurable(index: number): void {
    if (index <= this.#durable) return;
    this.#durable = index;
    if (this.#leadership === null) this.#acknowledge();
    else this.#leadership.advance();
  }

  #commitUpTo(index: number): void {
    if (index <= this.#commit) return;
    this.#commit = index;
    this.#effects.push({ kind: 'commit', index });
    while ((this.#configurations[1]?.index ?? Infinity) <= index) this.#configurations.shift();
  }

  #damaged(isDamaged: boolean): void {
    this.#isDamaged = isDamaged;
    if (isDamaged && this.#role !== 'follower') this.#follow(this.term, null);
  }

  #lastTerm(): number {
    const term = this.#log.term(this.#log.lastIndex);
    assert(term !== null, 'the term of the last entry is known');
    return term;
  }
}
