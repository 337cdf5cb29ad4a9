/** What a member that drains says, for people. */
import type { DrainStatus } from '../common/cluster-contract.ts';
import { printableText } from './printable.ts';

/** Buckets that are named; of more there is a count. */
const NAMED_MAX = 10;

export function drainText({ isSafeToStop, leading, blocked, endsInMs }: DrainStatus): string {
  const minutes = Math.max(1, Math.round(endsInMs / 60_000));
  const end = `It leads nothing for ${minutes} more ${minutes === 1 ? 'minute' : 'minutes'}; --cancel ends that.`;
  if (isSafeToStop) return `safe to stop\n${end}`;
  const named = blocked
    .slice(0, NAMED_MAX)
    .map(({ bucket, reason }) => `bucket ${bucket}: ${printableText(reason)}`);
  const more = blocked.length - named.length;
  return [
    'not safe to stop yet',
    ...(leading.length === 0 ? [] : [`it still leads ${bucketsText(leading)}`]),
    ...named,
    ...(more > 0 ? [`and ${more} more buckets`] : []),
    end,
  ].join('\n');
}

function bucketsText(buckets: readonly number[]): string {
  const more = buckets.length - NAMED_MAX;
  const named = buckets.slice(0, NAMED_MAX).join(', ');
  return `bucket ${named}${more > 0 ? ` and ${more} more` : ''}`;
}
