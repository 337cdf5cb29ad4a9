// A live read model in one page: every account's balance in SQLite, followed from the first event on. Ctrl-C ends it; the next
// start goes on where it stopped. Run examples/aggregate.ts beside it.
//   node examples/projection.ts [sierradb://localhost:9090] [DIRECTORY]
import { mkdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FileCheckpointStore, SierraClient } from 'sierradb/client';

const [, , url = 'sierradb://localhost:9090', directory = './balances'] = process.argv;
mkdirSync(directory, { recursive: true });
const database = new DatabaseSync(`${directory}/balances.db`);
database.exec('CREATE TABLE IF NOT EXISTS balance (account PRIMARY KEY, amount, version)');
// After a crash the last events come again: the version tells which have been counted.
const count = database.prepare(`
  INSERT INTO balance VALUES (:account, :amount, :version)
  ON CONFLICT DO UPDATE SET amount = amount + :amount, version = :version WHERE version < :version
  RETURNING amount`);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

await using client = await SierraClient.connect(url);
const events = client.subscribe({
  all: true,
  from: 0,
  checkpoint: { store: new FileCheckpointStore(directory), name: 'balances' },
  signal: stop.signal,
});

for await (const event of events) {
  if (event.name !== 'Deposited' && event.name !== 'Withdrawn') continue;
  const amount = event.json<{ amount: number }>().amount * (event.name === 'Deposited' ? 1 : -1);
  const row = count.get({ account: event.streamId, amount, version: event.version });
  if (row) console.log(event.streamId, row['amount']);
}
