/** PING [<message>]: `PONG`, or the message. Wire protocol 1.7. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

export const ping: LocalCommand = {
  kind: 'local',
  name: 'PING',
  run: (args, _context, reply) => {
    const reader = new ArgumentReader(args);
    if (!reader.more) {
      reply.simple('PONG');
      return;
    }
    const message = reader.bytes('message');
    reader.end();
    reply.blob(message);
  },
};
