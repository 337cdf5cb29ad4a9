/** Words of messages. They are the same as long as nothing of note changes: no counts of entries or bytes. */
import { listed } from '../plan/step.ts';

const MESSAGE_BYTES_MAX = 1024;
const TEXT_BYTES_MAX = 1000;

/** At most 1 KiB. */
export function clipped(message: string): string {
  if (Buffer.byteLength(message) <= MESSAGE_BYTES_MAX) return message;
  const head = Buffer.from(message).subarray(0, TEXT_BYTES_MAX).toString('utf8');
  // The last character may have been cut.
  return `${head.replace(/\uFFFD$/, '')} …`;
}

/** How far a copy lags behind changes with every append: a status that told it would be written all the time. */
export const steady = (text: string): string =>
  text.replaceAll(/\blacks \d+ entries\b/g, 'is not up to date');

/** `bucket 3`, `buckets 1, 2 and 3`, `buckets 1, 2, 3, 4 and 28 more`. */
export const bucketsText = (buckets: readonly number[]): string =>
  `${buckets.length === 1 ? 'bucket' : 'buckets'} ${listed(buckets.map(String))}`;

export const verb = (count: number, one: string, many: string): string =>
  count === 1 ? one : many;

/** With a full stop, where it has none yet. */
export const ended = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);

/** With a capital. Not for names of pods: those are written as they are. */
export const sentence = (text: string): string =>
  text === '' ? text : `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
