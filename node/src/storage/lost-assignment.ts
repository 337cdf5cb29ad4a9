/** Telling the directory of a lone node from one whose `assignment.json` is lost: by what its journal says of the groups. */
import { isAlone } from './configuration-format.ts';
import { OpenError } from './errors.ts';
import type { Identity } from './identity.ts';
import type { JournalScan } from './journal-scan.ts';

/** Whether other members are needed: a lone node holds every bucket, each a group of one. */
export function isOfSeveral(
  scan: Pick<JournalScan, 'checkpoint'> | null,
  { bucketCount }: Identity,
): boolean {
  const buckets = scan?.checkpoint?.buckets;
  if (buckets === undefined) return false;
  const areAlone = buckets.every(({ configuration, replicaId }) =>
    isAlone(configuration, replicaId),
  );
  return !areAlone || buckets.length < bucketCount;
}

export const lostAssignment = (directory: string): OpenError =>
  new OpenError(
    'damaged',
    `${directory} is of a member of a cluster, but its assignment.json is missing; ` +
      'copy that of any other member into it: it is the same on all of them',
  );
