/** SELECT 0: for libraries with a database number in their address. There is one database. */
import { ArgumentReader } from '../arguments.ts';
import { connectionErrors } from '../errors.ts';
import type { LocalCommand } from './command.ts';

export const select: LocalCommand = {
  kind: 'local',
  name: 'SELECT',
  run: (args, _context, reply) => {
    const reader = new ArgumentReader(args);
    const index = reader.bytes('number').toString('latin1');
    reader.end();
    if (!/^-?[0-9]+$/.test(index)) throw connectionErrors.databaseNotANumber();
    if (!/^0+$/.test(index)) throw connectionErrors.databaseOutOfRange();
    reply.simple('OK');
  },
};
