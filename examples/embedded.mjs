// The embedded database in one page: node examples/embedded.mjs [DIRECTORY]
import { randomUUID } from 'node:crypto';
import { Database, isOutcomeUnknown, isWrongVersion } from 'sierradb';

// A small database: two journal files of 4 MiB instead of 64 MiB.
const database = await Database.open(process.argv[2] ?? './data', {
  journalFileBytes: 4 * 1024 * 1024,
});

// 1. A stream comes into being with its first event; `empty` says that it must not exist yet.
const order = `order-${randomUUID()}`;
await database.append(
  order,
  [
    { name: 'OrderPlaced', payload: JSON.stringify({ customer: 'alice' }) },
    { name: 'LineAdded', payload: JSON.stringify({ article: 'pen', price: 3 }) },
  ],
  { expectedVersion: 'empty' },
);

// 2. State is folded from the events. The version says which state a decision was made on.
async function load(streamId) {
  const state = { version: -1, total: 0, paid: false };
  for await (const event of database.readStream(streamId)) {
    state.version = event.version;
    if (event.name === 'LineAdded') state.total += JSON.parse(event.payload.toString()).price;
    if (event.name === 'OrderPaid') state.paid = true;
  }
  return state;
}

// 3. Optimistic concurrency: append only if nobody else has, otherwise load and decide again. The event's id is drawn once,
//    so that a retry after an unknown outcome is done once at most.
async function change(streamId, decide) {
  const id = randomUUID();
  for (;;) {
    const state = await load(streamId);
    const event = decide(state);
    try {
      return await database.append(streamId, { ...event, id }, { expectedVersion: state.version });
    } catch (error) {
      if (!isWrongVersion(error) && !isOutcomeUnknown(error)) throw error;
    }
  }
}

const add = (article, price) => () => ({
  name: 'LineAdded',
  payload: JSON.stringify({ article, price }),
});
await Promise.all([change(order, add('ink', 5)), change(order, add('paper', 2))]);
console.log('total', (await load(order)).total);

// 4. Several streams, all or nothing. What changes together shares a partition key.
const customer = randomUUID();
await database.transaction(customer, [
  { streamId: `cart-${customer}`, name: 'CartClosed', expectedVersion: 'empty' },
  { streamId: `invoice-${customer}`, name: 'InvoiceIssued', expectedVersion: 'empty' },
]);

// 5. The same append again, with the same id: done once, answered alike.
const payment = { id: randomUUID(), name: 'OrderPaid' };
const first = await database.append(order, payment);
const again = await database.append(order, payment);
console.log('paid once', first.events[0].version === again.events[0].version);

// 6. Read back: a stream by version, a partition by sequence, an event by id.
for await (const event of database.readStream(order, { from: 1, limit: 3 })) {
  console.log(event.version, event.name, event.payload.toString());
}
for await (const event of database.readPartition(customer)) {
  if (event.partitionKey === customer) console.log(event.streamId.split('-')[0], event.name);
}
console.log((await database.getEvent(payment.id)).name);

// 7. A projection: history, then what is appended meanwhile, at the loop's pace. This one is over when the order is shipped;
//    one that goes on for ever keeps `subscription.position` and begins there at its next start.
const shipping = database.append(order, { name: 'OrderShipped' });
const lines = [];
for await (const event of database.subscribe({ stream: order })) {
  if (event.name === 'LineAdded') lines.push(JSON.parse(event.payload.toString()).article);
  if (event.name === 'OrderShipped') break;
}
await shipping;
console.log('shipped', lines.sort().join(', '));

await database.close();
