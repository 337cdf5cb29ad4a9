/** What tests of calls and subscriptions share: a client with a server of its own, and ways to look at what was asked. */
import { setImmediate } from 'node:timers/promises';

import { type ClientOptions, SierraClient, type StoredEvent } from '../index.ts';
import { type FakeEvent, FakeServer, type Script } from './fake-server.ts';

/** Reconnects without letting a test wait. */
export const quick: ClientOptions = { reconnect: { delayMs: 1, delayMsMax: 4 } };

export async function withServer(
  work: (server: FakeServer, client: SierraClient) => Promise<void>,
  options: ClientOptions = quick,
): Promise<void> {
  await using server = await FakeServer.start();
  await using client = new SierraClient(server.url, options);
  await work(server, client);
}

/** Answers the first commands of a name with these, then as usual. */
export function answering(name: string, ...answers: readonly string[]): Script {
  const left = [...answers];
  return (words, peer) => {
    const answer = words[0] === name ? left.shift() : undefined;
    if (answer === undefined) return false;
    peer.send(answer);
    return true;
  };
}

/** The arguments of all commands of a name. */
export const asked = (server: FakeServer, name: string): string[] =>
  server.commands.filter((words) => words[0] === name).map((words) => words.slice(1).join(' '));

/** The first events of a subscription, which then ends. */
export async function first(
  count: number,
  events: AsyncIterable<StoredEvent>,
): Promise<StoredEvent[]> {
  const list: StoredEvent[] = [];
  for await (const event of events) {
    list.push(event);
    if (list.length === count) break;
  }
  return list;
}

export const idsOf = (events: readonly (StoredEvent | FakeEvent)[]): string[] =>
  events.map(({ id }) => id);

export async function untilPeers(server: FakeServer, count: number): Promise<void> {
  while (server.peers.size !== count) await setImmediate();
}
