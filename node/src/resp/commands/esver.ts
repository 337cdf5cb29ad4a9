/** ESVER <stream_id> [PARTITION_KEY <uuid>]: version of the latest event, or null. Wire protocol 2.8. */
import { ArgumentReader, keyword } from '../arguments.ts';
import { writeNumberOrNull } from '../replies.ts';
import type { ReadCommand } from './command.ts';

const PARTITION_KEY = keyword('PARTITION_KEY');

export const esver: ReadCommand = {
  kind: 'read',
  name: 'ESVER',
  run: (args, { router }, reply) => {
    const reader = new ArgumentReader(args);
    const streamId = reader.streamId();
    const key = reader.takes(PARTITION_KEY)
      ? reader.uuid('partition key')
      : router.defaultKey(streamId);
    reader.end();
    return writeNumberOrNull(router.streamVersion(streamId, key), reply);
  },
};
