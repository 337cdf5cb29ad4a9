/** RESET: the state of a new connection, protocol version included. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

export const reset: LocalCommand = {
  kind: 'local',
  name: 'RESET',
  run: (args, _context, reply, connection) => {
    new ArgumentReader(args).end();
    connection.reset();
    reply.simple('RESET');
  },
};
