import type { Client, RangeOptions, StoredEvent } from '../../client/index.ts';
import type { Action, Command, Session } from '../command.ts';
import { eventFlags, eventPrinter } from '../event-lines.ts';
import { eventJson } from '../event-json.ts';
import { EventRows } from '../event-text.ts';
import { exitCode } from '../exit-code.ts';
import type { Line } from '../line.ts';
import { partitionOf } from '../partition.ts';
import { UsageError } from '../usage-error.ts';

export const read: Command = {
  name: 'read',
  usage: ['read STREAM [flags]', 'read --partition N|UUID [flags]', 'read --event UUID [flags]'],
  text: `Print the events of a stream by version, or those of a partition by sequence, oldest first, up to the
latest; or one event by its id.`,
  flags: {
    partition: {
      short: 'p',
      value: 'N|UUID',
      doc: 'A partition: its number, or a partition key in it.',
    },
    event: { short: 'e', value: 'UUID', doc: 'One event, whole.' },
    from: { value: 'N', doc: 'First version, or sequence [0].' },
    to: { value: 'N', doc: 'Last version, or sequence, inclusive [the latest].' },
    count: { short: 'n', value: 'N', doc: 'Most events.' },
    last: { value: 'N', doc: 'The latest N events.' },
    'partition-key': { value: 'UUID', doc: 'Of a stream that was appended to with one.' },
    ...eventFlags,
  },
  examples: [
    'sierradb read user-123',
    'sierradb read user-123 --last 10',
    'sierradb read --partition 21 --from 1000 --count 50',
    'sierradb read user-123 --json --parse | jq .payload.name',
  ],
  prepare,
};

function prepare(line: Line): Action {
  line.exclusive('event', 'partition');
  for (const name of ['from', 'to', 'count']) line.exclusive('last', name);
  const [stream, ...more] = line.words;
  if (more.length > 0) throw new UsageError(`one stream at a time, not ${line.words.join(' ')}`);
  const event = line.uuid('event');
  const partition = line.text('partition');
  if ((stream === undefined) === (event === undefined && partition === undefined)) {
    throw new UsageError('it needs a STREAM, --partition or --event, one of them');
  }
  if (event !== undefined) return (session) => readEvent(session, line, event);
  const source =
    stream === undefined
      ? partitionSource(partition ?? '')
      : streamSource(stream, line.uuid('partition-key'));
  const last = line.number('last', 1);
  const range = rangeOf(line);
  return (session) => readRange(session, line, source, { range, last });
}

function rangeOf(line: Line): RangeOptions {
  const [from, to, limit] = [line.number('from'), line.number('to'), line.number('count')];
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(limit !== undefined && { limit }),
  };
}

interface Source {
  readonly isPartition: boolean;
  read(client: Client, range: RangeOptions): AsyncIterable<StoredEvent>;
  /** The latest version or sequence. */
  latest(client: Client): Promise<number | null>;
}

function streamSource(stream: string, key: string | undefined): Source {
  const partitionKey = key === undefined ? {} : { partitionKey: key };
  return {
    isPartition: false,
    read: (client, range) => client.readStream(stream, { ...range, ...partitionKey }),
    latest: (client) => client.streamVersion(stream, partitionKey),
  };
}

function partitionSource(text: string): Source {
  const partition = partitionOf(text);
  return {
    isPartition: true,
    read: (client, range) => client.readPartition(partition, range),
    latest: (client) => client.partitionSequence(partition),
  };
}

async function readRange(
  session: Session,
  line: Line,
  source: Source,
  asked: { readonly range: RangeOptions; readonly last: number | undefined },
): Promise<number> {
  const { client, output } = session;
  const { last } = asked;
  let { range } = asked;
  if (last !== undefined) {
    const latest = (await source.latest(client)) ?? -1;
    range = { from: Math.max(0, latest + 1 - last), limit: last };
  }
  const print = eventPrinter(line, session, { showsPartition: source.isPartition });
  let count = 0;
  for await (const event of source.read(client, range)) {
    await output.line(print(event));
    if (output.gone.aborted) break;
    count += 1;
  }
  if (count === 0) session.note('no events');
  return exitCode.done;
}

async function readEvent(session: Session, line: Line, id: string): Promise<number> {
  const { client, output, isJson, terminal } = session;
  const event = await client.getEvent(id);
  if (event === null) {
    session.note(`no event has the id ${id}`);
    return exitCode.refused;
  }
  const rows = new EventRows({ ...terminal, showsPartition: true, charactersMax: Infinity });
  const text = isJson ? eventJson(event, { isParsed: line.has('parse') }) : rows.record(event);
  await output.line(text);
  return exitCode.done;
}
