/** Mistakes about who somebody is: a disk that was copied or rolled back. */
import type { PlantedFault } from './faults.ts';

const senders = { file: 'node/src/cluster/senders.ts', suite: 'node/src/cluster/senders.test.ts' };

export const identityFaults: readonly PlantedFault[] = [
  {
    name: 'a rolled-back disk is trusted by one that was started since',
    find: 'return new Senders(files, directory, starts ?? {}, failed);',
    replace: 'return new Senders(files, directory, {}, failed);',
    ...senders,
  },
  {
    name: 'a rolled-back disk is trusted when it was started often enough',
    find: 'if (isTold && own !== known.id) {',
    replace: 'if (boot < 0) {',
    ...senders,
  },
  {
    name: 'what a start says counts before that start is remembered',
    find: 'return this.#durable !== this.#starts;',
    replace: 'return false;',
    ...senders,
  },
];
