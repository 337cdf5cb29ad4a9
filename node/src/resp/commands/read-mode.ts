/** READONLY, READWRITE: whether reads may be answered from the connected node's own committed copy. Wire protocol 8. */
import { ArgumentReader } from '../arguments.ts';
import type { LocalCommand } from './command.ts';

function readMode(name: string, readOnly: boolean): LocalCommand {
  return {
    kind: 'local',
    name,
    run: (args, _context, reply, connection) => {
      new ArgumentReader(args).end();
      connection.readOnly = readOnly;
      reply.simple('OK');
    },
  };
}

export const readonlyMode: LocalCommand = readMode('READONLY', true);
export const readwriteMode: LocalCommand = readMode('READWRITE', false);
