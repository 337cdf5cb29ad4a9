/**
 * EMAPPEND <partition_key> <stream_id> <event_name> [options] [<stream_id> <event_name> [options]]…: appends several
 * events of one partition, all or none. Wire protocol 2.5.
 */
import { ArgumentReader, keyword } from '../arguments.ts';
import { argumentErrors } from '../errors.ts';
import { writeTransaction } from '../append-reply.ts';
import type { AppendCommand } from './command.ts';
import { EventOptions } from './event-options.ts';

const PARTITION_KEY = keyword('PARTITION_KEY');

export const emappend: AppendCommand = {
  kind: 'append',
  name: 'EMAPPEND',
  parse: (args) => {
    const reader = new ArgumentReader(args);
    const partitionKey = reader.uuid('partition key');
    const events: EventOptions[] = [];
    do {
      const event = new EventOptions(reader);
      while (event.takeOption(reader));
      if (reader.takes(PARTITION_KEY)) throw argumentErrors.partitionKeyPerEvent();
      events.push(event);
    } while (reader.more);
    return { partitionKey, events };
  },
  answer: writeTransaction,
};
