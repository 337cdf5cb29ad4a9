/** ECHO <message>. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

export const echo: LocalCommand = {
  kind: 'local',
  name: 'ECHO',
  run: (args, _context, reply) => {
    const reader = new ArgumentReader(args);
    const message = reader.bytes('message');
    reader.end();
    reply.blob(message);
  },
};
