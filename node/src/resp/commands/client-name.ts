import type { ArgumentReader } from '../arguments.ts';
import { connectionErrors } from '../errors.ts';

/** A connection's name for SETNAME: printable ASCII without blanks, as in Redis; may be empty. */
export function readClientName(reader: ArgumentReader): string {
  const name = reader.bytes('connection name').toString('latin1');
  if (!/^[!-~]*$/.test(name)) throw connectionErrors.clientName();
  return name;
}
