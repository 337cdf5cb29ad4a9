/** Rules about a request alone, in the order of the wire protocol's section 8: sizes and names, strictness, timestamps. */
import { invalidArgument, SierraError } from '../../../common/errors.ts';
import { EVENT_NAME_BYTES_MAX, STREAM_ID_BYTES_MAX } from '../storage/frame-format.ts';
import type { AppendRequest } from './types.ts';

/** The largest timestamp: 2^63 - 1 nanoseconds, in milliseconds. */
export const TIMESTAMP_MAX = 9_223_372_036_854;

/** Null, or why these bytes are no stream id. UTF-8 is the caller's to check: it is a matter of parsing. */
export function streamIdFault(streamId: Uint8Array): SierraError | null {
  if (streamId.length < 1 || streamId.length > STREAM_ID_BYTES_MAX) {
    const text = Buffer.from(streamId).toString('utf8').slice(0, 256);
    return invalidArgument(
      `stream id must be between 1 and 64 characters in length, but got ${String(streamId.length)} for '${text}'`,
    );
  }
  return streamId.includes(0) ? invalidArgument('stream id cannot contain null bytes') : null;
}

/** The refusal of a transaction above the configured size; also for commands too large to be read at all. */
export function eventsExceedAppendMax(maxBytes: number): SierraError {
  return invalidArgument(`events exceed append.max_bytes (${String(maxBytes)})`);
}

/** Null, or the first rule that the request breaks by itself, whatever the store holds. */
export function requestFault(request: AppendRequest, strict: boolean): SierraError | null {
  for (const event of request.events) {
    const fault = streamIdFault(event.streamId);
    if (fault !== null) return fault;
    if (event.eventName.length > EVENT_NAME_BYTES_MAX) {
      return invalidArgument(
        `event name must be at most 255 bytes in length, but got ${String(event.eventName.length)}`,
      );
    }
  }
  if (strict) {
    for (const { expectedVersion } of request.events) {
      if (expectedVersion === 'any' || expectedVersion === 'exists') {
        return invalidArgument(
          `strict versioning mode rejects EXPECTED_VERSION ${expectedVersion}`,
        );
      }
    }
  }
  for (const { timestamp } of request.events) {
    if (timestamp !== null && timestamp > TIMESTAMP_MAX) {
      return invalidArgument('invalid timestamp format: expected milliseconds, got nanoseconds');
    }
  }
  return null;
}
