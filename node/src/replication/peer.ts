/** One other member: a lane for what elects and confirms, a lane for entries, and connections for single requests. */
import { Pool } from 'undici';
import { Lane, type LaneStatistics } from './lane.ts';
import type { WireMessage } from './message-format.ts';
import { type ByteRange, PeerError, type PeerOutcome } from './peer-requests.ts';

export interface PeerLimits {
  /** Messages with entries that wait for one peer. */
  readonly queueBytesMax: number;
  readonly connectMs: number;
  /** How long a batch may stay unanswered, on the lane of votes and heartbeats and on that of entries. */
  readonly controlAnswerMs: number;
  readonly dataAnswerMs: number;
  /** Connections for single requests. */
  readonly connections: number;
}

export const defaultPeerLimits: PeerLimits = {
  queueBytesMax: 16 * 1024 * 1024,
  connectMs: 1000,
  controlAnswerMs: 2000,
  dataAnswerMs: 10_000,
  connections: 16,
};

const CONTROL_QUEUE_BYTES = 1024 * 1024;
const RAFT_PATH = '/v1/raft';

/** Errors of the system and of the client that, of a connection being made, come before the request has left. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export class Peer {
  readonly address: string;
  readonly #control: Lane;
  readonly #data: Lane;
  readonly #requests: Pool;
  readonly #headers: () => string[];

  constructor(address: string, headers: () => string[], limits: PeerLimits) {
    this.address = address;
    this.#headers = headers;
    const origin = `http://${address}`;
    const { connectMs, connections, queueBytesMax, controlAnswerMs, dataAnswerMs } = limits;
    const lane = { origin, path: RAFT_PATH, headers: octets(headers), connectMs };
    this.#control = new Lane({
      ...lane,
      inFlightMax: 1,
      queueBytesMax: CONTROL_QUEUE_BYTES,
      answerMs: controlAnswerMs,
    });
    this.#data = new Lane({ ...lane, inFlightMax: 2, queueBytesMax, answerMs: dataAnswerMs });
    // Answers may take as long as the caller's signal lets them.
    const timeouts = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: connectMs } };
    this.#requests = new Pool(origin, { connections, ...timeouts });
  }

  get statistics(): { readonly control: LaneStatistics; readonly data: LaneStatistics } {
    return { control: this.#control.statistics, data: this.#data.statistics };
  }

  send(kind: WireMessage['kind'], message: Buffer): void {
    (isControl(kind) ? this.#control : this.#data).send(message);
  }

  async request(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    content: { readonly body?: Buffer; readonly range?: ByteRange | null },
    signal: AbortSignal,
  ): Promise<Buffer> {
    const headers = this.#headers();
    const { body = null, range } = content;
    if (range) headers.push('range', `bytes=${String(range.from)}-${String(range.to - 1)}`);
    if (body !== null) {
      const type = method === 'PUT' ? 'application/json' : 'application/octet-stream';
      headers.push('content-type', type);
    }
    let answer;
    try {
      answer = await this.#requests.request({ method, path, headers, body, signal });
      const bytes = Buffer.from(await answer.body.arrayBuffer());
      if (answer.statusCode >= 200 && answer.statusCode < 300) return bytes;
      throw refused(answer.statusCode, bytes);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PeerError) throw error;
      const { code = '', message } = error as NodeJS.ErrnoException;
      throw new PeerError(message === '' ? code : message, outcomeOf(error));
    }
  }

  close(): void {
    this.#control.close();
    this.#data.close();
    this.#requests.destroy().catch(() => undefined);
  }
}

/** What became of a request that this error has ended. A host may become unreachable while it has the request. */
export function outcomeOf(error: unknown): PeerOutcome {
  const { code = '', syscall } = error as NodeJS.ErrnoException;
  const isOfConnection = syscall === 'read' || syscall === 'write';
  return BEFORE_SENDING.has(code) && !isOfConnection ? 'not done' : 'unknown';
}

/** Nothing but entries and what answers them may wait behind entries. */
export function isControl(kind: WireMessage['kind']): boolean {
  switch (kind) {
    case 'append':
    case 'appendReply':
    case 'appendReject':
    case 'pull':
    case 'pulled':
      return false;
    default:
      return true;
  }
}

function octets(headers: () => string[]): () => string[] {
  return () => [...headers(), 'content-type', 'application/octet-stream'];
}

/** Only a 5xx leaves open whether something was done. */
function refused(status: number, body: Buffer): PeerError {
  const text = body.toString('utf8', 0, 1000);
  return new PeerError(
    text === '' ? `status ${String(status)}` : reasonOf(text),
    status < 500 || status === 503 ? 'not done' : 'unknown',
    status,
  );
}

function reasonOf(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === 'string' ? reason : text;
  } catch {
    return text;
  }
}
