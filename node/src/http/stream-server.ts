/**
 * Streams of other members: admitted like every request, then upgraded (`node/src/replication/stream-format.ts`).
 *
 * Invariant: a member has one stream of each lane. A newer one takes the place of the one before, which its member has given up.
 */
import type { IncomingMessage, Server } from 'node:http';
import { Socket } from 'node:net';

import { assert } from '../../../common/assert.ts';
import {
  clusterHeaders,
  clusterPaths,
  STREAM_PROTOCOL,
  streamLanes,
} from '../../../common/cluster-contract.ts';
import type { MemberService } from '../cluster/types.ts';
import { type Admission, HttpRefusal, statusOf } from './admission.ts';
import { CLOSE_MS, MemberStream } from './member-stream.ts';

export interface StreamStatistics {
  /** Streams at the moment. */
  readonly open: number;
  /** Upgrades that were refused, and streams that were closed for what came over them. */
  readonly refused: number;
  readonly lastReason: string | null;
}

export interface StreamServerOptions {
  readonly admission: Admission;
  readonly service: Pick<MemberService, 'receive' | 'runCommands'>;
  readonly frameBytesMax: number;
  readonly onError: (error: Error) => void;
}

export class StreamServer {
  readonly #options: StreamServerOptions;
  /** By member and lane. */
  readonly #streams = new Map<string, MemberStream>();
  #isClosed = false;
  #refused = 0;
  #lastReason: string | null = null;

  constructor(server: Server, options: StreamServerOptions) {
    this.#options = options;
    server.on('upgrade', (request, socket, head) => {
      assert(socket instanceof Socket, 'the server listens on TCP');
      this.#upgrade(request, socket, head);
    });
  }

  get statistics(): StreamStatistics {
    return { open: this.#streams.size, refused: this.#refused, lastReason: this.#lastReason };
  }

  /** Ends all streams, and opens none any more. */
  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams.values()) stream.destroy();
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Whoever breaks off while it is answered has ended nothing else.
    socket.on('error', () => socket.destroy());
    try {
      this.#open(request, socket, head);
    } catch (error) {
      this.#count(error as Error);
      answerRefusal(socket, error as Error);
      socket.setTimeout(CLOSE_MS, () => socket.destroy());
    }
  }

  #open({ url, headers }: IncomingMessage, socket: Socket, head: Buffer): void {
    const { admission, service, frameBytesMax, onError } = this.#options;
    if (this.#isClosed) throw new HttpRefusal(503, 'the node is stopping');
    const sender = admission.admitMember(headers);
    if (url !== clusterPaths.stream) throw new HttpRefusal(404, 'there is nothing to upgrade');
    if (headers.upgrade !== STREAM_PROTOCOL) throw new HttpRefusal(426, upgradeReason);
    const lane = headers[clusterHeaders.lane];
    if (!streamLanes.some((known) => known === lane)) {
      throw new HttpRefusal(400, 'a stream says which lane it is');
    }
    const key = `${sender.member} ${String(lane)}`;
    this.#streams.get(key)?.destroy();
    const stream = new MemberStream({
      ...{ socket, sender, admission, service, frameBytesMax, onError },
      onEnd: (reason) => {
        if (this.#streams.get(key) === stream) this.#streams.delete(key);
        if (reason !== null) this.#count(reason);
      },
    });
    this.#streams.set(key, stream);
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${STREAM_PROTOCOL}\r\n\r\n`,
    );
    stream.begin(head);
  }

  #count(error: Error): void {
    this.#refused += 1;
    this.#lastReason = error.message;
    if (statusOf(error) >= 500 && !(error instanceof HttpRefusal)) this.#options.onError(error);
  }
}

/** To whoever asks for a stream without an upgrade to it. */
export const upgradeReason: string = `streams are upgraded to ${STREAM_PROTOCOL}`;

function answerRefusal(socket: Socket, error: Error): void {
  const status = statusOf(error);
  const body = JSON.stringify({ reason: error.message });
  socket.end(
    [
      `HTTP/1.1 ${String(status)} Refused`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${String(Buffer.byteLength(body))}`,
      ...(status === 426 ? [`upgrade: ${STREAM_PROTOCOL}`] : []),
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
