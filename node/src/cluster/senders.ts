/**
 * Who sends requests, as this member knows them from what they say with each.
 *
 * Invariant: a boot counter that has been seen of a member never falls: its disk would be a copy, or rolled back.
 */
import type { MemberDirectory } from './member-directory.ts';
import { ClusterRefusal, type Sender } from './types.ts';

export class Senders {
  readonly #boots = new Map<string, number>();
  readonly #draining = new Set<string>();

  /** Throws a {@link ClusterRefusal} for one that is not let in. */
  admit(sender: Sender, directory: MemberDirectory): void {
    const { member, boot, isDraining = false } = sender;
    const fault = senderFault(sender, directory, this.#boots.get(member) ?? 0);
    if (fault !== null) throw new ClusterRefusal(`member ${member} ${fault}`);
    this.#boots.set(member, boot);
    if (isDraining) this.#draining.add(member);
    else this.#draining.delete(member);
  }

  /** Whether a member wants to lead nothing. */
  isDraining(member: string): boolean {
    return this.#draining.has(member);
  }
}

/** Why a sender is not let in, or null. */
function senderFault(sender: Sender, directory: MemberDirectory, bootKnown: number): string | null {
  const { member, cluster, boot, bucketCount, partitionCount } = sender;
  const { assignment } = directory;
  if (cluster !== assignment.clusterId) {
    return `belongs to cluster ${String(cluster)}, this node to ${assignment.clusterId}`;
  }
  if (bucketCount !== assignment.bucketCount || partitionCount !== assignment.partitionCount) {
    return `has ${bucketCount} buckets and ${partitionCount} partitions, this node ${assignment.bucketCount} and ${assignment.partitionCount}`;
  }
  if (directory.member(member) === undefined) {
    return `is not in assignment ${assignment.version}`;
  }
  return boot < bootKnown
    ? `comes with start ${boot} of its disk after start ${bootKnown}: the disk was copied or rolled back`
    : null;
}
