/** EUNSUB <subscription_id>: ends a subscription; no push of it follows the reply. Wire protocol 4.8. */
import { uuidText } from '../../../../common/ids.ts';
import { ArgumentReader } from '../arguments.ts';
import { subscriptionErrors } from '../errors.ts';
import type { LocalCommand } from './command.ts';

export const eunsub: LocalCommand = {
  kind: 'local',
  name: 'EUNSUB',
  run: (args, _context, reply, connection) => {
    const reader = new ArgumentReader(args);
    const id = reader.uuid('subscription id');
    reader.end();
    if (!connection.subscriptions.close(uuidText(id))) throw subscriptionErrors.notFound();
    reply.simple('OK');
  },
};
