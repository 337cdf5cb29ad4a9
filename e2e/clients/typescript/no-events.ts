/** The checks of subscriptions for libraries that show their users no events, or are refused a subscription. */
import assert from 'node:assert/strict';

import { UUID, type Client } from './conversation.ts';
import { Absent } from './report.ts';

type SubscriptionCheck = (client: Client) => Promise<void>;
type SubscriptionChecks = Readonly<Record<'subscribe' | 'window', SubscriptionCheck>>;

/** A library on RESP2: the refusal is an error like any other. */
const refused: SubscriptionCheck = async (client) => {
  await assert.rejects(client.call('ESUB', 'user-123', 'FROM', '0'), {
    message: /^INVALIDARG subscriptions require RESP3/,
  });
  assert.equal(await client.call('PING'), 'PONG');
  throw new Absent('refused, RESP2 has no pushes');
};

/** A library that takes pushes in silence: the subscription disturbs neither it nor the commands beside it. */
const dropped: SubscriptionCheck = async (client) => {
  const id = String(await client.call('ESUB', 'many', 'FROM', '0', 'WINDOW', '50'));
  assert.match(id, UUID);
  for (let i = 0; i < 3; i += 1) await client.call('EAPPEND', 'many', 'Live');
  assert.equal(await client.call('EACK', id, '49'), 'OK');
  assert.equal(await client.call('EUNSUB', id), 'OK');
  assert.equal(await client.call('PING'), 'PONG');
  throw new Absent('no, the library drops the event of a push');
};

export const refusedSubscriptions: SubscriptionChecks = { subscribe: refused, window: refused };
export const droppedSubscriptions: SubscriptionChecks = { subscribe: dropped, window: dropped };
