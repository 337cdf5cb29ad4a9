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
  type RoundHeader,
} from './journal-format.ts';
import { journalFileName, parseJournalFileName } from './names.ts';

export type JournalEnd = 'clean end' | 'torn tail';
export type JournalRefusal = 'damaged round' | 'missing lap' | 'no journal';

export interface ScannedFile {
  readonly slot: number;
  readonly bytes: number;
  /** Lap of its first round, or null where that cannot be read. */
  readonly lap: number | null;
}

export interface JournalScan {
  readonly files: readonly ScannedFile[];
  /** Laps in ascending order with the offset behind the last valid round of each. */
  readonly laps: readonly { readonly slot: number; readonly lap: number; readonly end: number }[];
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

const ROUND_MAGIC_BYTES = 4;

/** Reads every file of the ring. Costs its size in memory (at most `journal.files_max` files) until it returns. */
export async function scanJournal(files: FileSystem, folder: string): Promise<JournalScan> {
  const loaded: LoadedFile[] = [];
  for (const name of await files.list(folder)) {
    const slot = parseJournalFileName(name);
    if (slot === null) continue;
    const content = await files.readFile(`${folder}/${name}`);
    const bytes = decodeFileHeader(content);
    // A file whose creation was cut short has no valid header and never held a round.
    if (bytes === null || bytes > content.length) continue;
    loaded.push({ slot, bytes, content, lap: decodeRound(content, PAGE_BYTES)?.lap ?? null });
  }
  return walk(loaded);
}

function walk(files: readonly LoadedFile[]): JournalScan {
  const started = files
    .filter((file) => file.lap !== null)
    .sort((a, b) => (a.lap as number) - (b.lap as number));
  const laps: { slot: number; lap: number; end: number }[] = [];
  let last: RoundHeader | null = null;
  let checkpoint: Checkpoint | null = null;
  for (const file of started) {
    const first = decodeRound(file.content, PAGE_BYTES) as RoundHeader;
    if (last !== null && !follows(first, last, last.lap + 1)) break;
    let at = PAGE_BYTES;
    let round: RoundHeader | null = first;
    while (
      round !== null &&
      (last === null || at === PAGE_BYTES || follows(round, last, last.lap))
    ) {
      checkpoint = checkpointIn(file.content, at, round) ?? checkpoint;
      last = round;
      at += paddedLength(round.length);
      round = decodeRound(file.content, at);
    }
    laps.push({ slot: file.slot, lap: last.lap, end: at });
  }
  return judge(files, laps, last, checkpoint);
}

const follows = (round: RoundHeader, before: RoundHeader, lap: number): boolean =>
  round.lap === lap && round.number === before.number + 1 && round.previousCrc === before.crc;

function checkpointIn(content: Buffer, at: number, round: RoundHeader): Checkpoint | null {
  for (const entry of entriesOf(content, at, round)) {
    if (entry.type === entryType.checkpoint) {
      return decodeCheckpoint(content.subarray(entry.from, entry.to));
    }
  }
  return null;
}

/** Applies the tables above to what the walk found. */
function judge(
  files: readonly LoadedFile[],
  laps: JournalScan['laps'],
  last: RoundHeader | null,
  checkpoint: Checkpoint | null,
): JournalScan {
  const described = files.map(({ slot, bytes, lap }) => ({ slot, bytes, lap }));
  const common = { files: described, laps, end: 'clean end' as JournalEnd, tornBytes: 0 };
  const tail = laps.at(-1);
  if (last === null || checkpoint === null || tail === undefined) {
    const refusal = { kind: 'no journal' as const, detail: 'no valid round in any journal file' };
    return { ...common, lastRound: 0, lastCrc: 0, lastLap: 0, checkpoint: null, refusal };
  }
  const found = { lastRound: last.number, lastCrc: last.crc, lastLap: last.lap, checkpoint };
  const later = laterRound(files, last);
  if (later !== null) {
    const detail = `round ${String(last.number + 1)} is damaged, but round ${String(later)} behind it is whole`;
    return { ...common, ...found, refusal: { kind: 'damaged round', detail } };
  }
  const oldest = laps[0]?.lap ?? 0;
  if (oldest > checkpoint.oldestLap) {
    const detail = `lap ${String(checkpoint.oldestLap)} is needed, the oldest readable one is ${String(oldest)}`;
    return { ...common, ...found, refusal: { kind: 'missing lap', detail } };
  }
  const tornBytes = tornLength(
    files.find((file) => file.slot === tail.slot) as LoadedFile,
    tail.end,
    last,
  );
  return {
    ...common,
    ...found,
    end: tornBytes > 0 ? 'torn tail' : 'clean end',
    tornBytes,
    refusal: null,
  };
}

/** The number of a valid round younger than `last`, wherever it stands, or null. */
function laterRound(files: readonly LoadedFile[], last: RoundHeader): number | null {
  for (const { content } of files) {
    for (let at = PAGE_BYTES; at < content.length; at += PAGE_BYTES) {
      if (readUint32(content, at) !== 0x31444e52) continue;
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
  if (
    at + ROUND_MAGIC_BYTES > content.length ||
    content.subarray(at, at + 32).every((b) => b === 0)
  ) {
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
