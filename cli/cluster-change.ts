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
  const isBegun = await isUnderWay(current, change, changing);
  const next = isBegun ? current : await planned(current, change, changing);
  if (next !== current) await put(current, next, changing);
  const leaving = change.verb === 'add' ? [] : idleAt(next, change.index);
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
  const last = await strikeOut(next, leaving, changing);
  await session.output.line(resultText(session, last, leaving));
  return exitCode.done;
}

async function strikeOut(
  current: Assignment,
  leaving: readonly Member[],
  changing: Changing,
): Promise<Assignment> {
  let last = current;
  for (const { id } of leaving) {
    const next = withoutIdle(last, id);
    await put(last, next, changing);
    last = next;
  }
  return last;
}

function resultText(
  { isJson }: Session,
  { version, members }: Assignment,
  leaving: readonly Member[],
): string {
  const gone = leaving.map(({ id }) => id);
  if (isJson) return JSON.stringify({ version, members, removed: gone });
  const text = `done: ${members.length} members by version ${version}`;
  if (gone.length === 0) return text;
  const who =
    gone.length === 1 ? `member ${gone.join()} has` : `members ${gone.join(' and ')} have`;
  return `${text}; ${who} left and may be stopped`;
}

/** Whether the change was asked for before, and only has to be waited for. */
async function isUnderWay(
  current: Assignment,
  change: Change,
  asking: AskOptions,
): Promise<boolean> {
  if (change.verb === 'add') {
    const known = current.members.find(({ address }) => address === change.at);
    if (known !== undefined) await refuseOtherDisk(known, asking);
    return known !== undefined;
  }
  const known = membersAt(current, change.index);
  const isBegun = idleAt(current, change.index).length > 0;
  if (change.verb === 'remove') return isBegun && known.length === 1;
  const isElsewhere = change.at !== null && known.every(({ address }) => address !== change.at);
  if (!isBegun || known.length === 1 || isElsewhere) return false;
  // The new disk may be lost as well, and yet another one be there.
  const status = await askMember(placeOf(current, change), asking).catch(() => null);
  return status === null || known.some(({ id }) => id === status.member);
}

async function refuseOtherDisk({ id, index, address }: Member, asking: AskOptions): Promise<void> {
  const status = await askMember(address, asking).catch(() => null);
  if (status === null || status.member === id) return;
  throw new UsageError(
    `${address} is node ${index} of the cluster, and has lost its disk: replace it`,
  );
}

async function planned(
  current: Assignment,
  change: Change,
  changing: Changing,
): Promise<Assignment> {
  try {
    if (current.version === 1) await refuseUnbegun(loneAt(current, changing.address), changing);
    return await nextOf(current, change, changing);
  } catch (error) {
    if (error instanceof ChangeRefusal) throw new UsageError(error.message);
    throw error;
  }
}

/**
 * Groups begin with the first assignment: whoever changes it before may leave some with nobody who knows them. One that has committed
 * anything has begun, whoever leads it now.
 */
async function refuseUnbegun({ members, buckets }: Assignment, asking: AskOptions): Promise<void> {
  const statuses = await statusesOf(members, asking);
  const begun = new Set(
    statuses.flatMap((status) =>
      status.buckets
        .filter(({ role, commit }) => role === 'leader' || commit > 0)
        .map(({ bucket }) => bucket),
    ),
  );
  const unbegun = buckets.findIndex((_, bucket) => !begun.has(bucket));
  if (unbegun === -1) return;
  throw new UsageError(
    `bucket ${unbegun} has had no leader yet; wait until all nodes run, then try again`,
  );
}

async function nextOf(
  current: Assignment,
  change: Change,
  changing: Changing,
): Promise<Assignment> {
  if (change.verb === 'remove') return withoutMember(current, change.index);
  if (change.verb === 'add') {
    return withMember(loneAt(current, changing.address), await newcomer(change.at, changing));
  }
  const at = placeOf(current, change);
  const member = await newcomer(at, changing);
  if (member.index !== change.index) {
    throw new UsageError(`${at} was started as node ${member.index}, not ${change.index}`);
  }
  return withReplacement(current, member);
}

/** Nobody has needed the address of a lone member: after a recovery it may be another one. */
function loneAt(current: Assignment, address: string): Assignment {
  const [lone, ...others] = current.members;
  if (lone === undefined || others.length > 0) return current;
  return { ...current, members: [{ ...lone, address }] };
}

/** Where the new disk is. */
function placeOf(current: Assignment, { index, at }: Extract<Change, { verb: 'replace' }>): string {
  const known = membersAt(current, index);
  const [last] = known.filter(({ id }) => !isIdle(current, id));
  const place = at ?? last?.address ?? known[0]?.address;
  if (place === undefined) throw new UsageError(`there is no node ${index}`);
  return place;
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
const idleAt = (assignment: Assignment, index: number): Member[] =>
  membersAt(assignment, index).filter(({ id }) => isIdle(assignment, id));

/** Of those members that answer. */
async function statusesOf(
  members: readonly Member[],
  asking: AskOptions,
): Promise<readonly NodeStatus[]> {
  const answers = await Promise.all(
    members.map(({ address }) => askMember(address, asking).catch(() => null)),
  );
  return answers.filter((status): status is NodeStatus => status !== null);
}

/** How many buckets are not yet with those whom the assignment names, and with nobody else. */
async function movingBuckets(
  { members, buckets }: Assignment,
  leaving: readonly Member[],
  asking: AskOptions,
): Promise<number> {
  const statuses = await statusesOf(members, asking);
  const held = statuses
    .filter(({ member }) => leaving.some(({ id }) => id === member))
    .map((status) => status.buckets.length);
  const settled = buckets.filter(({ replicas }, bucket) =>
    statuses.some((status) => isSettled(status, bucket, new Set(replicas.map((r) => r.member)))),
  );
  return Math.max(buckets.length - settled.length, ...held);
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
