/** A stream to a cluster server, frame by frame, whatever they hold. */
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';

import {
  clusterHeaders,
  clusterPaths,
  STREAM_PROTOCOL,
} from '../../../../common/cluster-contract.ts';
import {
  FRAME_HEAD_BYTES,
  frameKinds,
  readClosed,
  readExchange,
  readReceived,
  requestHead,
  writeFrameHead,
} from '../../replication/stream-format.ts';
import { StreamReader } from '../../replication/stream-reader.ts';

/** What the server has said, in words. */
export type Said = string;

export interface RawStreamOptions {
  readonly path?: string;
  readonly protocol?: string;
  readonly lane?: string;
}

/** How a server has refused an upgrade. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

export class RawStream implements AsyncDisposable {
  readonly socket: Socket;
  readonly #said: Said[] = [];
  #more = Promise.withResolvers<void>();
  #isEnded = false;

  /** The stream, or how it was refused. */
  static async open(
    port: number,
    headers: Readonly<Record<string, string>>,
    {
      path = clusterPaths.stream,
      protocol = STREAM_PROTOCOL,
      lane = 'data',
    }: RawStreamOptions = {},
  ): Promise<RawStream | Refusal> {
    const upgrade = { connection: 'upgrade', upgrade: protocol, [clusterHeaders.lane]: lane };
    const request = httpRequest({ port, path, agent: false, headers: { ...headers, ...upgrade } });
    request.end();
    const opened = Promise.withResolvers<RawStream | Refusal>();
    request.on('error', opened.reject);
    request.on('upgrade', (_response, socket, head) => {
      opened.resolve(new RawStream(socket, head));
    });
    request.on('response', (response: IncomingMessage) => {
      const { statusCode = 0 } = response;
      text(response).then((body) => {
        const { reason } = JSON.parse(body) as { reason: string };
        opened.resolve({ status: statusCode, reason });
      }, opened.reject);
    });
    return opened.promise;
  }

  private constructor(socket: Socket, head: Buffer) {
    this.socket = socket;
    const reader = new StreamReader();
    const read = (chunk: Buffer): void => {
      for (const { kind, body } of reader.read(chunk)) this.#said.push(inWords(kind, body));
      this.#wake();
    };
    // A server that ends the stream may break it off.
    socket.on('error', () => undefined);
    socket.on('data', read);
    socket.on('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
    read(head);
  }

  send(kind: number, body: Buffer | string): void {
    this.socket.write(frameOf(kind, body));
  }

  request(id: number, bucket: number, body: string): void {
    const bytes = Buffer.from(body);
    this.socket.write(Buffer.concat([requestHead(id, bucket, bytes.length), bytes]));
  }

  /** The next thing that the server says; `end` when it says nothing any more. */
  async next(): Promise<Said> {
    while (this.#said.length === 0 && !this.#isEnded) await this.#more.promise;
    return this.#said.shift() ?? 'end';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    this.socket.destroy();
    await once(this.socket, 'close');
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}

export function frameOf(kind: number, body: Buffer | string): Buffer {
  const bytes = Buffer.from(body);
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  writeFrameHead(head, 0, kind, bytes.length);
  return Buffer.concat([head, bytes]);
}

function inWords(kind: number, body: Buffer): Said {
  switch (kind) {
    case frameKinds.received:
      return `received ${String(readReceived(body))}`;
    case frameKinds.answer: {
      const { id, number: status, rest } = readExchange(body);
      return `answer ${String(id)} ${String(status)} ${rest.toString()}`;
    }
    case frameKinds.closed: {
      const { status, reason } = readClosed(body);
      return `closed ${String(status)} ${reason}`;
    }
    default:
      return `kind ${String(kind)}`;
  }
}
