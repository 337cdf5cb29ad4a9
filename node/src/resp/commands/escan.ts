/** ESCAN <stream_id> <start> <end> [PARTITION_KEY <uuid>] [COUNT <n>]: events of a stream by version. Wire protocol 2.7. */
import { ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import { COUNT_DEFAULT, writeEmptyPage, writePage } from '../page.ts';
import type { ReadCommand } from './command.ts';

const PARTITION_KEY = keyword('PARTITION_KEY');
const COUNT = keyword('COUNT');

interface ScanOptions {
  readonly partitionKey: Buffer | null;
  readonly count: number;
}

function readOptions(reader: ArgumentReader): ScanOptions {
  let partitionKey: Buffer | null = null;
  let count: number | null = null;
  while (reader.more) {
    if (reader.takes(COUNT)) {
      const value = reader.count();
      if (count !== null) throw argumentErrors.repeated('count');
      count = value;
    } else if (reader.takes(PARTITION_KEY)) {
      const value = reader.uuid('partition key');
      if (partitionKey !== null) throw argumentErrors.repeated('partition key');
      partitionKey = value;
    } else {
      throw reader.unexpected('PARTITION_KEY, COUNT or end of input');
    }
  }
  return { partitionKey, count: count ?? COUNT_DEFAULT };
}

export const escan: ReadCommand = {
  kind: 'read',
  name: 'ESCAN',
  run: (args, { router, pageBytesMax }, reply) => {
    const reader = new ArgumentReader(args);
    const streamId = reader.streamId();
    const { from, to } = reader.range('version');
    const { partitionKey, count } = readOptions(reader);
    if (from > to || from === Infinity) {
      writeEmptyPage(reply);
      return;
    }
    const range = { streamId, partitionKey: partitionKey ?? router.defaultKey(streamId), from, to };
    return writePage({ count, bytesMax: pageBytesMax }, reply, (visit) =>
      router.readStream(range, visit),
    );
  },
};
