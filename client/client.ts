import { ServerError } from './errors.ts';
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

const absent = (): never => {
  throw new ServerError('ERR', 'not there yet');
};

/** See {@link Client}. */
export class SierraClient implements Client {
  /** Connects with the first command. Throws `InvalidArgumentError` for a target or an option that cannot be. */
  constructor(_target: ConnectTarget, _options: ClientOptions = {}) {}

  /** Tries every endpoint once, at most for `connectTimeoutMs` each; rejects with `ConnectionError` where none answers. */
  static async connect(target: ConnectTarget, options: ClientOptions = {}): Promise<SierraClient> {
    await Promise.resolve();
    return new SierraClient(target, options);
  }

  append(
    _streamId: string,
    _events: NewEvent | readonly NewEvent[],
    _options?: AppendOptions,
  ): Promise<AppendResult> {
    return absent();
  }
  transaction(
    _partitionKey: string,
    _events: readonly NewStreamEvent[],
    _options?: CallOptions,
  ): Promise<AppendResult> {
    return absent();
  }
  readStream(
    _streamId: string,
    _options?: RangeOptions & StreamOptions,
  ): AsyncIterable<StoredEvent> {
    return absent();
  }
  readPartition(_partition: number | string, _options?: RangeOptions): AsyncIterable<StoredEvent> {
    return absent();
  }
  streamPage(_streamId: string, _options?: PageOptions & StreamOptions): Promise<Page> {
    return absent();
  }
  partitionPage(_partition: number | string, _options?: PageOptions): Promise<Page> {
    return absent();
  }
  getEvent(_id: string, _options?: CallOptions): Promise<StoredEvent | null> {
    return absent();
  }
  streamVersion(_streamId: string, _options?: StreamOptions & CallOptions): Promise<number | null> {
    return absent();
  }
  partitionSequence(_partition: number | string, _options?: CallOptions): Promise<number | null> {
    return absent();
  }
  hello(_options?: CallOptions): Promise<ServerHello> {
    return absent();
  }
  info(_section?: string, _options?: CallOptions): Promise<Readonly<Record<string, string>>> {
    return absent();
  }
  ping(_options?: CallOptions): Promise<void> {
    return absent();
  }
  command(
    _words: readonly (string | number | Uint8Array)[],
    _options?: CallOptions,
  ): Promise<unknown> {
    return absent();
  }
  subscribe(_options: SubscribeOptions): Subscription {
    return absent();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
