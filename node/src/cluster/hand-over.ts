/** Gives every leadership of this node to the follower that is closest, so that stopping it costs clients nothing. */
import { setTimeout as delay } from 'node:timers/promises';

import type { RaftGroup } from '../replication/raft-group.ts';
import type { ReplicaId } from '../replication/raft/types.ts';

/** A stop does not wait longer for followers that do not come; elections follow. */
const PATIENCE_MS = 2000;
const LOOK_MS = 20;

export async function handOver(groups: Iterable<RaftGroup>): Promise<void> {
  // Once each: what comes back from a member that stops as well is not sent round.
  let left = [...groups].filter(({ core }) => core.role === 'leader');
  const endMs = performance.now() + PATIENCE_MS;
  for (;;) {
    left = left.filter((group) => group.core.role === 'leader' && heirOf(group) !== null);
    if (left.length === 0 || performance.now() > endMs) return;
    for (const group of left) if (!group.core.isHandingOver) group.transfer(heirOf(group) ?? '');
    await delay(LOOK_MS);
  }
}

/** The voter that has the most of the log and answers, or null. */
function heirOf({ core, replicaId }: RaftGroup): ReplicaId | null {
  const { leadership } = core;
  if (leadership === null) return null;
  const { voters } = core.configuration;
  const matches = voters.flatMap((id) => {
    const progress = id === replicaId ? undefined : leadership.progress(id);
    return progress?.isActive === true ? [{ id, match: progress.match }] : [];
  });
  return matches.sort((a, b) => b.match - a.match)[0]?.id ?? null;
}
