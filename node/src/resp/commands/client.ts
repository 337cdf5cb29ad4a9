/**
 * CLIENT SETINFO | SETNAME | GETNAME | ID: what libraries send when they connect. Every other subcommand is an error, so
 * that no library believes in a feature that is not here. Wire protocol 1.9.
 */
import { ArgumentReader, keyword } from '../arguments.ts';
import type { Connection } from '../connection.ts';
import { connectionErrors } from '../errors.ts';
import type { ReplyWriter } from '../replies.ts';
import { readClientName } from './client-name.ts';
import type { LocalCommand } from './command.ts';

const SETINFO = keyword('SETINFO');
const SETNAME = keyword('SETNAME');
const GETNAME = keyword('GETNAME');
const ID = keyword('ID');
const LIB_NAME = keyword('LIB-NAME');
const LIB_VER = keyword('LIB-VER');

function setInfo(reader: ArgumentReader, connection: Connection, reply: ReplyWriter): void {
  const isName = reader.takes(LIB_NAME);
  if (!isName && !reader.takes(LIB_VER)) {
    throw connectionErrors.unknownAttribute(reader.bytes('attribute'));
  }
  const value = reader.bytes('value');
  reader.end();
  if (isName) connection.setLibraryName(value.toString('latin1'));
  reply.simple('OK');
}

export const client: LocalCommand = {
  kind: 'local',
  name: 'CLIENT',
  run: (args, _context, reply, connection) => {
    const reader = new ArgumentReader(args);
    if (reader.takes(SETINFO)) {
      setInfo(reader, connection, reply);
    } else if (reader.takes(SETNAME)) {
      const name = readClientName(reader);
      reader.end();
      connection.name = name;
      reply.simple('OK');
    } else if (reader.takes(GETNAME)) {
      reader.end();
      if (connection.name === '') reply.null();
      else reply.blobText(connection.name);
    } else if (reader.takes(ID)) {
      reader.end();
      reply.integer(connection.id);
    } else {
      throw connectionErrors.unknownSubcommand(reader.bytes('subcommand'));
    }
  },
};
