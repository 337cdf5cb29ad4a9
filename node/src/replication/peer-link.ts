/**
 * A long-lived stream to one member: opened by an HTTP upgrade when there is something to send, opened again after a pause when
 * it has ended.
 *
 * Invariants
 * - What is written arrives in its order, or not at all: when a stream ends, nobody knows what of it has arrived.
 * - The member says what it has taken. If it says nothing for `answerMs` while something is untaken, the stream is given up.
 * - After a failure the link pauses, at most {@link PAUSE_MS_MAX}, so a member that comes back is heard of soon; it forgets
 *   earlier failures when the member has taken something.
 * - No timer is set for a frame.
 */
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';

import {
  clusterHeaders,
  clusterPaths,
  STREAM_PROTOCOL,
  type StreamLane,
} from '../../../common/cluster-contract.ts';
import { connectionErrorText, reasonOf } from './peer-requests.ts';
import {
  frameKinds,
  readClosed,
  readExchange,
  readReceived,
  senderFrame,
  type StreamFrame,
  writePieces,
} from './stream-format.ts';
import { StreamReader } from './stream-reader.ts';

const PAUSE_MS_MIN = 25;
const PAUSE_MS_MAX = 250;
const REASON_BYTES_MAX = 1000;

export interface PeerLinkOptions {
  /** `host:port`. */
  readonly address: string;
  readonly lane: StreamLane;
  /** Who this member is: headers, names and values by turns. The same array as long as nothing has changed. */
  readonly identity: () => readonly string[];
  readonly connectMs: number;
  /** How long the member may stay silent while something is untaken. */
  readonly answerMs: number;
}

/** Why a stream has ended, or did not begin. */
export interface LinkFailure {
  readonly reason: string;
  /** Of HTTP, where the member has said why. */
  readonly status: number | null;
}

/** Whose link it is. */
export interface LinkUser {
  /** It may have become possible to write: the stream is open, or the member has taken something, or a pause is over. */
  ready(): void;
  answered(id: number, status: number, body: Buffer): void;
  /** The stream has ended; what was written may have arrived. */
  failed(failure: LinkFailure): void;
}

interface Untaken {
  readonly bytes: number;
  readonly at: number;
}

type LinkState = 'idle' | 'connecting' | 'open' | 'pausing' | 'closed';

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #user: LinkUser;
  #state: LinkState = 'idle';
  #request: ClientRequest | null = null;
  #socket: Socket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pauseMs = 0;
  /** What the member knows of this one. */
  #told: readonly string[] = [];
  /** Frames that the member has not said to have taken, the oldest first. */
  #untaken: Untaken[] = [];
  #untakenBytes = 0;
  #taken = 0;
  #isWatching = false;

  constructor(options: PeerLinkOptions, user: LinkUser) {
    this.#options = options;
    this.#user = user;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether it waits after a failure. */
  get isPausing(): boolean {
    return this.#state === 'pausing';
  }

  /** Frames that are on their way. */
  get untaken(): number {
    return this.#untaken.length;
  }

  get untakenBytes(): number {
    return this.#untakenBytes;
  }

  /** There is something to send. */
  wake(): void {
    if (this.#state === 'idle') this.#connect();
  }

  /** Writes so many frames, whole, with one call of the system. Only while it is open. */
  write(pieces: readonly Buffer[], frames: number): void {
    const socket = this.#socket;
    if (socket === null) return;
    const identity = this.#options.identity();
    const isNews = identity !== this.#told;
    this.#told = identity;
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    const at = performance.now();
    if (isNews) this.#untaken.push({ bytes: 0, at });
    for (let i = 0; i < frames; i += 1) this.#untaken.push({ bytes: i === 0 ? bytes : 0, at });
    this.#untakenBytes += bytes;
    this.#watch();
    writePieces(socket, isNews ? [senderFrame(withoutSecret(identity)), ...pieces] : pieces);
  }

  close(): void {
    this.#end('closed');
  }

  #connect(): void {
    const { address, lane, identity, connectMs, answerMs } = this.#options;
    const { hostname, port } = new URL(`http://${address}`);
    this.#state = 'connecting';
    this.#told = identity();
    const request = httpRequest({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      path: clusterPaths.stream,
      agent: false,
      headers: [
        ...['host', address, 'connection', 'upgrade', 'upgrade', STREAM_PROTOCOL],
        ...[...this.#told, clusterHeaders.lane, lane],
      ],
    });
    this.#request = request;
    this.#timer = setTimeout(() => this.#failed('it cannot be reached'), connectMs);
    request.on('socket', (socket: Socket) => {
      socket.once('connect', () => {
        if (this.#request !== request || this.#state !== 'connecting') return;
        this.#clearTimer();
        this.#timer = setTimeout(() => this.#failed('no answer in time'), answerMs);
      });
    });
    request.on('upgrade', (_response, socket, head) => {
      if (this.#request === request) this.#opened(socket, head);
      else socket.destroy();
    });
    request.on('response', (response) => {
      void this.#refused(request, response);
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#request === request) this.#failed(connectionErrorText(error));
    });
    request.end();
  }

  #opened(socket: Socket, head: Buffer): void {
    this.#clearTimer();
    this.#request = null;
    this.#socket = socket;
    this.#state = 'open';
    this.#taken = 0;
    const reader = new StreamReader();
    const read = (chunk: Buffer): void => {
      if (this.#socket === socket) this.#read(reader, chunk);
    };
    const ended = (reason: string): void => {
      if (this.#socket === socket) this.#failed(reason);
    };
    socket.setNoDelay(true);
    socket.on('data', read);
    socket.on('error', (error) => ended(connectionErrorText(error)));
    socket.on('close', () => ended('the stream was closed'));
    if (head.length > 0) read(head);
    this.#user.ready();
  }

  async #refused(request: ClientRequest, response: IncomingMessage): Promise<void> {
    const { statusCode = 0 } = response;
    let text = '';
    try {
      response.setEncoding('utf8');
      for await (const chunk of response) {
        text += chunk as string;
        if (text.length > REASON_BYTES_MAX) break;
      }
    } catch {
      // What was said of the reason has to do.
    }
    if (this.#request === request) this.#failed(refusalText(statusCode, text), statusCode);
  }

  #read(reader: StreamReader, chunk: Buffer): void {
    const taken = this.#taken;
    const socket = this.#socket;
    try {
      for (const frame of reader.read(chunk)) {
        this.#receive(frame);
        if (this.#socket !== socket) return;
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#failed(`what came was no answer: ${error.message}`);
      return;
    }
    if (this.#taken !== taken) this.#user.ready();
  }

  #receive({ kind, body }: StreamFrame): void {
    switch (kind) {
      case frameKinds.received:
        this.#take(readReceived(body));
        return;
      case frameKinds.answer: {
        const { id, number, rest } = readExchange(body);
        this.#user.answered(id, number, rest);
        return;
      }
      case frameKinds.closed: {
        const { status, reason } = readClosed(body);
        this.#failed(reason, status);
        return;
      }
      default:
        throw new RangeError(`a frame of kind ${String(kind)}`);
    }
  }

  #take(count: number): void {
    const taken = (count - this.#taken) >>> 0;
    if (taken > this.#untaken.length) throw new RangeError('more was taken than was sent');
    this.#taken = count;
    for (const { bytes } of this.#untaken.splice(0, taken)) this.#untakenBytes -= bytes;
    if (taken > 0) this.#pauseMs = 0;
  }

  /** One timer looks after whatever is on its way. */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const { answerMs } = this.#options;
    const look = (): void => {
      const oldest = this.#untaken[0];
      if (oldest === undefined) {
        this.#isWatching = false;
        this.#timer = null;
        return;
      }
      const leftMs = oldest.at + answerMs - performance.now();
      if (leftMs <= 0) this.#failed('no answer in time');
      else this.#timer = setTimeout(look, leftMs).unref();
    };
    this.#timer = setTimeout(look, answerMs).unref();
  }

  #failed(reason: string, status: number | null = null): void {
    if (this.#state === 'closed') return;
    this.#end('pausing');
    this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, 2 * this.#pauseMs));
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#state = 'idle';
      this.#user.ready();
    }, this.#pauseMs).unref();
    this.#user.failed({ reason, status });
  }

  #end(state: LinkState): void {
    this.#state = state;
    this.#clearTimer();
    this.#isWatching = false;
    this.#untaken = [];
    this.#untakenBytes = 0;
    const [request, socket] = [this.#request, this.#socket];
    this.#request = null;
    this.#socket = null;
    request?.destroy();
    socket?.destroy();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** The secret was said when the stream was opened. */
function withoutSecret(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'authorization') kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/** One that knows no streams is of another version, or is no member at all. */
function refusalText(status: number, text: string): string {
  if (status === 404 || status === 426) return `it does not speak ${STREAM_PROTOCOL}`;
  return reasonOf(text) ?? `answered with status ${String(status)}`;
}
