/**
 * Looks at the other members: those that do not have the assignment yet are sent it, and leaders of buckets that are not
 * held here are learnt from those who hold them. When there is nothing to learn, nobody is asked.
 */
import { type Assignment, digestOf, type Member } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { PeerError } from '../replication/peer-requests.ts';
import type { ClusterLog, ClusterNode } from './cluster-node.ts';
import { sendAssignment, statusOf } from './member-requests.ts';

const INTERVAL_MS = 1000;
const SOON_MS = 50;

type AssignmentSummary = NonNullable<NodeStatus['assignment']>;

interface Leader {
  readonly member: string;
  readonly term: number;
}

type Watching = Pick<ClusterNode, 'assignment' | 'self' | 'peers' | 'lacksBuckets'>;

interface MemberEvents {
  /** Leaders may have changed. */
  readonly learnt: () => void;
  /** A member does not let this one in. */
  readonly refused: (error: PeerError) => void;
}

export class MemberWatch {
  readonly #node: Watching;
  readonly #log: ClusterLog;
  readonly #events: MemberEvents;
  readonly #stopped = new AbortController();
  /** Members that may not have the assignment yet. */
  #behind = new Set<string>();
  #leaders = new Map<number, Leader>();
  #told = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;
  #isSoon = false;
  #isLooking = false;
  #isStarted = false;

  constructor(node: Watching, log: ClusterLog, events: MemberEvents) {
    this.#node = node;
    this.#log = log;
    this.#events = events;
  }

  leaderOf(bucket: number): string | null {
    return this.#leaders.get(bucket)?.member ?? null;
  }

  /** From now on the members are to have this assignment. */
  expect({ members }: Assignment): void {
    const own = this.#node.self.id;
    this.#behind = new Set(members.map(({ id }) => id).filter((id) => id !== own));
    if (this.#isStarted) this.lookSoon();
  }

  start(): void {
    this.#isStarted = true;
    this.lookSoon();
  }

  /** Somebody waits for what there may be to learn. */
  lookSoon(): void {
    if (this.#isSoon || this.#isLooking) return;
    this.#isSoon = true;
    this.#schedule(SOON_MS);
  }

  stop(): void {
    this.#stopped.abort();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(ms: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#isSoon = false;
      void this.#look();
    }, ms);
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    const { assignment, self, lacksBuckets } = this.#node;
    const asked = assignment.members.filter(
      ({ id }) => id !== self.id && (lacksBuckets || this.#behind.has(id)),
    );
    await Promise.all(asked.map((member) => this.#lookAt(member)));
    this.#isLooking = false;
    this.#events.learnt();
    if (this.#node.lacksBuckets || this.#behind.size > 0) this.#schedule(INTERVAL_MS);
  }

  async #lookAt(member: Member): Promise<void> {
    const { signal } = this.#stopped;
    let status: NodeStatus;
    try {
      status = await statusOf(this.#node.peers, member.id, signal);
    } catch (error) {
      // One that is away is nothing to tell; one that refuses is.
      if (!(error instanceof PeerError) || error.status === null) return;
      this.#refused(member, error);
      this.#events.refused(error);
      return;
    }
    if (signal.aborted) return;
    if (status.member !== member.id) {
      this.#tell(
        member,
        `node ${member.index} at ${member.address} answers as member ${status.member}, the assignment has ${member.id}: its disk is another one`,
      );
      return;
    }
    for (const { bucket, role, term } of status.buckets) {
      const known = this.#leaders.get(bucket);
      if (role === 'leader' && (known === undefined || known.term <= term)) {
        this.#leaders.set(bucket, { member: member.id, term });
      }
    }
    await this.#bringUp(member, status);
  }

  /** Sends the assignment to a member that has an older one, or none. */
  async #bringUp(member: Member, { assignment: has }: NodeStatus): Promise<void> {
    const { assignment, peers } = this.#node;
    const isThere = has !== null && has.epoch >= assignment.epoch;
    if (isThere && has.version >= assignment.version) {
      if (isAnother(assignment, has)) {
        this.#conflicts(member, has.digest);
        return;
      }
      this.#behind.delete(member.id);
      this.#told.delete(member.id);
      return;
    }
    try {
      const update = { replaces: has?.version ?? 0, assignment };
      await sendAssignment(peers, member.id, update, this.#stopped.signal);
      this.#behind.delete(member.id);
    } catch (error) {
      this.#refused(member, error as Error);
    }
  }

  #refused(member: Member, { message }: Error): void {
    this.#tell(member, `node ${member.index} at ${member.address}: ${message}`);
  }

  /** Two operators have decided at once. Neither is lost; the next version, wherever it is put, ends it. */
  #conflicts(member: Member, digest: string): void {
    const { version } = this.#node.assignment;
    const reason = `node ${member.index} at ${member.address} follows another assignment of version ${version}: ${digest}`;
    if (this.#isNews(member, reason)) {
      this.#log.error({ member: member.id, reason }, 'members follow different assignments');
    }
  }

  #tell(member: Member, reason: string): void {
    if (!this.#isNews(member, reason)) return;
    this.#log.warn({ member: member.id, reason }, 'a member does not have the assignment');
  }

  /** Once for every reason of a member. */
  #isNews({ id }: Member, reason: string): boolean {
    if (this.#told.get(id) === reason || this.#stopped.signal.aborted) return false;
    this.#told.set(id, reason);
    return true;
  }
}

/** Of the same version, but not the same. */
const isAnother = (own: Assignment, { epoch, version, digest }: AssignmentSummary): boolean =>
  epoch === own.epoch && version === own.version && digest !== digestOf(own);
