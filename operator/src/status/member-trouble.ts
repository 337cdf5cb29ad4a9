/** Why a member does not have what it should, in words. Pure. */
import type { Member } from '../../../common/assignment.ts';
import type { ClusterView } from '../plan/cluster-view.ts';

/** Its disk is another one or is gone; null: it is there, as far as is known. */
export function diskTrouble(view: ClusterView, { id, index }: Member): string | null {
  const other = view.statusAt(index);
  if (other !== null) return other.member === id ? null : 'has another disk now';
  return view.claim(index) === undefined ? 'has lost its volume' : null;
}

/** The pod of a place; null: there is nothing to say against it. */
export function podTrouble(view: ClusterView, index: number): string | null {
  const pod = view.pod(index);
  if (pod === undefined) return 'has no pod';
  if (!pod.isHostReady) return 'is on a host that is gone or not ready';
  if (pod.isTerminating) return 'is stopping';
  if (pod.trouble !== null) return `does not run (${pod.trouble})`;
  return null;
}

/** Why a member has not got all of a bucket. */
export function memberTrouble(view: ClusterView, id: string): string {
  const member = view.record?.members.find((each) => each.id === id);
  if (member === undefined) return 'is no member any more';
  const known = diskTrouble(view, member) ?? podTrouble(view, member.index);
  if (known !== null) return known;
  const status = view.statuses.get(id);
  if (status === undefined) return 'does not answer';
  if (status.state === 'serving' || status.state === 'draining') return 'is not up to date';
  return `is ${status.state}`;
}
