// An aggregate in one page: load, decide, append with the version that the decision was made on, again on a conflict.
//   node examples/aggregate.ts [sierradb://localhost:9090]
import { randomUUID } from 'node:crypto';
import { json, type NewEvent, SierraClient, WrongVersionError } from 'sierradb/client';

await using client = await SierraClient.connect(process.argv[2] ?? 'sierradb://localhost:9090');

interface Account {
  version: number | 'empty';
  balance: number;
}

// 1. State is folded from the stream's events. The version says which state a decision is made on.
async function load(streamId: string): Promise<Account> {
  const account: Account = { version: 'empty', balance: 0 };
  for await (const event of client.readStream(streamId)) {
    account.version = event.version;
    const { amount } = event.json<{ amount: number }>();
    account.balance += event.name === 'Deposited' ? amount : -amount;
  }
  return account;
}

// 2. Nothing is appended where somebody else was faster: then it is loaded and decided again. Lost connections are none of our
//    business: the client repeats an append with the same event ids, and the server does it once.
async function change(streamId: string, decide: (account: Account) => NewEvent): Promise<void> {
  for (;;) {
    const account = await load(streamId);
    try {
      await client.append(streamId, decide(account), { expectedVersion: account.version });
      return;
    } catch (error) {
      if (!(error instanceof WrongVersionError)) throw error;
    }
  }
}

const deposit = (amount: number) => (): NewEvent => ({
  name: 'Deposited',
  payload: json({ amount }),
});

const withdraw =
  (amount: number) =>
  (account: Account): NewEvent => {
    if (account.balance < amount) throw new Error(`only ${account.balance} left`);
    return { name: 'Withdrawn', payload: json({ amount }) };
  };

// 3. Three at once on one account: they collide, and none is lost or done twice.
const account = `account-${randomUUID()}`;
await change(account, deposit(100));
await Promise.all([10, 20, 30].map((amount) => change(account, withdraw(amount))));
await change(account, withdraw(41)).catch((error: unknown) => {
  if (error instanceof Error) console.log(error.message);
});

const { version, balance } = await load(account);
console.log(`${account} version ${version} balance ${balance}`);
