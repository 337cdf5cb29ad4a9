/**
 * `sierradb cluster recover --unsafe`: a majority is lost, and the directory of one survivor becomes a cluster of one. Nothing
 * does that by itself: what the lost members had acknowledged, and this one had not received, is given up.
 *
 * What the new cluster shares with the old one: group ids, because they stand in the headers of segments and make transaction
 * ids. What keeps the two apart: the cluster id, which every request of a member carries and every member checks; and ids of
 * replicas, which are derived from it, in every message. Members of the old cluster are in `removed`.
 *
 * Kept is every frame of every log, whether or not it was known to be committed: some leader may have acknowledged it.
 *
 * The order makes it safe to be interrupted anywhere, and to be run again:
 * 1. copies of `assignment.json` and `identity.json`;
 * 2. `recover.json`, the new assignment: from here on no node starts on the directory, and every run makes this one cluster;
 * 3. segments as the logs must be, with what only the journal had; synced;
 * 4. a fresh lap of the journal, in which every bucket is a group of one: from here on the old journal is not needed;
 * 5. the new `assignment.json`, then `identity.json`; then `recover.json` goes.
 */
import {
  assignedGroupId,
  type Assignment,
  replicaIdOf,
  type Replica,
} from '../../../common/assignment.ts';
import { assert } from '../../../common/assert.ts';
import {
  aloneConfiguration,
  decodeConfiguration,
  isAlone,
} from '../storage/configuration-format.ts';
import { OpenError } from '../storage/errors.ts';
import { type FileSystem, replaceFile } from '../storage/file-system.ts';
import { FRAME_HEADER_BYTES, frameIndex, frameKind, frameKindOf } from '../storage/frame-format.ts';
import { drawUuid, type Identity, writeIdentity } from '../storage/identity.ts';
import type { WalkResult } from '../storage/inspect/bucket-walk.ts';
import { inspect, type Inspection, lockForInspection } from '../storage/inspect/inspection.ts';
import type { JournalInventory } from '../storage/inspect/journal-inventory.ts';
import type { BucketCheckpoint, LogPosition } from '../storage/journal-format.ts';
import {
  IDENTITY_FILE,
  parseDerivedFileName,
  parseSegmentFileName,
  RECOVER_FILE,
  segmentsFolder,
} from '../storage/names.ts';
import { type FreshJournalOptions, settleWalk, startFreshJournal } from '../storage/rewriting.ts';
import { segmentHeaderBytes, slotCount } from '../storage/segment-format.ts';
import { ASSIGNMENT_FILE, readAssignment, writeAssignment } from './assignment-file.ts';

export const REPLACED_SUFFIX = '.before-recover';

export interface RecoverOptions extends FreshJournalOptions {
  /** False: only say what would be done. */
  readonly apply: boolean;
  /** Buckets that the directory does not hold become empty; else nothing is done where there are such. */
  readonly loseMissing: boolean;
}

export interface RecoveredBucket {
  readonly bucket: number;
  /** Frames of its log, all of which are kept; and the events in them. */
  readonly frames: number;
  readonly events: number;
  /** Of the frames, those that were not known to be committed. */
  readonly uncommitted: number;
  /** Of the last frame. Of two survivors, the one with the higher term has more, then the one with the higher index. */
  readonly lastTerm: number;
  readonly lastIndex: number;
  /** The replica was catching up, or had left: it may lack much that others had. */
  readonly isLearner: boolean;
}

export interface RecoverResult {
  readonly directory: string;
  readonly member: string;
  /** Cluster ids. The new one is null while nothing has been decided. */
  readonly oldCluster: string;
  readonly newCluster: string | null;
  /** Ids of members that serve no more. */
  readonly lostMembers: readonly string[];
  readonly buckets: readonly RecoveredBucket[];
  /** Buckets that the directory does not hold. */
  readonly missing: readonly number[];
  /** An earlier run has begun it. */
  readonly isResumed: boolean;
  readonly applied: boolean;
}

/** Rejects with an {@link OpenError} that says why there is nothing to recover, or why it cannot be done. */
export async function recoverDirectory(
  files: FileSystem,
  directory: string,
  options: RecoverOptions,
): Promise<RecoverResult> {
  const lock = await lockForInspection(files, directory);
  try {
    const next = await readAssignment(files, directory, RECOVER_FILE);
    const current = await readAssignment(files, directory, replaced(next, ASSIGNMENT_FILE));
    const found = await inspect(files, directory);
    const recover = new Recover(files, found, membership(found, current, next), next);
    if (options.apply) await recover.run(options);
    return recover.result(options.apply);
  } finally {
    await lock.release();
  }
}

/** Once a run has begun, what was there before stands in the copy. */
const replaced = (next: Assignment | null, name: string): string =>
  next === null ? name : `${name}${REPLACED_SUFFIX}`;

/** The assignment to be replaced. */
function membership(
  { directory, identity }: Inspection,
  current: Assignment | null,
  next: Assignment | null,
): Assignment {
  const fault = (reason: string): OpenError => new OpenError('mismatch', `${directory} ${reason}`);
  if (current === null) {
    throw fault(
      `holds no ${ASSIGNMENT_FILE}: it is of no member of a cluster, or that file is lost; every other member has the same`,
    );
  }
  const { memberId, clusterId, initialized } = identity;
  const isOther = clusterId !== current.clusterId && clusterId !== next?.clusterId;
  if (current.members.every(({ id }) => id !== memberId) || (clusterId !== null && isOther)) {
    throw fault(`is of member ${memberId}, which is not in its ${ASSIGNMENT_FILE}`);
  }
  if (!initialized) throw fault('has never held a bucket: there is nothing to recover');
  if (current.members.length === 1) throw fault('is of a cluster of one: it needs nobody else');
  return current;
}

class Recover {
  readonly #files: FileSystem;
  readonly #found: Inspection;
  readonly #current: Assignment;
  readonly #isResumed: boolean;
  /** Walks of the buckets that are here. */
  readonly #held: readonly WalkResult[];
  #next: Assignment | null;

  constructor(files: FileSystem, found: Inspection, current: Assignment, next: Assignment | null) {
    this.#files = files;
    this.#found = found;
    this.#current = current;
    this.#next = next;
    this.#isResumed = next !== null;
    const isHeld = (walk: WalkResult): boolean =>
      next === null
        ? hasHeard(found.journal, walk)
        : next.buckets[walk.bucket]?.origin !== undefined;
    this.#held = found.walks.filter(isHeld);
    this.#refuseDamage();
  }

  result(applied: boolean): RecoverResult {
    const { directory, identity } = this.#found;
    const { clusterId, members } = this.#current;
    return {
      directory,
      member: identity.memberId,
      oldCluster: clusterId,
      newCluster: this.#next?.clusterId ?? null,
      lostMembers: members.map(({ id }) => id).filter((id) => id !== identity.memberId),
      buckets: this.#held.map((walk) => this.#judge(walk)),
      missing: this.#missing,
      isResumed: this.#isResumed,
      applied,
    };
  }

  async run(options: RecoverOptions): Promise<void> {
    const { directory } = this.#found;
    const missing = this.#missing;
    if (!this.#isResumed && missing.length > 0 && !options.loseMissing) {
      throw new OpenError(
        'mismatch',
        `${directory} does not hold ${bucketsText(missing)}, and all their events would be lost; look for a survivor that does, or say --lose-missing`,
      );
    }
    const next = this.#next ?? (await this.#begin(drawUuid(options.random)));
    this.#next = next;
    for (const walk of this.#held) await settleWalk(this.#files, this.#found, walk);
    for (const bucket of missing) await this.#clear(bucket);
    const buckets = this.#found.walks.map((walk) => this.#checkpoint(next, walk));
    await startFreshJournal(this.#files, this.#found, options, buckets);
    await writeAssignment(this.#files, directory, next);
    const identity: Identity = { ...this.#found.identity, clusterId: next.clusterId };
    await writeIdentity(this.#files, directory, identity);
    await this.#files.remove(`${directory}/${RECOVER_FILE}`);
    await this.#files.syncDirectory(directory);
  }

  get #missing(): number[] {
    const held = new Set(this.#held.map(({ bucket }) => bucket));
    return this.#current.buckets.flatMap((_, bucket) => (held.has(bucket) ? [] : [bucket]));
  }

  /** A log that would be cut is not for this command to cut. */
  #refuseDamage(): void {
    const { directory, journal } = this.#found;
    const isCut = ({ loss, unvouched }: WalkResult): boolean => loss !== null || unvouched !== null;
    if (journal.whole && journal.checkpoint !== null && !this.#held.some(isCut)) return;
    throw new OpenError(
      'damaged',
      `${directory} is damaged, and part of its events would be lost: "sierradb verify ${directory}" says what; "sierradb repair" comes first`,
    );
  }

  #judge(walk: WalkResult): RecoveredBucket {
    const { bucket, frames, events, spans, end } = walk;
    const { journal } = this.#found;
    const checkpoint = journal.bucketCheckpoint(bucket);
    const decidesAlone =
      checkpoint !== null && isAlone(checkpoint.configuration, checkpoint.replicaId);
    // A segment has only what was known to be committed.
    const uncommitted = spans
      .filter(({ promised }) => !promised && !decidesAlone)
      .reduce((sum, span) => sum + span.frames.length, 0);
    const { term: lastTerm, index: lastIndex } = end;
    return {
      ...{ bucket, frames, events, uncommitted, lastTerm, lastIndex },
      isLearner: checkpoint !== null && !isVoter(journal, walk, checkpoint),
    };
  }

  /** Steps 1 and 2. */
  async #begin(clusterId: string): Promise<Assignment> {
    const { directory, identity } = this.#found;
    for (const name of [ASSIGNMENT_FILE, IDENTITY_FILE]) {
      const bytes = await this.#files.readFile(`${directory}/${name}`);
      await replaceFile(this.#files, directory, `${name}${REPLACED_SUFFIX}`, bytes);
    }
    const held = new Set(this.#held.map(({ bucket }) => bucket));
    const next = aloneAssignment(this.#current, identity.memberId, clusterId, held);
    await writeAssignment(this.#files, directory, next, RECOVER_FILE);
    return next;
  }

  /** Segments of a bucket that is not held are what a move has left behind; its new log begins without them. */
  async #clear(bucket: number): Promise<void> {
    const folder = segmentsFolder(this.#found.directory, bucket);
    for (const name of await this.#files.list(folder)) {
      const path = `${folder}/${name}`;
      if (parseSegmentFileName(name) !== null) {
        await this.#files.rename(path, `${path}${REPLACED_SUFFIX}`);
      } else if (parseDerivedFileName(name) !== null) await this.#files.remove(path);
    }
    await this.#files.syncDirectory(folder);
  }

  #checkpoint(next: Assignment, walk: WalkResult): BucketCheckpoint {
    const { bucket, end } = walk;
    const [replica] = next.buckets[bucket]?.replicas ?? [];
    assert(replica !== undefined, 'the new cluster has a replica of every bucket');
    const replicaId = replicaIdOf(next.clusterId, bucket, replica);
    const isHeld = this.#held.includes(walk);
    const known = this.#found.journal.standing(bucket);
    return {
      bucket,
      replicaId,
      groupId: (isHeld ? walk.groupId : null) ?? assignedGroupId(next, bucket),
      // No frame and no vote of the old cluster is of the term in which the new one begins.
      term: isHeld ? Math.max(known?.term ?? 0, end.term) + 1 : 0,
      votedFor: null,
      end: isHeld ? end : this.#emptyEnd(bucket),
      configuration: aloneConfiguration(replicaId),
    };
  }

  #emptyEnd(bucket: number): LogPosition {
    const offset = segmentHeaderBytes(slotCount(bucket, this.#found.identity));
    return { segment: 0, offset, index: 0, term: 0, crc: 0 };
  }
}

/** Whether a replica of the bucket is here. One that was never told of its group has nothing to keep. */
function hasHeard(journal: JournalInventory, { bucket, frames }: WalkResult): boolean {
  const checkpoint = journal.bucketCheckpoint(bucket);
  if (checkpoint === null) return false;
  const { voters, outgoing, learners } = decodeConfiguration(checkpoint.configuration);
  return frames > 0 || voters.length + outgoing.length + learners.length > 0;
}

/** By the last configuration in its log. */
function isVoter(
  journal: JournalInventory,
  { bucket, end }: WalkResult,
  { replicaId, configuration, end: synced }: BucketCheckpoint,
): boolean {
  const last = journal
    .recent(bucket, synced.index)
    .filter(({ bytes, at }) => frameIndex(bytes, at) <= end.index)
    .findLast(({ bytes, at }) => frameKindOf(bytes, at) === frameKind.configuration);
  const { voters, outgoing } = decodeConfiguration(
    last?.bytes.subarray(last.at + FRAME_HEADER_BYTES, last.at + last.length) ?? configuration,
  );
  return [...voters, ...outgoing].some((id) => Buffer.compare(id, replicaId) === 0);
}

/** The survivor, and nobody else. */
function aloneAssignment(
  current: Assignment,
  member: string,
  clusterId: string,
  held: ReadonlySet<number>,
): Assignment {
  const survivor = current.members.filter(({ id }) => id === member);
  const others = current.members.map(({ id }) => id).filter((id) => id !== member);
  const version = current.version + 1;
  const replicas: Replica[] = [{ member, since: version }];
  return {
    ...current,
    ...{ clusterId, epoch: current.epoch + 1, version },
    members: survivor.map((own) => ({ ...own, index: 0 })),
    buckets: current.buckets.map(({ origin = current.clusterId }, bucket) => ({
      ...{ replicas, preferred: member },
      ...(held.has(bucket) && { origin }),
    })),
    removed: [...new Set([...current.removed, ...others])],
  };
}

/** `bucket 3`, `buckets 3, 5`. */
export const bucketsText = (buckets: readonly number[]): string =>
  `bucket${buckets.length === 1 ? '' : 's'} ${buckets.join(', ')}`;
