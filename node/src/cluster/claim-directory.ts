/** Takes a data directory for a member of a cluster, or says with which command it may be started. */
import type { Assignment } from '../../../common/assignment.ts';
import type { Random } from '../../../common/random.ts';
import { defaultStoreOptions } from '../engine/options.ts';
import { OpenError } from '../storage/errors.ts';
import type { DirectoryLock, FileSystem } from '../storage/file-system.ts';
import { checkCounts, claimIdentity, type Identity, readIdentity } from '../storage/identity.ts';
import { scanJournal } from '../storage/journal-scan.ts';
import { isOfSeveral, lostAssignment } from '../storage/lost-assignment.ts';
import { journalFolder } from '../storage/names.ts';
import { syncAncestors, takeLock } from '../storage/storage.ts';
import { readAssignment } from './assignment-file.ts';

export interface DirectoryClaim {
  readonly directory: string;
  readonly index: number;
  /** By index; none where an operator says who they are. */
  readonly peers: readonly string[];
  readonly counts: { readonly bucketCount?: number; readonly partitionCount?: number };
  readonly files: FileSystem;
  readonly random: Random;
}

export interface ClaimedDirectory {
  readonly identity: Identity;
  /** Null: the disk is fresh. */
  readonly assignment: Assignment | null;
  readonly lock: DirectoryLock;
}

/** Rejects with {@link OpenError}: it is a single node's, another node's, in use, or damaged. */
export async function claimDirectory(claim: DirectoryClaim): Promise<ClaimedDirectory> {
  const { directory, files, random, counts } = claim;
  await files.makeDirectory(directory);
  const lock = await takeLock(files, directory);
  try {
    // The process before may have ended between a rename and its sync. Others are told what is read now: it has to stay.
    await files.syncDirectory(directory);
    const wanted = { ...defaultStoreOptions, ...counts };
    const identity = await claimIdentity(files, directory, random, wanted, () => null);
    // Others will count on this member id: its directory must still be there after a power cut.
    if (!identity.initialized) await syncAncestors(files, directory);
    const { bucketCount, partitionCount } = { ...identity, ...counts };
    checkCounts(directory, identity, bucketCount, partitionCount);
    const assignment = await readAssignment(files, directory);
    if (assignment === null) await refuseLone(claim, identity);
    else refuseOther(claim, identity, assignment);
    return { identity, assignment, lock };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function refuseLone(
  { directory, peers, files }: DirectoryClaim,
  identity: Identity,
): Promise<void> {
  if (identity.clusterId === null) return;
  const scan = identity.initialized ? await scanJournal(files, journalFolder(directory)) : null;
  if (isOfSeveral(scan, identity)) throw lostAssignment(directory);
  const what = peers.length === 0 ? 'a member of a new cluster' : `one of ${peers.length}`;
  throw new OpenError(
    'mismatch',
    `${directory} holds the data of a single node and cannot become ${what}; ` +
      `start it as what it is: sierradb --dir ${directory} --node-count 1`,
  );
}

function refuseOther(
  { directory, index, peers }: DirectoryClaim,
  { memberId, clusterId }: Identity,
  assignment: Assignment,
): void {
  const own = assignment.members.find(({ id }) => id === memberId);
  const fault = (reason: string): OpenError => new OpenError('mismatch', `${directory} ${reason}`);
  if (own === undefined || (clusterId !== null && clusterId !== assignment.clusterId)) {
    throw fault(
      `is of member ${memberId}, which is not in its assignment.json; was a file copied from elsewhere?`,
    );
  }
  if (own.index !== index) {
    throw fault(
      `is of node ${own.index} and cannot be node ${index}; start it as what it is: ${commandOf(directory, own.index, peers.length === 0 ? null : assignment)}`,
    );
  }
}

/** Null: the cluster is an operator's. */
function commandOf(directory: string, index: number, byHand: Assignment | null): string {
  const command = `sierradb --dir ${directory} --node-index ${index}`;
  if (byHand === null) return `${command} --set cluster.forming=operator`;
  return `${command} --node-count ${byHand.members.length}`;
}

/** For a node without peers. Rejects with {@link OpenError} for a directory that belongs to a cluster of several. */
export async function refuseMember(files: FileSystem, directory: string): Promise<void> {
  const assignment = await readAssignment(files, directory);
  if (assignment === null) return;
  const identity = await readIdentity(files, directory);
  const [first, ...others] = assignment.members;
  // What `cluster recover` leaves: its groups are of one, and need nobody.
  if (first?.id === identity?.memberId && others.length === 0) return;
  const own = assignment.members.find(({ id }) => id === identity?.memberId);
  const index = own?.index ?? 0;
  throw new OpenError(
    'mismatch',
    `${directory} is of node ${own?.index ?? '?'} of a cluster and cannot be a single node; ` +
      `start it as what it is: ${commandOf(directory, index, index < assignment.members.length ? assignment : null)}`,
  );
}
