/** One other member: streams for messages and for commands, each lane its own, and connections for single requests. */
import { type Dispatcher, Pool } from 'undici';
import { Lane, type LaneStatistics } from './lane.ts';
import type { WireMessage } from './message-format.ts';
import {
  type ByteRange,
  type CommandRequest,
  connectionErrorText,
  PeerError,
  type PeerOutcome,
  reasonOf,
  statusOutcome,
} from './peer-requests.ts';
import { type Landing, type RangedAnswer, readInto } from './ranged-read.ts';
import { RequestLane } from './request-lane.ts';

export interface PeerLimits {
  /** Messages with entries that wait for one peer. */
  readonly queueBytesMax: number;
  /** Batches of messages that are on their way, of each lane; bytes of those with entries. */
  readonly batchesMax: number;
  readonly batchBytesMax: number;
  readonly connectMs: number;
  /** How long it may be silent about what it is sent: votes and heartbeats, entries, commands. */
  readonly controlAnswerMs: number;
  readonly dataAnswerMs: number;
  readonly commandAnswerMs: number;
  /** Connections for single requests. */
  readonly connections: number;
}

export const defaultPeerLimits: PeerLimits = {
  queueBytesMax: 16 * 1024 * 1024,
  batchesMax: 256,
  batchBytesMax: 4 * 1024 * 1024,
  connectMs: 1000,
  controlAnswerMs: 2000,
  dataAnswerMs: 10_000,
  commandAnswerMs: 5000,
  connections: 16,
};

const CONTROL_QUEUE_BYTES = 1024 * 1024;

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
  readonly #appends: RequestLane;
  readonly #reads: RequestLane;
  readonly #requests: Pool;
  readonly #identity: () => readonly string[];

  /** `identity`: headers that say who asks, names and values by turns; the same array while nothing has changed. */
  constructor(
    address: string,
    identity: () => readonly string[],
    limits: PeerLimits,
    onRefused: (reason: string) => void,
  ) {
    this.address = address;
    this.#identity = identity;
    const { connectMs, connections, queueBytesMax, batchesMax, batchBytesMax } = limits;
    const link = { address, identity, connectMs };
    this.#control = new Lane({
      ...{ ...link, onRefused, lane: 'control', answerMs: limits.controlAnswerMs },
      ...{ batchesMax, bytesMax: CONTROL_QUEUE_BYTES, queueBytesMax: CONTROL_QUEUE_BYTES },
    });
    this.#data = new Lane({
      ...{ ...link, onRefused, lane: 'data', answerMs: limits.dataAnswerMs },
      ...{ batchesMax, bytesMax: batchBytesMax, queueBytesMax },
    });
    const commands = { ...link, answerMs: limits.commandAnswerMs };
    this.#appends = new RequestLane({ ...commands, lane: 'appends' });
    this.#reads = new RequestLane({ ...commands, lane: 'reads' });
    // Answers may take as long as the caller's signal lets them.
    const timeouts = { headersTimeout: 0, bodyTimeout: 0, connect: { timeout: connectMs } };
    this.#requests = new Pool(`http://${address}`, { connections, ...timeouts });
  }

  get statistics(): { readonly control: LaneStatistics; readonly data: LaneStatistics } {
    return { control: this.#control.statistics, data: this.#data.statistics };
  }

  send(kind: WireMessage['kind'], message: Buffer): void {
    (isControl(kind) ? this.#control : this.#data).send(message);
  }

  run({ bucket, lane, body }: CommandRequest, signal: AbortSignal): Promise<Buffer> {
    return (lane === 'appends' ? this.#appends : this.#reads).request(bucket, body, signal);
  }

  async request(
    method: 'GET' | 'PUT',
    path: string,
    content: {
      readonly body?: Buffer;
      readonly range?: ByteRange | null;
      readonly landing?: Landing | undefined;
    },
    signal: AbortSignal,
  ): Promise<Buffer> {
    const headers = [...this.#identity()];
    const { body = null, range, landing } = content;
    if (range) headers.push('range', `bytes=${String(range.from)}-${String(range.to - 1)}`);
    if (body !== null) headers.push('content-type', 'application/json');
    try {
      const { status, bytes } =
        landing === undefined
          ? await this.#whole({ method, path, headers, body, signal })
          : await readInto(this.#requests, { path, headers }, landing, signal);
      if (status >= 200 && status < 300) return bytes;
      throw refused(status, bytes);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PeerError) throw error;
      throw new PeerError(connectionErrorText(error as Error), outcomeOf(error));
    }
  }

  async #whole(request: Dispatcher.RequestOptions): Promise<RangedAnswer> {
    const { statusCode: status, body } = await this.#requests.request(request);
    return { status, bytes: Buffer.from(await body.arrayBuffer()) };
  }

  close(): void {
    this.#control.close();
    this.#data.close();
    this.#appends.close();
    this.#reads.close();
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

function refused(status: number, body: Buffer): PeerError {
  const text = body.toString('utf8', 0, 1000);
  return new PeerError(
    text === '' ? `status ${String(status)}` : (reasonOf(text) ?? text),
    statusOutcome(status),
    status,
  );
}
