/**
 * EACK <subscription_id> <cursor>: everything pushed up to the cursor is processed, which opens the window again. Wire
 * protocol 4.3. Nothing is stored.
 */
import { uuidText } from '../../../../common/ids.ts';
import { ArgumentReader } from '../arguments.ts';
import { subscriptionErrors } from '../errors.ts';
import type { LocalCommand } from './command.ts';

export const eack: LocalCommand = {
  kind: 'local',
  name: 'EACK',
  run: (args, _context, reply, connection) => {
    const reader = new ArgumentReader(args);
    const id = reader.uuid('subscription id');
    const cursor = reader.unsigned();
    reader.end();
    const subscription = connection.subscriptions.find(uuidText(id));
    if (subscription === undefined) throw subscriptionErrors.notFound();
    subscription.acknowledge(typeof cursor === 'bigint' ? Number.MAX_SAFE_INTEGER : cursor);
    reply.simple('OK');
  },
};
