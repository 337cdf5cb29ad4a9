/**
 * ESUB <stream_id> [PARTITION_KEY <uuid>] … [FROM <from>] [WINDOW <n>]: subscribes to streams. Wire protocol 4.1.
 *
 * The first argument is a stream whatever it says; behind it, a stream named like a keyword can't be given.
 */
import { isUtf8 } from 'node:buffer';

import type { Router } from '../../cluster/router.ts';
import { streamIdFault } from '../../engine/rules.ts';
import { ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import type { SubscribeCommand } from './command.ts';
import { FROM, type PairGrammar, readClauses, startOf, WINDOW } from './subscription-clauses.ts';

const PARTITION_KEY = keyword('PARTITION_KEY');

/** The default keys of more streams would hold up everybody while they are computed. */
const STREAMS_MAX = 65_536;

/** A stream and its key, 16 bytes. */
interface RequestedStream {
  readonly streamId: Buffer;
  readonly partitionKey: Buffer;
}

const nameOf = (streamId: Buffer): string => streamId.toString('latin1');

/** Whether a mapped stream is among the listed ones does not matter. */
const pairs: PairGrammar<string> = {
  expected: 'stream id version value',
  key: (text) => {
    if (!isUtf8(text)) return null;
    const fault = streamIdFault(text);
    if (fault !== null) throw fault;
    return nameOf(text);
  },
  hasDefault: false,
};

/** The streams up to the first clause, each once under each of its keys. */
function readStreams(reader: ArgumentReader, router: Router): RequestedStream[] {
  const streams = new Map<string, RequestedStream>();
  let count = 0;
  do {
    count += 1;
    if (count > STREAMS_MAX) throw argumentErrors.tooManyStreams(STREAMS_MAX);
    const streamId = reader.streamId();
    const partitionKey = readKey(reader) ?? router.defaultKey(streamId);
    streams.set(partitionKey.toString('latin1') + nameOf(streamId), { streamId, partitionKey });
  } while (reader.more && !reader.nextIs(FROM) && !reader.nextIs(WINDOW));
  return [...streams.values()];
}

function readKey(reader: ArgumentReader): Buffer | null {
  let key: Buffer | null = null;
  while (reader.takes(PARTITION_KEY)) {
    const value = reader.uuid('partition key');
    if (key !== null) throw argumentErrors.repeated('partition key');
    key = value;
  }
  return key;
}

export const esub: SubscribeCommand = {
  kind: 'subscribe',
  name: 'ESUB',
  parse: (args, { router }) => {
    const reader = new ArgumentReader(args);
    const streams = readStreams(reader, router);
    const { from, window } = readClauses(reader, pairs);
    const starts = streams.map(({ streamId, partitionKey }) => ({
      target: { kind: 'stream' as const, streamId, partitionKey },
      from: startOf(from, nameOf(streamId)),
    }));
    return { starts, window };
  },
};
