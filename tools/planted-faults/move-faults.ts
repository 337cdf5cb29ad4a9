/** Mistakes in moving replicas between members. */
import type { PlantedFault } from './faults.ts';

const removal = { suite: 'node/src/cluster/move-driver.test.ts' };
const leaving = { suite: 'node/src/cluster/leaving-replicas.test.ts' };

export const moveFaults: readonly PlantedFault[] = [
  {
    name: 'a copy is deleted before a configuration without it is final',
    file: 'node/src/cluster/move-driver.ts',
    find: 'if (this.#isAssigned(group) || !this.#isOver(group, statuses)) continue;',
    replace: 'if (this.#isAssigned(group)) continue;',
    ...removal,
  },
  {
    name: 'a copy is deleted before that is noted',
    file: 'node/src/cluster/move-driver.ts',
    find: 'await removed.note(bucket, stay.since);\n    await store.removeReplica(bucket);',
    replace: 'await store.removeReplica(bucket);\n    await removed.note(bucket, stay.since);',
    ...removal,
  },
  {
    name: 'a learner becomes a voter before it has caught up',
    file: 'node/src/cluster/moves.ts',
    find: "if (first !== undefined) return wait('catching up', lagText(bucket, first));",
    replace: '',
    suite: 'node/src/cluster/moves.test.ts',
  },
  {
    name: 'a replica that begins later takes the later holders for its group',
    file: 'node/src/cluster/member-directory.ts',
    find: 'assignment.version === 1 ? this.assigned(bucket) : []',
    replace: 'this.assigned(bucket)',
    ...removal,
  },
  {
    name: 'a replica that has left meanwhile says that it does not hold an event',
    file: 'node/src/cluster/command-runner.ts',
    find: 'if (!isThere && isHere()) lacking.push(bucket);',
    replace: 'if (!isThere) lacking.push(bucket);',
    ...leaving,
  },
  {
    name: 'a feed that is being opened stays with a replica that leaves',
    file: 'node/src/cluster/member-feeds.ts',
    find: 'if (store.group(bucket) !== group) replica.goOn();',
    replace: '',
    ...leaving,
    tests: 'a feed that is being opened',
  },
  {
    name: 'recovery takes a replica that has never heard of its group for a copy',
    file: 'node/src/cluster/recover.ts',
    find: 'return frames > 0 || voters.length + outgoing.length + learners.length > 0;',
    replace: 'return frames + voters.length + outgoing.length + learners.length >= 0;',
    suite: 'node/src/cluster/recover.test.ts',
    tests: 'has never heard',
  },
  {
    name: 'a replica that has heard of no leader tells others that its group lacks them',
    file: 'node/src/cluster/move-driver.ts',
    find: 'committed.replicas.length > 0 &&',
    replace: '',
    ...removal,
  },
  {
    name: 'who is in a group stands in no log before its members change',
    file: 'node/src/replication/raft-group.ts',
    find: 'this.#tellConfiguration();\n        return;',
    replace: 'return;',
    suite: 'node/src/replication/raft-group.test.ts',
    tests: 'who is in a group',
  },
  {
    name: 'all stays that begin anew are ended at once',
    file: 'node/src/cluster/moves.ts',
    find: 'const rest = without(bucket.configuration.voters, [twin]);',
    replace:
      'const rest = bucket.configuration.voters.filter((id) => bucket.assigned.includes(id));',
    suite: 'node/src/cluster/moves.test.ts',
  },
];
