/** Makes connections: the endpoints in turn, with a growing, random delay after each round in which all of them failed. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Connection, type ConnectionHandlers } from './connection.ts';
import { ConnectionError, SierraClientError } from './errors.ts';
import type { CompiledOptions } from './options.ts';

/** A connection that ends sooner counts as a failed attempt: a server that accepts and drops must not be dialled in a loop. */
const SHORT_LIFE_MS = 1000;

export class Dialer {
  readonly #options: CompiledOptions;
  /** What its connections are for, in `onStatus`. */
  readonly #label: string;
  /** Which endpoint is next. */
  #turn = 0;
  /** Failed attempts in a row. */
  #failures = 0;
  #lastError: Error | null = null;

  constructor(options: CompiledOptions, label: string) {
    this.#options = options;
    this.#label = label;
  }

  /**
   * Tries until there is a connection. Rejects with `ConnectionError` after `attemptsMax` failures, with what the server answered
   * where a further attempt is in vain (a wrong password), or with the signal's reason.
   */
  async dial(handlers: ConnectionHandlers, signal: AbortSignal): Promise<Connection> {
    const { endpoints, attemptsMax } = this.#options;
    for (;;) {
      if (this.#failures > 0 && this.#failures % endpoints.length === 0) await this.#pause(signal);
      signal.throwIfAborted();
      try {
        return await this.#attempt(handlers, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.failed(error as Error);
        if (isFinal(error) && this.#failures >= endpoints.length) throw error;
        if (this.#failures >= attemptsMax) throw this.#gaveUp();
      }
    }
  }

  /** Tries each endpoint once. */
  async dialOnce(handlers: ConnectionHandlers, signal: AbortSignal): Promise<Connection> {
    for (let left = this.#options.endpoints.length; ; left -= 1) {
      try {
        return await this.#attempt(handlers, signal);
      } catch (error) {
        signal.throwIfAborted();
        this.failed(error as Error);
        if (left <= 1) throw error;
      }
    }
  }

  /** A connection of this dialer has ended. */
  lost(connection: Connection, error: Error): void {
    if (performance.now() - connection.openedAt >= SHORT_LIFE_MS) this.#failures = 0;
    else this.#failures += 1;
    this.#lastError = error;
    this.#options.onStatus({ type: 'disconnected', connection: this.#label, error });
  }

  /** Something went wrong that the next attempt must wait for. */
  failed(error: Error): void {
    this.#failures += 1;
    this.#lastError = error;
  }

  /** A connection has proved to be good. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Why there is no connection. */
  get lastError(): Error | null {
    return this.#lastError;
  }

  async #attempt(handlers: ConnectionHandlers, signal: AbortSignal): Promise<Connection> {
    const { endpoints, connection: options } = this.#options;
    const endpoint = endpoints[this.#turn % endpoints.length] as (typeof endpoints)[number];
    this.#turn += 1;
    const connection = await Connection.open(endpoint, options, handlers, signal);
    this.#options.onStatus({
      type: 'connected',
      connection: this.#label,
      endpoint: connection.endpoint,
    });
    return connection;
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { endpoints, delayMs, delayMsMax } = this.#options;
    const rounds = this.#failures / endpoints.length;
    const most = Math.min(delayMsMax, delayMs * 2 ** (rounds - 1));
    const delay = most * (0.5 + Math.random() / 2);
    this.#options.onStatus({
      type: 'reconnecting',
      connection: this.#label,
      attempt: this.#failures,
      delayMs: delay,
      error: this.#lastError ?? new Error('the connection was lost'),
    });
    await sleep(delay, undefined, { signal }).catch(() => undefined);
  }

  #gaveUp(): ConnectionError {
    const why = this.#lastError?.message ?? '';
    const error = new ConnectionError(
      'CONNECTION_FAILED',
      `no connection after ${this.#failures} attempts: ${why}`,
      { cause: this.#lastError, retryable: true },
    );
    this.#failures = 0;
    return error;
  }
}

const isFinal = (error: unknown): boolean => error instanceof SierraClientError && !error.retryable;
