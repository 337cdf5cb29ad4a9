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
export type JournalRefusal = 'damaged round' | 'cut file' | 'missing lap' | 'no journal';

export interface ScannedFile {
  readonly slot: number;
  readonly bytes: number;
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

interface LoadedFile extends ScannedFile {
  readonly content: Buffer;
}

/** Reads every file of the ring. Costs its size in memory (at most `journal.files_max` files) until it returns. */
export async function scanJournal(files: FileSystem, folder: string): Promise<JournalScan> {
  const loaded: LoadedFile[] = [];
  for (const name of await files.list(folder)) {
    const slot = parseJournalFileName(name);
    if (slot === null) continue;
    const content = await files.readFile(`${folder}/${name}`);
    // A file gets its name when it is whole. Its header only says how long it was: without one, its length does.
    const bytes = decodeFileHeader(content) ?? Math.max(content.length, 2 * PAGE_BYTES);
    loaded.push({ slot, bytes, content, lap: decodeRound(content, PAGE_BYTES)?.lap ?? null });
  }
  return walk(loaded);
}

/** The unbroken run of rounds at the start of one file. */
interface LapRun extends ScannedLap {
  readonly first: RoundHeader;
  readonly last: RoundHeader;
  readonly checkpoint: Checkpoint | null;
}

function walk(files: readonly LoadedFile[]): JournalScan {
  const runs = files.flatMap((file) => lapRun(file) ?? []).sort((a, b) => a.lap - b.lap);
  // Files of older laps that were free may have been reused in any order: only the newest unbroken chain counts.
  let start = runs.length - 1;
  while (start > 0 && connects(runs[start - 1] as LapRun, runs[start] as LapRun)) start -= 1;
  return judge(files, runs.slice(Math.max(start, 0)), runs[start - 1]);
}

function lapRun(file: LoadedFile): LapRun | null {
  const first = decodeRound(file.content, PAGE_BYTES);
  if (first === null) return null;
  let last = first;
  let at = PAGE_BYTES;
  let checkpoint: Checkpoint | null = null;
  for (let round: RoundHeader | null = first; round !== null;) {
    checkpoint = checkpointIn(file.content, at, round) ?? checkpoint;
    last = round;
    at += paddedLength(round.length);
    round = decodeRound(file.content, at);
    if (round !== null && !follows(round, last, last.lap)) round = null;
  }
  const lastRoundAt = at - paddedLength(last.length);
  return { slot: file.slot, lap: first.lap, first, last, lastRoundAt, end: at, checkpoint };
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
  files: readonly LoadedFile[],
  chain: readonly LapRun[],
  broken: LapRun | undefined,
): JournalScan {
  const described = files.map(({ slot, bytes, lap }) => ({ slot, bytes, lap }));
  const common = { files: described, laps: chain, end: 'clean end' as JournalEnd, tornBytes: 0 };
  const newest = chain.at(-1);
  const checkpoint = chain.reduce<Checkpoint | null>((c, run) => run.checkpoint ?? c, null);
  if (newest === undefined || checkpoint === null) {
    const refusal = { kind: 'no journal' as const, detail: 'no valid round in any journal file' };
    return { ...common, lastRound: 0, lastCrc: 0, lastLap: 0, checkpoint: null, refusal };
  }
  const { last } = newest;
  const found = { lastRound: last.number, lastCrc: last.crc, lastLap: last.lap, checkpoint };
  const cut = files.find(({ bytes, content }) => content.length < bytes);
  if (cut !== undefined) return { ...common, ...found, refusal: cutFile(cut) };
  const later = laterRound(files, last);
  if (later !== null) {
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
  const tail = files.find((file) => file.slot === newest.slot) as LoadedFile;
  const tornBytes = tornLength(tail, newest.end, last);
  const end = tornBytes > 0 ? 'torn tail' : 'clean end';
  return { ...common, ...found, end, tornBytes, refusal: null };
}

const cutFile = ({ slot, bytes, content }: LoadedFile): JournalScan['refusal'] => ({
  kind: 'cut file',
  detail: `${journalFileName(slot)} has ${String(content.length)} bytes of ${String(bytes)}`,
});

const damagedRound = (damaged: number, whole: number): JournalScan['refusal'] => ({
  kind: 'damaged round',
  detail: `round ${String(damaged)} is damaged, but round ${String(whole)} behind it is whole`,
});

/** The number of a valid round younger than `last`, wherever it stands, or null. */
function laterRound(files: readonly LoadedFile[], last: RoundHeader): number | null {
  for (const { content } of files) {
    for (let at = PAGE_BYTES; at < content.length; at += PAGE_BYTES) {
      if (readUint32(content, at) !== ROUND_MAGIC) continue;
      const round = decodeRound(content, at);
      if (round !== null && round.number > last.number) return round.number;
    }
  }
  return null;
}

/** Bytes of the unfinished round at `at`, told from what an earlier lap left there. */
function tornLength(file: LoadedFile, at: number, last: RoundHeader): number {
  const { content } = file;
  const old = decodeRound(content, at);
  if (old !== null) return 0;
  if (at + PAGE_BYTES > content.length || content.subarray(at, at + 32).every((b) => b === 0)) {
    return 0;
  }
  const claimed = readUint32(content, at + 8);
  const number = readUint32(content, at + 16);
  return number === (last.number + 1) % 2 ** 32
    ? Math.min(claimed, content.length - at)
    : PAGE_BYTES;
}

/** Every entry of the laps found by the scan, in order, with the buffer it stands in. */
export async function replayJournal(
  files: FileSystem,
  folder: string,
  scan: JournalScan,
  visit: (content: Buffer, entry: Entry) => Promise<void> | void,
): Promise<void> {
  for (const { slot, end } of scan.laps) {
    const content = await files.readFile(`${folder}/${journalFileName(slot)}`);
    let at = PAGE_BYTES;
    while (at < end) {
      const round = decodeRound(content, at);
      if (round === null)
        throw new Error(`journal changed while it was read, slot ${String(slot)}`);
      for (const entry of entriesOf(content, at, round)) await visit(content, entry);
      at += paddedLength(round.length);
    }
  }
}
