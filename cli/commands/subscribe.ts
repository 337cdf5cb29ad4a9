import { accessSync, constants } from 'node:fs';
import { basename, dirname } from 'node:path';

import {
  FileCheckpointStore,
  type SubscribeOptions,
  type SubscriptionTarget,
} from '../../client/index.ts';
import type { Action, Command, Session } from '../command.ts';
import { eventFlags, eventPrinter } from '../event-lines.ts';
import { exitCode } from '../exit-code.ts';
import { type Line, wholeNumber } from '../line.ts';
import { partitionOf } from '../partition.ts';
import { UsageError } from '../usage-error.ts';

export const subscribe: Command = {
  name: 'subscribe',
  usage: [
    'subscribe STREAM… [flags]',
    'subscribe --partition N|UUID… [flags]',
    'subscribe --all [flags]',
  ],
  text: `Print events as they are appended, until Ctrl-C; with --from, those of the past first, without a gap.
When the connection is lost, it connects again and goes on behind the last event.

With --checkpoint it goes on where it was ended, also when it was killed: what was not printed is printed,
and what was printed within the last second before a kill may be printed again.`,
  flags: {
    partition: {
      short: 'p',
      value: 'N|UUID',
      isList: true,
      doc: 'A partition: its number, or a partition key in it. May be repeated, or a list: 1,2,3.',
    },
    all: { value: null, doc: 'Every partition.' },
    'partition-key': { value: 'UUID', doc: 'Of streams that were appended to with one.' },
    from: {
      value: 'WHERE',
      doc: 'latest, start, or the first version or sequence [latest; with --checkpoint start].',
    },
    count: { short: 'n', value: 'N', doc: 'End after N events.' },
    checkpoint: {
      value: 'FILE.json',
      doc: 'Keep the position in this file and go on from it; --from holds while it is not there.',
    },
    window: { value: 'N', doc: 'Events that the node may send ahead of what was printed [1000].' },
    ...eventFlags,
  },
  examples: [
    'sierradb subscribe user-123 --from start',
    'sierradb subscribe --all --json | jq -c "{stream, name}"',
    'sierradb subscribe --partition 3 --partition 7 --from 1000',
    'sierradb subscribe --all --checkpoint ./seen.json --json >> events.jsonl',
  ],
  isLive: true,
  prepare,
};

function prepare(line: Line): Action {
  const target = targetOf(line);
  const count = line.number('count', 1);
  const options = optionsOf(line);
  return (session) => follow(session, line, { ...target, ...options }, count);
}

function targetOf(line: Line): SubscriptionTarget {
  const { words } = line;
  const partitions = line.texts('partition').flatMap((text) => text.split(',').map(partitionOf));
  const kinds = [words.length > 0, partitions.length > 0, line.has('all')].filter(Boolean).length;
  if (kinds !== 1) throw new UsageError('it needs STREAM…, --partition or --all, one of them');
  if (line.has('all')) return { all: true };
  if (partitions.length > 0) return { partitions };
  const partitionKey = line.uuid('partition-key');
  return {
    streams: words.map((streamId) => ({ streamId, ...(partitionKey && { partitionKey }) })),
  };
}

function optionsOf(line: Line): Pick<SubscribeOptions, 'from' | 'window' | 'checkpoint'> {
  const window = line.number('window', 1);
  const checkpoint = line.text('checkpoint');
  return {
    from: startOf(line.text('from') ?? (checkpoint === undefined ? 'latest' : 'start')),
    ...(window !== undefined && { window }),
    ...(checkpoint !== undefined && { checkpoint: checkpointOf(checkpoint) }),
  };
}

function startOf(text: string): 'latest' | number {
  if (text === 'latest') return text;
  return text === 'start' ? 0 : wholeNumber(text, '--from');
}

function checkpointOf(path: string): NonNullable<SubscribeOptions['checkpoint']> {
  // The store names its files by what is legal everywhere; the file is to be exactly the one that was asked for.
  const [, name] = /^([\w.-]+)\.json$/.exec(basename(path)) ?? [];
  if (name === undefined) {
    throw new UsageError('--checkpoint needs a name of letters, digits, _ . - that ends in .json');
  }
  // Better now than after the first events.
  const directory = dirname(path);
  try {
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw new UsageError(`--checkpoint: cannot write to ${directory}: ${(error as Error).message}`);
  }
  return { store: new FileCheckpointStore(directory), name };
}

/**
 * An event is processed when the system has taken its line: only then is it acknowledged, and may the checkpoint be behind it.
 */
async function follow(
  session: Session,
  line: Line,
  options: SubscribeOptions,
  count: number = Infinity,
): Promise<number> {
  const { client, output, signal } = session;
  const print = eventPrinter(line, session, { showsPartition: !('streams' in options) });
  const subscription = client.subscribe({ ...options, acknowledge: 'manual' });
  subscription.ready.then(
    () => session.note(`subscribed from ${startText(options)}; Ctrl-C ends it`),
    () => undefined,
  );
  // A loop that waits for an event is ended by closing what it waits for.
  const close = (): void => void subscription.close().catch(() => undefined);
  signal.addEventListener('abort', () => void output.flush().then(close));
  output.gone.addEventListener('abort', close);
  let left = count;
  for await (const event of subscription) {
    if (!signal.aborted) {
      await output.line(print(event), () => subscription.processed(event));
      left -= 1;
    }
    if (left > 0 && !signal.aborted) continue;
    // Before the loop ends, which saves the checkpoint.
    await output.flush();
    break;
  }
  return signal.aborted ? Number(signal.reason) : exitCode.done;
}

function startText({ from, checkpoint }: SubscribeOptions): string {
  const place = from === 'latest' ? from : String(Number(from));
  const start = place === '0' ? 'the start' : place;
  return checkpoint === undefined ? start : `the checkpoint, or ${start}`;
}
