/** QUIT: `OK`, then the connection is closed. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

export const quit: LocalCommand = {
  kind: 'local',
  name: 'QUIT',
  run: (args, _context, reply, connection) => {
    new ArgumentReader(args).end();
    connection.closing = true;
    reply.simple('OK');
  },
};
