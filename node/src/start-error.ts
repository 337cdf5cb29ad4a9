import { formatAddress, type Address } from './config.ts';
import { OpenError } from './storage/errors.ts';

/** Why the node could not start, as one sentence for the person who started it. */
export class StartError extends Error {
  override readonly name = 'StartError';

  /** `setting` is the key under which the address is configured. */
  static ofAddress(error: unknown, address: Address, setting: string): StartError {
    const reason = {
      EADDRINUSE: 'is in use by another process',
      EADDRNOTAVAIL: 'is not an address of this machine',
      EACCES: 'needs more rights than this process has',
      ENOTFOUND: 'names no known host',
    }[codeOf(error)];
    const sentence = reason ?? `cannot be listened on: ${messageOf(error)}`;
    return new StartError(`${setting} ${formatAddress(address)} ${sentence}`, { cause: error });
  }

  static ofDirectory(error: unknown, directory: string): StartError {
    // The storage's own refusals are whole sentences.
    if (error instanceof OpenError) return new StartError(error.message, { cause: error });
    const reason = {
      EACCES: 'may not be read and written by this user',
      EPERM: 'may not be read and written by this user',
      EROFS: 'is on a read-only file system',
      ENOTDIR: 'is not a folder',
      ENOSPC: 'is on a full disk',
    }[codeOf(error)];
    const sentence = reason === undefined ? `: ${messageOf(error)}` : ` ${reason}`;
    return new StartError(`data directory ${directory}${sentence}`, { cause: error });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? '') : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
