const KIB = 1024;
const MIB = 1024 * KIB;

/** Bounds of what one connection may cost. Each names what happens beyond it. */
export interface RespLimits {
  /** Arguments of one command; beyond: protocol error, close. */
  readonly argumentsMax: number;
  /** Declared bytes of one blob; beyond: protocol error, close. */
  readonly blobBytesMax: number;
  /** Bytes of an inline command or of a line inside a command; beyond: protocol error, close. */
  readonly lineBytesMax: number;
  /** Bytes of one command as sent; beyond: read past without being kept, answered with an error. */
  readonly commandBytesMax: number;
  /** Unanswered appends of one connection; beyond: its input waits. */
  readonly appendsInFlightMax: number;
  /** Bytes of unanswered appends of one connection; beyond: its input waits. */
  readonly appendBytesInFlightMax: number;
  /** Replies that the client has not taken yet; beyond: its input waits. */
  readonly outputBytesMax: number;
  /** Bytes that the client has not taken yet; beyond: its subscriptions wait, its commands don't. */
  readonly pushBytesMax: number;
  /** `scan.page_bytes_max`: bytes of one page of a scan; beyond: the page ends with `has_more`. */
  readonly pageBytesMax: number;
  /** `network.max_connections`; beyond: refused with an error. */
  readonly connectionsMax: number;
}

/** The limits that go with an `append.max_bytes` (bytes). */
export function respLimits(appendMaxBytes: number, changes: Partial<RespLimits> = {}): RespLimits {
  return {
    argumentsMax: 1_048_576,
    blobBytesMax: 512 * MIB,
    lineBytesMax: 64 * KIB,
    commandBytesMax: appendMaxBytes + MIB,
    appendsInFlightMax: 1024,
    appendBytesInFlightMax: 16 * MIB,
    outputBytesMax: MIB,
    pushBytesMax: 256 * KIB,
    pageBytesMax: 8 * MIB,
    connectionsMax: 10_000,
    ...changes,
  };
}
