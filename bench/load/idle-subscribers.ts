import { streamName } from './requests.ts';
import { Subscriber } from './subscriber.ts';

/** Commands in one write; the server's limits on unanswered input are far above. */
const BATCH = 500;

/** Connections whose subscriptions wait for events that do not come. */
export class IdleSubscribers implements Disposable {
  readonly #port: number;
  readonly #subscribers: Subscriber[] = [];
  #failure: Error | null = null;

  constructor(port: number) {
    this.#port = port;
  }

  /** Opens a connection with `count` ESUBs, one for each stream from number `firstStream` on. */
  async add(firstStream: number, count: number): Promise<void> {
    const subscriber = await Subscriber.connect(this.#port, {
      message: () => {
        this.#failure ??= new Error('an idle subscription got an event');
      },
      failed: (error) => {
        this.#failure ??= error;
      },
    });
    this.#subscribers.push(subscriber);
    for (let at = 0; at < count; at += BATCH) {
      const length = Math.min(BATCH, count - at);
      const streams = Array.from({ length }, (_, index) => firstStream + at + index);
      await subscriber.send(streams.map((stream) => ['ESUB', streamName(stream)]));
    }
  }

  /** Throws when one of them got an event, or ended. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  [Symbol.dispose](): void {
    for (const subscriber of this.#subscribers) subscriber.close();
  }
}
