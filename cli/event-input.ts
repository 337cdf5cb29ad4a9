/** Events to append, from JSON lines. What `read --json` prints is understood, so that events can be copied. */
import type { ExpectedVersion, NewStreamEvent } from '../client/index.ts';
import { nearest } from '../common/nearest.ts';
import { uuid, wholeNumber } from './line.ts';
import { UsageError } from './usage-error.ts';

export interface EventInput extends NewStreamEvent {
  readonly partitionKey?: string;
}

const known: readonly string[] = [
  ...['stream', 'name', 'payload', 'payloadBase64', 'metadata', 'metadataBase64'],
  ...['id', 'expectedVersion', 'partitionKey', 'timestamp'],
];

/** What the server decides. */
const ignored: readonly string[] = ['version', 'partition', 'sequence', 'transactionId'];

type Fields = Readonly<Record<string, unknown>>;

/** Throws `UsageError`. */
export function eventInput(line: string): EventInput {
  const fields = fieldsOf(line);
  const unknown = Object.keys(fields).find((key) => !known.includes(key) && !ignored.includes(key));
  if (unknown !== undefined) {
    const near = nearest(unknown, known);
    const meant = near === null ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
    throw new UsageError(`unknown field ${unknown}; ${meant}`);
  }
  const { id, partitionKey, timestamp, expectedVersion } = fields;
  const payload = bytesField(fields, 'payload');
  const metadata = bytesField(fields, 'metadata');
  return {
    streamId: textField(fields, 'stream'),
    name: textField(fields, 'name'),
    ...(payload !== undefined && { payload }),
    ...(metadata !== undefined && { metadata }),
    ...(id !== undefined && { id: uuidField(fields, 'id') }),
    ...(partitionKey !== undefined && { partitionKey: uuidField(fields, 'partitionKey') }),
    ...(timestamp !== undefined && { timestamp: wholeNumber(plainText(timestamp), 'timestamp') }),
    ...(expectedVersion !== undefined && {
      expectedVersion: expectedVersionOf(plainText(expectedVersion), 'expectedVersion'),
    }),
  };
}

/** Throws `UsageError`. */
export function expectedVersionOf(text: string, what: string): ExpectedVersion {
  if (text === 'any' || text === 'exists' || text === 'empty') return text;
  if (/^\d+$/.test(text)) return wholeNumber(text, what);
  throw new UsageError(`${what} must be any, exists, empty or a version, but is ${text}`);
}

function fieldsOf(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UsageError(`no JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new UsageError('no JSON object');
}

function textField(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new UsageError(value === undefined ? `${name} is missing` : `${name} must be a text`);
}

/** A number or text, for what checks it. */
const plainText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

function uuidField(fields: Fields, name: string): string {
  const text = textField(fields, name);
  const value = uuid(text);
  if (value !== null) return value;
  throw new UsageError(`${name} must be a UUID, but is ${text}`);
}

/** A text is taken as it is; any other value as its JSON. */
function bytesField(fields: Fields, name: 'payload' | 'metadata'): string | Uint8Array | undefined {
  const value = fields[name];
  const base64 = fields[`${name}Base64`];
  if (base64 === undefined) {
    return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
  }
  if (value !== undefined) throw new UsageError(`${name} is given twice`);
  if (typeof base64 === 'string' && /^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    return Buffer.from(base64, 'base64');
  }
  throw new UsageError(`${name}Base64 must be base64`);
}
