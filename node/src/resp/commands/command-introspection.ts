/** COMMAND | COMMAND DOCS | COMMAND COUNT: redis-cli asks when it starts; the answer is that there is nothing to tell. */
import { ArgumentReader, keyword } from '../arguments.ts';
import { connectionErrors } from '../errors.ts';
import type { LocalCommand } from './command.ts';

const DOCS = keyword('DOCS');
const COUNT = keyword('COUNT');

export const commandIntrospection: LocalCommand = {
  kind: 'local',
  name: 'COMMAND',
  run: (args, _context, reply) => {
    const reader = new ArgumentReader(args);
    if (!reader.more) {
      reply.array(0);
    } else if (reader.takes(DOCS)) {
      // Names of commands may follow; none has documentation.
      reply.map(0);
    } else if (reader.takes(COUNT)) {
      reader.end();
      reply.integer(0);
    } else {
      throw connectionErrors.unknownSubcommand(reader.bytes('subcommand'));
    }
  },
};
