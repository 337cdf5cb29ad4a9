import type { AppendOptions, AppendResult, NewEvent } from '../../client/index.ts';
import { defaultPartitionKey, uuidText } from '../../common/ids.ts';
import { AppendQueue } from '../append-queue.ts';
import { allBytes, bytesArgument } from '../bytes-argument.ts';
import type { Action, Command, Session } from '../command.ts';
import { type EventInput, eventInput, expectedVersionOf } from '../event-input.ts';
import { exitCode } from '../exit-code.ts';
import type { Line } from '../line.ts';
import { linesOf } from '../lines.ts';
import { printableText } from '../printable.ts';
import { UsageError } from '../usage-error.ts';

/** What stands in the lines of `--from-stdin` instead. */
const singleFlags = ['metadata', 'event-id', 'expect', 'timestamp'];

export const append: Command = {
  name: 'append',
  usage: ['append STREAM NAME [PAYLOAD] [flags]', 'append --from-stdin [--transaction] [flags]'],
  text: `Append an event to a stream; it is durable when the command ends. PAYLOAD is a text, @FILE for what is in a
file, or - for standard input.

With --from-stdin each line of standard input is an event in JSON, as "read --json" prints them:
  {"stream":"user-123","name":"Renamed","payload":{"name":"Bob"},"expectedVersion":4}
payload and metadata are taken as they are where they are texts, as JSON where they are anything else;
payloadBase64 and metadataBase64 are bytes. id, expectedVersion, partitionKey and timestamp may be left out.
Lines are sent ahead of the answers and take effect in their order; after a refusal no more are sent.`,
  flags: {
    expect: {
      value: 'VERSION',
      doc: 'Only if the stream is at this version, or is empty, or exists [any].',
    },
    metadata: { short: 'm', value: 'TEXT', doc: 'Kept beside the payload; a text, @FILE or -.' },
    'event-id': {
      value: 'UUID',
      doc: 'An append that repeats an id is done once, and answered as the first time.',
    },
    'partition-key': {
      value: 'UUID',
      doc: 'What decides the partition; all events of a stream share it [derived from the stream].',
    },
    timestamp: { value: 'MS', doc: 'Milliseconds since 1970 [now].' },
    'from-stdin': { short: 'i', value: null, doc: 'Events from JSON lines.' },
    transaction: {
      short: 't',
      value: null,
      doc: 'All lines or none. Several streams need a --partition-key, or a partitionKey in their lines.',
    },
    'keep-going': {
      short: 'k',
      value: null,
      doc: 'After a line that is refused, go on with the next.',
    },
  },
  examples: [
    `sierradb append user-123 UserRegistered '{"name":"Alice"}' --expect empty`,
    'sierradb append reports Uploaded @report.pdf',
    'sierradb append --from-stdin < events.jsonl',
    'sierradb read user-123 --json | sierradb append --from-stdin --address other:9090',
  ],
  prepare,
};

function prepare(line: Line): Action {
  if (line.has('from-stdin')) return prepareLines(line);
  for (const name of ['transaction', 'keep-going']) {
    if (line.has(name)) throw new UsageError(`--${name} goes with --from-stdin`);
  }
  const [stream, name, payload = '', ...more] = line.words;
  if (stream === undefined || name === undefined) throw new UsageError('it needs STREAM and NAME');
  if (more.length > 0) throw new UsageError(`one payload at a time; quotes keep it together`);
  const metadata = line.text('metadata') ?? '';
  if (payload === '-' && metadata === '-') throw new UsageError('standard input is one of them');
  const [payloadBytes, metadataBytes] = [bytesArgument(payload), bytesArgument(metadata)];
  const { event, options } = optionsOf(line);
  return async (session) => {
    const input = payload === '-' || metadata === '-' ? await allBytes(session.input) : null;
    const bytes = {
      payload: payloadBytes ?? input ?? '',
      metadata: metadataBytes ?? input ?? '',
    };
    const result = await session.client.append(stream, { name, ...bytes, ...event }, options);
    await printResult(session, result);
    return exitCode.done;
  };
}

function optionsOf(line: Line): {
  readonly event: Pick<NewEvent, 'id' | 'timestamp'>;
  readonly options: AppendOptions;
} {
  const id = line.uuid('event-id');
  const timestamp = line.number('timestamp');
  const expect = line.text('expect');
  const partitionKey = line.uuid('partition-key');
  return {
    event: { ...(id !== undefined && { id }), ...(timestamp !== undefined && { timestamp }) },
    options: {
      ...(expect !== undefined && { expectedVersion: expectedVersionOf(expect, '--expect') }),
      ...(partitionKey !== undefined && { partitionKey }),
    },
  };
}

function prepareLines(line: Line): Action {
  const single = singleFlags.find((name) => line.has(name));
  if (single !== undefined)
    throw new UsageError(`--${single} stands in the lines, with --from-stdin`);
  if (line.words.length > 0)
    throw new UsageError('with --from-stdin, stream and name stand in the lines');
  line.exclusive('transaction', 'keep-going');
  const partitionKey = line.uuid('partition-key');
  if (line.has('transaction')) return (session) => appendTransaction(session, partitionKey);
  return (session) => appendLines(session, partitionKey, line.has('keep-going'));
}

async function appendLines(
  session: Session,
  partitionKey: string | undefined,
  keepsGoing: boolean,
): Promise<number> {
  let appended = 0;
  let worst: number = exitCode.done;
  const queue = new AppendQueue({
    appended: (result) => {
      appended += 1;
      return printResult(session, result);
    },
    failed: (error, lineNumber) => {
      worst = Math.max(worst, session.failure(error, `line ${lineNumber}`));
    },
  });
  let lineNumber = 0;
  for await (const text of linesOf(session.input)) {
    lineNumber += 1;
    if (text.trim() === '') continue;
    const event = inputOf(text);
    if (event instanceof UsageError) {
      // Told in its turn.
      await queue.add(() => Promise.reject(event), lineNumber, 0);
      if (!keepsGoing) break;
    } else {
      await queue.add(() => appendOne(session, event, partitionKey), lineNumber, sizeOf(event));
    }
    if (session.output.gone.aborted || (worst !== exitCode.done && !keepsGoing)) break;
  }
  await queue.settled();
  session.note(`${appended} appended`);
  return worst;
}

function appendOne(
  { client }: Session,
  { streamId, partitionKey, expectedVersion, ...event }: EventInput,
  keyOfAll: string | undefined,
): Promise<AppendResult> {
  const key = partitionKey ?? keyOfAll;
  return client.append(streamId, event, {
    ...(expectedVersion !== undefined && { expectedVersion }),
    ...(key !== undefined && { partitionKey: key }),
  });
}

async function appendTransaction(session: Session, key: string | undefined): Promise<number> {
  const events = await allEvents(session.input);
  if (events.length === 0) throw new UsageError('standard input has no events');
  const result = await session.client.transaction(keyOf(events, key), events);
  await printResult(session, result);
  return exitCode.done;
}

async function allEvents(input: AsyncIterable<Uint8Array>): Promise<EventInput[]> {
  const events: EventInput[] = [];
  let lineNumber = 0;
  for await (const text of linesOf(input)) {
    lineNumber += 1;
    if (text.trim() === '') continue;
    const event = inputOf(text);
    if (event instanceof UsageError) throw new UsageError(`line ${lineNumber}: ${event.message}`);
    events.push(event);
  }
  return events;
}

function inputOf(text: string): EventInput | UsageError {
  try {
    return eventInput(text);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
}

/** The one partition key of a transaction. */
function keyOf(events: readonly EventInput[], key: string | undefined): string {
  const keys = new Set(events.map(({ partitionKey }) => partitionKey ?? key));
  const streams = new Set(events.map(({ streamId }) => streamId));
  const [only] = keys;
  if (keys.size > 1)
    throw new UsageError('a transaction has one partition key; the lines have several');
  if (only !== undefined) return only;
  const [stream = ''] = streams;
  if (streams.size === 1) return uuidText(defaultPartitionKey(Buffer.from(stream, 'utf8')));
  throw new UsageError('a transaction of several streams needs --partition-key');
}

const sizeOf = ({ payload = '', metadata = '' }: EventInput): number =>
  payload.length + metadata.length;

async function printResult(session: Session, result: AppendResult): Promise<void> {
  const { partition, partitionKey, events } = result;
  for (const { id, streamId, version, sequence, timestamp } of events) {
    const fields = { id, stream: streamId, version, timestamp, partition, sequence, partitionKey };
    await session.output.line(
      session.isJson
        ? JSON.stringify(fields)
        : `${printableText(streamId)}@${version}  ${id}  partition ${partition}, sequence ${sequence}`,
    );
  }
}
