/** EPSCAN <partition id | partition key> <start> <end> [COUNT <n>]: events of a partition by sequence. Wire protocol 2.9. */
import { ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import { COUNT_DEFAULT, writeEmptyPage, writePage } from '../page.ts';
import type { ReadCommand } from './command.ts';

const COUNT = keyword('COUNT');

function readCount(reader: ArgumentReader): number {
  let count: number | null = null;
  while (reader.more) {
    if (!reader.takes(COUNT)) throw reader.unexpected('COUNT, number or end of input');
    const value = reader.count();
    if (count !== null) throw argumentErrors.repeated('count');
    count = value;
  }
  return count ?? COUNT_DEFAULT;
}

export const epscan: ReadCommand = {
  kind: 'read',
  name: 'EPSCAN',
  run: (args, { router, pageBytesMax }, reply) => {
    const reader = new ArgumentReader(args);
    const selector = reader.partitionSelector();
    const { from, to } = reader.range('sequence');
    const count = readCount(reader);
    const partition = 'id' in selector ? selector.id : router.partitionOf(selector.key);
    router.requirePartition(partition);
    if (from > to || from === Infinity) {
      writeEmptyPage(reply);
      return;
    }
    return writePage({ count, bytesMax: pageBytesMax }, reply, (visit) =>
      router.readPartition({ partition, from, to }, visit),
    );
  },
};
