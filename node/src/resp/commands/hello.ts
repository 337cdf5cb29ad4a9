/** HELLO [<version> [AUTH <user> <password>] [SETNAME <name>]]: facts of the server; version 3 selects RESP3. Wire protocol 1.6. */
import { ArgumentReader, keyword } from '../arguments.ts';
import type { Connection } from '../connection.ts';
import { argumentErrors, connectionErrors } from '../errors.ts';
import type { ReplyWriter } from '../replies.ts';
import { readClientName } from './client-name.ts';
import type { CommandContext, LocalCommand } from './command.ts';

const AUTH = keyword('AUTH');
const SETNAME = keyword('SETNAME');

const I64_TEXT = /^[+-]?[0-9]+$/;

/** The version asked for, as a signed 64-bit number. */
function readVersion(reader: ArgumentReader): bigint {
  const text = reader.bytes('number').toString('latin1');
  if (!I64_TEXT.test(text)) throw argumentErrors.unexpected('number');
  // 25 characters are more than any 64-bit number has; longer ones would only cost time.
  const version = text.length > 25 ? null : BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (version === null || BigInt.asIntN(64, version) !== version) {
    throw argumentErrors.unexpected('number');
  }
  return version;
}

/** Reads the options; returns the connection's name, or null if none is set. */
function readOptions(reader: ArgumentReader): string | null {
  let name: string | null = null;
  while (reader.more) {
    if (reader.takes(AUTH)) {
      // No authentication is configured: any credentials are as good as none.
      reader.bytes('username');
      reader.bytes('password');
    } else if (reader.takes(SETNAME)) {
      name = readClientName(reader);
    } else {
      throw reader.unexpected('AUTH, SETNAME or end of input');
    }
  }
  return name;
}

function writeFacts(context: CommandContext, connection: Connection, reply: ReplyWriter): void {
  const { facts } = context.router;
  const text = (key: string, value: string): void => {
    reply.blobText(key);
    reply.blobText(value);
  };
  const number = (key: string, value: number): void => {
    reply.blobText(key);
    reply.integer(value);
  };
  reply.version = connection.version;
  reply.map(9);
  text('server', 'sierradb');
  text('version', context.server.version);
  text('peer_id', facts.memberId);
  number('num_partitions', facts.partitionCount);
  number('proto', connection.version);
  number('id', connection.id);
  // Always: a cluster client would look for hash slots.
  text('mode', 'standalone');
  text('role', 'master');
  reply.blobText('modules');
  reply.array(0);
}

export const hello: LocalCommand = {
  kind: 'local',
  name: 'HELLO',
  run: (args, context, reply, connection) => {
    const reader = new ArgumentReader(args);
    if (reader.more) {
      const version = readVersion(reader);
      const name = readOptions(reader);
      if (version !== 3n) throw connectionErrors.protocolVersion(String(version));
      connection.hello();
      if (name !== null) connection.name = name;
    }
    writeFacts(context, connection, reply);
  },
};
