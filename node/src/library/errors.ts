import { type ErrorCode, SierraError } from '../../../common/errors.ts';

/** Whether this is an error of the database, with this code if one is given. */
export function isSierraError(error: unknown, code?: ErrorCode): error is SierraError {
  return error instanceof SierraError && (code === undefined || error.code === code);
}

/** Whether an append was refused because its stream is not at the expected version. Read the stream, decide again. */
export const isWrongVersion = (error: unknown): error is SierraError =>
  isSierraError(error, 'WRONGVER');

/**
 * Whether it is unknown if an append was done. Repeat it with the same event ids: it is done once, and the answer is
 * that of the first attempt. After every other error nothing was done.
 */
export const isOutcomeUnknown = (error: unknown): error is SierraError =>
  error instanceof SierraError && !error.notDone;
