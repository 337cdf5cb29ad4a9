/** The check of an expected version, and the words of its refusal. Pure. */
import { SierraError } from '../../../common/errors.ts';
import { uuidText } from '../../../common/ids.ts';
import type { ExpectedVersion } from './types.ts';

/** Whether a stream at `version` (-1: empty) meets the expectation. */
export function versionMatches(expected: ExpectedVersion, version: number): boolean {
  switch (expected) {
    case 'any':
      return true;
    case 'exists':
      return version >= 0;
    case 'empty':
      return version < 0;
    default:
      return version >= 0 && version === expected;
  }
}

export function wrongVersion(
  expected: ExpectedVersion,
  version: number,
  partitionKey: Uint8Array,
  streamId: Uint8Array,
): SierraError {
  const current = version < 0 ? 'empty' : String(version);
  return new SierraError(
    'WRONGVER',
    `current stream version is ${current} but expected ${String(expected)} for partition key ` +
      `${uuidText(partitionKey)} and stream id ${Buffer.from(streamId).toString('utf8')}`,
  );
}

export function partitionKeyDiffers(existing: Uint8Array, asked: Uint8Array): SierraError {
  return new SierraError(
    'DBOPFAILED',
    'database operation failed: partition key must be the same for all events in a stream: ' +
      `expected ${uuidText(existing)}, got ${uuidText(asked)}`,
  );
}
