/**
 * Reading the journal back: where it ends, and whether what is missing was ever promised. **This is the place where a
 * torn tail is told from damage.**
 *
 * The rule. Round n + 1 is written only after round n is durable. So when the scan meets a place where round n should
 * stand and does not:
 *
 * | case              | what is there                                             | decision                            |
 * | ----------------- | --------------------------------------------------------- | ----------------------------------- |
 * | `next file`       | round n opens the file of the next lap                    | go on there                         |
 * | `damaged round`   | a valid round with a higher number anywhere in the journal | round n was promised: refuse        |
 * | `torn tail`       | bytes of an unfinished round, nothing valid behind        | nobody was told of it: drop it whole |
 * | `clean end`       | nothing of this lap                                       | the end                             |
 *
 * and for the beginning:
 *
 * | case              | what is there                                             | decision                            |
 * | ----------------- | --------------------------------------------------------- | ----------------------------------- |
 * | `cut file`        | a file is shorter than it was made                        | rounds may be missing: refuse       |
 * | `damaged header`  | both copies of a file's header are unreadable             | its rounds are too: refuse          |
 * | `missing lap`     | the last checkpoint needs a lap that cannot be read       | refuse                              |
 * | `no journal`      | no valid round in any file                                | refuse, unless the directory is new |
 *
 * Each row has a test of the same name. Nothing is written here; the caller decides what to do with a refusal.
 */
import type { FileSystem } from './file-system.ts';
import { readUint32 } from './bytes.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeFileHeader,
  decodeRound,
  type Entry,
  entriesOf,
  entryType,
  PAGE_BYTES,
  paddedLength,
  ROUND_MAGIC,
  type RoundHeader,
} from './journal-format.ts';
import { journalFileName, parseJournalFileName } from './names.ts';

export type JournalEnd = 'clean end' | 'torn tail';
export type JournalRefusal =
  'damaged round' | 'cut file' | 'damaged header' | 'missing lap' | 'no journal';

export interface ScannedFile {
  readonly slot: number;
  readonly bytes: number;
  /** Null where its header cannot be read. */
  readonly salt: number | null;
  /** Lap of its first round, or null where that cannot be read. */
  readonly lap: number | null;
}

export interface ScannedLap {
  readonly slot: number;
  readonly lap: number;
  /** Offset of its last valid round. */
  readonly lastRoundAt: number;
  /** Offset behind it. */
  readonly end: number;
}

export interface JournalScan {
  readonly files: readonly ScannedFile[];
  /** Laps in ascending order. */
  readonly laps: readonly ScannedLap[];
  readonly lastRound: number;
  readonly lastCrc: number;
  readonly lastLap: number;
  /** The latest checkpoint; null only with the refusal `no journal`. */
  readonly checkpoint: Checkpoint | null;
  readonly end: JournalEnd;
  /** Length of the dropped unfinished round, as far as it can be told; 0 at a clean end. */
  readonly tornBytes: number;
  readonly refusal: { readonly kind: JournalRefusal; readonly detail: string } | null;
}

/** What one file says; its contents are forgotten. */
interface FileReading extends ScannedFile {
  /** Bytes that are there. */
  readonly length: number;
  readonly run: LapRun | null;
  /** The highest number of any valid round, 0 if there is none. */
  readonly highestRound: number;
  /** Length of what looks like an unfinished round behind the run. */
  readonly tornBytes: number;
}

/** The unbroken run of rounds at the start of one file. */
interface LapRun extends ScannedLap {
  readonly first: RoundHeader;
  readonly last: RoundHeader;
  readonly checkpoint: Checkpoint | null;
}

/** Reads every file of the ring, one after the other. */
export async function scanJournal(files: FileSystem, folder: string): Promise<JournalScan> {
  const readings: FileReading[] = [];
  for (const name of await files.list(folder)) {
    const slot = parseJournalFileName(name);
    if (slot !== null) readings.push(read(slot, await files.readFile(`${folder}/${name}`)));
  }
  return walk(readings);
}

function read(slot: number, content: Buffer): FileReading {
  // A file gets its name when it is whole, header included.
  const header = decodeFileHeader(content);
  const { length } = content;
  if (header === null) {
    const nothing = { lap: null, run: null, highestRound: 0, tornBytes: 0 };
    return { slot, bytes: length, salt: null, length, ...nothing };
  }
  const { bytes, salt } = header;
  const run = lapRun(slot, content, salt);
  const from = run?.end ?? PAGE_BYTES;
  return {
    slot,
    bytes,
    salt,
    length,
    lap: run?.lap ?? null,
    run,
    highestRound: Math.max(run?.last.number ?? 0, highestRound(content, from, salt)),
    tornBytes: run === null ? 0 : tornLength(content, from, run.last),
  };
}

function walk(files: readonly FileReading[]): JournalScan {
  const runs = files.flatMap((file) => file.run ?? []).sort((a, b) => a.lap - b.lap);
  // Files of older laps that were free may have been reused in any order: only the newest unbroken chain counts.
  let start = runs.length - 1;
  while (start > 0 && connects(runs[start - 1] as LapRun, runs[start] as LapRun)) start -= 1;
  return judge(files, runs.slice(Math.max(start, 0)), runs[start - 1]);
}

function lapRun(slot: number, content: Buffer, salt: number): LapRun | null {
  const first = decodeRound(content, PAGE_BYTES, salt);
  if (first === null) return null;
  let last = first;
  let at = PAGE_BYTES;
  let checkpoint: Checkpoint | null = null;
  for (let round: RoundHeader | null = first; round !== null;) {
    checkpoint = checkpointIn(content, at, round) ?? checkpoint;
    last = round;
    at += paddedLength(round.length);
    round = decodeRound(content, at, salt);
    if (round !== null && !follows(round, last, last.lap)) round = null;
  }
  const lastRoundAt = at - paddedLength(last.length);
  return { slot, lap: first.lap, first, last, lastRoundAt, end: at, checkpoint };
}

const follows = (round: RoundHeader, before: RoundHeader, lap: number): boolean =>
  round.lap === lap && round.number === before.number + 1 && round.previousCrc === before.crc;

const connects = (older: LapRun, younger: LapRun): boolean =>
  follows(younger.first, older.last, older.lap + 1);

function checkpointIn(content: Buffer, at: number, round: RoundHeader): Checkpoint | null {
  for (const entry of entriesOf(content, at, round)) {
    if (entry.type === entryType.checkpoint) {
      return decodeCheckpoint(content.subarray(entry.from, entry.to));
    }
  }
  return null;
}

/** Applies the tables above to the newest chain of laps; `broken` is the lap before it, if any. */
function judge(
  files: readonly FileReading[],
  chain: readonly LapRun[],
  broken: LapRun | undefined,
): JournalScan {
  const described = files.map(({ slot, bytes, salt, lap }) => ({ slot, bytes, salt, lap }));
  const common = { files: described, laps: chain, end: 'clean end' as JournalEnd, tornBytes: 0 };
  const newest = chain.at(-1);
  const checkpoint = chain.reduce<Checkpoint | null>((c, run) => run.checkpoint ?? c, null);
  if (newest === undefined || checkpoint === null) {
    const refusal = { kind: 'no journal' as const, detail: 'no valid round in any journal file' };
    return { ...common, lastRound: 0, lastCrc: 0, lastLap: 0, checkpoint: null, refusal };
  }
  const { last } = newest;
  const found = { lastRound: last.number, lastCrc: last.crc, lastLap: last.lap, checkpoint };
  const cut = files.find(({ bytes, length }) => length < bytes);
  if (cut !== undefined) return { ...common, ...found, refusal: cutFile(cut) };
  const unreadable = files.find(({ salt }) => salt === null);
  if (unreadable !== undefined) {
    const detail = `the header of ${journalFileName(unreadable.slot)} is unreadable`;
    return { ...common, ...found, refusal: { kind: 'damaged header', detail } };
  }
  const later = Math.max(...files.map((file) => file.highestRound));
  if (later > last.number) {
    return { ...common, ...found, refusal: damagedRound(last.number + 1, later) };
  }
  const oldest = (chain[0] as LapRun).lap;
  if (oldest > checkpoint.oldestLap) {
    const needed = checkpoint.oldestLap;
    const refusal =
      broken !== undefined && broken.lap >= needed
        ? damagedRound(broken.last.number + 1, (chain[0] as LapRun).first.number)
        : {
            kind: 'missing lap' as const,
            detail: `lap ${String(needed)} is needed, the oldest readable one is ${String(oldest)}`,
          };
    return { ...common, ...found, refusal };
  }
  const tornBytes = files.find((file) => file.slot === newest.slot)?.tornBytes ?? 0;
  const end = tornBytes > 0 ? 'torn tail' : 'clean end';
  return { ...common, ...found, end, tornBytes, refusal: null };
}

const cutFile = ({ slot, bytes, length }: FileReading): JournalScan['refusal'] => ({
  kind: 'cut file',
  detail: `${journalFileName(slot)} has ${String(length)} bytes of ${String(bytes)}`,
});

const damagedRound = (damaged: number, whole: number): JournalScan['refusal'] => ({
  kind: 'damaged round',
  detail: `round ${String(damaged)} is damaged, but round ${String(whole)} behind it is whole`,
});

/** The highest number of a valid round on a page from `from` on, 0 if there is none. */
function highestRound(content: Buffer, from: number, salt: number): number {
  let highest = 0;
  for (let at = from; at < content.length; at += PAGE_BYTES) {
    if (readUint32(content, at) !== ROUND_MAGIC) continue;
    highest = Math.max(highest, decodeRound(content, at, salt)?.number ?? 0);
  }
  return highest;
}

/**
 * Bytes of the unfinished round at `at`: one whose header says that it is the next. Anything else there is what an earlier
 * lap has left, often the middle of a long round.
 */
function tornLength(content: Buffer, at: number, last: RoundHeader): number {
  if (at + PAGE_BYTES > content.length || readUint32(content, at) !== ROUND_MAGIC) return 0;
  if (readUint32(content, at + 16) !== (last.number + 1) % 2 ** 32) return 0;
  return Math.min(readUint32(content, at + 8), content.length - at);
}

/**
 * Every entry of the laps that the latest checkpoint needs, in order, with the buffer it stands in. Laps before those do not
 * say how their logs begin: what they build on may be gone.
 */
export async function replayJournal(
  files: FileSystem,
  folder: string,
  scan: JournalScan,
  visit: (content: Buffer, entry: Entry) => Promise<void> | void,
): Promise<void> {
  const oldestLap = scan.checkpoint?.oldestLap ?? 0;
  for (const { slot, end, lap } of scan.laps) {
    if (lap < oldestLap) continue;
    const content = await files.readFile(`${folder}/${journalFileName(slot)}`);
    const salt = scan.files.find((file) => file.slot === slot)?.salt ?? 0;
    let at = PAGE_BYTES;
    while (at < end) {
      const round = decodeRound(content, at, salt);
      if (round === null)
        throw new Error(`journal changed while it was read, slot ${String(slot)}`);
      for (const entry of entriesOf(content, at, round)) await visit(content, entry);
      at += paddedLength(round.length);
    }
  }
}
