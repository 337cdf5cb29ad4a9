/** What members ask of each other besides the messages of their groups: who asks, and how an answer fails. */
import type { Landing } from './ranged-read.ts';

/** What a request says of its sender. */
export interface Sender {
  /** Member id. */
  readonly member: string;
  /** UUID, null while it forms. */
  readonly cluster: string | null;
  /** Starts of its disk so far. */
  readonly boot: number;
  /** Ids of the last of them, oldest first. */
  readonly starts?: readonly string[];
  readonly bucketCount: number;
  readonly partitionCount: number;
  /** It wants to lead nothing. */
  readonly isDraining?: boolean;
}

/** What became of a request that failed at the other member. */
export type PeerOutcome =
  /** It never got there, or was turned away before anything was done. */
  | 'not done'
  /** It may have been done: the connection broke, or no answer came in time. */
  | 'unknown';

/** A request to another member failed. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly outcome: PeerOutcome;
  /** Status of the answer; null where none came. */
  readonly status: number | null;

  constructor(message: string, outcome: PeerOutcome, status: number | null = null) {
    super(message);
    this.outcome = outcome;
    this.status = status;
  }
}

/** Only a 5xx leaves open whether something was done. */
export const statusOutcome = (status: number): PeerOutcome =>
  status < 500 || status === 503 ? 'not done' : 'unknown';

/** What a refusal in JSON says of its reason, or null where a member would not answer like this. */
export function reasonOf(text: string): string | null {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === 'string' ? reason : null;
  } catch {
    return null;
  }
}

/** Errors of connections may have nothing but a code. */
export const connectionErrorText = ({ message, code = '' }: NodeJS.ErrnoException): string =>
  message === '' ? code : message;

export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export interface CommandRequest {
  readonly bucket: number;
  /** Appends keep their order; a large answer to a read never stands before one to an append. */
  readonly lane: 'appends' | 'reads';
  readonly body: Buffer;
}

/**
 * How a member reaches another one; implemented by the peer network. All reject with {@link PeerError}: the member is away,
 * refuses, or takes too long. Where the signal ended it, with the signal's reason.
 */
export interface PeerRequests {
  /** Has a member run forwarded commands of a bucket (`cluster/forwarding.ts`); resolves with its answers. */
  run(member: string, request: CommandRequest, signal: AbortSignal): Promise<Buffer>;
  /** PUT of JSON. */
  put(member: string, path: string, body: Buffer, signal: AbortSignal): Promise<Buffer>;
  /** GET with an optional byte range; the answer may be put into `landing`. */
  get(
    member: string,
    path: string,
    range: ByteRange | null,
    signal: AbortSignal,
    landing?: Landing,
  ): Promise<Buffer>;
}
