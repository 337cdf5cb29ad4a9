import { uuid } from './line.ts';
import { UsageError } from './usage-error.ts';

/** A partition as a person names it: its number, or a partition key in it. */
export function partitionOf(text: string): number | string {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  const key = uuid(text);
  if (key !== null) return key;
  throw new UsageError(`--partition needs a number or a UUID, but got ${text}`);
}
