/** Stands between client and node, and cuts connections after a random number of bytes, in either direction. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../../common/random.ts';

export class UnreliableProxy {
  readonly port: number;
  /** Where new connections go. */
  target = 0;
  /** Connections live for at most this many bytes; Infinity: none is cut. */
  bytesMax: number = Infinity;
  /** Connections cut. */
  cuts = 0;
  readonly #random: Random;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(server: Server, random: Random) {
    this.#server = server;
    this.#random = random;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (socket) => this.#join(socket));
  }

  static async start(target: number, random: Random): Promise<UnreliableProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = new UnreliableProxy(server, random);
    proxy.target = target;
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    const node = connect(this.target, '127.0.0.1');
    const cut = (): void => {
      client.destroy();
      node.destroy();
    };
    for (const [from, to] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', cut);
      from.once('close', () => {
        cut();
        this.#sockets.delete(from);
      });
      this.#pass(from, to, cut);
    }
  }

  #pass(from: Socket, to: Socket, cut: () => void): void {
    let left = this.bytesMax === Infinity ? Infinity : this.#random.below(this.bytesMax);
    from.on('data', (bytes: Buffer) => {
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      if (left > 0) {
        if (!to.write(passed)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
        return;
      }
      this.cuts += 1;
      // What arrived before the cut is delivered, so that the other end sees part of a message.
      to.write(passed, cut);
    });
  }
}
