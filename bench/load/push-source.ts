/**
 * A server that answers every ESUB and EPSUB with the same number of event pushes, copied from prepared bytes as fast as
 * the socket takes them: what the generator can count is found out with it, since no real server is faster.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { makePayload, streamName } from './requests.ts';
import { pushBytes, SUBSCRIPTION_ID } from './pushes.ts';

/** Pushes in one write. */
const BATCH = 500;
/** All cursors have as many digits, so that they can be overwritten in place. */
const CURSOR_DIGITS = 9;

export class PushSource implements AsyncDisposable {
  readonly #events: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(events: number) {
    this.#events = events;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        if (chunk.includes('HELLO')) socket.write('%0\r\n');
        else this.#push(socket);
      });
    });
  }

  /** `events` pushes for each subscription. */
  static async start(events: number): Promise<PushSource> {
    const source = new PushSource(events);
    source.#server.listen(0, '127.0.0.1');
    await once(source.#server, 'listening');
    return source;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #push(socket: Socket): void {
    socket.write(`+${SUBSCRIPTION_ID}\r\n>3\r\n+subscribe\r\n+${SUBSCRIPTION_ID}\r\n:1\r\n`);
    let sent = 0;
    const go = (): void => {
      let isTaken = true;
      while (isTaken && sent < this.#events) {
        const count = Math.min(BATCH, this.#events - sent);
        isTaken = socket.write(batch(sent, count));
        sent += count;
      }
    };
    socket.on('drain', go);
    go();
  }
}

const push = (cursor: number): Buffer =>
  pushBytes({
    cursor: String(cursor).padStart(CURSOR_DIGITS, '0'),
    streamId: streamName(1),
    payload: makePayload(),
  });

const template = push(0);
const cursorAt = template.indexOf('0'.repeat(CURSOR_DIGITS));

function batch(first: number, count: number): Buffer {
  const bytes = Buffer.alloc(count * template.length, template);
  for (let i = 0; i < count; i += 1) {
    const cursor = String(first + i).padStart(CURSOR_DIGITS, '0');
    bytes.write(cursor, i * template.length + cursorAt, 'latin1');
  }
  return bytes;
}
