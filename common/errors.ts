/**
 * The errors a client can see. `code` is the first word of the RESP error and is stable; callers match on it, never
 * on the message. Codes and their meaning: the wire protocol, sections 5.3 and 8.
 */
export type ErrorCode =
  | 'INVALIDARG'
  | 'WRONGVER'
  | 'DBOPFAILED'
  | 'NOTFOUND'
  | 'NOPROTO'
  | 'ERR'
  | 'DISKFULL'
  | 'TRYAGAIN'
  | 'CLUSTERDOWN'
  | 'INSUFFICIENTREPLICAS'
  | 'BUFFERFULL'
  | 'READERR'
  | 'QUORUMFAILED';

/** What each code means, and whether the request that it answers may have been done. */
export const errorOutcomes: Readonly<Record<ErrorCode, 'not done' | 'unknown'>> = {
  /** The request is malformed or breaks a rule. Nothing was done. */
  INVALIDARG: 'not done',
  /** An expected version did not match. Nothing was done. */
  WRONGVER: 'not done',
  /** The append cannot be stored as asked (partition key differs, too large for a segment). Nothing was done. */
  DBOPFAILED: 'not done',
  /** No subscription with that id on this connection. */
  NOTFOUND: 'not done',
  /** Protocol version not supported. */
  NOPROTO: 'not done',
  /** A Redis-style command or protocol error. */
  ERR: 'not done',
  /** No space left for appends; reads go on. Nothing was done. */
  DISKFULL: 'not done',
  /** No leader within the deadline. Nothing was proposed. */
  TRYAGAIN: 'not done',
  /** The partition is unavailable, quarantined, or does not exist. Nothing was done. */
  CLUSTERDOWN: 'not done',
  /** The leader knows that it has no majority. Nothing was done. */
  INSUFFICIENTREPLICAS: 'not done',
  /** A limit on queued work was reached. Nothing was done. */
  BUFFERFULL: 'not done',
  /** A read failed: the data asked for is damaged or the disk did not answer. */
  READERR: 'not done',
  /** The outcome of an append is not known; a retry with the same EVENT_ID settles it. */
  QUORUMFAILED: 'unknown',
};

/** An error for a client: a stable code, a sentence, and where there is one, the cause. */
export class SierraError extends Error {
  override readonly name: string = 'SierraError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the request certainly had no effect. Only `QUORUMFAILED` leaves it open. */
  get notDone(): boolean {
    return errorOutcomes[this.code] === 'not done';
  }
}

export function invalidArgument(message: string): SierraError {
  return new SierraError('INVALIDARG', message);
}
