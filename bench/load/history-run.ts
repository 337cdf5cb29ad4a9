/**
 * Subscribers that begin at the first event, on one connection each: how fast the server hands out what it has. The
 * time runs from the moment they ask, all at once, to the last event of the slowest.
 */
import { type Measured, Meter } from './meter.ts';
import { watchStall } from './stall-watch.ts';
import { Subscriber } from './subscriber.ts';

export interface HistorySpec {
  readonly port: number;
  readonly serverPid: number;
  /** One entry for each connection: the words of its ESUB or EPSUB. */
  readonly subscriptions: readonly (readonly string[])[];
  /** What each of them gets. */
  readonly eventsEach: number;
}

/** Rejects when a subscriber gets something else than the events it should get, in order, or nothing for 30 s. */
export async function runHistory(spec: HistorySpec): Promise<Measured> {
  const done = Promise.withResolvers<undefined>();
  // A failure before anybody waits for it is not an unhandled one.
  done.promise.catch(() => undefined);
  const wanted = spec.eventsEach * spec.subscriptions.length;
  let received = 0;
  const handler = {
    message: (): void => {
      received += 1;
      if (received === wanted) done.resolve(undefined);
    },
    failed: done.reject,
  };
  const connecting = spec.subscriptions.map(() => Subscriber.connect(spec.port, handler));
  const subscribers = await Promise.all(connecting);
  const stopWatching = watchStall(() => received, done.reject);
  try {
    const meter = new Meter(spec.serverPid);
    meter.start();
    for (const [index, words] of spec.subscriptions.entries())
      void subscribers[index]?.send([words]);
    await done.promise;
    const result = meter.read(received);
    for (const { counter } of subscribers) {
      if (counter.messages !== spec.eventsEach || counter.outOfOrder > 0)
        throw new Error(
          `a subscriber got ${String(counter.messages)} events, ${String(counter.outOfOrder)} out of order`,
        );
    }
    return result;
  } finally {
    stopWatching();
    for (const subscriber of subscribers) subscriber.close();
  }
}
