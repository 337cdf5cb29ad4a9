/** Which members are to hold which bucket. Stub of the contract: written by the placement helper. */
import type { Assignment, BucketAssignment } from './assignment.ts';

export interface PlacementMember {
  /** Member id. */
  readonly id: string;
  /** Null: zones do not matter. */
  readonly zone: string | null;
}

/**
 * Buckets placed on `members` (those who may hold something from now on; who is missing there is emptied), as near to what they
 * have as balance allows. A replica that begins gets `since: version`. `factor` is at most the number of members.
 */
export function place(
  current: Pick<Assignment, 'buckets'>,
  members: readonly PlacementMember[],
  options: { readonly factor: number; readonly version: number; readonly rebalance: boolean },
): BucketAssignment[] {
  throw new Error(`not yet: ${current.buckets.length} ${members.length} ${options.factor}`);
}
