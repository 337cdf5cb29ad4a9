/** Another member as the network sees it: an HTTP server that answers when the test says so. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { decodeBatch, type WireMessage } from '../message-format.ts';

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly messages: readonly WireMessage[];
  /** The port that it came from: one per connection. */
  readonly connection: number;
  answer(status: number, body?: Buffer | string): void;
}

export class FakePeer {
  readonly #server: Server;
  readonly #requests: FakeRequest[] = [];
  #waiting: ((request: FakeRequest) => void)[] = [];

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        const path = request.url ?? '';
        this.#arrived({
          ...{ method: request.method ?? '', path, headers: request.headers, body },
          messages: path === '/v1/raft' ? [...decodeBatch(body)].map(({ message }) => message) : [],
          connection: request.socket.remotePort ?? 0,
          answer: (status, answer) => {
            response.writeHead(status).end(answer);
          },
        });
      });
    });
  }

  static async open(port: number = 0): Promise<FakePeer> {
    const peer = new FakePeer();
    peer.#server.listen(port, '127.0.0.1');
    await once(peer.#server, 'listening');
    return peer;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${String(this.port)}`;
  }

  /** Requests that nobody has taken. */
  get pending(): number {
    return this.#requests.length;
  }

  /** The next request, when it is there. */
  next(): Promise<FakeRequest> {
    const request = this.#requests.shift();
    if (request !== undefined) return Promise.resolve(request);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Breaks all connections and frees the port. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #arrived(request: FakeRequest): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#requests.push(request);
    else waiting(request);
  }
}
