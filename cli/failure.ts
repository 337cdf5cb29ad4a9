/** What went wrong, what helps, and the exit code that says so. */
import {
  CheckpointError,
  ConnectionError,
  ProtocolError,
  SierraClientError,
  TimeoutError,
  UnknownOutcomeError,
  WrongVersionError,
} from '../client/index.ts';
import { exitCode } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

export interface Failure {
  readonly exitCode: number;
  /** The server's, the client's, or `USAGE`. */
  readonly code: string;
  readonly message: string;
  /** What to do, if something is known to help. */
  readonly hint: string | null;
  /** Of an append whose outcome is not known. */
  readonly eventIds?: readonly string[];
}

/** Null for what is a mistake of ours, which is to be thrown on. `address` is without a password. */
export function failureOf(error: unknown, address: string): Failure | null {
  if (error instanceof UsageError) {
    return { exitCode: exitCode.usage, code: 'USAGE', message: error.message, hint: null };
  }
  if (isSystemError(error)) {
    const { code = 'SYSTEM', message } = error;
    return { exitCode: exitCode.file, code, message: message.replace(`${code}: `, ''), hint: null };
  }
  if (!(error instanceof SierraClientError)) return null;
  const { code, message } = error;
  const failure = { exitCode: codeOf(error), code, message, hint: hintOf(error, address) };
  return error instanceof UnknownOutcomeError ? { ...failure, eventIds: error.eventIds } : failure;
}

/** Of a file, such as a checkpoint that cannot be written, or of standard input. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function codeOf(error: SierraClientError): number {
  if (error.outcome === 'unknown') return exitCode.unknown;
  const isConnection =
    error instanceof ConnectionError ||
    error instanceof TimeoutError ||
    error instanceof ProtocolError;
  if (isConnection) return exitCode.connection;
  return error instanceof CheckpointError ? exitCode.usage : exitCode.refused;
}

const hints: Readonly<Record<string, string>> = {
  DISKFULL: 'Nothing was done. The disk of the node needs room; reads go on.',
  BUFFERFULL: 'Nothing was done. The node has more to do than it may hold; try again.',
  TRYAGAIN: 'Nothing was done. Try again in a moment.',
  INSUFFICIENTREPLICAS:
    'Nothing was done. A majority of the nodes must be up; "sierradb cluster status" says which are.',
  CLUSTERDOWN: 'Nothing was done. The partition is not served; the log of the node says why.',
  READERR:
    'The log of the node says what is damaged; "sierradb verify DIR" says what would be lost.',
  PROTOCOL: 'Is it a SierraDB that listens there? 9090 is its usual port.',
  CHECKPOINT: 'Another file, or none, begins anew.',
};

function hintOf(error: SierraClientError, address: string): string | null {
  if (error instanceof UnknownOutcomeError) {
    const ids = error.eventIds.map((id) => `--event-id ${id}`).join(' ');
    return `It may have been done. The same append with ${ids} is done once and answers what became of it.`;
  }
  if (error instanceof WrongVersionError) {
    const { current } = error;
    return current === null
      ? null
      : `Nothing was done. Read what is new, decide again, then --expect ${current}.`;
  }
  if (error.code === 'CONNECTION_FAILED') {
    return `Does a node listen at ${address}? --address HOST:PORT or SIERRADB_ADDRESS says where it is.`;
  }
  return hints[error.code] ?? null;
}
