/** Reads a data directory as a whole, changing nothing: what `verify` reports and `repair` works from. */
import { OpenError } from '../errors.ts';
import type { DirectoryLock, FileSystem } from '../file-system.ts';
import { FORMAT_VERSION, type Identity, readIdentity } from '../identity.ts';
import { slotCount } from '../segment-format.ts';
import {
  bucketsFolder,
  IDENTITY_FILE,
  journalFolder,
  parseDerivedFileName,
  segmentsFolder,
} from '../names.ts';
import { hasCode } from '../system-error.ts';
import { BucketFindings } from './bucket-findings.ts';
import { BucketWalk, type WalkResult } from './bucket-walk.ts';
import { checkIndexes, checkSummary, type IndexFault } from './index-check.ts';
import { JournalInventory } from './journal-inventory.ts';
import type { Finding, VerifyReport } from './report.ts';

export interface Inspection {
  readonly directory: string;
  readonly identity: Identity;
  readonly journal: JournalInventory;
  /** False where the journal refuses to be read, or does not know what segments hold. */
  readonly journalWhole: boolean;
  readonly walks: readonly WalkResult[];
  /** By bucket: index files to be built again, by segment, and summaries to be removed, by name. */
  readonly indexes: readonly {
    readonly segments: readonly number[];
    readonly summaries: readonly string[];
  }[];
  readonly report: VerifyReport;
}

/** Takes the directory's lock, so that nothing writes to it meanwhile. Rejects with {@link OpenError}. */
export async function lockForInspection(
  files: FileSystem,
  directory: string,
): Promise<DirectoryLock> {
  try {
    await files.readFile(`${directory}/${IDENTITY_FILE}`);
    return await files.lock(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) {
      const reason = `${directory} holds no ${IDENTITY_FILE}: it is no data directory, or its identity is lost`;
      throw new OpenError('damaged', reason, { cause: error });
    }
    if (!hasCode(error, 'ELOCKED')) throw error;
    throw new OpenError('locked', `${directory} is in use by another process`, { cause: error });
  }
}

/** The caller holds the lock. Rejects with {@link OpenError} where the identity cannot be read. */
export async function inspect(files: FileSystem, directory: string): Promise<Inspection> {
  const identity = await readIdentity(files, directory);
  if (identity === null) throw new OpenError('damaged', `${directory} has no identity`);
  const journal = await JournalInventory.read(files, journalFolder(directory));
  const inspector = new Inspector(files, directory, identity, journal);
  if (identity.initialized) await inspector.run();
  return inspector.result();
}

const nothingToRebuild = { segments: [], summaries: [] };

class Inspector {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #identity: Identity;
  readonly #journal: JournalInventory;
  readonly #walks: WalkResult[] = [];
  readonly #indexes: Inspection['indexes'][number][] = [];
  readonly #findings: Finding[] = [];

  constructor(files: FileSystem, directory: string, identity: Identity, journal: JournalInventory) {
    this.#files = files;
    this.#directory = directory;
    this.#identity = identity;
    this.#journal = journal;
  }

  async run(): Promise<void> {
    this.#judgeJournal();
    for (let bucket = 0; bucket < this.#identity.bucketCount; bucket += 1) {
      await this.#inspectBucket(bucket);
    }
  }

  result(): Inspection {
    const { bucketCount, partitionCount } = this.#identity;
    const losses = this.#walks.flatMap(({ loss }) => loss ?? []);
    const journalWhole =
      !this.#identity.initialized ||
      (this.#journal.whole && this.#walks.every(({ unvouched }) => unvouched === null));
    const report: VerifyReport = {
      directory: this.#directory,
      formatVersion: FORMAT_VERSION,
      bucketCount,
      partitionCount,
      clean: this.#findings.every(({ kind }) => kind === 'note'),
      buckets: this.#walks.map(({ bucket, segments, frames, events }) => ({
        bucket,
        segments: segments.length,
        frames,
        events,
      })),
      findings: this.#findings,
      losses,
      lossUnknown: !journalWhole,
    };
    return {
      directory: this.#directory,
      identity: this.#identity,
      journal: this.#journal,
      journalWhole,
      walks: this.#walks,
      indexes: this.#indexes,
      report,
    };
  }

  #judgeJournal(): void {
    const { refusal, end, tornBytes } = this.#journal.scan;
    const place = { file: 'journal', from: 0, to: 0 };
    if (refusal !== null) {
      const problem = `${refusal.kind}: ${refusal.detail}`;
      const remedy =
        'started anew behind everything that can be read; the present files are moved aside';
      this.#findings.push({ ...place, kind: 'damage', problem, remedy });
    } else if (end === 'torn tail') {
      const problem = `a torn tail of ${String(tornBytes)} bytes: a round that was never acknowledged`;
      this.#findings.push({ ...place, kind: 'note', problem, remedy: 'dropped by the next start' });
    }
  }

  async #inspectBucket(bucket: number): Promise<void> {
    const { bucketCount } = this.#identity;
    const folder = segmentsFolder(this.#directory, bucket);
    const shown = folder.slice(this.#directory.length + 1);
    try {
      await this.#files.list(folder);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      await this.#missingFolder(shown);
    }
    const walk = await new BucketWalk({
      files: this.#files,
      folder,
      bucket,
      bucketCount,
      slots: slotCount(bucket, this.#identity),
      journal: this.#journal,
    }).run();
    this.#walks.push(walk);
    this.#judgeVouching(walk);
    const checkpoint = this.#journal.bucketCheckpoint(bucket);
    this.#findings.push(...new BucketFindings(walk, checkpoint, shown).list());
    this.#indexes.push(await this.#checkIndexes(walk, folder, shown));
  }

  #judgeVouching({ bucket, unvouched }: WalkResult): void {
    if (unvouched === null || !this.#journal.whole) return;
    const { from, to } = unvouched;
    this.#findings.push({
      kind: 'damage',
      file: 'journal',
      from: 0,
      to: 0,
      problem:
        `does not know frames ${String(from)} to ${String(to)} of bucket ${String(bucket)}, which segments hold: ` +
        'a file of the journal is missing, or older than the rest',
      remedy: 'started anew behind everything that can be read; the present files are moved aside',
    });
  }

  async #missingFolder(folder: string): Promise<never> {
    const names = await this.#files.list(bucketsFolder(this.#directory)).catch(() => []);
    throw new OpenError(
      'damaged',
      `${this.#directory}/${folder} is missing; there are ${names.length === 0 ? 'no buckets' : names.join(', ')}`,
    );
  }

  /** Segments that have ended and are untouched must have their index files; a cut or a heal makes new ones anyway. */
  async #checkIndexes(
    walk: WalkResult,
    folder: string,
    shown: string,
  ): Promise<Inspection['indexes'][number]> {
    const touched = new Set(walk.spans.map(({ segment }) => segment));
    const segments: number[] = [];
    for (const { number, end, size, headerFault } of walk.segments.slice(0, -1)) {
      if (touched.has(number) || size !== end || headerFault !== null) {
        segments.push(number);
        continue;
      }
      const faults = await checkIndexes(this.#files, folder, number, end);
      if (faults.length > 0) segments.push(number);
      for (const fault of faults) this.#indexFault(fault, shown);
    }
    const summaries: string[] = [];
    for (const name of await this.#files.list(folder)) {
      const derived = parseDerivedFileName(name);
      if (derived === null || derived.first === derived.last) continue;
      const fault = await checkSummary(this.#files, folder, name);
      if (fault === null) continue;
      summaries.push(name);
      this.#indexFault(fault, shown);
    }
    return segments.length + summaries.length === 0 ? nothingToRebuild : { segments, summaries };
  }

  #indexFault({ name, from, to, missing }: IndexFault, folder: string): void {
    this.#findings.push({
      kind: missing ? 'note' : 'index',
      file: `${folder}/${name}`,
      from,
      to,
      problem: missing
        ? 'the index file is missing'
        : 'the index file is not the one that its segment gives',
      remedy: 'built again from the segment, nothing is lost',
    });
  }
}
