/** The texts of refusals that are made here, in one place. Those of the engine come with their errors. */
import { invalidArgument, SierraError } from '../../../common/errors.ts';

const NAME_LENGTH_MAX = 128;

/** A name out of a request as it may stand in an error. The encoder replaces control characters. */
const quoted = (name: Buffer): string => name.toString('utf8').slice(0, NAME_LENGTH_MAX);

const upperCase = (text: string): string => text.replace(/[a-z]+/g, (part) => part.toUpperCase());

/** Parse errors of commands (wire protocol 2.2 and appendix A), code `INVALIDARG`. */
export const argumentErrors = {
  missing: (expected: string): SierraError =>
    invalidArgument(`unexpected end of input: expected ${expected}`),
  unexpected: (expected: string): SierraError =>
    invalidArgument(`unexpected string: expected ${expected}`),
  repeated: (what: string): SierraError => invalidArgument(`${what} already specified`),
  invalid: (what: string): SierraError => invalidArgument(`invalid ${what}`),
  expectedVersion: (): SierraError =>
    invalidArgument("expected version number or 'any', 'exists', 'empty'"),
  partitionKeyPerEvent: (): SierraError =>
    invalidArgument(
      'PARTITION_KEY is not an option of an event: the first argument is the key of all',
    ),
  rangeStart: (what: string): SierraError => invalidArgument(`start ${what} cannot be '+'`),
  rangeEnd: (what: string): SierraError => invalidArgument(`end ${what} cannot be '-'`),
  tooSmall: (value: number, least: number): SierraError =>
    invalidArgument(`number ${String(value)} must not be less than ${String(least)}`),
  partitionRange: (from: number, to: number): SierraError =>
    invalidArgument(`partition range ${String(from)}-${String(to)} must ascend`),
  noSuchPartition: (id: number, count: number): SierraError =>
    invalidArgument(
      `partition ${String(id)} does not exist: there are ${String(count)}, counted from 0`,
    ),
  tooManyStreams: (max: number): SierraError =>
    invalidArgument(`a subscription takes at most ${String(max)} streams`),
  unknownCommand: (name: Buffer): SierraError =>
    invalidArgument(`unknown command '${upperCase(quoted(name))}'`),
} as const;

/** Errors of subscriptions (wire protocol 4.3 and 4.9). */
export const subscriptionErrors = {
  needsResp3: (): SierraError => invalidArgument('subscriptions require RESP3, send HELLO 3 first'),
  notFound: (): SierraError => new SierraError('NOTFOUND', 'subscription not found'),
} as const;

/** Errors of the connection and of Redis's own commands. */
export const connectionErrors = {
  notACommand: (): SierraError => new SierraError('ERR', 'expected array command'),
  commandNotUtf8: (): SierraError => new SierraError('ERR', 'invalid command'),
  protocol: (text: string): SierraError => new SierraError('ERR', `Protocol error: ${text}`),
  tooManyClients: (): SierraError => new SierraError('ERR', 'max number of clients reached'),
  protocolVersion: (version: string): SierraError =>
    new SierraError('NOPROTO', `unsupported version ${version}, only 3 is supported`),
  unknownSubcommand: (name: Buffer): SierraError =>
    new SierraError('ERR', `unknown subcommand '${quoted(name)}'`),
  unknownAttribute: (name: Buffer): SierraError =>
    new SierraError('ERR', `Unrecognized option '${quoted(name)}'`),
  clientName: (): SierraError =>
    new SierraError('ERR', 'Client names cannot contain spaces, newlines or special characters.'),
  databaseNotANumber: (): SierraError => new SierraError('ERR', 'invalid DB index'),
  databaseOutOfRange: (): SierraError => new SierraError('ERR', 'DB index is out of range'),
} as const;
