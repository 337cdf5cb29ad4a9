/**
 * EAPPEND <stream_id> <event_name> [EVENT_ID <uuid>] [PARTITION_KEY <uuid>] [EXPECTED_VERSION <n|any|exists|empty>]
 * [TIMESTAMP <ms>] [PAYLOAD <bytes>] [METADATA <bytes>]: appends one event. Wire protocol 2.4.
 */
import { assert } from '../../../../common/assert.ts';
import { ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import type { AppendCommand } from './command.ts';
import { EventOptions } from './event-options.ts';
import { writeAppended } from '../append-reply.ts';

const PARTITION_KEY = keyword('PARTITION_KEY');
const OPTIONS =
  'EVENT_ID, PARTITION_KEY, EXPECTED_VERSION, TIMESTAMP, PAYLOAD, METADATA or end of input';

export const eappend: AppendCommand = {
  kind: 'append',
  name: 'EAPPEND',
  parse: (args, { router }) => {
    const reader = new ArgumentReader(args);
    const event = new EventOptions(reader);
    let partitionKey: Buffer | null = null;
    while (reader.more) {
      if (event.takeOption(reader)) continue;
      if (!reader.takes(PARTITION_KEY)) throw reader.unexpected(OPTIONS);
      const key = reader.uuid('partition key');
      if (partitionKey !== null) throw argumentErrors.repeated('partition key');
      partitionKey = key;
    }
    return { partitionKey: partitionKey ?? router.defaultKey(event.streamId), events: [event] };
  },
  answer: (appended, reply) => {
    assert(appended.events.length === 1, 'one event was appended');
    writeAppended(appended, reply);
  },
};
