/** AUTH [<user>] <password>: accepted, because no authentication is configured. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

export const auth: LocalCommand = {
  kind: 'local',
  name: 'AUTH',
  run: (args, _context, reply) => {
    const reader = new ArgumentReader(args);
    reader.bytes('password');
    if (reader.more) reader.bytes('password');
    reader.end();
    reply.simple('OK');
  },
};
