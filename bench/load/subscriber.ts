/**
 * One connection with subscriptions. It sends what it is told, waits for replies in order, and hands on every event.
 *
 * ```ts
 * const subscriber = await Subscriber.connect(port, { message: () => { seen += 1; }, failed: (error) => { … } });
 * await subscriber.send([['EPSUB', '*', 'FROM', '0']]);
 * ```
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { PushCounter } from './push-counter.ts';
import { encodeCommand } from './requests.ts';

const READ_BYTES = 256 * 1024;
/** One for all connections of the process: what is read is counted before the callback returns. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

export interface SubscriberHandler {
  /** An event whose payload is at `payloadAt` (-1: unknown); called while the bytes are valid. */
  message(bytes: Uint8Array, payloadAt: number): void;
  /** The connection broke, or the server refused a command or ended a subscription. Called once at most. */
  failed(error: Error): void;
}

export class Subscriber {
  readonly counter: PushCounter;
  readonly #socket: Socket;
  readonly #handler: SubscriberHandler;
  #repliesOwed = 0;
  #answered = Promise.withResolvers<undefined>();
  #isOver = false;

  private constructor(port: number, handler: SubscriberHandler) {
    this.#handler = handler;
    this.counter = new PushCounter({
      message: (bytes, payloadAt) => {
        handler.message(bytes, payloadAt);
      },
      otherPush: (error) => {
        if (error !== null) this.#fail(new Error(`a subscription ended: ${error}`));
      },
      reply: (error) => {
        this.#replied(error);
      },
    });
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length, buffer) => {
          this.#receive(buffer, length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => {
      this.#fail(error);
    });
    this.#socket.once('close', () => {
      this.#fail(new Error('the server closed a connection'));
    });
  }

  /** Settles when the connection speaks RESP3. */
  static async connect(port: number, handler: SubscriberHandler): Promise<Subscriber> {
    const subscriber = new Subscriber(port, handler);
    await once(subscriber.#socket, 'connect');
    await subscriber.send([['HELLO', '3']]);
    return subscriber;
  }

  /** Sends commands in one write; settles when all of them are answered. Nothing may be unanswered before. */
  send(commands: readonly (readonly string[])[]): Promise<void> {
    this.#repliesOwed = commands.length;
    this.#answered = Promise.withResolvers<undefined>();
    // Who only waits for events has been told by `failed`.
    this.#answered.promise.catch(() => undefined);
    this.#socket.write(commands.map((words) => encodeCommand(...words)).join(''));
    return this.#answered.promise;
  }

  /** Reads nothing from now on; what has been read is handed on. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#isOver = true;
    this.#socket.destroy();
  }

  #receive(buffer: Uint8Array, length: number): void {
    try {
      this.counter.feed(buffer, length);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #replied(error: string | null): void {
    if (error !== null) {
      this.#fail(new Error(error));
      return;
    }
    this.#repliesOwed -= 1;
    if (this.#repliesOwed === 0) this.#answered.resolve(undefined);
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.close();
    this.#answered.reject(error);
    this.#handler.failed(error);
  }
}
