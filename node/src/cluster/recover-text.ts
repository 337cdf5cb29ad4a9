/** What `cluster recover` tells people. Pure. */
import { bucketsText, REPLACED_SUFFIX, type RecoverResult } from './recover.ts';

export function recoverText(result: RecoverResult): string {
  const { directory, member, oldCluster, lostMembers, missing } = result;
  const lines = [
    `${directory}: member ${member} of cluster ${oldCluster}`,
    `members that serve no more: ${lostMembers.join(', ')}`,
    ...result.buckets.map(bucketLine),
  ];
  if (missing.length > 0) {
    lines.push(`NOT HERE: ${bucketsText(missing)}: all their events are lost, they begin anew`);
  }
  return `${[...lines, ...warnings(result), ...verdict(result)].join('\n')}\n`;
}

function bucketLine({
  bucket,
  frames,
  events,
  uncommitted,
  lastTerm,
  lastIndex,
  isLearner,
}: RecoverResult['buckets'][number]): string {
  const counts = `bucket ${bucket}: ${frames} frames with ${events} events kept, up to term ${lastTerm}, index ${lastIndex}`;
  const unknown = uncommitted === 0 ? '' : `; ${uncommitted} frames not known to be committed`;
  return `${counts}${unknown}${isLearner ? '; IT WAS NO VOTER, still catching up or on its way out, and may lack much' : ''}`;
}

function warnings({ buckets, isResumed }: RecoverResult): string[] {
  const uncommitted = buckets.reduce((sum, bucket) => sum + bucket.uncommitted, 0);
  const lines = [
    'WARNING: events that were acknowledged by the lost members and had not arrived here are gone, and nothing can tell how many',
  ];
  if (uncommitted > 0) {
    lines.push(
      `WARNING: ${uncommitted} frames become committed that may never have been; their appenders may have been told that they failed`,
    );
  }
  if (isResumed)
    lines.push('an earlier run has begun this: frames that it kept count as committed');
  return lines;
}

function verdict({ directory, applied, newCluster, missing, isResumed }: RecoverResult): string[] {
  if (!applied) {
    const more = missing.length > 0 && !isResumed ? ' --lose-missing' : '';
    return [
      `nothing was changed; "sierradb cluster recover --unsafe ${directory} --yes${more}" does it`,
    ];
  }
  return [
    `it is cluster ${newCluster ?? ''} now, of this member alone; what was replaced is in *${REPLACED_SUFFIX}`,
    `start it: sierradb --dir ${directory} --node-index 0 --node-count 1`,
    'never start the disks of the other members again: this cluster refuses them, but clients would find two',
  ];
}
