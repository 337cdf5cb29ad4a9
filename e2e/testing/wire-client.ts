/**
 * A connection that speaks RESP3 and nothing more: commands in a pipeline, pushes as they come, and a reader that can stop
 * reading.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { WireEvent } from '../../client/event.ts';
import { ErrorReply, ReplyParser } from '../../client/reply-parser.ts';

export const CLOSED = 'the connection is closed';

interface Waiting {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class WireClient implements Disposable {
  /** An event of a subscription. */
  onEvent: (subscription: string, cursor: number, event: WireEvent) => void = () => undefined;
  /** A subscription has ended by itself, the connection has ended, or what came is not what was agreed on. */
  onEnd: (error: Error) => void = () => undefined;
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #first = 0;
  #isClosed = false;

  /** Rejects where nobody listens, or when `signal` says that it has waited enough. */
  static async connect(
    port: number,
    host = '127.0.0.1',
    signal?: AbortSignal,
  ): Promise<WireClient> {
    const socket = connect({ host, port, noDelay: true });
    const giveUp = (): void => {
      socket.destroy(new Error('no answer in time'));
    };
    signal?.addEventListener('abort', giveUp);
    try {
      await once(socket, 'connect');
      const client = new WireClient(socket);
      await client.call('HELLO', '3');
      return client;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    const parser = new ReplyParser({
      reply: (value) => {
        this.#reply(value);
      },
      push: (items) => {
        this.#push(items);
      },
    });
    socket.on('data', (bytes: Buffer) => {
      parser.feed(bytes);
    });
    // A killed node resets the connection; that it is closed is all there is to know.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#closed();
    });
  }

  /** Rejects with the text of an error reply, or with {@link CLOSED}. */
  call(...args: string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error(CLOSED));
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#socket.write(command(args));
    });
  }

  /** Sends a command of which nobody wants the reply. */
  tell(...args: string[]): void {
    this.call(...args).catch(() => undefined);
  }

  /** Reads nothing until {@link resume}. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.onEnd = () => undefined;
    this.#socket.destroy();
  }

  #reply(value: unknown): void {
    const waiting = this.#waiting[this.#first];
    if (waiting === undefined) throw new Error('a reply that nobody waits for');
    this.#first += 1;
    if (this.#first === 1024) this.#waiting.splice(0, this.#first);
    this.#first %= 1024;
    if (value instanceof ErrorReply) waiting.reject(new Error(value.line));
    else waiting.resolve(value);
  }

  #push([kind, subscription, cursor, event]: readonly unknown[]): void {
    if (kind === 'subscribe') return;
    if (kind === 'message' && event instanceof WireEvent) {
      this.onEvent(String(subscription), Number(cursor), event);
    } else {
      this.onEnd(new Error(`pushed: ${String(kind)} ${String(cursor)}`));
    }
  }

  #closed(): void {
    this.#isClosed = true;
    const error = new Error(CLOSED);
    for (const { reject } of this.#waiting.splice(0).slice(this.#first)) reject(error);
    this.#first = 0;
    this.onEnd(error);
  }
}

function command(args: readonly string[]): string {
  const parts = args.map((arg) => `$${String(Buffer.byteLength(arg))}\r\n${arg}\r\n`);
  return `*${String(args.length)}\r\n${parts.join('')}`;
}
