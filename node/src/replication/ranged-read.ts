/**
 * Large answers of one other member, read from the socket into memory that the caller has: no piece of them is kept, copied or
 * put together, and no memory is drawn that the collector would have to look after. GETs over HTTP/1.1 whose answers say their
 * length, and nothing else.
 *
 * Invariants
 * - A connection has one request at a time. One that has failed, or was broken off, is not used again.
 * - Nothing is written into a landing once its request has ended.
 */
import { connect, type Socket } from 'node:net';

import { clusterHeaders } from '../../../common/cluster-contract.ts';

/** Where an answer goes. */
export interface Landing {
  readonly buffer: Buffer;
  /** Set by the answer: whoever sends it has clients to serve. */
  isBusy: boolean;
}

export interface RangedAnswer {
  readonly status: number;
  /** A part of the landing. */
  readonly bytes: Buffer;
}

export interface RangedRequest {
  readonly path: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
}

const HEAD_BYTES_MAX = 16 * 1024;
/** Unused connections are kept for less time than any server keeps them. */
const IDLE_MS = 2000;

export class RangedReads {
  readonly #host: string;
  readonly #port: number;
  readonly #connectMs: number;
  readonly #idle: Connection[] = [];
  readonly #busy = new Set<Connection>();
  #isClosed = false;

  /** `address`: `host:port`. */
  constructor(address: string, connectMs: number) {
    const { hostname, port } = new URL(`http://${address}`);
    this.#host = hostname.replace(/^\[(.*)\]$/, '$1');
    this.#port = Number(port === '' ? 80 : port);
    this.#connectMs = connectMs;
  }

  /** Rejects with the socket's error, the signal's reason, or for an answer that is none or does not fit. */
  async get(request: RangedRequest, landing: Landing, signal: AbortSignal): Promise<RangedAnswer> {
    signal.throwIfAborted();
    const connection = this.#take();
    this.#busy.add(connection);
    const abort = (): void => {
      connection.fail(signal.reason as Error);
    };
    signal.addEventListener('abort', abort, { once: true });
    try {
      const answer = await connection.get(request, landing);
      if (connection.isOpen && !this.#isClosed) this.#keep(connection);
      return answer;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#busy.delete(connection);
      if (!this.#idle.includes(connection)) connection.fail(new Error('the connection is closed'));
    }
  }

  close(): void {
    this.#isClosed = true;
    const error = new Error('the connection is closed');
    for (const connection of [...this.#idle, ...this.#busy]) connection.fail(error);
    this.#idle.length = 0;
  }

  #take(): Connection {
    if (this.#isClosed) throw new Error('the connections are closed');
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.isOpen) return idle;
    }
    return new Connection(this.#host, this.#port, this.#connectMs);
  }

  #keep(connection: Connection): void {
    this.#idle.push(connection);
    connection.closeWhenIdle(IDLE_MS, () => {
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
    });
  }
}

interface Asked extends Pick<PromiseWithResolvers<RangedAnswer>, 'resolve' | 'reject'> {
  readonly landing: Landing;
}

class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #head = Buffer.alloc(HEAD_BYTES_MAX);
  #headLength = 0;
  #asked: Asked | null = null;
  #status = 0;
  /** Of the body; null while the head is read. */
  #length: number | null = null;
  #at = 0;
  #isOpen = true;
  #onIdle: (() => void) | null = null;

  constructor(host: string, port: number, connectMs: number) {
    this.#host = `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
    const onread = { buffer: () => this.#target(), callback: (n: number) => this.#read(n) };
    this.#socket = connect({ host, port, noDelay: true, onread });
    this.#socket.setTimeout(connectMs);
    this.#socket.on('timeout', () => {
      this.#timedOut();
    });
    this.#socket.on('connect', () => {
      this.#socket.setTimeout(0);
    });
    this.#socket.on('error', (error) => {
      this.fail(error);
    });
    this.#socket.on('close', () => {
      this.fail(new Error('the connection ended before the answer did'));
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get({ path, headers }: RangedRequest, landing: Landing): Promise<RangedAnswer> {
    this.#onIdle = null;
    this.#socket.setTimeout(this.#socket.connecting ? (this.#socket.timeout ?? 0) : 0);
    this.#socket.ref();
    const lines = [`GET ${path} HTTP/1.1`, `host: ${this.#host}`];
    for (let i = 0; i < headers.length; i += 2) {
      lines.push(`${headers[i] ?? ''}: ${headers[i + 1] ?? ''}`);
    }
    return new Promise((resolve, reject) => {
      this.#asked = { landing, resolve, reject };
      this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    });
  }

  closeWhenIdle(ms: number, closed: () => void): void {
    this.#onIdle = closed;
    this.#socket.setTimeout(ms);
    this.#socket.unref();
  }

  fail(error: Error): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket.destroy();
    this.#onIdle?.();
    this.#asked?.reject(error);
    this.#asked = null;
  }

  #timedOut(): void {
    this.fail(Object.assign(new Error('the connection timed out'), { code: 'ETIMEDOUT' }));
  }

  /** Where the socket puts what comes next. */
  #target(): Buffer {
    if (this.#asked === null || this.#length === null || this.#at === this.#length) {
      return this.#head.subarray(this.#headLength);
    }
    return this.#asked.landing.buffer.subarray(this.#at, this.#length);
  }

  #read(bytes: number): boolean {
    if (this.#asked === null) {
      this.fail(new Error('an answer to nothing'));
    } else if (this.#length === null) {
      this.#headLength += bytes;
      this.#readHead(this.#asked);
    } else {
      this.#at += bytes;
    }
    this.#endIfWhole();
    return true;
  }

  #readHead({ landing }: Asked): void {
    const end = this.#head.subarray(0, this.#headLength).indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#headLength === HEAD_BYTES_MAX) this.fail(new Error('an answer without an end'));
      return;
    }
    const head = this.#head.toString('latin1', 0, end);
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
    const length = Number(headerOf(head, 'content-length') ?? Infinity);
    const body = this.#head.subarray(end + 4, this.#headLength);
    if (status === undefined || body.length > length || length > landing.buffer.length) {
      this.fail(new Error('an answer that is none, or longer than what was asked for'));
      return;
    }
    this.#status = Number(status);
    landing.isBusy = headerOf(head, clusterHeaders.busy) === '1';
    body.copy(landing.buffer);
    this.#length = length;
    this.#at = body.length;
    this.#headLength = 0;
  }

  #endIfWhole(): void {
    const { landing, resolve } = this.#asked ?? {};
    if (landing === undefined || this.#at !== this.#length) return;
    this.#asked = null;
    this.#length = null;
    resolve?.({ status: this.#status, bytes: landing.buffer.subarray(0, this.#at) });
  }
}

function headerOf(head: string, name: string): string | undefined {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(head)?.[1];
}
