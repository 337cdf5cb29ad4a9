/**
 * HTTP to the API server: two pools of connections, JSON, errors. Reads are tried again where the server was busy or away; writes
 * never are, because one that was not answered may have been carried out, and only who wrote it knows what to do about that.
 */
import { Agent, request, type Dispatcher } from 'undici';
import { systemRandom, type Random } from '../../../common/random.ts';
import type { KubeConnection } from './connection.ts';
import { type Backoff, backoffMs, pause, systemTimers, type Timers } from './timers.ts';
import { KubeError } from './types.ts';

const CONNECTIONS_MAX = 16;
const CALL_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** A peer that is gone without a word is noticed by the kernel, below the timers of the reflector. */
const KEEP_ALIVE_DELAY_MS = 15_000;
const ATTEMPTS_MAX = 4;
const BACKOFF: Backoff = { minMs: 400, maxMs: Infinity };
const RETRY_AFTER_MAX_MS = 10_000;

export interface TransportOptions {
  /** For one attempt, and the time within which another one is begun; default 30 s. */
  readonly timeoutMs?: number;
  readonly timers?: Timers;
  readonly random?: Random;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `Status` of the API. */
interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number };
}

export class Transport {
  readonly #connection: KubeConnection;
  readonly #timeoutMs: number;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #calls: Agent;
  readonly #watches: Agent;

  constructor(connection: KubeConnection, options: TransportOptions = {}) {
    this.#connection = connection;
    this.#timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    this.#timers = options.timers ?? systemTimers;
    this.#random = options.random ?? systemRandom;
    const { ca, cert, key, serverName, isUnverified } = connection;
    const connect = {
      ...(ca === null ? {} : { ca }),
      ...(cert === null || key === null ? {} : { cert, key }),
      ...(serverName === null ? {} : { servername: serverName }),
      ...(isUnverified ? { rejectUnauthorized: false } : {}),
      timeout: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    };
    const headersTimeout = this.#timeoutMs;
    this.#calls = new Agent({
      ...{ connect, headersTimeout, bodyTimeout: this.#timeoutMs, connections: CONNECTIONS_MAX },
    });
    // A quiet watch is a healthy one.
    this.#watches = new Agent({ connect, headersTimeout, bodyTimeout: 0 });
  }

  /** The answer's JSON. Rejects with KubeError. */
  async call(call: Call): Promise<unknown> {
    const began = this.#timers.now();
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(call);
      } catch (error) {
        const isLast =
          call.method !== 'GET' ||
          attempt === ATTEMPTS_MAX ||
          call.signal?.aborted === true ||
          this.#timers.now() - began >= this.#timeoutMs;
        if (isLast || !(error instanceof KubeError) || !mayPass(error)) throw error;
        await pause(this.#timers, this.#delayMs(attempt, error), call.signal);
      }
    }
  }

  /** The answer's lines, each of them JSON, as they come. Rejects with KubeError; ends where the server ends it. */
  async *lines(path: string, query: Query, signal: AbortSignal): AsyncGenerator {
    const call: Call = { method: 'GET', path, query, signal };
    const response = await this.#send(call, this.#watches, signal);
    if (response.statusCode >= 300) throw await failure(call, response);
    try {
      yield* jsonLines(response.body);
    } catch (error) {
      throw asKubeError(call, error);
    }
  }

  /** Ends all connections; what waits for an answer is rejected. */
  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#watches.destroy()]);
  }

  async #attempt(call: Call): Promise<unknown> {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const signal = call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]);
    const response = await this.#send(call, this.#calls, signal);
    if (response.statusCode >= 300) throw await failure(call, response);
    try {
      return await response.body.json();
    } catch (error) {
      throw asKubeError(call, error);
    }
  }

  async #send(
    call: Call,
    dispatcher: Dispatcher,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    try {
      const token = await this.#connection.token();
      return await request(`${this.#connection.server}${call.path}${queryText(call.query)}`, {
        dispatcher,
        signal,
        method: call.method,
        headers: {
          accept: 'application/json',
          'user-agent': 'sierradb-operator',
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(call.body === undefined
            ? {}
            : { 'content-type': call.contentType ?? 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
    } catch (error) {
      throw asKubeError(call, error);
    }
  }

  #delayMs(attempt: number, error: KubeError): number {
    if (error.retryAfterMs !== null) return Math.min(error.retryAfterMs, RETRY_AFTER_MAX_MS);
    return backoffMs(attempt, BACKOFF, this.#random);
  }
}

/** A `Status` object as an error: of a refused request, or of an `ERROR` event of a watch. */
export function statusError(what: string, status: unknown, code: number): KubeError {
  const { message, reason, details, code: named } = (status ?? {}) as Status;
  const seconds = details?.retryAfterSeconds;
  return new KubeError(`${what}: ${message ?? `status ${code}`}`, {
    code: named ?? code,
    reason: reason ?? '',
    retryAfterMs: seconds === undefined ? null : seconds * 1000,
  });
}

function mayPass({ code }: KubeError): boolean {
  return code === 0 || code === 429 || code >= 500;
}

function queryText(query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

async function failure(call: Call, response: Dispatcher.ResponseData): Promise<KubeError> {
  const text = await response.body.text().catch(() => '');
  const error = statusError(`${call.method} ${call.path}`, parsed(text), response.statusCode);
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
  if (Number.isNaN(seconds)) return error;
  return new KubeError(error.message, {
    ...{ code: error.code, reason: error.reason, retryAfterMs: seconds * 1000 },
  });
}

/** Proxies in between answer with texts of their own. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text === '' ? {} : { message: text.slice(0, 200) };
  }
}

function asKubeError(call: Call, error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const wrapped = new KubeError(`${call.method} ${call.path}: no answer: ${text}`, { code: 0 });
  wrapped.cause = error;
  return wrapped;
}

async function* jsonLines(body: AsyncIterable<Buffer>): AsyncGenerator {
  let pending: Buffer[] = [];
  for await (const chunk of body) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...pending, chunk.subarray(from, end)]).toString();
      pending = [];
      from = end + 1;
      if (line.trim() !== '') yield JSON.parse(line);
    }
    if (from < chunk.length) pending.push(chunk.subarray(from));
  }
}
