/**
 * One connection, greeted: requests go out as they come, answers settle them in their order.
 *
 * Invariants. Every request is settled exactly once: by its answer, or with an error when the connection ends. `onEnd` is called
 * once, before those. Nothing is called inside `send`.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { commandBytes } from './command-bytes.ts';
import { ConnectionError, ProtocolError, serverError } from './errors.ts';
import { numberIn, textIn } from './event.ts';
import { Fifo } from './fifo.ts';
import { type ConnectionOptions, endpointText } from './options.ts';
import { ErrorReply, ReplyParser } from './reply-parser.ts';
import type { Endpoint, ServerHello } from './types.ts';

/** Takes an answer, or the error in its place. */
export type Settle = (error: Error | null, reply: unknown) => void;

export interface ConnectionHandlers {
  onPush?(items: readonly unknown[]): void;
  /** The connection has ended; requests without an answer are settled next. Not called before it has been greeted. */
  onEnd(error: Error): void;
}

export class Connection {
  readonly endpoint: string;
  /** The greeting; empty until then. */
  hello: ServerHello = { server: '', version: '', peerId: '', partitionCount: 0, fields: {} };
  readonly openedAt: number = performance.now();
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  readonly #parser: ReplyParser;
  readonly #waiting = new Fifo<Settle>();
  readonly #timer: NodeJS.Timeout;
  /** When the server last showed life, or was first asked for it. */
  #lifeAt = performance.now();
  #error: Error | null = null;
  #isGreeted = false;
  #isPaused = false;
  #isCorked = false;

  private constructor(
    socket: Socket,
    endpoint: string,
    options: ConnectionOptions,
    handlers: ConnectionHandlers,
  ) {
    this.#socket = socket;
    this.endpoint = endpoint;
    this.#options = options;
    this.#handlers = handlers;
    this.#parser = new ReplyParser({
      reply: (value) => this.#answer(value),
      push: (items) => handlers.onPush?.(items),
    });
    socket.on('data', (piece: Buffer) => this.#read(piece));
    socket.on('error', (error) => this.end(lost(this.endpoint, error)));
    socket.on('close', () => this.end(lost(this.endpoint)));
    const every = Math.max(1, Math.min(options.silenceMs, options.pingMs) / 4);
    this.#timer = setInterval(() => this.#watch(), every).unref();
  }

  /** Connects and greets. Rejects with `ConnectionError`, or with what the server answered to the greeting. */
  static async open(
    endpoint: Required<Endpoint>,
    options: ConnectionOptions,
    handlers: ConnectionHandlers,
    signal?: AbortSignal,
  ): Promise<Connection> {
    const where = endpointText(endpoint);
    const socket = socketTo(endpoint, options);
    const giveUp = (error: unknown): void => void socket.destroy(error as Error);
    const timer = setTimeout(() => {
      giveUp(new Error(`no answer within ${options.connectTimeoutMs} ms`));
    }, options.connectTimeoutMs);
    const onAbort = (): void => giveUp(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    try {
      if (signal?.aborted === true) onAbort();
      await connected(socket, options);
      const connection = new Connection(socket, where, options, handlers);
      await connection.#greet();
      return connection;
    } catch (error) {
      socket.destroy();
      throw refused(where, error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get isOpen(): boolean {
    return this.#error === null;
  }

  /** Sends one command. Throws nothing; a connection that has ended settles with its error, in a later turn. */
  send(command: Buffer, settle: Settle): void {
    if (this.#error !== null) {
      const error = this.#error;
      process.nextTick(() => settle(error, null));
      return;
    }
    if (this.#waiting.length === 0) this.#lifeAt = performance.now();
    this.#waiting.push(settle);
    // All commands of one turn leave in one write.
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(command);
  }

  /** The answer to one command. */
  ask(command: Buffer): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.send(command, (error, reply) => {
        if (error === null) resolve(reply);
        else reject(error);
      });
    });
  }

  /** Reads no more until `resume`; the server's bytes wait in the network. */
  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#lifeAt = performance.now();
    this.#socket.resume();
  }

  /** Ends the connection; what waits for an answer is settled with `error`. May be called again. */
  end(error: Error): void {
    if (this.#error !== null) return;
    this.#error = error;
    clearInterval(this.#timer);
    this.#socket.destroy();
    if (this.#isGreeted) this.#handlers.onEnd(error);
    for (const settle of this.#waiting.take()) settle(error, null);
  }

  async #greet(): Promise<void> {
    const { credentials, name } = this.#options;
    const auth = credentials === null ? [] : ['AUTH', credentials.username, credentials.password];
    const hello = this.ask(commandBytes(['HELLO', 3, ...auth]));
    // A server that knows neither goes on all the same.
    this.send(commandBytes(['CLIENT', 'SETINFO', 'LIB-NAME', 'sierradb-client']), () => undefined);
    if (name !== null) this.send(commandBytes(['CLIENT', 'SETNAME', name]), () => undefined);
    this.hello = helloOf(await hello);
    if (this.#error !== null) throw this.#error;
    this.#isGreeted = true;
  }

  #read(piece: Buffer): void {
    this.#lifeAt = performance.now();
    try {
      if (this.#error === null) this.#parser.feed(piece);
    } catch (error) {
      this.end(error as Error);
    }
  }

  #answer(value: unknown): void {
    const settle = this.#waiting.shift();
    if (settle === undefined) throw new ProtocolError('an answer that nobody asked for');
    if (value instanceof ErrorReply) settle(serverError(value.line), null);
    else settle(null, value);
  }

  /** A peer that has vanished sends no farewell: it is missed when it owes an answer, and asked for one when idle. */
  #watch(): void {
    if (this.#isPaused) return;
    const silentMs = performance.now() - this.#lifeAt;
    if (this.#waiting.length === 0) {
      if (silentMs >= this.#options.pingMs) this.send(commandBytes(['PING']), () => undefined);
    } else if (silentMs >= this.#options.silenceMs) {
      // Where this process was busy for so long, the answer may be here and not have been read.
      const lifeAt = this.#lifeAt;
      setImmediate(() => {
        if (this.#lifeAt !== lifeAt) return;
        this.end(lost(this.endpoint, new Error(`no answer for ${Math.round(silentMs)} ms`)));
      });
    }
  }
}

function socketTo(endpoint: Required<Endpoint>, { tls }: ConnectionOptions): Socket {
  const socket =
    tls === false
      ? connectTcp({ ...endpoint })
      : connectTls({
          // A name is sent for the certificate; an address has none.
          ...(/^[\d.]+$|:/.test(endpoint.host) ? {} : { servername: endpoint.host }),
          ...(tls === true ? {} : tls),
          ...endpoint,
        });
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 15_000);
  return socket;
}

function connected(socket: Socket, { tls }: ConnectionOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(tls === false ? 'connect' : 'secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before it was open')));
  });
}

const lost = (endpoint: string, cause?: Error): ConnectionError =>
  new ConnectionError(
    'CONNECTION_LOST',
    `the connection to ${endpoint} was lost${cause === undefined ? '' : `: ${cause.message}`}`,
    { cause, outcome: 'unknown', retryable: true },
  );

/** What the server answered stays as it is; all else is a connection that could not be made. */
function refused(endpoint: string, error: unknown): Error {
  const isAnswer =
    error instanceof Error &&
    'code' in error &&
    'outcome' in error &&
    error.code !== 'CONNECTION_LOST';
  if (isAnswer) return error;
  const cause = error instanceof ConnectionError && error.cause !== undefined ? error.cause : error;
  const why = cause instanceof Error ? textOf(cause) : String(cause);
  return new ConnectionError('CONNECTION_FAILED', `cannot connect to ${endpoint}: ${why}`, {
    cause: error,
    retryable: true,
  });
}

/** Where a name has several addresses, the failures of each are inside and the outer message is empty. */
function textOf(error: Error): string {
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const texts = inner.filter((each) => each instanceof Error).map(({ message }) => message);
  return texts.length > 0 ? texts.join(', ') : error.message;
}

export function helloOf(reply: unknown): ServerHello {
  if (!(reply instanceof Map)) throw new ProtocolError('the greeting is no map');
  const pairs = reply as ReadonlyMap<string, unknown>;
  if (!pairs.has('num_partitions')) throw new ProtocolError('this is no SierraDB server');
  return {
    server: textIn(pairs, 'server'),
    version: textIn(pairs, 'version'),
    peerId: textIn(pairs, 'peer_id'),
    partitionCount: numberIn(pairs, 'num_partitions'),
    fields: Object.fromEntries(
      [...pairs].map(([key, value]) => [key, Buffer.isBuffer(value) ? value.toString() : value]),
    ),
  };
}
