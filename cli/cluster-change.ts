/**
 * `sierradb cluster add`, `remove` and `replace`: gives the cluster its next assignment, waits until the members have carried it
 * out, and strikes out who has left. Interrupted anywhere, the same command goes on.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { Assignment, Member } from '../common/assignment.ts';
import {
  ChangeRefusal,
  isIdle,
  withMember,
  withoutIdle,
  withoutMember,
  withReplacement,
} from '../common/assignment-changes.ts';
import type { NodeStatus } from '../common/cluster-contract.ts';
import { askAssignment, askMember, type AskOptions, putAssignment } from './cluster-requests.ts';
import type { Session } from './command.ts';
import { exitCode } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

const LOOK_MS = 500;

export type Change =
  | { readonly verb: 'add'; readonly at: string }
  | { readonly verb: 'remove'; readonly index: number }
  /** `at`: where the new node is, when not where the old one was. */
  | { readonly verb: 'replace'; readonly index: number; readonly at: string | null };

export interface Changing extends AskOptions {
  /** Of a member that stays. */
  readonly address: string;
  readonly waitMs: number;
}

/** Done when all has moved; refused when it has not by then: it goes on, and the same command waits for it. */
export async function changeMembers(
  session: Session,
  change: Change,
  changing: Changing,
): Promise<number> {
  const { address, waitMs } = changing;
  const current = await askAssignment(address, changing);
  const next = isUnderWay(current, change) ? current : await planned(current, change, changing);
  if (next !== current) await put(current, next, changing);
  const leaving = change.verb === 'add' ? null : idleAt(next, change.index);
  const endMs = performance.now() + waitMs;
  let moving = await movingBuckets(next, leaving, changing);
  while (moving > 0 && performance.now() < endMs) {
    await delay(LOOK_MS);
    moving = await movingBuckets(next, leaving, changing);
  }
  if (moving > 0) {
    session.note(`${moving} buckets still move; "sierradb cluster status" shows how far they are`);
    return exitCode.refused;
  }
  if (leaving !== null) await put(next, withoutIdle(next, leaving.id), changing);
  await session.output.line(resultText(session, next, leaving));
  return exitCode.done;
}

function resultText({ isJson }: Session, next: Assignment, leaving: Member | null): string {
  const { version, members } = next;
  const last = leaving === null ? version : version + 1;
  const left = members.filter(({ id }) => id !== leaving?.id);
  if (isJson) return JSON.stringify({ version: last, members: left, removed: leaving?.id ?? null });
  const gone = leaving === null ? '' : `; member ${leaving.id} has left and may be stopped`;
  return `done: ${left.length} members by version ${last}${gone}`;
}

/** Whether the change was asked for before, and only has to be waited for. */
function isUnderWay(current: Assignment, change: Change): boolean {
  switch (change.verb) {
    case 'add':
      return current.members.some(({ address }) => address === change.at);
    case 'remove':
      return idleAt(current, change.index) !== null;
    case 'replace':
      return membersAt(current, change.index).length > 1 && idleAt(current, change.index) !== null;
  }
}

async function planned(
  current: Assignment,
  change: Change,
  asking: AskOptions,
): Promise<Assignment> {
  try {
    return await nextOf(current, change, asking);
  } catch (error) {
    if (error instanceof ChangeRefusal) throw new UsageError(error.message);
    throw error;
  }
}

async function nextOf(
  current: Assignment,
  change: Change,
  asking: AskOptions,
): Promise<Assignment> {
  if (change.verb === 'remove') return withoutMember(current, change.index);
  if (change.verb === 'add') return withMember(current, await newcomer(change.at, asking));
  const [old] = membersAt(current, change.index);
  const at = change.at ?? old?.address;
  if (at === undefined) throw new UsageError(`there is no node ${change.index}`);
  const member = await newcomer(at, asking);
  if (member.index !== change.index) {
    throw new UsageError(`${at} was started as node ${member.index}, not ${change.index}`);
  }
  return withReplacement(current, member);
}

/** A node with a fresh disk, as it says itself. */
async function newcomer(address: string, asking: AskOptions): Promise<Member> {
  const { member: id, index, cluster } = await askMember(address, asking);
  if (cluster === null) return { id, index, address };
  throw new UsageError(
    `${address} is in a cluster already: a new member starts with an empty disk`,
  );
}

const put = (current: Assignment, assignment: Assignment, changing: Changing): Promise<void> =>
  putAssignment(changing.address, { replaces: current.version, assignment }, changing);

const membersAt = ({ members }: Assignment, index: number): Member[] =>
  members.filter((member) => member.index === index);

/** Who is to hold nothing any more there. */
const idleAt = (assignment: Assignment, index: number): Member | null =>
  membersAt(assignment, index).find(({ id }) => isIdle(assignment, id)) ?? null;

/** How many buckets are not yet with those whom the assignment names, and with nobody else. */
async function movingBuckets(
  { members, buckets }: Assignment,
  leaving: Member | null,
  asking: AskOptions,
): Promise<number> {
  const answers = await Promise.all(
    members.map(({ address }) => askMember(address, asking).catch(() => null)),
  );
  const statuses = answers.filter((status): status is NodeStatus => status !== null);
  const held = statuses.find(({ member }) => member === leaving?.id)?.buckets.length ?? 0;
  const settled = buckets.filter(({ replicas }, bucket) =>
    statuses.some((status) => isSettled(status, bucket, new Set(replicas.map((r) => r.member)))),
  );
  return Math.max(buckets.length - settled.length, held);
}

/** Whether it leads the bucket, and the group is the assignment's. */
function isSettled(status: NodeStatus, bucket: number, holders: ReadonlySet<string>): boolean {
  return status.buckets.some(
    (replica) =>
      replica.bucket === bucket &&
      replica.role === 'leader' &&
      replica.move === undefined &&
      replica.learners.length === 0 &&
      replica.voters.length === holders.size &&
      replica.voters.every((id) => holders.has(id)),
  );
}
