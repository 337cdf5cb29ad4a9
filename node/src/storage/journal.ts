/**
 * The journal: what a node promises becomes durable here, for all buckets, in rounds of one write and one sync.
 *
 * Invariants
 * - Round n + 1 is written only after round n is durable. So whatever follows a valid round n + 1 cannot excuse a bad
 *   round n, and a bad round with nothing valid behind it was never acknowledged (`journal-scan.ts` decides by this).
 * - A file is reused (gets its next lap) only after a checkpoint that no longer needs it is durable in a younger lap.
 * - Every lap begins with a checkpoint, so that any run of laps can be recovered by itself.
 * - After a failed write nothing more is written: the owner hears it once and stops.
 *
 * Adaptive group commit: while no round is being synced, the next one goes out in the same turn of the event loop; what
 * arrives meanwhile is the round after. Sizes bound a round, timers never delay it.
 */
import { assert } from '../../../common/assert.ts';
import type { Clock } from '../../../common/clock.ts';
import type { Random } from '../../../common/random.ts';
import type { FileHandle, FileSystem } from './file-system.ts';
import { createJournalFile, TEMPORARY } from './journal-file.ts';
import {
  checkpointLength,
  encodeCheckpoint,
  ENTRY_HEADER_BYTES,
  entryType,
  type BucketCheckpoint,
  type EntryType,
  PAGE_BYTES,
  paddedLength,
  REPLICA_ID_BYTES,
  ROUND_HEADER_BYTES,
  sealRound,
  writeEntryHeader,
} from './journal-format.ts';
import { journalFileName } from './names.ts';
import type { StorageObserver } from './observer.ts';
import { isDiskFull } from './system-error.ts';

/** Who puts entries into the journal: a bucket's log. */
export interface JournalParty {
  readonly bucket: number;
  readonly replicaId: Uint8Array;
  /** Everything this party appended with a mark up to `mark` is durable. */
  durable(mark: number): void;
  /** Journal's own note: which round this party last wrote to, and where its mark stands there. */
  roundId: number;
  roundSlot: number;
}

/** What the journal needs of the storage around it. */
export interface JournalOwner {
  /** Where each bucket's log ends in synced segments, now. */
  checkpoint(): readonly BucketCheckpoint[];
  /** A lap begins: what was appended so far is in older ones. */
  lapBegins(): void;
  /**
   * Whether every committed frame of older laps is in synced segments. One may have been committed since `settle` has looked;
   * then it must settle again, because no checkpoint would repeat it.
   */
  isSettled(): boolean;
  /** Shows the frames that are not committed, of each bucket in order: they stand in every checkpoint again. */
  eachUncommitted(
    visit: (party: JournalParty, bytes: Uint8Array, from: number, to: number) => void,
  ): void;
  /**
   * Writes everything committed so far into segments and syncs them. Rejects with {@link SettlingStopped} where a full disk does not let it and the owner is about to stop.
   */
  settle(): Promise<void>;
  /** All parties of a round have been told; the moment to answer clients in one go. */
  roundDone(): void;
  /** A write or sync failed. Nothing more will become durable. */
  failed(error: Error): void;
}

/** Segments do not have everything, and will not get it: the journal's files are needed as they are. */
export class SettlingStopped extends Error {
  override readonly name = 'SettlingStopped';
}

interface JournalFile {
  readonly slot: number;
  readonly handle: FileHandle;
  readonly bytes: number;
  readonly salt: number;
  /** Lap that it holds, or null: free. */
  lap: number | null;
}

interface Round {
  id: number;
  buffer: Buffer;
  length: number;
  entryCount: number;
  parties: JournalParty[];
  marks: number[];
}

export interface JournalStart {
  /** Number of the next round, CRC of the round before, next lap. */
  readonly nextRound: number;
  readonly previousCrc: number;
  readonly nextLap: number;
  /**
   * Existing files by slot; `lap` is null for files that hold nothing needed. A file whose header is unreadable (`salt`
   * is null) is removed when the fresh lap is durable.
   */
  readonly files: readonly {
    slot: number;
    bytes: number;
    salt: number | null;
    lap: number | null;
  }[];
}

export interface JournalSettings {
  /** How many buckets a checkpoint covers. */
  readonly bucketCount: number;
  readonly fileBytes: number;
  readonly filesMax: number;
  /** Draws the salts of new files. */
  readonly random: Random;
}

const ROUND_BUFFER_BYTES = 256 * 1024;
/** A round grows to this while another is being synced; then the next one begins. */
const ROUND_BYTES_MAX = 4 * 1024 * 1024;
/** Room kept at a file's end so that the checkpoints that free older files always fit. */
const RESERVED_CHECKPOINTS = 4;
const NO_REPLICA = Buffer.alloc(REPLICA_ID_BYTES);

const hasStopped = (): Error => new Error('the journal has stopped');

export class Journal {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #settings: JournalSettings;
  readonly #owner: JournalOwner;
  readonly #clock: Clock;
  readonly #observer: StorageObserver;
  readonly #ring: JournalFile[] = [];
  /** Slots of files whose headers are unreadable. */
  readonly #unreadable: number[] = [];
  readonly #full: Round[] = [];
  readonly #spare: Round[] = [];
  readonly #roundBytesMax: number;
  #open: Round;
  #roundIds = 0;
  #current: JournalFile | null = null;
  #position = 0;
  #nextRound: number;
  #nextLap: number;
  #previousCrc: number;
  #state: 'idle' | 'scheduled' | 'writing' | 'failed' | 'closed' = 'idle';
  #settling: Promise<void> | null = null;
  #allocating: Promise<void> | null = null;
  /** Set when every lap before it has been settled; the writing loop then releases them. */
  #settledLap: number | null = null;
  #mayGrow = true;
  #wake: (() => void) | null = null;
  #writingSince: number | null = null;
  #idle: PromiseWithResolvers<void> | null = null;
  /** At least what one takes: what it took when that was measured, and all that was not durable then or came since. */
  #checkpointBytesMax = Infinity;
  /** Those who wait for a checkpoint. */
  #checkpointWaits: Pick<PromiseWithResolvers<void>, 'resolve' | 'reject'>[] = [];

  private constructor(
    files: FileSystem,
    folder: string,
    settings: JournalSettings,
    start: JournalStart,
    owner: JournalOwner,
    clock: Clock,
    observer: StorageObserver,
  ) {
    this.#files = files;
    this.#folder = folder;
    this.#settings = settings;
    this.#owner = owner;
    this.#clock = clock;
    this.#observer = observer;
    this.#nextRound = start.nextRound;
    this.#nextLap = start.nextLap;
    this.#previousCrc = start.previousCrc;
    this.#roundBytesMax = Math.min(ROUND_BYTES_MAX, settings.fileBytes / 4);
    this.#open = this.#newRound();
  }

  /**
   * Opens the ring and starts a fresh lap with a checkpoint: when this resolves, the owner's present checkpoint is
   * durable and every older lap is free. The owner must have synced what the checkpoint claims.
   */
  static async open(
    files: FileSystem,
    folder: string,
    settings: JournalSettings,
    start: JournalStart,
    owner: JournalOwner,
    clock: Clock,
    observer: StorageObserver,
  ): Promise<Journal> {
    const journal = new Journal(files, folder, settings, start, owner, clock, observer);
    for (const { slot, bytes, salt, lap } of start.files) {
      if (salt === null) {
        journal.#unreadable.push(slot);
        continue;
      }
      const handle = await files.open(`${folder}/${journalFileName(slot)}`, 'open');
      journal.#ring.push({ slot, handle, bytes, salt, lap });
    }
    await journal.#tidy();
    while (journal.#ring.length < 2 || journal.#freeFile() === undefined) await journal.#allocate();
    await journal.#startLap(start.nextLap);
    for (const file of journal.#ring) if (file !== journal.#current) file.lap = null;
    await journal.#removeUnreadable();
    return journal;
  }

  async #removeUnreadable(): Promise<void> {
    const slots = this.#unreadable.splice(0);
    for (const slot of slots) await this.#files.remove(`${this.#folder}/${journalFileName(slot)}`);
    if (slots.length > 0) await this.#files.syncDirectory(this.#folder);
  }

  /** A process that died while it added a file may have left half of one, and a name that is not durable. */
  async #tidy(): Promise<void> {
    for (const name of await this.#files.list(this.#folder)) {
      if (name.endsWith(TEMPORARY)) await this.#files.remove(`${this.#folder}/${name}`);
    }
    await this.#files.syncDirectory(this.#folder);
  }

  /** Bytes accepted and not yet durable. */
  get queuedBytes(): number {
    const open = this.#open.length - ROUND_HEADER_BYTES;
    return this.#full.reduce((bytes, { length }) => bytes + length, open);
  }

  /** When the write that is under way began, monotonic ms, or null. A write that never returns is the owner's to notice. */
  get writingSince(): number | null {
    return this.#writingSince;
  }

  /** Share of the ring, at its largest, that is in use. */
  get fill(): number {
    const used = this.#ring.filter((file) => file.lap !== null).length;
    return used / this.#settings.filesMax;
  }

  /** Takes `source[from..to)` as an entry of the next round; `party.durable(mark)` follows. Never waits. */
  append(
    party: JournalParty,
    type: EntryType,
    source: Uint8Array,
    from: number,
    to: number,
    mark: number,
  ): void {
    if (this.#state === 'failed' || this.#state === 'closed') return;
    const bytes = to - from;
    const round = this.#room(ENTRY_HEADER_BYTES + bytes);
    writeEntryHeader(round.buffer, round.length, type, party.bucket, party.replicaId, bytes);
    round.buffer.set(source.subarray(from, to), round.length + ENTRY_HEADER_BYTES);
    round.length += ENTRY_HEADER_BYTES + bytes;
    round.entryCount += 1;
    this.#checkpointBytesMax += ENTRY_HEADER_BYTES + bytes;
    if (party.roundId === round.id) {
      round.marks[party.roundSlot] = mark;
    } else {
      party.roundId = round.id;
      party.roundSlot = round.parties.length;
      round.parties.push(party);
      round.marks.push(mark);
    }
    this.#kick();
  }

  /** Resolves when everything appended so far is durable (or will never be). */
  async flushed(): Promise<void> {
    while (this.#state === 'writing' || this.#state === 'scheduled') {
      this.#idle ??= Promise.withResolvers();
      await this.#idle.promise;
    }
  }

  /** Resolves when what the owner's checkpoint says now, or later, is durable. Rejects when the journal stops before. */
  checkpoint(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#checkpointWaits.push({ resolve, reject });
    if (this.#state === 'failed' || this.#state === 'closed') this.#refuseCheckpoints();
    else this.#kick();
    return promise;
  }

  #refuseCheckpoints(): void {
    for (const { reject } of this.#checkpointWaits.splice(0)) reject(hasStopped());
  }

  /** Waits for what was appended, settles it into segments and leaves a checkpoint; then closes the files. */
  async close(): Promise<void> {
    await this.#quiet();
    try {
      if (this.#state !== 'failed') {
        this.#state = 'closed';
        await this.#owner.settle();
        const lap = this.#currentFile().lap as number;
        if (this.#fits(this.#checkpointBytes())) await this.#writeCheckpoint(lap);
      }
    } catch (error) {
      if (!(error instanceof SettlingStopped)) throw error;
    } finally {
      for (const file of this.#ring) await file.handle.close();
    }
  }

  /** Nothing more becomes durable. */
  stop(): void {
    this.#state = 'failed';
    this.#wakeIdle();
    this.#refuseCheckpoints();
    this.#wakeUp();
  }

  /** Resolves when nothing is under way. */
  async #quiet(): Promise<void> {
    do {
      await this.flushed();
      await this.#settling;
      await this.#allocating;
    } while (this.#state === 'writing' || this.#state === 'scheduled');
  }

  #newRound(): Round {
    const round = this.#spare.pop() ?? {
      id: 0,
      buffer: Buffer.allocUnsafeSlow(ROUND_BUFFER_BYTES),
      length: 0,
      entryCount: 0,
      parties: [],
      marks: [],
    };
    this.#roundIds += 1;
    round.id = this.#roundIds;
    round.length = ROUND_HEADER_BYTES;
    round.entryCount = 0;
    round.parties = [];
    round.marks = [];
    return round;
  }

  /** A round with room for `bytes`; the open one unless that would grow too large. */
  #room(bytes: number): Round {
    let round = this.#open;
    if (round.entryCount > 0 && round.length + bytes > this.#roundBytesMax) {
      this.#full.push(round);
      this.#open = this.#newRound();
      round = this.#open;
    }
    const needed = paddedLength(round.length + bytes);
    if (needed > round.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * round.buffer.length));
      round.buffer.copy(larger, 0, 0, round.length);
      round.buffer = larger;
    }
    return round;
  }

  #start(): void {
    if (this.#state !== 'scheduled') return;
    this.#state = 'writing';
    this.#writeRounds().catch((error: unknown) => {
      this.#fail(error as Error);
    });
  }

  async #writeRounds(): Promise<void> {
    for (;;) {
      if (this.#settledLap !== null) await this.#releaseOlder(this.#settledLap);
      while (this.#checkpointWaits.length > 0) await this.#giveCheckpoint();
      const round = this.#full.shift() ?? this.#open;
      if (round.entryCount === 0) break;
      if (round === this.#open) this.#open = this.#newRound();
      if (!this.#leavesReserve(round)) await this.#nextFile();
      await this.#write(round);
      this.#publish(round);
    }
    if (this.#state === 'writing') this.#state = 'idle';
    this.#wakeIdle();
  }

  /** Gives up nothing that older laps hold: it says anew who has a log here. */
  async #giveCheckpoint(): Promise<void> {
    const { length } = this.#checkpointWaits;
    const fits = this.#fits((RESERVED_CHECKPOINTS + 1) * this.#checkpointBytes());
    await (fits ? this.#writeCheckpoint(this.#oldestLap()) : this.#nextFile());
    for (const { resolve } of this.#checkpointWaits.splice(0, length)) resolve();
  }

  /** The commit point: pad, number, chain, write and sync; only then is the round part of the journal. */
  async #write(round: Round): Promise<void> {
    const file = this.#currentFile();
    const padded = paddedLength(round.length);
    round.buffer.fill(0, round.length, padded);
    const crc = sealRound(round.buffer, file.salt, {
      length: round.length,
      previousCrc: this.#previousCrc,
      number: this.#nextRound,
      lap: file.lap ?? 0,
      entryCount: round.entryCount,
    });
    const before = this.#clock.monotonic();
    this.#writingSince = before;
    await file.handle.writeDurably(round.buffer.subarray(0, padded), this.#position);
    this.#writingSince = null;
    this.#observer.roundSynced(round.entryCount, padded, (this.#clock.monotonic() - before) / 1000);
    this.#position += padded;
    this.#nextRound += 1;
    this.#previousCrc = crc;
  }

  #publish(round: Round): void {
    for (let i = 0; i < round.parties.length; i += 1) {
      round.parties[i]?.durable(round.marks[i] as number);
    }
    if (round.buffer.length <= ROUND_BYTES_MAX && this.#spare.length < 2) {
      this.#spare.push(round);
    }
    this.#owner.roundDone();
  }

  /** Moves to a free file, waiting for one if the segments lag behind, and starts to free the older ones. */
  async #nextFile(): Promise<void> {
    while (this.#freeFile() === undefined) {
      if (this.#hasStopped) throw hasStopped();
      if (this.#ring.length < this.#settings.filesMax) this.#growRing();
      this.#settleOlder();
      await new Promise<void>((somethingIsFreed) => (this.#wake = somethingIsFreed));
      if (this.#settledLap !== null) await this.#releaseOlder(this.#settledLap);
    }
    await this.#startLap(this.#oldestLap());
    this.#settleOlder();
    if (this.#freeFile() === undefined && this.#ring.length < this.#settings.filesMax) {
      this.#growRing();
    }
  }

  async #startLap(oldestLap: number): Promise<void> {
    const file = this.#freeFile();
    assert(file !== undefined, 'a lap starts in a free file');
    this.#mayGrow = true;
    file.lap = this.#nextLap;
    this.#nextLap += 1;
    this.#current = file;
    this.#position = PAGE_BYTES;
    this.#owner.lapBegins();
    await this.#writeCheckpoint(oldestLap);
  }

  /** What the owner's segments lack stands behind the checkpoint in the same round, so that no older lap is needed for it. */
  async #writeCheckpoint(oldestLap: number): Promise<void> {
    const payload = encodeCheckpoint({ oldestLap, buckets: this.#owner.checkpoint() });
    const buffer = Buffer.alloc(this.#checkpointBytes());
    let at = ROUND_HEADER_BYTES;
    let entryCount = 0;
    const put = (
      type: EntryType,
      bucket: number,
      replicaId: Uint8Array,
      bytes: Uint8Array,
    ): void => {
      writeEntryHeader(buffer, at, type, bucket, replicaId, bytes.length);
      buffer.set(bytes, at + ENTRY_HEADER_BYTES);
      at += ENTRY_HEADER_BYTES + bytes.length;
      entryCount += 1;
    };
    put(entryType.checkpoint, 0, NO_REPLICA, payload);
    this.#owner.eachUncommitted(({ bucket, replicaId }, bytes, from, to) => {
      put(entryType.frame, bucket, replicaId, bytes.subarray(from, to));
    });
    await this.#write({ id: 0, buffer, length: at, entryCount, parties: [], marks: [] });
  }

  /** Starts to move the frames of laps before the current one into synced segments. */
  #settleOlder(): void {
    if (this.#settling !== null) return;
    const lap = this.#currentFile().lap as number;
    this.#settling = this.#owner
      .settle()
      .then(() => {
        this.#settledLap = lap;
        this.#kick();
      })
      .catch((error: unknown) => {
        this.#fail(error as Error);
      })
      .finally(() => {
        this.#settling = null;
        this.#wakeUp();
      });
  }

  /** Only when a checkpoint that does without them is durable may the files of older laps be overwritten. */
  async #releaseOlder(settledLap: number): Promise<void> {
    this.#settledLap = null;
    if (!this.#owner.isSettled()) {
      this.#settleOlder();
      return;
    }
    await this.#writeCheckpoint(settledLap);
    for (const file of this.#ring) {
      if (file.lap !== null && file.lap < settledLap) file.lap = null;
    }
  }

  #kick(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'scheduled';
    setImmediate(() => {
      this.#start();
    });
  }

  get #hasStopped(): boolean {
    return this.#state === 'failed';
  }

  #wakeIdle(): void {
    this.#idle?.resolve();
    this.#idle = null;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #fits(bytes: number): boolean {
    return this.#position + bytes <= this.#currentFile().bytes;
  }

  /** Whether checkpoints still fit behind a round. To measure one takes a look at every bucket: not with every round. */
  #leavesReserve(round: Round): boolean {
    const padded = paddedLength(round.length);
    if (this.#fits(padded + RESERVED_CHECKPOINTS * this.#checkpointBytesMax)) return true;
    const bytes = this.#checkpointBytes();
    this.#checkpointBytesMax = bytes + round.length + this.queuedBytes + PAGE_BYTES;
    return this.#fits(padded + RESERVED_CHECKPOINTS * bytes);
  }

  #checkpointBytes(): number {
    let length =
      ROUND_HEADER_BYTES + ENTRY_HEADER_BYTES + checkpointLength(this.#owner.checkpoint());
    this.#owner.eachUncommitted((_, __, from, to) => {
      length += ENTRY_HEADER_BYTES + to - from;
    });
    return paddedLength(length);
  }

  #oldestLap(): number {
    return Math.min(...this.#ring.map(({ lap }) => lap ?? Infinity), this.#nextLap);
  }

  #freeFile(): JournalFile | undefined {
    return this.#ring.find((file) => file.lap === null);
  }

  #currentFile(): JournalFile {
    assert(this.#current !== null, 'the journal has a current file');
    return this.#current;
  }

  #growRing(): void {
    if (this.#allocating !== null || !this.#mayGrow) return;
    this.#allocating = this.#allocate()
      .catch((error: unknown) => {
        // A ring that cannot grow goes on with the files it has, and leaves the space to segments.
        if (isDiskFull(error)) this.#mayGrow = false;
        else this.#fail(error as Error);
      })
      .finally(() => {
        this.#allocating = null;
        this.#wakeUp();
      });
  }

  async #allocate(): Promise<void> {
    const slots = new Set([...this.#ring.map((file) => file.slot), ...this.#unreadable]);
    let slot = 0;
    while (slots.has(slot)) slot += 1;
    const { fileBytes: bytes, random } = this.#settings;
    const salt = random.below(2 ** 32);
    const handle = await createJournalFile(this.#files, this.#folder, slot, { bytes, salt });
    this.#ring.push({ slot, handle, bytes, salt, lap: null });
  }

  #fail(error: Error): void {
    if (this.#hasStopped) return;
    this.stop();
    if (!(error instanceof SettlingStopped)) this.#owner.failed(error);
  }
}
