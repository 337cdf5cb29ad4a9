/**
 * Storage: a data directory, opened. The door of this folder.
 *
 * ```ts
 * const storage = await Storage.open('./data', settings, environment);
 * const log = storage.logs[bucket];   // see bucket-log.ts
 * await storage.close();
 * ```
 *
 * Promises: one process at a time; when `open` resolves, everything that was ever acknowledged is in `logs`, durable in
 * synced segments, or the directory was refused with an {@link OpenError} that says why. After a failed write or sync
 * nothing more becomes durable and `onFatal` is called once; the caller ends the process.
 *
 * The caller's duty: attach to each log's `onDurable` and `onApplied` before the first append; `close` what was opened.
 */
import { dirname, resolve } from 'node:path';

import { assert } from '../../../common/assert.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Random } from '../../../common/random.ts';
import { BlockCache } from './block-cache.ts';
import type { BucketLog } from './bucket-log.ts';
import { OpenError } from './errors.ts';
import { aloneConfiguration } from './configuration-format.ts';
import type { DirectoryLock, FileSystem } from './file-system.ts';
import {
  checkCounts,
  claimIdentity,
  drawUuid,
  type Identity,
  startedOnce,
  writeIdentity,
} from './identity.ts';
import { type IndexBuilds } from './index-builds.ts';
import { Journal, type JournalOwner, type JournalStart, SettlingStopped } from './journal.ts';
import type { BucketCheckpoint } from './journal-format.ts';
import { type JournalScan, scanJournal } from './journal-scan.ts';
import { LogOpener, type ReplicaPlan } from './log-opener.ts';
import { isOfSeveral, lostAssignment } from './lost-assignment.ts';
import { bucketFolder, bucketsFolder, journalFolder, segmentsFolder } from './names.ts';
import type { StorageObserver } from './observer.ts';
import { OpenFiles } from './open-files.ts';
import { removeStrays, replayInto, secureLastRound } from './recovery.ts';
import { Scrub } from './scrub.ts';
import { SpaceGuard } from './space-guard.ts';
import { UncommittedRoom } from './uncommitted-room.ts';

export type { ReplicaPlan } from './log-opener.ts';

export interface StorageSettings {
  readonly bucketCount: number;
  readonly partitionCount: number;
  readonly segmentBytes: number;
  readonly journalFileBytes: number;
  readonly journalFilesMax: number;
  readonly cacheBytes: number;
  readonly filterBytes: number;
  readonly diskReserveBytes: number;
  /** What the background scrub reads; 0 switches it off. */
  readonly scrubBytesPerSecond: number;
}

export interface StorageEnvironment {
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: StorageObserver;
  readonly builds: IndexBuilds;
  /** The directory's lock where the caller has it already; the storage's own from now on. */
  readonly lock?: DirectoryLock;
  /** Of the start that begins now; absent where nobody is told of it. */
  readonly startId?: string;
  /** The cluster that the directory belongs to; absent: whichever it is, and a new one draws its own. */
  readonly clusterId?: string;
  /** What a new directory holds; absent: every bucket, each a group of one. */
  readonly replicas?: readonly ReplicaPlan[];
  readonly onFatal: (error: Error) => void;
}

/** A disk that does not answer for this long is gone. */
const HANG_MS = 10_000;

/** Of a directory that is open. */
export type OpenIdentity = Identity & { readonly clusterId: string };

export class Storage {
  readonly identity: OpenIdentity;
  readonly space: SpaceGuard;
  readonly cache: BlockCache;
  readonly openFiles: OpenFiles;
  /** Called after all logs were told of a durable round. */
  onRound: () => void = () => undefined;
  readonly #environment: StorageEnvironment;
  readonly #lock: DirectoryLock;
  readonly #opener: LogOpener;
  /** Always the same list: what runs in the background looks at it. */
  readonly #logs: BucketLog[];
  #journal: Journal | null = null;
  /** What is being written of logs into their segments. */
  readonly #settling = new Map<BucketLog, Promise<boolean>>();
  #watch: NodeJS.Timeout | null = null;
  #scrub: Scrub | null = null;
  #failure: Error | null = null;

  private constructor(
    identity: OpenIdentity,
    logs: readonly BucketLog[],
    parts: OpenParts,
    environment: StorageEnvironment,
  ) {
    this.identity = identity;
    this.#logs = [...logs];
    this.#opener = parts.opener;
    this.space = parts.space;
    this.cache = parts.cache;
    this.openFiles = parts.openFiles;
    this.#lock = parts.lock;
    this.#environment = environment;
  }

  static async open(
    directory: string,
    settings: StorageSettings,
    environment: StorageEnvironment,
  ): Promise<Storage> {
    const { files } = environment;
    await files.makeDirectory(directory);
    const lock = environment.lock ?? (await takeLock(files, directory));
    try {
      const opening = new Opening(directory, settings, environment, lock);
      return await opening.run(
        (identity, logs, parts) => new Storage(identity, logs, parts, environment),
      );
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Of the buckets of which a replica is here. */
  get logs(): readonly BucketLog[] {
    return this.#logs;
  }

  get failure(): Error | null {
    return this.#failure;
  }

  get journal(): Journal {
    if (this.#journal === null) throw new Error('the storage is not open yet');
    return this.#journal;
  }

  /**
   * The empty log of a replica that begins its stay; when this resolves, the journal knows of it. Nothing of it may become
   * durable before. What an earlier replica of the bucket has left is removed.
   */
  async addLog(plan: ReplicaPlan): Promise<BucketLog> {
    assert(!this.#logs.some(({ bucket }) => bucket === plan.bucket), 'a bucket has one log');
    await this.#opener.clearFolder(plan.bucket);
    const log = await this.#opener.open(this.#opener.freshCheckpoint(plan));
    log.attach(this.journal);
    this.#logs.push(log);
    await this.journal.checkpoint();
    return log;
  }

  /**
   * Ends a replica's stay: the journal forgets it first, then its files are removed, so that a crash in between leaves files
   * that belong to nobody. The caller has stopped to use the log, and remembers durably that it is given up.
   */
  async removeLog(log: BucketLog): Promise<void> {
    const at = this.#logs.indexOf(log);
    assert(at >= 0, 'the log is one of this storage');
    log.stopWaiting();
    // What was never committed takes no room any more.
    log.truncate(log.committedEnd.index);
    this.#logs.splice(at, 1);
    await this.journal.checkpoint();
    // Only this one: the others may wait for the room that it takes.
    await this.#settling.get(log);
    await log.sealed.close();
    await log.close();
    await this.#opener.clearFolder(log.bucket);
  }

  /** Removes what a replica has left whose removal a crash has ended. */
  async clearBucket(bucket: number): Promise<void> {
    assert(!this.#logs.some((log) => log.bucket === bucket), 'the bucket has no log');
    await this.#opener.clearFolder(bucket);
  }

  /** Starts the journal; part of opening. */
  async startJournal(
    folder: string,
    settings: StorageSettings,
    start: JournalStart,
  ): Promise<void> {
    const { files, clock, random, observer } = this.#environment;
    const owner: JournalOwner = {
      checkpoint: () => this.logs.map((log) => log.checkpoint()),
      lapBegins: () => {
        for (const log of this.logs) log.lapBegins();
      },
      isSettled: () => this.logs.every((log) => log.isSettled),
      eachUncommitted: (visit) => {
        for (const log of this.logs) {
          log.eachUncommittedFrame((bytes, from, to) => {
            visit(log, bytes, from, to);
          });
        }
      },
      settle: async () => {
        const stopped = await this.#settle();
        if (this.#failure !== null) throw this.#failure;
        if (stopped.length > 0) throw new SettlingStopped('the disk is full');
      },
      roundDone: () => {
        this.onRound();
      },
      failed: (error) => {
        this.fail(error);
      },
    };
    this.#journal = await Journal.open(
      files,
      folder,
      {
        bucketCount: settings.bucketCount,
        fileBytes: settings.journalFileBytes,
        filesMax: settings.journalFilesMax,
        random,
      },
      start,
      owner,
      clock,
      observer,
    );
    for (const log of this.logs) log.attach(this.#journal);
    this.#watch = setInterval(() => {
      this.#checkForHang();
    }, HANG_MS / 10).unref();
  }

  /** Those logs that are still here and have stopped before all was in their segments. */
  async #settle(): Promise<BucketLog[]> {
    const stopped: BucketLog[] = [];
    await Promise.all(
      this.#logs.map(async (log) => {
        const settling = log.settle();
        this.#settling.set(
          log,
          settling.catch(() => false),
        );
        if (!(await settling)) stopped.push(log);
        this.#settling.delete(log);
      }),
    );
    return stopped.filter((log) => this.#logs.includes(log));
  }

  /** Starts to look for damage in the background; part of opening. */
  startScrub(directory: string, { scrubBytesPerSecond }: StorageSettings): void {
    const { files, observer } = this.#environment;
    this.#scrub = new Scrub({
      files,
      observer,
      logs: this.logs,
      folderOf: (bucket) => segmentsFolder(directory, bucket),
      bytesPerSecond: scrubBytesPerSecond,
    });
    this.#scrub.start();
  }

  /** A sync that never returns would otherwise stop the node without a word. */
  #checkForHang(): void {
    const since = this.#journal?.writingSince ?? null;
    if (since === null || this.#environment.clock.monotonic() - since < HANG_MS) return;
    this.fail(new Error(`a write to the journal has not returned for ${String(HANG_MS / 1000)} s`));
  }

  /** Stops for good: nothing written from now on may be believed. */
  fail(error: Error): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#journal?.stop();
    this.stopWaiting();
    this.#environment.onFatal(error);
  }

  /** From now on nothing waits for space on a full disk: what segments lack, the journal has. */
  stopWaiting(): void {
    for (const log of this.logs) log.stopWaiting();
  }

  async close(): Promise<void> {
    this.stopWaiting();
    try {
      await this.#close();
    } finally {
      await this.#lock.release();
    }
  }

  async #close(): Promise<void> {
    this.space.close();
    if (this.#watch !== null) clearInterval(this.#watch);
    await this.#scrub?.stop();
    await this.#journal?.close();
    for (const log of this.logs) {
      await log.sealed.close();
      await log.close();
    }
    if (this.#failure === null) await this.#leaveSnapshots();
    await this.#environment.builds.close();
    await this.openFiles.close();
  }

  /** They make the next start faster and nothing else: what keeps them from being written is no failure. */
  async #leaveSnapshots(): Promise<void> {
    const { observer } = this.#environment;
    for (const log of this.logs) {
      await log.leaveSnapshot().catch((error: unknown) => {
        const reason = (error as Error).message;
        observer.recovery('no snapshot', { bucket: log.bucket, reason });
      });
    }
  }
}

/** The directory may be new, and folders above it: their names must be as durable as what will be in them. */
export async function syncAncestors(files: FileSystem, directory: string): Promise<void> {
  for (let path = resolve(directory); path !== dirname(path);) {
    path = dirname(path);
    try {
      await files.syncDirectory(path);
    } catch (error) {
      // A folder that this process may not even read is none that it has made.
      if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
}

/** Rejects with {@link OpenError} for a directory that another process has. */
export async function takeLock(files: FileSystem, directory: string): Promise<DirectoryLock> {
  try {
    return await files.lock(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    throw new OpenError('locked', `${directory} is in use by another process`, { cause: error });
  }
}

interface OpenParts {
  readonly space: SpaceGuard;
  readonly cache: BlockCache;
  readonly openFiles: OpenFiles;
  readonly lock: DirectoryLock;
  readonly opener: LogOpener;
}

/** The steps of opening, in the order in which they make things durable. */
class Opening {
  readonly #directory: string;
  readonly #settings: StorageSettings;
  readonly #environment: StorageEnvironment;
  readonly #parts: OpenParts;
  #storage: Storage | null = null;

  constructor(
    directory: string,
    settings: StorageSettings,
    environment: StorageEnvironment,
    lock: DirectoryLock,
  ) {
    const { files, builds, observer } = environment;
    this.#directory = directory;
    this.#settings = settings;
    this.#environment = environment;
    const shared = {
      space: new SpaceGuard(files, directory, settings.diskReserveBytes),
      cache: new BlockCache(settings.cacheBytes),
      openFiles: new OpenFiles(files),
    };
    const opener = new LogOpener({
      ...settings,
      ...{ directory, files, builds, observer },
      ...shared,
      room: new UncommittedRoom(settings.journalFileBytes),
      failed: (error) => {
        this.#fail(error);
      },
    });
    this.#parts = { ...shared, lock, opener };
  }

  /** Runs all steps; after a failure nothing of the attempt goes on. */
  async run(
    make: (identity: OpenIdentity, logs: BucketLog[], parts: OpenParts) => Storage,
  ): Promise<Storage> {
    try {
      return await this.#run(make);
    } catch (error) {
      this.#parts.space.close();
      throw error;
    }
  }

  async #run(
    make: (identity: OpenIdentity, logs: BucketLog[], parts: OpenParts) => Storage,
  ): Promise<Storage> {
    const { files } = this.#environment;
    const { bucketCount, partitionCount } = this.#settings;
    const identity = await this.#identify();
    checkCounts(this.#directory, identity, bucketCount, partitionCount);
    const scan = identity.initialized ? await this.#scanJournal() : null;
    const isLone = this.#environment.replicas === undefined;
    if (isLone && isOfSeveral(scan, identity)) throw lostAssignment(this.#directory);
    const logs = await this.#openLogs(scan, (log) => {
      const [first] = log.damage;
      if (first !== undefined) this.#environment.observer.recovery('damaged segment', { ...first });
    });
    const storage = make(identity, logs, this.#parts);
    this.#storage = storage;
    const folder = journalFolder(this.#directory);
    if (scan !== null) await this.#replay(folder, scan, logs);
    await storage.startJournal(folder, this.#settings, journalStart(scan));
    const started = startedOnce(identity, this.#environment.startId);
    await writeIdentity(files, this.#directory, { ...started, initialized: true });
    await this.#parts.space.refresh();
    storage.startScrub(this.#directory, this.#settings);
    return storage;
  }

  async #identify(): Promise<OpenIdentity> {
    const { files, random, clusterId } = this.#environment;
    const newClusterId = (): string => clusterId ?? drawUuid(random);
    const known = await claimIdentity(files, this.#directory, random, this.#settings, newClusterId);
    if (clusterId !== undefined && (known.clusterId ?? clusterId) !== clusterId) {
      throw new OpenError(
        'mismatch',
        `${this.#directory} belongs to cluster ${String(known.clusterId)} and cannot be opened for cluster ${clusterId}`,
      );
    }
    const identity = { ...known, clusterId: known.clusterId ?? newClusterId() };
    if (known.clusterId === null) await writeIdentity(files, this.#directory, identity);
    if (!identity.initialized) await this.#makeFolders();
    return identity;
  }

  /** Also clears what a first start left that did not come to its end; nothing was acknowledged by it. */
  async #makeFolders(): Promise<void> {
    const { files } = this.#environment;
    const journal = journalFolder(this.#directory);
    await files.makeDirectory(journal);
    for (const name of await files.list(journal)) await files.remove(`${journal}/${name}`);
    await files.makeDirectory(bucketsFolder(this.#directory));
    for (let bucket = 0; bucket < this.#settings.bucketCount; bucket += 1) {
      await files.makeDirectory(segmentsFolder(this.#directory, bucket));
      await files.syncDirectory(bucketFolder(this.#directory, bucket));
    }
    await files.syncDirectory(bucketsFolder(this.#directory));
    await files.syncDirectory(this.#directory);
    await syncAncestors(files, this.#directory);
  }

  async #scanJournal(): Promise<JournalScan> {
    const { files, observer } = this.#environment;
    const scan = await scanJournal(files, journalFolder(this.#directory));
    if (scan.refusal !== null) {
      throw new OpenError(
        'damaged',
        `the journal in ${this.#directory} is damaged (${scan.refusal.kind}): ${scan.refusal.detail}; ` +
          `run "sierradb verify ${this.#directory}" to see what would be lost`,
      );
    }
    if (scan.end === 'torn tail') observer.recovery('torn tail', { bytes: scan.tornBytes });
    return scan;
  }

  async #openLogs(
    scan: JournalScan | null,
    report: (log: BucketLog) => void,
  ): Promise<BucketLog[]> {
    const checkpoints = scan?.checkpoint?.buckets ?? this.#freshCheckpoints();
    return Promise.all(
      checkpoints.map(async (checkpoint) => {
        const log = await this.#parts.opener.open(checkpoint);
        report(log);
        return log;
      }),
    );
  }

  #freshCheckpoints(): BucketCheckpoint[] {
    const plans = this.#environment.replicas ?? this.#lonePlans();
    return plans.map((plan) => this.#parts.opener.freshCheckpoint(plan));
  }

  #lonePlans(): ReplicaPlan[] {
    const { random } = this.#environment;
    return Array.from({ length: this.#settings.bucketCount }, (_, bucket) => {
      const replicaId = Buffer.alloc(8);
      const groupId = Buffer.alloc(16);
      random.fill(replicaId);
      random.fill(groupId);
      return { bucket, replicaId, groupId, configuration: aloneConfiguration(replicaId) };
    });
  }

  /** Frames behind the checkpoint go into segments again and are synced before anything else happens. */
  async #replay(folder: string, scan: JournalScan, logs: readonly BucketLog[]): Promise<void> {
    const { files, observer } = this.#environment;
    // Segments get nothing that a power cut could still take from the journal.
    await secureLastRound(files, folder, scan);
    const frames = await replayInto(files, folder, scan, logs, (bucket) =>
      segmentsFolder(this.#directory, bucket),
    );
    if (frames > 0) observer.recovery('replayed', { frames });
    await Promise.all(logs.map((log) => log.settle()));
    if (this.#storage?.failure) throw this.#storage.failure;
    for (const log of logs) {
      const context = { files, folder: segmentsFolder(this.#directory, log.bucket) };
      await removeStrays({ ...context, bucket: log.bucket, observer }, log);
    }
  }

  #fail(error: Error): void {
    if (this.#storage === null) throw error;
    this.#storage.fail(error);
  }
}

/** Until the fresh lap's checkpoint is durable, the laps that recovery used stay. */
function journalStart(scan: JournalScan | null): JournalStart {
  if (scan === null) return { nextRound: 1, previousCrc: 0, nextLap: 1, files: [] };
  const needed = scan.checkpoint?.oldestLap ?? 0;
  const kept = new Set(scan.laps.filter(({ lap }) => lap >= needed).map(({ slot }) => slot));
  return {
    nextRound: scan.lastRound + 1,
    previousCrc: scan.lastCrc,
    nextLap: scan.lastLap + 1,
    files: scan.files.map(({ slot, bytes, salt, lap }) => ({
      slot,
      bytes,
      salt,
      lap: kept.has(slot) ? lap : null,
    })),
  };
}
