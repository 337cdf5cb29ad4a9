/**
 * Calls on the connection for commands: sent as they come, retried while their time lasts.
 *
 * Invariants. A call is settled exactly once. It is in one place: in `#queue` (waits for a connection), with the connection
 * (waits for its answer), or with a timer (waits to be tried again). Calls that a lost connection gives back queue in their old
 * order. A call whose bytes may have reached a server is sent again only where that is harmless: it reads, or it is an append
 * with ids.
 */
import type { Connection } from './connection.ts';
import { Dialer } from './dialer.ts';
import {
  ConnectionError,
  SierraClientError,
  TimeoutError,
  UnavailableError,
  UnknownOutcomeError,
} from './errors.ts';
import { Fifo } from './fifo.ts';
import type { CompiledOptions } from './options.ts';
import type { CallOptions } from './types.ts';

/**
 * How a call may be retried: `read` at will; `append` at will, because its events have ids; `once`: only where it was not sent.
 */
export type CallKind = 'read' | 'append' | 'once';

export interface CallRequest {
  readonly kind: CallKind;
  readonly bytes: Buffer;
  /** Of an append. */
  readonly eventIds?: readonly string[];
}

interface Call extends CallRequest {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
  timer: NodeJS.Timeout | undefined;
  isSettled: boolean;
  /** Its bytes are with a connection that has not answered. */
  isOut: boolean;
  /** An attempt may have been done, and none since has said otherwise. */
  mayBeDone: boolean;
  /** Failed attempts. */
  attempts: number;
  lastError: Error | null;
}

/** Delays of a call that the server asked to retry: from the first to the last, doubled each time, half of it random. */
const RETRY_MS = 20;
const RETRY_MS_MAX = 1000;

export class Calls {
  readonly #options: CompiledOptions;
  readonly #dialer: Dialer;
  readonly #queue = new Fifo<Call>();
  readonly #open = new Set<Call>();
  readonly #closing = new AbortController();
  #bytes = 0;
  #connection: Connection | null = null;
  #dialing: Promise<void> | null = null;
  #onIdle: (() => void) | null = null;
  #isClosed = false;

  constructor(options: CompiledOptions) {
    this.#options = options;
    this.#dialer = new Dialer(options, 'commands');
  }

  /** The connection, if there is one now. */
  get connection(): Connection | null {
    return this.#connection;
  }

  /** Connects, trying each endpoint once. */
  async connect(): Promise<void> {
    if (this.#connection !== null) return;
    const dialing = this.#dialer.dialOnce(this.#handlers(), this.#closing.signal);
    this.#dialing = dialing.then(
      (connection) => this.#connected(connection),
      () => {
        this.#dialing = null;
        if (this.#queue.length > 0) this.#dial();
      },
    );
    await dialing;
    await this.#dialing;
  }

  /** Sends a command, in the order of the calls, and resolves with its reply. */
  submit(request: CallRequest, options: CallOptions = {}): Promise<unknown> {
    const { signal, timeoutMs = this.#options.timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal(request, signal);
      if (refusal !== null) {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a signal's reason is the caller's
        reject(refusal.error);
        return;
      }
      const call: Call = {
        ...request,
        resolve,
        reject,
        signal,
        onAbort: () => this.#reject(call, signal?.reason),
        timer: undefined,
        isSettled: false,
        isOut: false,
        mayBeDone: false,
        attempts: 0,
        lastError: null,
      };
      call.timer = setTimeout(() => this.#expire(call, timeoutMs), timeoutMs);
      signal?.addEventListener('abort', call.onAbort);
      this.#open.add(call);
      this.#bytes += call.bytes.length;
      this.#start(call);
    });
  }

  /** Waits for the calls under way, then ends the connection. Later calls reject. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      if (this.#open.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
      this.#closing.abort(closed());
      this.#connection?.end(closed());
    }
    await this.#dialing;
  }

  #refusal(request: CallRequest, signal?: AbortSignal): { readonly error: unknown } | null {
    const { callsMax, callBytesMax } = this.#options;
    if (signal?.aborted === true) return { error: signal.reason };
    if (this.#isClosed) return { error: closed() };
    if (this.#open.size < callsMax && this.#bytes + request.bytes.length <= callBytesMax)
      return null;
    // One call is always taken, however large.
    if (this.#open.size === 0) return null;
    const held = `${this.#open.size} calls with ${this.#bytes} bytes wait`;
    return { error: new ConnectionError('QUEUE_FULL', held, { retryable: true }) };
  }

  #start(call: Call): void {
    if (call.isSettled) return;
    const connection = this.#connection;
    if (connection !== null) {
      this.#send(connection, call);
      return;
    }
    this.#queue.push(call);
    this.#dial();
  }

  #send(connection: Connection, call: Call): void {
    call.isOut = true;
    connection.send(call.bytes, (error, reply) => {
      call.isOut = false;
      if (error !== null) {
        this.#failed(call, error);
        return;
      }
      this.#dialer.succeeded();
      this.#settle(call);
      call.resolve(reply);
    });
  }

  /** One attempt failed: try again, or be done with it. */
  #failed(call: Call, error: Error): void {
    if (call.isSettled) return;
    call.attempts += 1;
    call.lastError = error;
    const { code, outcome, retryable } = failureOf(error);
    if (outcome === 'unknown') call.mayBeDone = true;
    if (!retryable || (call.kind === 'once' && outcome === 'unknown')) {
      this.#reject(call, this.#finalError(call, error));
      return;
    }
    if (code === 'CONNECTION_LOST') {
      this.#queue.push(call);
      this.#dial();
      return;
    }
    const most = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (call.attempts - 1));
    setTimeout(() => this.#start(call), most * (0.5 + Math.random() / 2));
  }

  #expire(call: Call, timeoutMs: number): void {
    const cause = call.lastError ?? this.#dialer.lastError;
    const why = cause === null ? '' : `, last: ${cause.message}`;
    if (call.kind === 'append' && (call.isOut || call.mayBeDone)) {
      const text = `no answer to an append within ${timeoutMs} ms${why}`;
      this.#reject(
        call,
        new UnknownOutcomeError('TIMED_OUT', text, call.eventIds ?? [], { cause }),
      );
    } else if (
      call.lastError instanceof UnavailableError &&
      (call.kind === 'read' || !call.isOut)
    ) {
      // The server said why it could not; that tells more than that the time ran out.
      this.#reject(call, call.lastError);
    } else if (!call.isOut && this.#connection === null) {
      const text = `no connection within ${timeoutMs} ms${why}`;
      this.#reject(
        call,
        new ConnectionError('CONNECTION_FAILED', text, { cause, retryable: true }),
      );
    } else {
      const outcome = call.kind === 'once' ? 'unknown' : 'not done';
      const text = `no answer within ${timeoutMs} ms${why}`;
      this.#reject(call, new TimeoutError(text, { cause, outcome }));
    }
  }

  #finalError(call: Call, error: Error): Error {
    const { code, outcome } = failureOf(error);
    if (call.kind !== 'append' || outcome !== 'unknown') return error;
    return new UnknownOutcomeError(code, error.message, call.eventIds ?? [], { cause: error });
  }

  #reject(call: Call, error: unknown): void {
    if (call.isSettled) return;
    this.#settle(call);
    call.reject(error);
  }

  #settle(call: Call): void {
    if (call.isSettled) return;
    call.isSettled = true;
    clearTimeout(call.timer);
    call.signal?.removeEventListener('abort', call.onAbort);
    this.#open.delete(call);
    this.#bytes -= call.bytes.length;
    if (this.#open.size === 0) this.#onIdle?.();
  }

  #dial(): void {
    this.#dialing ??= this.#dialer.dial(this.#handlers(), this.#closing.signal).then(
      (connection) => this.#connected(connection),
      (error: unknown) => {
        this.#dialing = null;
        for (const call of this.#queue.take()) {
          this.#reject(call, this.#notConnected(call, error as Error));
        }
      },
    );
  }

  #notConnected(call: Call, error: Error): Error {
    if (call.kind !== 'append' || !call.mayBeDone) return error;
    const { code } = failureOf(error);
    return new UnknownOutcomeError(code, error.message, call.eventIds ?? [], { cause: error });
  }

  #handlers(): { onEnd(error: Error): void } {
    return {
      onEnd: (error) => {
        const connection = this.#connection;
        this.#connection = null;
        if (connection !== null && !this.#closing.signal.aborted) {
          this.#dialer.lost(connection, error);
        }
      },
    };
  }

  #connected(connection: Connection): void {
    this.#dialing = null;
    if (!connection.isOpen) {
      this.#dialer.failed(new Error('the connection was lost at once'));
      if (this.#queue.length > 0) this.#dial();
      return;
    }
    this.#connection = connection;
    for (const call of this.#queue.take()) this.#start(call);
  }
}

/** What is no error of the client's is a mistake in it, and says nothing of what was done. */
const failureOf = (error: Error): Pick<SierraClientError, 'code' | 'outcome' | 'retryable'> =>
  error instanceof SierraClientError
    ? error
    : { code: 'ERR', outcome: 'unknown', retryable: false };

const closed = (): ConnectionError => new ConnectionError('CLOSED', 'the client was closed');
