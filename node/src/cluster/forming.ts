/**
 * How nodes become a cluster by hand (architecture section 7). Pure: what a node with a fresh disk does next, given what it
 * sees of the others.
 *
 * Rules. Only node 0 forms, and only when every index is reached, every disk is fresh, every member id is another one, and
 * the counts are the same: then no cluster can exist that one of these disks belongs to. Any sign of a cluster means
 * waiting to be taken in, never forming.
 */
import type { Member } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';

/** What a node sees at the address of an index. */
export interface Sight {
  readonly address: string;
  /** Null: nobody answers there. */
  readonly status: Pick<
    NodeStatus,
    'member' | 'index' | 'cluster' | 'bucketCount' | 'partitionCount'
  > | null;
  /** What the one there answers instead. */
  readonly refusal?: string | undefined;
}

export type FormingStep =
  /** `isFault`: it will not change unless somebody does something. */
  | { readonly kind: 'wait'; readonly reason: string; readonly isFault: boolean }
  /** Everybody is here: these are the members. */
  | { readonly kind: 'form'; readonly members: readonly Member[] };

interface Seen extends NonNullable<Sight['status']> {
  readonly place: number;
  readonly address: string;
}

/** `sights` are by index; that of `index` is the node itself and always has a status. */
export function formingStep(index: number, sights: readonly Sight[]): FormingStep {
  const seen = sights.flatMap(({ address, status }, place): Seen[] =>
    status === null ? [] : [{ ...status, place, address }],
  );
  const fault = twinFault(seen) ?? placeFault(seen) ?? countsFault(index, seen);
  if (fault !== null) return { kind: 'wait', reason: fault, isFault: true };
  const taken = seen.find(({ cluster }) => cluster !== null);
  if (taken !== undefined) return waitToBeTaken(taken);
  if (index !== 0) return wait(`node 0 at ${sights[0]?.address ?? '?'} forms the cluster`);
  const missing = sights.flatMap(({ address, status, refusal }, place) =>
    status === null
      ? [`node ${place} at ${address}${refusal === undefined ? '' : ` (${refusal})`}`]
      : [],
  );
  if (missing.length > 0) return wait(`waiting for ${missing.join(', ')}`);
  const members = seen.map(({ member, place, address }) => ({ id: member, index: place, address }));
  return { kind: 'form', members };
}

const wait = (reason: string): FormingStep => ({ kind: 'wait', reason, isFault: false });

function waitToBeTaken({ place, address, cluster }: Seen): FormingStep {
  return wait(
    `node ${place} at ${address} belongs to cluster ${String(cluster)} already; this disk is fresh and waits to be taken in`,
  );
}

/** Two nodes that claim one index, or one member id. */
function twinFault(seen: readonly Seen[]): string | null {
  for (const [i, a] of seen.entries()) {
    for (const b of seen.slice(i + 1)) {
      if (a.member === b.member) {
        return `member ${a.member} answers at ${a.address} and at ${b.address}: one data directory was copied, or both addresses are of one node`;
      }
      if (a.index === b.index) {
        return `node index ${a.index} is claimed by member ${a.member} at ${a.address} and by member ${b.member} at ${b.address}; start one of them with another --node-index`;
      }
    }
  }
  return null;
}

function placeFault(seen: readonly Seen[]): string | null {
  const stray = seen.find(({ index, place }) => index !== place);
  if (stray === undefined) return null;
  const { address, place, index } = stray;
  return `network.peers names ${address} as node ${place}, but the node there has --node-index ${index}`;
}

function countsFault(index: number, seen: readonly Seen[]): string | null {
  const own = seen.find(({ place }) => place === index);
  const other = seen.find(
    ({ bucketCount, partitionCount }) =>
      bucketCount !== own?.bucketCount || partitionCount !== own.partitionCount,
  );
  if (own === undefined || other === undefined) return null;
  const counts = ({ bucketCount, partitionCount }: Seen): string =>
    `bucket.count ${bucketCount} and partition.count ${partitionCount}`;
  return `node ${other.place} at ${other.address} has ${counts(other)}, this node ${counts(own)}`;
}
