/** EGET <event_id>: one event, or null. Wire protocol 2.6. */
import { ArgumentReader } from '../arguments.ts';
import { writeEvent } from '../event-reply.ts';
import type { ReplyWriter } from '../replies.ts';
import type { ReadCommand } from './command.ts';

function finish(found: boolean, reply: ReplyWriter): void {
  if (!found) reply.null();
}

export const eget: ReadCommand = {
  kind: 'read',
  name: 'EGET',
  run: (args, { router }, reply): void | Promise<void> => {
    const reader = new ArgumentReader(args);
    const eventId = reader.uuid('event id');
    reader.end();
    const found = router.readEvent(eventId, (event) => {
      writeEvent(reply, event);
      return true;
    });
    if (typeof found !== 'boolean') return found.then((late) => finish(late, reply));
    finish(found, reply);
  },
};
