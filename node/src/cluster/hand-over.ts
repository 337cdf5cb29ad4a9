/** Gives every leadership of this node to the follower that is closest, so that stopping it costs clients nothing. */
import { setTimeout as delay } from 'node:timers/promises';

import type { RaftGroup } from '../replication/raft-group.ts';
import type { ReplicaId } from '../replication/raft/types.ts';

/** A stop does not wait longer for followers that do not come; elections follow. */
const PATIENCE_MS = 2000;
const LOOK_MS = 20;

/** To one that drains only where there is nobody else. */
export async function handOver(
  groups: Iterable<RaftGroup>,
  isWilling: (bucket: number, replica: ReplicaId) => boolean = () => true,
): Promise<void> {
  // Once each: what comes back from a member that stops as well is not sent round.
  let left = [...groups].filter(({ core }) => core.role === 'leader');
  const heir = (group: RaftGroup): ReplicaId | null =>
    heirOf(group, (id) => isWilling(group.log.bucket, id)) ?? heirOf(group);
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    left = left.filter((group) => group.core.role === 'leader' && heir(group) !== null);
    if (left.length === 0 || performance.now() > endMs) return;
    for (const group of left) if (!group.core.isHandingOver) group.transfer(heir(group) ?? '');
    await delay(LOOK_MS);
  }
}

/** The voter among these that has the most of the log and answers, or null. */
export function heirOf(
  { core, replicaId }: RaftGroup,
  mayLead: (id: ReplicaId) => boolean = () => true,
): ReplicaId | null {
  const { leadership } = core;
  if (leadership === null) return null;
  const { voters } = core.configuration;
  const matches = voters.flatMap((id) => {
    const progress = id === replicaId || !mayLead(id) ? undefined : leadership.progress(id);
    return progress?.isActive === true ? [{ id, match: progress.match }] : [];
  });
  return matches.sort((a, b) => b.match - a.match)[0]?.id ?? null;
}
