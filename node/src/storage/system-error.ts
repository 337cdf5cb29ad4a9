import { constants } from 'node:os';

const meanings: Readonly<Record<string, string>> = {
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  ELOCKED: 'locked by a live process',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
};

/** An error of the same shape as Node's system errors: `code`, `syscall`, `path`, and `errno` where the system has one. */
export function systemError(
  code: string,
  syscall: string,
  path: string,
  options?: ErrorOptions,
): NodeJS.ErrnoException {
  const message = `${code}: ${meanings[code] ?? 'system error'}, ${syscall} '${path}'`;
  const error: NodeJS.ErrnoException = new Error(message, options);
  const number = (constants.errno as Readonly<Record<string, number>>)[code];
  if (number !== undefined) error.errno = -number;
  error.code = code;
  error.syscall = syscall;
  error.path = path;
  return error;
}

/** Whether `error` is a system error with this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

/** Whether a write was refused for want of space, or of quota. */
export const isDiskFull = (error: unknown): boolean =>
  hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT');
