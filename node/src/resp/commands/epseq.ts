/** EPSEQ <partition id | partition key>: sequence of the latest event, or null. Wire protocol 2.10. */
import { ArgumentReader } from '../arguments.ts';
import { writeNumberOrNull } from '../replies.ts';
import type { ReadCommand } from './command.ts';

export const epseq: ReadCommand = {
  kind: 'read',
  name: 'EPSEQ',
  run: (args, { router }, reply) => {
    const reader = new ArgumentReader(args);
    const selector = reader.partitionSelector();
    reader.end();
    const partition = 'id' in selector ? selector.id : router.partitionOf(selector.key);
    return writeNumberOrNull(router.partitionSequence(partition), reply);
  },
};
