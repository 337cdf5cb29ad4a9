/** Mistakes in moving replicas between members. */
import type { PlantedFault } from './faults.ts';

const removal = { suite: 'node/src/cluster/move-driver.test.ts' };

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
];
