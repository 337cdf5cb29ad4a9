/** Another member as the network sees it: it takes what it is sent, and answers, when the test says so. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from 'node:http';
import { type AddressInfo, Socket } from 'node:net';

import { clusterHeaders, STREAM_PROTOCOL } from '../../../../common/cluster-contract.ts';
import { decodeBatch, type WireMessage } from '../message-format.ts';
import {
  answerHead,
  closedFrame,
  frameKinds,
  readExchange,
  readSender,
  receivedFrame,
} from '../stream-format.ts';
import { StreamReader } from '../stream-reader.ts';

/** A request of HTTP. */
export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  answer(status: number, body?: Buffer | string): void;
}

/** A stream that a network has opened. */
export interface FakeStream {
  readonly lane: string;
  readonly socket: Socket;
  /** Who sends, as it was said last. */
  headers: IncomingHttpHeaders;
  taken: number;
  /** Ends it with this reason. */
  refuse(status: number, reason: string): void;
}

/** A frame with messages. */
export interface FakeBatch {
  readonly stream: FakeStream;
  readonly body: Buffer;
  readonly messages: readonly WireMessage[];
  /** Says that everything up to this frame has arrived. */
  take(): void;
}

/** A frame with commands. */
export interface FakeCommand {
  readonly stream: FakeStream;
  readonly bucket: number;
  readonly body: Buffer;
  take(): void;
  answer(status: number, body: Buffer | string): void;
}

/** What has come and nobody has asked for yet, or the other way round. */
class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  get length(): number {
    return this.#items.length;
  }

  put(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#items.push(item);
    else waiting(item);
  }

  next(): Promise<T> {
    const item = this.#items.shift();
    return item === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(item);
  }
}

export class FakePeer {
  readonly #server: Server;
  readonly #requests = new Mailbox<FakeRequest>();
  readonly #batches = new Mailbox<FakeBatch>();
  readonly #commands = new Mailbox<FakeCommand>();
  readonly #sockets = new Set<Socket>();
  /** Streams that were opened, by lane: the last one. */
  readonly streams: Map<string, FakeStream> = new Map();
  /** How upgrades are refused; null: they are not. */
  refusal: { readonly status: number; readonly reason: string } | null = null;
  /** It accepts connections and streams, and reads nothing. */
  isFrozen = false;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers } = request;
        this.#requests.put({
          ...{ method, path, headers, body: Buffer.concat(chunks) },
          answer: (status, answer) => {
            response.writeHead(status).end(answer);
          },
        });
      });
    });
    this.#server.on('upgrade', (request, socket) => {
      assert(socket instanceof Socket);
      this.#upgraded(request, socket);
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

  /** Batches that nobody has asked for. */
  get pending(): number {
    return this.#batches.length;
  }

  /** The next request of HTTP, when it is there. */
  request(): Promise<FakeRequest> {
    return this.#requests.next();
  }

  batch(): Promise<FakeBatch> {
    return this.#batches.next();
  }

  command(): Promise<FakeCommand> {
    return this.#commands.next();
  }

  /** Breaks all connections and frees the port. */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #upgraded({ headers }: IncomingMessage, socket: Socket): void {
    if (this.refusal !== null) {
      const { status, reason } = this.refusal;
      const body = JSON.stringify({ reason });
      socket.end(
        `HTTP/1.1 ${String(status)} No\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`,
      );
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // A network that is closed breaks off.
    socket.on('error', () => undefined);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${STREAM_PROTOCOL}\r\n\r\n`,
    );
    const stream: FakeStream = {
      ...{ lane: String(headers[clusterHeaders.lane]), socket, headers, taken: 0 },
      refuse: (status, reason) => socket.end(closedFrame(status, reason)),
    };
    this.streams.set(stream.lane, stream);
    if (this.isFrozen) {
      socket.pause();
      return;
    }
    const reader = new StreamReader();
    socket.on('data', (chunk: Buffer) => {
      for (const { kind, body } of reader.read(chunk)) this.#arrived(stream, kind, body);
    });
  }

  #arrived(stream: FakeStream, kind: number, body: Buffer): void {
    stream.taken += 1;
    const count = stream.taken;
    const take = (): void => {
      stream.socket.write(receivedFrame(count));
    };
    if (kind === frameKinds.sender) stream.headers = readSender(body);
    else if (kind === frameKinds.messages) {
      const messages = [...decodeBatch(body)].map(({ message }) => message);
      this.#batches.put({ stream, body, messages, take });
    } else {
      const { id, number: bucket, rest } = readExchange(body);
      const answer = (status: number, text: Buffer | string): void => {
        const bytes = Buffer.from(text);
        stream.socket.write(Buffer.concat([answerHead(id, status, bytes.length), bytes]));
      };
      this.#commands.put({ stream, bucket, body: rest, take, answer });
    }
  }
}
