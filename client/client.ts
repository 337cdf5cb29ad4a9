import { Calls } from './calls.ts';
import { commandBytes, type Word } from './command-bytes.ts';
import {
  appendCommand,
  type Command,
  eventById,
  info,
  partitionPage,
  partitionSequence,
  streamPage,
  streamVersion,
  transactionCommand,
} from './commands.ts';
import { helloOf } from './connection.ts';
import { ConnectionError, SierraClientError } from './errors.ts';
import { compileOptions, type CompiledOptions } from './options.ts';
import { readRange } from './range.ts';
import { LiveSubscription } from './subscription.ts';
import type {
  AppendOptions,
  AppendResult,
  CallOptions,
  Client,
  ClientOptions,
  ConnectTarget,
  NewEvent,
  NewStreamEvent,
  Page,
  PageOptions,
  RangeOptions,
  ServerHello,
  StoredEvent,
  StreamOptions,
  SubscribeOptions,
  Subscription,
} from './types.ts';

/** See {@link Client}. */
export class SierraClient implements Client {
  readonly #options: CompiledOptions;
  readonly #calls: Calls;
  readonly #subscriptions = new Set<Subscription>();
  #closing: Promise<void> | null = null;

  /** Connects with the first command. Throws `InvalidArgumentError` for a target or an option that cannot be. */
  constructor(target: ConnectTarget, options: ClientOptions = {}) {
    this.#options = compileOptions(target, options);
    this.#calls = new Calls(this.#options);
  }

  /** Tries every endpoint once, at most for `connectTimeoutMs` each; rejects with `ConnectionError` where none answers. */
  static async connect(target: ConnectTarget, options: ClientOptions = {}): Promise<SierraClient> {
    const client = new SierraClient(target, options);
    await client.#calls.connect();
    return client;
  }

  // The methods below send before they return, so that calls take effect in their order; `async` makes of every error a rejection.

  async append(
    streamId: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const list = Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent];
    const { expectedVersion = 'any', partitionKey } = options;
    return this.#run(appendCommand(streamId, list, expectedVersion, partitionKey), options);
  }

  async transaction(
    partitionKey: string,
    events: readonly NewStreamEvent[],
    options: CallOptions = {},
  ): Promise<AppendResult> {
    return this.#run(transactionCommand(partitionKey, events), options);
  }

  readStream(
    streamId: string,
    options: RangeOptions & StreamOptions = {},
  ): AsyncGenerator<StoredEvent, void, undefined> {
    const { partitionKey, ...range } = options;
    return readRange(range, (page) => this.#run(streamPage(streamId, partitionKey, page), page));
  }

  readPartition(
    partition: number | string,
    options: RangeOptions = {},
  ): AsyncGenerator<StoredEvent, void, undefined> {
    return readRange(options, (page) => this.#run(partitionPage(partition, page), page));
  }

  async streamPage(streamId: string, options: PageOptions & StreamOptions = {}): Promise<Page> {
    return this.#run(streamPage(streamId, options.partitionKey, options), options);
  }

  async partitionPage(partition: number | string, options: PageOptions = {}): Promise<Page> {
    return this.#run(partitionPage(partition, options), options);
  }

  async getEvent(id: string, options: CallOptions = {}): Promise<StoredEvent | null> {
    return this.#run(eventById(id), options);
  }

  async streamVersion(
    streamId: string,
    options: StreamOptions & CallOptions = {},
  ): Promise<number | null> {
    return this.#run(streamVersion(streamId, options.partitionKey), options);
  }

  async partitionSequence(
    partition: number | string,
    options: CallOptions = {},
  ): Promise<number | null> {
    return this.#run(partitionSequence(partition), options);
  }

  async hello(options: CallOptions = {}): Promise<ServerHello> {
    return this.#run({ kind: 'read', bytes: commandBytes(['HELLO', 3]), result: helloOf }, options);
  }

  async info(section?: string, options: CallOptions = {}): Promise<Record<string, string>> {
    return this.#run(info(section), options);
  }

  async ping(options: CallOptions = {}): Promise<void> {
    const result = (): void => undefined;
    return this.#run({ kind: 'read', bytes: commandBytes(['PING']), result }, options);
  }

  async command(words: readonly Word[], options: CallOptions = {}): Promise<unknown> {
    return this.#calls.submit({ kind: 'once', bytes: commandBytes(words) }, options);
  }

  subscribe(options: SubscribeOptions): Subscription {
    if (this.#closing !== null) throw new ConnectionError('CLOSED', 'the client was closed');
    const subscription = new LiveSubscription(this.#options, options, () => {
      this.#subscriptions.delete(subscription);
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const ended = [...this.#subscriptions].map((subscription) => subscription.close());
    await Promise.all([...ended, this.#calls.close()]);
  }

  async #run<T>(command: Command<T>, options: CallOptions): Promise<T> {
    try {
      return command.result(await this.#calls.submit(command, options));
    } catch (error) {
      // The stack that helps is the caller's, not that of the socket's event.
      if (error instanceof SierraClientError) Error.captureStackTrace(error);
      throw error;
    }
  }
}
