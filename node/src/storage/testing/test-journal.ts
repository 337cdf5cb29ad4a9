/** A journal by itself: entries are numbers, and "segments" are a number up to which everything is settled. */
import assert from 'node:assert/strict';

import { aloneConfiguration } from '../configuration-format.ts';
import { systemClock } from '../../../../common/clock.ts';
import { seededRandom } from '../../../../common/random.ts';
import { readUint32, writeUint32 } from '../bytes.ts';
import type { FileSystem } from '../file-system.ts';
import { Journal, type JournalParty, type JournalStart } from '../journal.ts';
import {
  type BucketCheckpoint,
  decodeRound,
  entryType,
  PAGE_BYTES,
  paddedLength,
} from '../journal-format.ts';
import { type JournalScan, replayJournal, scanJournal } from '../journal-scan.ts';
import { journalFileName } from '../names.ts';

export const FOLDER = '/journal';
/** So many that a checkpoint takes several sectors, and can be torn. */
const BUCKETS = 30;
const REPLICA = Buffer.from('replica1');
const GROUP = Buffer.alloc(16, 7);

export interface TestJournalOptions {
  readonly fileBytes?: number;
  readonly filesMax?: number;
  /** Bytes of each entry, the number included. Default 100. */
  readonly entryBytes?: number;
}

export interface SyncedRound {
  readonly entries: number;
  readonly bytes: number;
}

export class TestJournal {
  readonly rounds: SyncedRound[] = [];
  readonly failures: Error[] = [];
  /** Entries of which the journal has said that they are durable. */
  durable = 0;
  /** Entries appended. */
  appended = 0;
  /** Entries that segments hold, synced. */
  settled = 0;
  /** While set, settling waits for it. */
  gate: Promise<void> | null = null;
  /** Of how many entries, among the last ones, settling is told too late: they are not settled then. */
  late = 0;
  /** How many entries, the last durable ones, are not committed: every checkpoint repeats them. */
  uncommitted = 0;
  /** How often the owner was asked for a checkpoint of all buckets. */
  checkpoints = 0;
  #lapStart = 0;
  journal: Journal | null = null;
  readonly #entryBytes: number;
  readonly #party: JournalParty;

  private constructor(entryBytes: number) {
    this.#entryBytes = entryBytes;
    this.#party = this.party();
  }

  static async open(
    files: FileSystem,
    options: TestJournalOptions = {},
    found: { readonly start: JournalStart; readonly settled: number } | null = null,
  ): Promise<TestJournal> {
    const { fileBytes = 64 * 1024, filesMax = 3, entryBytes = 100 } = options;
    const test = new TestJournal(entryBytes);
    test.settled = found?.settled ?? 0;
    test.appended = test.settled;
    test.durable = test.settled;
    await files.makeDirectory(FOLDER);
    await files.syncDirectory('/');
    test.journal = await Journal.open(
      files,
      FOLDER,
      { bucketCount: BUCKETS, fileBytes, filesMax, random: seededRandom(1) },
      found?.start ?? { nextRound: 1, previousCrc: 0, nextLap: 1, files: [] },
      {
        checkpoint: () => {
          test.checkpoints += 1;
          return Array.from({ length: BUCKETS }, (_, bucket) => test.#checkpoint(bucket));
        },
        eachUncommitted: (visit) => {
          const first = Math.max(1, test.durable - test.uncommitted + 1);
          for (let number = first; number <= test.durable; number += 1) {
            const entry = test.#entry(number);
            visit(test.#party, entry, 0, entry.length);
          }
        },
        lapBegins: () => {
          test.#lapStart = test.durable;
        },
        isSettled: () => test.settled >= test.#lapStart,
        settle: async () => {
          await test.gate;
          test.settled = Math.max(test.settled, test.durable - test.late);
          test.late = 0;
        },
        roundDone: () => undefined,
        failed: (error) => test.failures.push(error),
      },
      systemClock,
      {
        roundSynced: (entries, bytes) => test.rounds.push({ entries, bytes }),
        segmentSealed: () => undefined,
        recovery: () => undefined,
      },
    );
    return test;
  }

  /** Appends the next number. */
  append(party: JournalParty = this.#party): void {
    this.appended += 1;
    const entry = this.#entry(this.appended);
    this.journal!.append(party, entryType.frame, entry, 0, entry.length, this.appended);
  }

  /** Another bucket's log. */
  party(): JournalParty {
    return {
      bucket: 0,
      replicaId: REPLICA,
      roundId: 0,
      roundSlot: 0,
      durable: (mark) => {
        assert(mark > this.durable, 'marks ascend');
        this.durable = mark;
      },
    };
  }

  /** Appends one at a time, each in a round of its own. */
  async appendAlone(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.append();
      await this.journal!.flushed();
    }
  }

  #entry(number: number): Buffer {
    const entry = Buffer.alloc(this.#entryBytes, number);
    writeUint32(entry, 0, number);
    return entry;
  }

  #checkpoint(bucket: number): BucketCheckpoint {
    const end = { segment: 0, offset: 0, index: this.settled, term: 1, crc: 0 };
    const configuration = aloneConfiguration(REPLICA);
    return {
      ...{ bucket, replicaId: REPLICA, groupId: GROUP, term: 1, votedFor: REPLICA },
      ...{ end, configuration },
    };
  }
}

export const scan = (files: FileSystem): Promise<JournalScan> => scanJournal(files, FOLDER);

/** The numbers that a replay shows. */
export async function replayed(files: FileSystem, found: JournalScan): Promise<number[]> {
  const numbers: number[] = [];
  await replayJournal(files, FOLDER, found, (content, entry) => {
    if (entry.type !== entryType.frame) return;
    const number = readUint32(content, entry.from);
    const rest = content.subarray(entry.from + 4, entry.to);
    assert(rest.equals(Buffer.alloc(rest.length, number)), `entry ${number} is whole`);
    numbers.push(number);
  });
  return numbers;
}

export interface RoundPlace {
  readonly path: string;
  readonly at: number;
  readonly length: number;
  readonly number: number;
}

/** Where every round of the chain stands. */
export async function roundPlaces(files: FileSystem, found: JournalScan): Promise<RoundPlace[]> {
  const places: RoundPlace[] = [];
  for (const { slot, end } of found.laps) {
    const path = `${FOLDER}/${journalFileName(slot)}`;
    const content = await files.readFile(path);
    const { salt } = found.files.find((file) => file.slot === slot)!;
    for (let at = PAGE_BYTES; at < end;) {
      const round = decodeRound(content, at, salt!)!;
      places.push({ path, at, length: round.length, number: round.number });
      at += paddedLength(round.length);
    }
  }
  return places;
}
