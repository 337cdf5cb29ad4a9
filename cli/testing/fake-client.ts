/** A client without a server: keeps events in memory, and gives its subscriptions what a test pushes. */
import {
  type AppendOptions,
  type AppendResult,
  type Client,
  type NewEvent,
  type NewStreamEvent,
  type RangeOptions,
  type StoredEvent,
  type SubscribeOptions,
  type Subscription,
  WrongVersionError,
} from '../../client/index.ts';

export const KEY = '550e8400-e29b-41d4-a716-446655440000';

export function storedEvent(given: Partial<StoredEvent> = {}): StoredEvent {
  return {
    id: '018bcfe5-6800-1237-bb95-4123456789ab',
    streamId: 'user-123',
    name: 'Registered',
    version: 0,
    partition: 21,
    partitionKey: KEY,
    sequence: 7,
    transactionId: '11111111-2222-4333-8444-555555555555',
    timestamp: 1_700_000_000_000,
    payload: Buffer.from('{"name":"Alice"}'),
    metadata: Buffer.alloc(0),
    json: () => ({}) as never,
    metadataJson: () => undefined,
    ...given,
  };
}

export class FakeSubscription implements Subscription {
  readonly position = {};
  readonly ready: Promise<void> = Promise.resolve();
  readonly processedEvents: StoredEvent[] = [];
  isClosed = false;
  readonly #queue: StoredEvent[] = [];
  #wake: () => void = () => undefined;

  push(...events: readonly StoredEvent[]): void {
    this.#queue.push(...events);
    this.#wake();
  }

  processed(event: StoredEvent): void {
    // Afterwards it is too late for a checkpoint.
    if (!this.isClosed) this.processedEvents.push(event);
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.#wake();
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StoredEvent, undefined, undefined> {
    try {
      for (;;) {
        const event = this.#queue.shift();
        if (event !== undefined) yield event;
        else if (this.isClosed) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.isClosed = true;
    }
  }
}

/** Streams live in partition 21; only what the commands use is there. */
export class FakeClient {
  readonly events: StoredEvent[] = [];
  readonly appends: { readonly key: string | undefined; readonly events: NewStreamEvent[] }[] = [];
  readonly subscriptions: {
    readonly options: SubscribeOptions;
    readonly fake: FakeSubscription;
  }[] = [];
  isClosed = false;

  get client(): Client {
    return this as unknown as Client;
  }

  async append(
    streamId: string,
    event: NewEvent,
    { expectedVersion = 'any', partitionKey }: AppendOptions = {},
  ): Promise<AppendResult> {
    await Promise.resolve();
    return this.#append(partitionKey, [{ streamId, expectedVersion, ...event }]);
  }

  async transaction(key: string, events: readonly NewStreamEvent[]): Promise<AppendResult> {
    await Promise.resolve();
    return this.#append(key, [...events]);
  }

  #append(key: string | undefined, events: NewStreamEvent[]): AppendResult {
    this.appends.push({ key, events });
    const stored = events.map((event) => {
      const version = this.events.filter(({ streamId }) => streamId === event.streamId).length;
      if (typeof event.expectedVersion === 'number' && event.expectedVersion !== version - 1) {
        throw new WrongVersionError(
          `current stream version is ${version - 1} but expected ${event.expectedVersion}`,
        );
      }
      const { streamId, name, payload = '', metadata = '' } = event;
      const bytes = { payload: Buffer.from(payload), metadata: Buffer.from(metadata) };
      const sequence = this.events.length;
      const made = storedEvent({ streamId, name, version, sequence, ...bytes });
      this.events.push(made);
      return made;
    });
    return { partition: 21, partitionKey: key ?? KEY, events: stored };
  }

  async *readStream(
    id: string,
    { from = 0, to = Infinity, limit = Infinity }: RangeOptions,
  ): AsyncGenerator<StoredEvent, void, undefined> {
    const found = this.events.filter(
      ({ streamId, version }) => streamId === id && version >= from && version <= to,
    );
    yield* found.slice(0, limit);
  }

  streamVersion(id: string): Promise<number | null> {
    const count = this.events.filter(({ streamId }) => streamId === id).length;
    return Promise.resolve(count === 0 ? null : count - 1);
  }

  getEvent(id: string): Promise<StoredEvent | null> {
    return Promise.resolve(this.events.find((event) => event.id === id) ?? null);
  }

  subscribe(options: SubscribeOptions): Subscription {
    const fake = new FakeSubscription();
    this.subscriptions.push({ options, fake });
    return fake;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
