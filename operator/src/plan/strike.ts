/**
 * Members that hold nothing any more are struck out of the record, for ever. Values only.
 *
 * Invariants
 * - Not by the record alone: the leaders of all buckets say that their groups do without the member, and where it answers, it says
 *   itself that it has nothing left. Of a member that does not answer, whose disk or host is lost, their word is enough: what
 *   they say is committed.
 * - Pods are taken away from the end of their StatefulSet: members that leave are struck out in that order, so that whoever is
 *   wanted again meanwhile is a member still.
 */
import type { Assignment, Member } from '../../../common/assignment.ts';
import { isIdle, withoutIdle } from '../../../common/assignment-changes.ts';
import { names } from './bucket-health.ts';
import type { ClusterView } from './cluster-view.ts';
import { act, last, listed, nothing, type Step, wait } from './step.ts';

export function strikeStep(view: ClusterView): Step {
  const { record } = view;
  if (record === null) return nothing;
  const going = record.members.filter((member) => isGoing(view, record, member));
  const idle = going.filter(({ id }) => isIdle(record, id));
  const obstacles = new Map(idle.map((member) => [member.id, obstacleTo(view, member)]));
  const free = idle.filter((member) => obstacles.get(member.id) === null);
  const struck = free.filter((member) => isAtTheEnd(view, member, free));
  const [first] = idle;
  if (struck.length === 0) {
    if (first === undefined) return nothing;
    const told = obstacles.get(first.id) ?? 'those behind it leave first';
    return wait('strike out a member', view.nameOf(first.id), told);
  }
  let next: Assignment = record;
  for (const { id } of struck) next = { ...withoutIdle(next, id), version: record.version + 1 };
  const pods = listed(struck.map(({ id }) => view.nameOf(id)));
  const reason = `${pods}: ${struck.length === 1 ? 'member' : 'members'} ${listed(struck.map(({ id }) => id))} hold nothing any more`;
  return last(
    act([{ kind: 'record', assignment: next, reason }], {
      ...{ action: 'strike out a member', target: pods, waitsFor: null },
    }),
  );
}

/** It is at a place that is not wanted, or another member has come to its place. */
function isGoing(view: ClusterView, { members }: Assignment, { id, index }: Member): boolean {
  if (!view.isWanted(index) || view.condemned.has(id)) return true;
  return members.filter((member) => member.index === index).at(-1)?.id !== id;
}

function obstacleTo(view: ClusterView, { id }: Member): string | null {
  const own = view.statuses.get(id);
  if (own !== undefined && own.buckets.length > 0) {
    return `it has ${String(own.buckets.length)} replicas left`;
  }
  for (const health of view.health) {
    const { bucket, leader } = health;
    if (leader === null) return `nobody leads bucket ${String(bucket)}`;
    const isCurrent = view.isCurrent(leader);
    // One that has heard already that the member is struck out takes it in no more, whatever else it follows.
    if (!isCurrent && view.followedBy(leader)?.removed.includes(id) !== true) {
      return `the leader of bucket ${String(bucket)} does not follow the record yet`;
    }
    if (names(health, id)) return `bucket ${String(bucket)} counts on it still`;
    if (isCurrent && !health.isSettled) {
      return `bucket ${String(bucket)} is being moved${health.waitsFor === null ? '' : `: ${health.waitsFor}`}`;
    }
  }
  return null;
}

/** Nobody stands behind it in its StatefulSet who is not struck out as well. */
function isAtTheEnd(view: ClusterView, { index, id }: Member, struck: readonly Member[]): boolean {
  if (view.isWanted(index)) return true;
  const { statefulSet } = view.placeAt(index);
  return (view.record?.members ?? []).every(
    (other) =>
      other.id === id ||
      other.index < index ||
      view.placeAt(other.index).statefulSet !== statefulSet ||
      struck.some((each) => each.id === other.id),
  );
}
