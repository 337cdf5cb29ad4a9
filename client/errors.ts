/**
 * What rejects a call. `code` is stable: match on it, or on the class, never on the message. `outcome` says what became of
 * the request, `retryable` whether the same request may succeed later (the client has then tried until its time ran out).
 *
 * Codes of the server: `common/errors.ts`; the client's own are {@link ClientErrorCode}.
 */
import { type ErrorCode, errorOutcomes } from '../common/errors.ts';

export type Outcome = 'not done' | 'unknown';

export type ClientErrorCode =
  /** No connection could be made. */
  | 'CONNECTION_FAILED'
  /** The connection ended while an answer was owed. */
  | 'CONNECTION_LOST'
  /** The call's time ran out. */
  | 'TIMED_OUT'
  /** Too many calls wait: `callsMax`, `callBytesMax`. */
  | 'QUEUE_FULL'
  /** The client, or the subscription, was closed. */
  | 'CLOSED'
  /** The server sent what is no RESP3, or not the reply that the command has. */
  | 'PROTOCOL'
  /** A checkpoint cannot be read or does not fit. */
  | 'CHECKPOINT';

export interface ClientErrorOptions extends ErrorOptions {
  readonly outcome?: Outcome;
  readonly retryable?: boolean;
}

/** The base of all errors of the client. */
export class SierraClientError extends Error {
  override readonly name: string = 'SierraClientError';
  /** The server's code, or one of the client's. Newer servers may send others. */
  readonly code: ErrorCode | ClientErrorCode | (string & {});
  readonly outcome: Outcome;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: ClientErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.outcome = options.outcome ?? 'not done';
    this.retryable = options.retryable ?? false;
  }
}

/** An error that the server answered and that has no class of its own, such as `DBOPFAILED`, `READERR`, `ERR`. */
export class ServerError extends SierraClientError {
  override readonly name: string = 'ServerError';
}

/** `INVALIDARG`, from the server or before anything was sent: the request breaks a rule. */
export class InvalidArgumentError extends SierraClientError {
  override readonly name = 'InvalidArgumentError';

  constructor(message: string, options: ErrorOptions = {}) {
    super('INVALIDARG', message, options);
  }
}

/** `WRONGVER`: the stream is not at the expected version. Load it again, decide again. */
export class WrongVersionError extends SierraClientError {
  override readonly name = 'WrongVersionError';
  /** Where the stream is; null where the server's text does not say. */
  readonly current: number | 'empty' | null;
  readonly expected: number | 'any' | 'exists' | 'empty' | null;
  readonly streamId: string | null;

  constructor(message: string) {
    super('WRONGVER', message);
    const found = CONFLICT.exec(message);
    this.current = versionOf(found?.[1]) as number | 'empty' | null;
    this.expected = versionOf(found?.[2]) as number | 'any' | 'exists' | 'empty' | null;
    this.streamId = found?.[3] ?? null;
  }
}

/**
 * Nothing was done because the server cannot now: `TRYAGAIN`, `CLUSTERDOWN`, `INSUFFICIENTREPLICAS`, `BUFFERFULL`,
 * `DISKFULL`. Retryable, except a full disk, which waits for a person.
 */
export class UnavailableError extends SierraClientError {
  override readonly name = 'UnavailableError';
}

/**
 * It is not known whether the append was done: the connection was lost, the time ran out, or the server said so
 * (`QUORUMFAILED`). Append again with `eventIds`, in their order: it is done once, and the answer is that of the first attempt.
 */
export class UnknownOutcomeError extends SierraClientError {
  override readonly name = 'UnknownOutcomeError';
  /** The ids that the append's events had, the client's or your own. */
  readonly eventIds: readonly string[];

  constructor(code: string, message: string, eventIds: readonly string[], options?: ErrorOptions) {
    super(code, message, { ...options, outcome: 'unknown', retryable: true });
    this.eventIds = eventIds;
  }
}

/** No connection: `CONNECTION_FAILED`, `CONNECTION_LOST`, `QUEUE_FULL`, `CLOSED`. */
export class ConnectionError extends SierraClientError {
  override readonly name = 'ConnectionError';
}

/** The call's time ran out, and nothing was done, or it only reads; a bare command's `outcome` may be `unknown`. */
export class TimeoutError extends SierraClientError {
  override readonly name = 'TimeoutError';

  constructor(message: string, options?: ClientErrorOptions) {
    super('TIMED_OUT', message, { ...options, retryable: true });
  }
}

/** The server sent something that the protocol does not allow. */
export class ProtocolError extends SierraClientError {
  override readonly name = 'ProtocolError';

  constructor(message: string, options?: ErrorOptions) {
    super('PROTOCOL', message, options);
  }
}

/** A checkpoint that cannot be read, or that belongs to another kind of subscription. */
export class CheckpointError extends SierraClientError {
  override readonly name = 'CheckpointError';

  constructor(message: string, options?: ErrorOptions) {
    super('CHECKPOINT', message, options);
  }
}

const CONFLICT =
  /^current stream version is (\d+|empty) but expected (\d+|any|exists|empty)(?: for partition key \S+ and stream id ([^]*))?$/;

function versionOf(text: string | undefined): number | string | null {
  if (text === undefined) return null;
  return /^\d/.test(text) ? Number(text) : text;
}

const unavailable: ReadonlySet<string> = new Set([
  'TRYAGAIN',
  'CLUSTERDOWN',
  'INSUFFICIENTREPLICAS',
  'BUFFERFULL',
  'DISKFULL',
]);

/** What a server's error line means; `line` is without its `-`, such as `WRONGVER current stream version …`. */
export function serverError(line: string): SierraClientError {
  const [, code = 'ERR', message = line] = /^([A-Z][A-Z0-9_]*)(?: ([^]*))?$/.exec(line) ?? [];
  if (code === 'INVALIDARG') return new InvalidArgumentError(message);
  if (code === 'WRONGVER') return new WrongVersionError(message);
  if (unavailable.has(code)) {
    return new UnavailableError(code, message, { retryable: code !== 'DISKFULL' });
  }
  const known: Readonly<Record<string, Outcome>> = errorOutcomes;
  // A code that is not known says nothing about what was done.
  const outcome = known[code] ?? 'unknown';
  return new ServerError(code, message, { outcome, retryable: code === 'QUORUMFAILED' });
}
