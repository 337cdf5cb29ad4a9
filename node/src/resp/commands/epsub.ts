/** EPSUB <selector> [FROM <from>] [WINDOW <n>]: subscribes to partitions. Wire protocol 4.1. */
import { ArgumentReader } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import type { SubscribeCommand } from './command.ts';
import { PARTITION_LIST, parsePartitionId, parsePartitionList } from './partition-list.ts';
import { type PairGrammar, readClauses, startOf } from './subscription-clauses.ts';

const pairsOf = (partitionCount: number): PairGrammar<number> => ({
  expected: 'partition id sequence value',
  key: (text) => {
    const id = parsePartitionId(text);
    if (id !== null && id >= partitionCount) {
      throw argumentErrors.noSuchPartition(id, partitionCount);
    }
    return id;
  },
  hasDefault: true,
});

export const epsub: SubscribeCommand = {
  kind: 'subscribe',
  name: 'EPSUB',
  parse: (args, { router }) => {
    const reader = new ArgumentReader(args);
    const { partitionCount } = router.facts;
    const selected = parsePartitionList(reader.bytes(PARTITION_LIST), {
      count: partitionCount,
      of: (partitionKey) => router.partitionOf(partitionKey),
    });
    const { from, window } = readClauses(reader, pairsOf(partitionCount));
    const starts = selected.map((partition) => ({
      target: { kind: 'partition' as const, partition },
      from: startOf(from, partition),
    }));
    return { starts, window };
  },
};
