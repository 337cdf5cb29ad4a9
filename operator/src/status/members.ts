/** The nodes one by one, for the status. Pure. */
import type { Member } from '../../../common/assignment.ts';
import type { MemberStatus } from '../api/sierra-cluster.ts';
import { isFresh } from '../plan/cluster-view.ts';
import type { StatusLook } from './look.ts';
import { diskTrouble } from './member-trouble.ts';

/** Members of the record, and nodes with fresh disks that are about to join; by index, then by id. */
export function membersOf(look: StatusLook): MemberStatus[] {
  const { view } = look;
  const known = view.record?.members ?? [];
  const joining = view.wanted.flatMap(({ index }): Member[] => {
    const status = view.statusAt(index);
    if (status === null || !isFresh(status)) return [];
    if (known.some(({ id }) => id === status.member)) return [];
    return [{ id: status.member, index, address: '' }];
  });
  // Copied disks have the same id: the list is a map by it.
  const unique = new Map([...joining, ...known].map((member) => [member.id, member]));
  return [...unique.values()]
    .sort((a, b) => a.index - b.index || (a.id < b.id ? -1 : 1))
    .map((member) => memberStatus(look, member));
}

function memberStatus(look: StatusLook, member: Member): MemberStatus {
  const { view, buckets } = look;
  const { id, index } = member;
  const { pod, zone } = view.placeAt(index);
  const isHere = view.statusAt(index)?.member === id || view.statusAt(index) === null;
  return {
    ...{ id, index, pod, zone, state: stateOf(look, member) },
    ready: isHere && view.pod(index)?.isReady === true,
    leaders: buckets.filter(({ leader }) => leader === id).length,
    replicas: buckets.filter(({ holders }) => holders.includes(id)).length,
  };
}

function stateOf({ view, observed, buckets }: StatusLook, member: Member): MemberStatus['state'] {
  const { id, index } = member;
  if (!view.record?.members.some((each) => each.id === id)) return 'Joining';
  if (diskTrouble(view, member) !== null) return 'Lost';
  // While it is replaced, it is expected back.
  const isBeingReplaced = observed.rollout?.pod === view.placeAt(index).pod;
  if (!view.statuses.has(id) && !isBeingReplaced) return 'Lost';
  const isAssigned = view.record.buckets.some(({ replicas }) =>
    replicas.some((replica) => replica.member === id),
  );
  if (!view.isWanted(index)) return 'Leaving';
  if (!isAssigned) return view.membersAt(index).at(-1)?.id === id ? 'Active' : 'Leaving';
  return buckets.some(({ holders }) => holders.includes(id)) ? 'Active' : 'Joining';
}
