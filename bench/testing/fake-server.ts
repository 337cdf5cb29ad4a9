import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import { ReplyCounter } from '../load/reply-counter.ts';

/** Answers every command with the same bytes and keeps what it received. */
export class FakeServer implements AsyncDisposable {
  readonly received: Buffer[] = [];
  /** Settles when the first bytes have arrived. */
  readonly firstBytes: Promise<void>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(reply: string) {
    const bytes = Buffer.from(reply);
    const first = Promise.withResolvers<undefined>();
    this.firstBytes = first.promise;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      // A command is an array of blobs, so it can be counted like a reply.
      const commands = new ReplyCounter();
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        this.received.push(chunk);
        first.resolve(undefined);
        const count = commands.feed(chunk);
        if (count > 0) socket.write(Buffer.concat(Array.from({ length: count }, () => bytes)));
      });
    });
  }

  static async start(reply: string): Promise<FakeServer> {
    const server = new FakeServer(reply);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  disconnectAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disconnectAll();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
