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
import type { Clock } from '../../../common/clock.ts';
import type { Random } from '../../../common/random.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import type { WalkResult, WalkedSegment } from './inspect/bucket-walk.ts';
import { inspect, type Inspection, lockForInspection } from './inspect/inspection.ts';
import type { VerifyReport } from './inspect/report.ts';
import { Journal, type JournalStart } from './journal.ts';
import { aloneConfiguration } from './configuration-format.ts';
import { type BucketCheckpoint, REPLICA_ID_BYTES } from './journal-format.ts';
import { journalFolder, parseDerivedFileName, segmentFileName, segmentsFolder } from './names.ts';
import { silentObserver } from './observer.ts';
import { buildSegmentIndexes } from './segment-index-builder.ts';
import { encodeSegmentHeader } from './segment-format.ts';

export interface RepairOptions {
  /** False: only say what would be done. */
  readonly apply: boolean;
  readonly clock: Clock;
  readonly random: Random;
  /** Size of the journal's files where none of those found tells it. Default 64 MiB. */
  readonly journalFileBytes?: number;
}

export interface RepairResult {
  /** As found before anything was changed. */
  readonly report: VerifyReport;
  readonly applied: boolean;
  /** Where what was changed or given up has been copied to, or null where nothing had to be. */
  readonly savedTo: string | null;
}

const COPY_BYTES = 1024 * 1024;
const JOURNAL_FILE_BYTES = 64 * 1024 * 1024;
const JOURNAL_FILES_MAX = 64;
const GROUP_ID_BYTES = 16;

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
    const savedTo = await new Repair(files, found, options).run();
    return { report, applied: true, savedTo };
  } finally {
    await lock.release();
  }
}

/** Segment files of a bucket that a repair writes to, shortens or removes. */
function changedSegments(walk: WalkResult): number[] {
  const changed = new Set(walk.spans.map(({ segment }) => segment));
  for (const { number, size, end, headerFault } of walk.segments) {
    if (size !== end || headerFault !== null) changed.add(number);
  }
  for (const number of walk.strays.keys()) changed.add(number);
  return [...changed].sort((a, b) => a - b);
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
      for (const walk of walks) await this.#settle(walk);
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

  /** Step 2: everything up to the new end stands in synced segment files, and nothing behind it. */
  async #settle(walk: WalkResult): Promise<void> {
    const folder = segmentsFolder(this.#found.directory, walk.bucket);
    const changed = changedSegments(walk);
    if (changed.length === 0) return;
    await this.#removeDerived(folder, changed);
    for (const segment of walk.segments) {
      if (changed.includes(segment.number)) await this.#rewrite(walk, segment, folder);
    }
    for (const number of walk.strays.keys()) {
      await this.#files.remove(`${folder}/${segmentFileName(number)}`);
    }
    await this.#files.syncDirectory(folder);
  }

  async #rewrite(walk: WalkResult, segment: WalkedSegment, folder: string): Promise<void> {
    const path = `${folder}/${segmentFileName(segment.number)}`;
    const file = await this.#files.open(path, segment.size === null ? 'create' : 'open');
    try {
      if (segment.size === null || segment.headerFault !== null) {
        const groupId = walk.groupId ?? Buffer.alloc(GROUP_ID_BYTES);
        await file.write(encodeSegmentHeader({ ...segment.header, groupId }), 0);
      }
      for (const span of walk.spans.filter((s) => s.segment === segment.number)) {
        const frames = span.frames.map(({ bytes, at, length }) => bytes.subarray(at, at + length));
        await file.write(Buffer.concat(frames), span.from);
      }
      if ((await file.size()) > segment.end) await file.truncate(segment.end);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Index files and summaries of changed segments; those of others stay. */
  async #removeDerived(folder: string, changed: readonly number[]): Promise<void> {
    for (const name of await this.#files.list(folder)) {
      const derived = parseDerivedFileName(name);
      if (derived === null) continue;
      const stale = changed.some((number) => derived.first <= number && number <= derived.last);
      if (stale) await this.#files.remove(`${folder}/${name}`);
    }
  }

  /** Step 3, the one that counts. */
  async #startJournal(): Promise<void> {
    const { directory, journal, journalWhole, identity } = this.#found;
    const { clock, random } = this.#options;
    const buckets = this.#found.walks.map((walk) => this.#checkpoint(walk));
    const fresh = await Journal.open(
      this.#files,
      journalFolder(directory),
      {
        bucketCount: identity.bucketCount,
        fileBytes: journal.fileBytes ?? this.#options.journalFileBytes ?? JOURNAL_FILE_BYTES,
        filesMax: JOURNAL_FILES_MAX,
        random,
      },
      this.#journalStart(),
      {
        checkpoint: () => buckets,
        eachUncommitted: () => undefined,
        lapBegins: () => undefined,
        isSettled: () => true,
        settle: () => Promise.resolve(),
        roundDone: () => undefined,
        failed: (error) => {
          throw error;
        },
      },
      clock,
      silentObserver,
    );
    await fresh.close();
    if (!journalWhole) await this.#removeOldJournal();
  }

  /** A journal that is damaged stays damaged as long as its files are there. The fresh lap stands in a file of its own. */
  async #removeOldJournal(): Promise<void> {
    const { directory, journal } = this.#found;
    const folder = journalFolder(directory);
    for (const name of journal.names) await this.#files.remove(`${folder}/${name}`);
    await this.#files.syncDirectory(folder);
  }

  /**
   * The number of the first round leaves one out, so that the fresh lap continues none of the older ones: a start would
   * replay frames that the cut has given up. Files of a damaged journal are all kept until the fresh lap is durable.
   */
  #journalStart(): JournalStart {
    const { journal, journalWhole } = this.#found;
    const { scan, lastRound, lastLap } = journal;
    const needed = new Set(scan.laps.map(({ slot }) => slot));
    return {
      nextRound: lastRound + 2,
      previousCrc: 0,
      nextLap: lastLap + 1,
      files: scan.files.map(({ slot, bytes, salt, lap }) => ({
        slot,
        bytes,
        salt,
        lap: journalWhole && !needed.has(slot) ? null : (lap ?? 0),
      })),
    };
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

async function copyBytes(from: FileHandle, to: FileHandle): Promise<void> {
  const piece = Buffer.allocUnsafe(COPY_BYTES);
  for (let at = 0; ;) {
    const read = await from.read(piece, at);
    if (read === 0) return;
    await to.write(piece.subarray(0, read), at);
    at += read;
  }
}
