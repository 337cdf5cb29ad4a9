/**
 * `sierradb repair`: does what `verify` says, and never more. What a repair changes or gives up is copied to
 * `DIR/damaged-<time>/` first; nothing is deleted that is not there.
 *
 * The order makes it safe to be interrupted anywhere, and to be run again:
 * 1. copies, synced;
 * 2. segments as the log must be: frames from the journal written into them, headers made anew, ends cut; synced;
 * 3. a fresh lap of the journal whose checkpoint names the new ends: from here on the old journal is not needed;
 * 4. index files built again.
 *
 * Until 3 the old journal stands as it was, and a second run finds the same chain of frames.
 */
import type { FileSystem } from './file-system.ts';
import type { WalkResult } from './inspect/bucket-walk.ts';
import { inspect, type Inspection, lockForInspection } from './inspect/inspection.ts';
import type { VerifyReport } from './inspect/report.ts';
import { aloneConfiguration } from './configuration-format.ts';
import { OpenError } from './errors.ts';
import { type BucketCheckpoint, REPLICA_ID_BYTES } from './journal-format.ts';
import { isOfSeveral } from './lost-assignment.ts';
import { journalFolder, segmentFileName, segmentsFolder } from './names.ts';
import {
  changedSegments,
  copyBytes,
  type FreshJournalOptions,
  GROUP_ID_BYTES,
  settleWalk,
  startFreshJournal,
} from './rewriting.ts';
import { buildSegmentIndexes } from './segment-index-builder.ts';

export interface RepairOptions extends FreshJournalOptions {
  /** False: only say what would be done. */
  readonly apply: boolean;
}

export interface RepairResult {
  /** As found before anything was changed. */
  readonly report: VerifyReport;
  readonly applied: boolean;
  /** Where what was changed or given up has been copied to, or null where nothing had to be. */
  readonly savedTo: string | null;
}

/** Rejects with an OpenError where the directory is in use, or is none, or of another format version. */
export async function repairDirectory(
  files: FileSystem,
  directory: string,
  options: RepairOptions,
): Promise<RepairResult> {
  const lock = await lockForInspection(files, directory);
  try {
    const found = await inspect(files, directory);
    const { report } = found;
    if (report.clean || !options.apply) return { report, applied: false, savedTo: null };
    refuseMember(found);
    const savedTo = await new Repair(files, found, options).run();
    return { report, applied: true, savedTo };
  } finally {
    await lock.release();
  }
}

/**
 * A repair ends a log with what is readable, committed or not, and what it lacks may have been acknowledged to a leader: with
 * that the replica must not vote any more. Its group has what it needs; a lone node has nothing else.
 */
function refuseMember({ report, journal, identity, directory }: Inspection): void {
  if (!report.findings.some(({ kind }) => kind === 'damage')) return;
  if (!isOfSeveral({ checkpoint: journal.checkpoint }, identity)) return;
  throw new OpenError(
    'damaged',
    `${directory} is of a member of a cluster: start it, and it heals from the others; where it does not start, ` +
      'replace the member, or where no majority is left, "sierradb cluster recover --unsafe"',
  );
}

class Repair {
  readonly #files: FileSystem;
  readonly #found: Inspection;
  readonly #options: RepairOptions;
  readonly #target: string;
  #saved = false;

  constructor(files: FileSystem, found: Inspection, options: RepairOptions) {
    this.#files = files;
    this.#found = found;
    this.#options = options;
    const time = new Date(options.clock.now()).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    this.#target = `${found.directory}/damaged-${time}`;
  }

  async run(): Promise<string | null> {
    const { report, walks, indexes } = this.#found;
    if (report.findings.some(({ kind }) => kind === 'damage')) {
      await this.#save();
      for (const walk of walks) await settleWalk(this.#files, this.#found, walk);
      await this.#startJournal();
    }
    for (const [i, walk] of walks.entries()) await this.#index(walk, indexes[i]);
    return this.#saved ? this.#target : null;
  }

  /** Step 1. */
  async #save(): Promise<void> {
    const { directory, journal, journalWhole, walks } = this.#found;
    if (!journalWhole) await this.#copyAll(journalFolder(directory), journal.names);
    for (const walk of walks) {
      const folder = segmentsFolder(directory, walk.bucket);
      const names = changedSegments(walk).map(segmentFileName);
      const there = new Set(await this.#files.list(folder));
      await this.#copyAll(
        folder,
        names.filter((name) => there.has(name)),
      );
    }
    if (this.#saved) await this.#files.syncDirectory(directory);
  }

  async #copyAll(folder: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const { directory } = this.#found;
    const below = folder.slice(directory.length + 1).split('/');
    let target = this.#target;
    const parents = below.map((part) => (target = `${target}/${part}`));
    await this.#files.makeDirectory(target);
    for (const name of names) await this.#copy(`${folder}/${name}`, `${target}/${name}`);
    for (const parent of [...parents.reverse(), this.#target]) {
      await this.#files.syncDirectory(parent);
    }
    this.#saved = true;
  }

  async #copy(source: string, target: string): Promise<void> {
    const from = await this.#files.open(source, 'read');
    try {
      await this.#files.remove(target);
      const to = await this.#files.open(target, 'create');
      try {
        await copyBytes(from, to);
        await to.sync();
      } finally {
        await to.close();
      }
    } finally {
      await from.close();
    }
  }

  /** Step 3, the one that counts. */
  async #startJournal(): Promise<void> {
    const { walks, journal } = this.#found;
    // A member of a cluster may hold some buckets only.
    const isHeld = ({ bucket }: WalkResult): boolean =>
      journal.checkpoint === null || journal.bucketCheckpoint(bucket) !== null;
    const buckets = walks.filter(isHeld).map((walk) => this.#checkpoint(walk));
    await startFreshJournal(this.#files, this.#found, this.#options, buckets);
  }

  #checkpoint(walk: WalkResult): BucketCheckpoint {
    const { journal } = this.#found;
    const known = journal.bucketCheckpoint(walk.bucket);
    const standing = journal.standing(walk.bucket);
    const replicaId = known?.replicaId ?? this.#draw(REPLICA_ID_BYTES);
    return {
      bucket: walk.bucket,
      replicaId,
      groupId: walk.groupId ?? this.#draw(GROUP_ID_BYTES),
      term: Math.max(standing?.term ?? 0, walk.end.term),
      votedFor: standing?.votedFor ?? null,
      end: walk.end,
      configuration: known?.configuration ?? aloneConfiguration(replicaId),
    };
  }

  #draw(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    this.#options.random.fill(bytes);
    return bytes;
  }

  /** Step 4. */
  async #index(walk: WalkResult, wanted: Inspection['indexes'][number] | undefined): Promise<void> {
    const folder = segmentsFolder(this.#found.directory, walk.bucket);
    for (const name of wanted?.summaries ?? []) await this.#files.remove(`${folder}/${name}`);
    for (const number of wanted?.segments ?? []) {
      const end = walk.segments[number]?.end ?? 0;
      await buildSegmentIndexes(this.#files, folder, number, end);
    }
  }
}
